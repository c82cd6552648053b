"""What went wrong with a server, in words and with what mends it. Whatever the driver or the system raises ends here.

Codes are those of the documentation's appendix A.
"""

from typing import Final, NamedTuple

from perfconsole.core.errors import CollectorError, ConfigError
from perfconsole.core.text import safe

DOWN: Final = "down"
SILENT: Final = "silent"
REFUSED: Final = "refused"
FULL: Final = "full"
STARTING: Final = "starting"
ENDED: Final = "ended"
QUERY: Final = "query"
ANSWERED: Final = frozenset({REFUSED, FULL})
"""Causes that a server gave itself: it is there, and says no."""


class ServerError(CollectorError):
    """A server that could not be asked, or did not answer one question.

    Attributes:
        cause: ``down``, ``silent`` (no answer in time), ``refused`` (login, database, TLS, configuration), ``full``, ``starting``,
            ``ended`` (the connection was) or ``query`` (the server is fine, this one question failed).
        code: The server's five letters; empty where it said nothing.
    """

    def __init__(self, message: str, fix: str = "", state: str = "error", *, cause: str = QUERY, code: str = "") -> None:
        super().__init__(message, fix, state)
        self.cause = cause
        self.code = code


def silent(where: str, seconds: float, *, connecting: bool) -> ServerError:
    """No answer in time."""
    if connecting:
        message = f"{where}: no answer to a connection within {seconds:g} s"
        return ServerError(message, "the host is unreachable, a firewall drops packets, or the server hangs", cause=SILENT)
    return ServerError(f"{where}: no answer within {seconds:g} s", "the server hangs or the network is lost", cause=SILENT)


def translate(error: BaseException, where: str, user: str) -> ServerError:
    """The error as this project words it.

    Args:
        error: What the driver or the system raised.
        where: The server, as people call it: ``db1:5432``.
        user: Who wanted to log in.
    """
    if isinstance(error, ServerError):
        return error
    if isinstance(error, ConfigError):
        return ServerError(error.message, error.fix, cause=REFUSED)
    code = getattr(error, "sqlstate", None)
    if isinstance(code, str):
        text = safe(str(getattr(error, "message", None) or error), 300)
        return _by_code(code, text, where, safe(user, 60))
    return _by_type(error, where)


class _Words(NamedTuple):
    """How a fault is put: `message` follows the server's name, and ends in what it said itself where it ends in a colon."""

    message: str
    fix: str
    cause: str
    state: str = "error"


_AGAIN: Final = "it is connected to again by itself"
_CODES: Final = {
    "53300": _Words("full:", "close idle connections, raise max_connections, or put a pooler before it", FULL),
    "57P03": _Words("not ready:", "it answers once it is ready; nothing needs doing here", STARTING),
    "57P01": _Words("ended by the server:", _AGAIN, ENDED),
    "57P02": _Words("ended by the server:", _AGAIN, ENDED),
    "57P05": _Words("ended by the server:", _AGAIN, ENDED),
    "3D000": _Words("no such database:", "name one that exists in its dsn; postgres nearly always does", REFUSED),
    "57014": _Words("a question was given up:", "the server is busy, or something is locked; it is asked again", QUERY),
    "55P03": _Words("a question was given up:", "something holds a lock on the catalog; it is asked again", QUERY),
}


def _by_code(code: str, text: str, where: str, user: str) -> ServerError:
    lowered = text.lower()
    if "no more connections allowed" in lowered or "too many connections" in lowered:  # poolers have codes of their own
        code = "53300"
    if code == "42501":
        return ServerError(text, f'GRANT pg_monitor TO "{user}"', "denied", code=code)
    if code.startswith("28"):
        return _said(_login(lowered, user), where, text, code)
    # Class 08 is what the driver says of a connection that broke while it was used.
    words = _Words("the connection was lost:", _AGAIN, ENDED) if code.startswith("08") else _CODES.get(code, _Words("", "", QUERY))
    return _said(words, where, text, code)


def _said(words: _Words, where: str, text: str, code: str = "") -> ServerError:
    message = f"{words.message} {text}" if words.message.endswith(":") else words.message or text
    return ServerError(f"{where}: {message}", words.fix, words.state, cause=words.cause, code=code)


def _login(lowered: str, user: str) -> _Words:
    """Class 28: the password, the role, or a line of pg_hba.conf; a server that wants TLS says so in the last one."""
    if "no encryption" in lowered or "ssl off" in lowered:
        fix = 'tls = "require", or sslmode=require in its dsn; else a line in pg_hba.conf that lets this user in without'
        return _Words("TLS is required, or this host may not connect:", fix, REFUSED, "denied")
    if "pg_hba.conf" in lowered:
        fix = "a line in pg_hba.conf for this user, database and host; then SELECT pg_reload_conf()"
        return _Words("login refused:", fix, REFUSED, "denied")
    if "does not exist" in lowered or "not permitted to log in" in lowered:
        return _Words("login refused:", "`perfconsole init --postgres` prints the SQL of a role for it", REFUSED, "denied")
    fix = f'the password of "{user}" in ~/.pgpass (mode 0600), as "${{ENV}}" or "file:/run/secrets/x" in its dsn, or in its service'
    return _Words("login failed:", fix, REFUSED, "denied")


_TYPES: Final = (
    ("FileNotFoundError", _Words("down: no server listens on this socket", "start it, or name host=... in its dsn", DOWN)),
    ("ConnectionRefusedError", _Words("down: connection refused", "start it, or see that host and port are right", DOWN)),
    ("gaierror", _Words("no such host:", "see that its name is right and name resolution works", DOWN)),
    ("TargetServerAttributeNotMatched", _Words("no host is what target_session_attrs asks for", "one is, once it was promoted", DOWN)),
    ("InternalClientError", _Words("the connection was lost", _AGAIN, ENDED)),
    ("PermissionError", _Words("its socket may not be opened by this user", "host=localhost in its dsn", REFUSED, "denied")),
)
"""By the name of the class: socket and ssl are not imported for it."""

_PHRASES: Final = (
    ("connect call failed", _Words("down: connection refused", "start it, or see that host and port are right", DOWN)),
    ("ssl", _Words("TLS failed:", 'tls = "disable" "prefer" "require" "verify-ca" or "verify-full"; sslrootcert=... names who is trusted',
                   REFUSED)),
    ("certificate", _Words("TLS failed:", "sslrootcert=... in its dsn names the authority to trust", REFUSED)),
    ("password", _Words("login failed:", "its password in ~/.pgpass (mode 0600)", REFUSED, "denied")),
    ("connection", _Words("the connection was lost:", _AGAIN, ENDED)),
)  # fmt: skip


def _by_type(error: BaseException, where: str) -> ServerError:
    text = safe(str(error) or type(error).__name__, 300)
    names = {kind.__name__ for kind in type(error).__mro__}
    for name, words in _TYPES:
        if name in names:
            return _said(words, where, text)
    for phrase, words in _PHRASES:
        if phrase in text.lower():
            return _said(words, where, text)
    if "ConnectionError" in names or "EOFError" in names:
        return _said(_Words("the connection was lost:", _AGAIN, ENDED), where, text)
    if "OSError" in names:
        return _said(_Words("down:", "see that host and port are right, and that it can be reached", DOWN), where, text)
    return _said(_Words(f"{type(error).__name__}:", "", QUERY), where, text)
