"""URLs and addresses as a configuration writes them: whether they are any, what they are called, what may be shown of them.

Pure text: nothing is looked up, neither a name nor a secret.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from perfconsole.config import secrets
from perfconsole.config.kinds import Wrong
from perfconsole.config.wording import shown, suggestion
from perfconsole.core.redact import MASK, redact
from perfconsole.core.text import safe

UNIX: Final = "unix:"
INSTEAD: Final = '"${ENV}" in its place'
_SCHEMES: Final = ("http", "https")
_ACCEPTED: Final = "http://HOST:PORT/PATH or https://..., or a reference to one such as ${ORDERS_URL}"
_PROXIES: Final = "http://HOST:PORT or https://HOST:PORT (socks is not spoken)"
_ADDRESS: Final = "HOST:PORT, as in db1.example:5432 or [2001:db8::7]:22"
_PORTS: Final = {"http": 80, "https": 443}
_STANDS_IN: Final = "1"
"""In place of a reference where a text is judged: it may be a host, a port, and a part of any path."""

_HOST_CHARS: Final = 253
_CALLED_CHARS: Final = 100
_USERINFO: Final = re.compile(r"[^/?#@\s]*:[^/?#@]*@")
_QUOTED: Final = re.compile(rf"""(["']){re.escape(MASK)}\1""")


def check_url(url: str) -> str:
    """A URL as it stands; references in it are taken for what they should be.

    Raises:
        Wrong: When it is none. Nothing secret in it is repeated.
    """
    return _checked(url, f"accepted: {_ACCEPTED}")


def check_proxy(url: str) -> str:
    """Likewise the URL of a proxy.

    Raises:
        Wrong: When it is none, or one of SOCKS.
    """
    return _checked(url, f"accepted: {_PROXIES}")


def _checked(url: str, accepted: str) -> str:
    found = f"found {shown(shown_url(url))}"
    if not url.isprintable() or " " in url:
        raise Wrong(f"{found}, with a blank or a control character in it", f"{accepted}; a blank is written %20")
    if secrets.is_file(url):
        return url
    judged = secrets.without(url, _STANDS_IN)
    if "${" in judged:
        raise Wrong(f"{found}, with a ${{ that begins no reference", f"{accepted}; a name has letters, digits and _")
    if url.startswith("${"):
        return url
    scheme, separator, _ = judged.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise Wrong(f"{found}, without http:// or https://", f"{accepted}; did you mean {shown(shown_url(_guessed(url)))}?")
    if scheme not in _SCHEMES:
        raise Wrong(f"{found}, which begins with {safe(scheme, 20)}://", f"{accepted}{_other(scheme)}")
    try:
        parts = urlsplit(judged)
        good = is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Wrong(f"{found}, whose host or port is none", accepted)
    return url


def _guessed(url: str) -> str:
    url = _USERINFO.sub("", url)
    local = url.startswith(("localhost", "127.", "[::1]"))
    return f"{'http' if local else 'https'}://{url.lstrip(':/')}"


def _other(scheme: str) -> str:
    if "unix" in scheme:
        return '; a unix socket is written connect_to = "unix:/path", beside a url'
    near = suggestion(scheme.lower(), _SCHEMES) if not scheme.startswith("socks") else ""
    return f"; {near}" if near else ""


def is_host(host: str) -> bool:
    """Whether a text may be a host: a name (also one that IDNA has to encode) or an address, without brackets."""
    if ":" in host:
        return _is_ipv6(host)
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return False
    labels = host.removesuffix(".").split(".")
    return len(host) <= _HOST_CHARS and all(re.fullmatch(r"[A-Za-z0-9_](?:[\w-]{0,61}[A-Za-z0-9_])?", label) for label in labels)


def _is_ipv6(host: str) -> bool:
    from ipaddress import IPv6Address  # noqa: PLC0415  6 ms that only such an address should cost

    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def address_family(host: str) -> int:
    """4 or 6 for a literal address; 0 for a name."""
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", host, re.ASCII):
        return 4
    return 6 if ":" in host and _is_ipv6(host.strip("[]")) else 0


def check_address(text: str, port: int | None = None) -> str:
    """An address as it stands.

    Args:
        text: ``host:port``, an IPv6 address in brackets.
        port: Taken where none is given; None asks for one.

    Raises:
        Wrong: When it is none.
    """
    host, number = _parted(text)
    if is_host(host) and not number and port is not None:
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if is_host(host) and number.isascii() and number.isdecimal() and 0 < int(number) < 65536:
        return text
    near = ""
    if "://" in text:
        near = "; it is no URL"
    elif is_host(text) and ":" in text:
        near = f'; did you mean "[{text}]:22"?'
    elif is_host(host) and not number:
        near = f'; did you mean "{host}:443"?'
    raise Wrong(f"found {shown(shown_url(text))}", f"accepted: {_ADDRESS}{near}")


def _parted(text: str) -> tuple[str, str]:
    """Host without brackets, and port as written."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        return (host, port.removeprefix(":")) if bracket and (not port or port[0] == ":") else (text, "")
    if text.count(":") > 1:
        return text, ""
    host, _, port = text.partition(":")
    return host, port


def check_route(text: str) -> str:
    """What is connected to in place of the target: ``host:port`` or ``unix:/path``.

    Raises:
        Wrong: When it is neither.
    """
    if text.startswith(UNIX):
        if not text.startswith(f"{UNIX}/") or not text.isprintable():
            raise Wrong(f"found {shown(text)}", "accepted: unix:/PATH, from the root on")
        return text
    try:
        return check_address(text)
    except Wrong as wrong:
        raise Wrong(wrong.found, f"{wrong.fix}; or unix:/PATH") from None


# What is told of them -------------------------------------------------------------------------------------------------------------


def holds_secret(text: str) -> bool:
    """Whether a secret stands in a text itself, not as a reference: what would be masked wherever it is shown."""
    # The quotes go too, or "***" in JSON would be taken for a password of three stars.
    judged = _QUOTED.sub(MASK, secrets.without(text, MASK))
    return redact(judged) != judged


def shown_literal(url: str) -> str:
    """A URL as a configuration is written back: as it stands, unless a secret stands in it."""
    return shown_url(url) if holds_secret(url) else url


def shown_url(target: str) -> str:
    """A URL for reading: no userinfo, no fragment, values of its query only where their names tell of no secret."""
    if "://" not in target:  # mistyped, and a password may stand where none is looked for
        target = _USERINFO.sub(MASK + "@", target)
    scheme, separator, rest = target.partition("://") if "://" in target else ("", "", target)
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    path, mark, query = rest[end:].partition("#")[0].partition("?")
    # Once more as a whole: what is wrong with a URL may be that its password holds a slash.
    whole = redact(f"{scheme}{separator}{rest[:end]}{path}")
    scheme, separator, whole = whole.partition("://") if separator else ("", "", whole)
    end = min((whole.find(mark) for mark in "/?#" if mark in whole), default=len(whole))
    return safe(f"{scheme}{separator}{whole[:end].rpartition('@')[2]}{whole[end:]}{mark}{_masked(query)}", 500)


def _masked(query: str) -> str:
    return "&".join(_pair(pair) for pair in query.split("&")) if query else ""


def _pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    # As a URL's: the same name in a text may be harmless (`key=`), in a query it seldom is.
    return f"{name}={MASK}" if equals and redact(f"?{pair}") != f"?{pair}" else pair


def called(url: str) -> str:
    """The name of an endpoint that has none of its own: host and path; a reference goes by the name of its variable."""
    if secrets.is_file(url):
        return safe(secrets.without(url, r"\1"), _CALLED_CHARS)
    parts = _parts(url)
    host = parts.netloc.rpartition("@")[2] or parts.path.partition("/")[0]
    host = host.removesuffix(f":{_PORTS.get(parts.scheme, '')}")
    path = parts.path if parts.netloc else parts.path.partition("/")[1] + parts.path.partition("/")[2]
    return safe(redact(f"{host}{path}".rstrip("/")), _CALLED_CHARS)


def host_of(url: str) -> str:
    """The host that a URL or an address names; a reference goes by the name of its variable."""
    if secrets.is_file(url):
        return called(url)
    netloc = _parts(url).netloc.rpartition("@")[2] if "://" in url else secrets.without(url, r"\1").partition("/")[0]
    return safe(_parted(netloc)[0].lower(), _CALLED_CHARS)


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(secrets.without(url, r"\1"))
    except ValueError:
        return SplitResult("", "", safe(url, _CALLED_CHARS), "", "")
