"""What is sent: a check's URL, headers, credentials and body with its secrets looked up, and what a redirect makes of them.

Pure but for the looking up; whichever client sends it, it is the same request.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from perfconsole import __version__
from perfconsole.collectors.http.judging.wording import Secrets, basic
from perfconsole.collectors.http.network.names import ascii_name, plain
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.config.secrets import is_file, resolve
from perfconsole.core.checks import Check
from perfconsole.core.errors import ConfigError
from perfconsole.core.redact import redact
from perfconsole.core.text import safe

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_PORTS: Final = {"http": 80, "https": 443}
_OWN: Final = (
    ("User-Agent", f"perfconsole/{__version__}"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
)
"""Unless the check says otherwise. Nothing packed is asked for: the size is then that of what was meant, and nothing need be unpacked."""

_PATH: Final = "/%:@!$&'()*+,;=-._~"
_QUERY: Final = _PATH + "?"


class Origin(NamedTuple):
    """Whom a request is for: scheme, host as it is asked for (IDNA, no brackets), port."""

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """``host:port``, without the port that goes without saying: the value of a Host header."""
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host  # a zone means something on this machine alone
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """``host:port``, always with its port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Proxy(NamedTuple):
    """Through whom a request goes; `authorization` is the value of a header for it, empty for none."""

    origin: Origin
    authorization: str

    def __repr__(self) -> str:
        return f"<Proxy {self.origin.place}>"


class Message(NamedTuple):
    """One request.

    Attributes:
        url: As it was asked for, without userinfo and fragment; its secrets are in it.
        target: Path and query, as they are sent.
        headers: In the order in which they are sent, Host first; everything is in them.
        private: Names, in lower case, of those that hold secrets: another origin does not get them.
        proxy: None for nobody.
        secret_body: Whether the body holds a secret: another origin does not get it either.
    """

    method: str
    url: str
    origin: Origin
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    private: frozenset[str]
    proxy: Proxy | None = None
    secret_body: bool = False

    def __repr__(self) -> str:
        # An error report that shows variables must not show those.
        return f"<Message {self.method} to {self.origin.place}>"

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as bytes."""
        return [(name.encode("latin-1"), value.encode("utf-8", "surrogateescape")) for name, value in self.headers]


class Noted(Mapping[str, str]):
    """An environment that notes what was looked up in it, and encodes it for a place in a URL."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.values_seen: list[str] = []
        self.allowed: str | None = None

    def __getitem__(self, name: str) -> str:
        value = self._env[name]
        self.values_seen.append(value)
        return value if self.allowed is None else quote(value, safe=self.allowed, errors="surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)

    def text(self, template: str, allowed: str | None = None) -> str:
        """A text with its references looked up; in a part of a URL only `allowed` characters are left as they are."""
        self.allowed = allowed
        found = resolve(template, self)
        if is_file(template):
            self.values_seen.append(found)
        return found


def reads_files(check: Check) -> bool:
    """Whether a secret of the check stands in a file: it is read again each time, and a disk may not answer."""
    texts = [check.target, check.proxy, check.body, check.host, *check.auth, *(value for _, value in check.headers)]
    return any(map(is_file, texts))


def message_of(check: Check, env: Mapping[str, str] = os.environ) -> tuple[Message, Secrets]:
    """The first request of a check, and what must not be told of it.

    Raises:
        Failure: ``unmeasured``, when a secret is not to be had, or what it holds cannot be sent.
    """
    noted = Noted(env)
    try:
        url, userinfo = _url(check.target, noted)
        parts = _split(url)
        origin, target = _origin(parts), _target(parts)
        proxy, proxy_pairs = _proxy(check, noted)
        given, private = _given(check, noted)
        authorization, pairs = _credentials(check, userinfo, noted)
        host = noted.text(check.host) or origin.authority
        body = noted.text(check.body)
    except ConfigError as error:
        raise Failure(UNMEASURED, safe(str(error), 300)) from None
    except (ValueError, UnicodeError):
        raise Failure(UNMEASURED, "with its secrets looked up, the URL is none: look at what they hold") from None
    headers = [("Host", host), *_OWN]
    if authorization:
        headers.append(("Authorization", authorization))
        private |= {"authorization"}
    headers = _merged(headers, given)
    sent = body.encode("utf-8", "surrogateescape")
    # Two lengths are how requests are smuggled past a proxy: in chunks, it has none.
    chunked = any(name.lower() == "transfer-encoding" for name, _ in given)
    if not chunked and (sent or check.method in {"POST", "PUT", "PATCH"}):
        headers = _merged(headers, [("Content-Length", str(len(sent)))])
    message = Message(
        check.method, parts.geturl(), origin, target, _sendable(headers), sent, frozenset(private), proxy,
        secret_body=body != check.body or redact(body) != body,
    )  # fmt: skip
    pairs += proxy_pairs
    return message, Secrets([*noted.values_seen, *(password for _, password in pairs), *_tokens(parts.query)], pairs)


def _proxy(check: Check, noted: Noted) -> tuple[Proxy | None, list[tuple[str, str]]]:
    """Through whom, and user and password that must not be seen."""
    if not check.proxy:
        return None, []
    url, userinfo = _url(check.proxy, noted)
    authorization, pairs = _basic_of(userinfo)
    return Proxy(_origin(_split(url)), authorization), pairs


def _tokens(query: str) -> list[str]:
    """Values of a query whose names tell of a secret, as they are and as they are sent."""
    found = []
    for pair in query.split("&"):
        _, _, value = pair.partition("=")
        if value and redact(f"?{pair}") != f"?{pair}":
            found += [value, unquote(value)]
    return found


def _url(template: str, noted: Noted) -> tuple[str, str]:
    """The URL without its userinfo, and that. A secret may hold what has a meaning in a URL: each part keeps what it may."""
    look_up: Callable[..., str] = noted.text
    if is_file(template) or template.startswith("${"):
        template, look_up = noted.text(template), _as_it_is
    scheme, _, rest = template.partition("://")
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    userinfo, _, host = rest[:end].rpartition("@")
    path, mark, query = rest[end:].partition("#")[0].partition("?")
    where = f"{scheme}://{look_up(host)}{look_up(path, '/')}{mark}{look_up(query, '')}"
    return where, look_up(userinfo, "")


def _as_it_is(text: str, _allowed: str | None = None) -> str:
    return text


def _split(url: str) -> SplitResult:
    return urlsplit(url)._replace(fragment="")


def _origin(parts: SplitResult) -> Origin:
    """Whom a URL names.

    Raises:
        ValueError: When it names nobody that is spoken to here.
    """
    host = _unzoned(plain(parts.hostname or ""))
    if parts.scheme not in _PORTS or not host or not host.isprintable() or " " in host:
        raise ValueError
    return Origin(parts.scheme, ascii_name(host), parts.port or _PORTS[parts.scheme])


def _unzoned(host: str) -> str:
    """An address with its zone as sockets take it: in a URL a % is written %25 (RFC 6874), though not by everybody."""
    address, _, zone = host.partition("%")
    return f"{address}%{unquote(zone.removeprefix('25'))}" if ":" in address and zone.startswith("25") and zone != "25" else host


def _target(parts: SplitResult) -> str:
    path = quote(parts.path, safe=_PATH) or "/"
    return f"{path}?{quote(parts.query, safe=_QUERY)}" if parts.query else path


def _given(check: Check, noted: Noted) -> tuple[list[tuple[str, str]], set[str]]:
    found, private = [], set()
    for name, template in check.headers:
        value = noted.text(template)
        found.append((name, value))
        if name.lower() in {"authorization", "cookie", "proxy-authorization"}:
            noted.values_seen += [value, value.partition(" ")[2]]
        elif redact(f"{name}: {value}") != f"{name}: {value}":  # a secret that stands in the configuration itself
            noted.values_seen.append(value)
        elif value == template:
            continue
        private.add(name.lower())
    return found, private


def _credentials(check: Check, userinfo: str, noted: Noted) -> tuple[str, list[tuple[str, str]]]:
    """The value of an Authorization header, empty for none; and user and password that must not be seen."""
    kind, *values = check.auth or ("",)
    values = [noted.text(value) for value in values]
    if kind == "bearer":
        return f"Bearer {values[0]}", [("", values[0])]
    if kind == "basic":
        return basic(values[0], values[1]), [(values[0], values[1])]
    return _basic_of(userinfo)


def _basic_of(userinfo: str) -> tuple[str, list[tuple[str, str]]]:
    if not userinfo:
        return "", []
    user, colon, password = (unquote(part, errors="surrogateescape") for part in userinfo.partition(":"))
    # A user without a password is a token, as often as not.
    return basic(user, password), [(user, password) if colon else ("", user)]


def _merged(headers: list[tuple[str, str]], more: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Later ones in place of earlier ones of the same name; what is given twice is sent twice."""
    names = {name.lower(): name for name, _ in more}
    replaced = {name for name, _ in headers if name.lower() in names}
    kept = [(name, value) for name, value in headers if name not in replaced]
    if "host" in names:  # first wherever it came from: some servers insist
        return [one for one in more if one[0].lower() == "host"] + kept + [one for one in more if one[0].lower() != "host"]
    return kept + more


def _sendable(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Headers without what may stand around a value, and is no part of it (RFC 9110, 5.5)."""
    for name, value in headers:
        if any(mark < " " and mark != "\t" for mark in value):
            raise Failure(
                UNMEASURED, f"the header {safe(name, 80)} cannot be sent: its value has a line break or a control character in it"
            )
    return tuple((name, value.strip(" \t")) for name, value in headers)


def following(message: Message, status: int, location: str) -> Message:
    """The request that a redirect asks for: as browsers and httpx do it (RFC 9110, 15.4).

    Credentials go to the same origin alone, or from ``http`` to ``https`` of the same host.

    Raises:
        Failure: ``protocol``, when it leads nowhere.
    """
    try:
        parts = _split(urljoin(message.url, location.strip()))
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        origin = _origin(parts)
    except (ValueError, UnicodeError):
        raise Failure("protocol", "redirected to what is no address of a web page") from None
    method = _method(message.method, status)
    dropped = {"content-length", "content-type", "transfer-encoding"} if method != message.method else set()
    before = message.origin
    headers = list(message.headers)
    if origin != before:
        headers = _merged(headers, [("Host", origin.authority)])
        if not upgraded(before, origin):
            dropped |= message.private - {"host"}
            if message.secret_body and method == message.method:
                raise Failure("protocol", "redirected to another place with a body that holds a secret, which does not follow")
    kept = tuple((name, value) for name, value in headers if name.lower() not in dropped)
    body = b"" if method != message.method else message.body
    return message._replace(method=method, url=parts.geturl(), origin=origin, target=_target(parts), headers=kept, body=body)


def upgraded(before: Origin, after: Origin) -> bool:
    """Whether one origin is the other with TLS: what was meant for it is meant for this."""
    return before == Origin("http", after.host, 80) and after == Origin("https", after.host, 443)


def _method(method: str, status: int) -> str:
    if method != "HEAD" and (status in {302, 303} or (status == 301 and method == "POST")):
        return "GET"
    return method
