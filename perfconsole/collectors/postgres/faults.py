"""What went wrong with a server, in words and with what mends it. Whatever the driver or the system raises ends here.

Codes are those of the documentation's appendix A.
"""

from typing import Final

from perfconsole.core.errors import CollectorError, ConfigError
from perfconsole.core.text import safe

DOWN: Final = "down"
SILENT: Final = "silent"
REFUSED: Final = "refused"
FULL: Final = "full"
STARTING: Final = "starting"
ENDED: Final = "ended"
QUERY: Final = "query"


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


def translate(error: BaseException, where: str, user: str, database: str) -> ServerError:
    """The error as this project words it.

    Args:
        error: What the driver or the system raised.
        where: The server, as people call it: ``db1:5432``.
        user: Who wanted to log in.
        database: To what.
    """
    if isinstance(error, ServerError):
        return error
    if isinstance(error, ConfigError):
        return ServerError(error.message, error.fix, cause=REFUSED)
    code = getattr(error, "sqlstate", None)
    if isinstance(code, str):
        text = safe(str(getattr(error, "message", None) or error), 300)
        return _by_code(code, text, where, safe(user, 60), safe(database, 60))
    return _by_type(error, where)


def _by_code(code: str, text: str, where: str, user: str, database: str) -> ServerError:
    lowered = text.lower()
    if code == "53300" or "no more connections allowed" in lowered or "too many connections" in lowered:
        return ServerError(f"{where}: full: {text}", "close idle connections, raise max_connections, or put a pooler before it",
                           cause=FULL, code=code)  # fmt: skip
    if code == "57P03":
        return ServerError(f"{where}: {text}", "it answers once it is ready; nothing needs doing here", cause=STARTING, code=code)
    if code in {"57P01", "57P02", "57P05"}:
        return ServerError(f"{where}: ended by the server: {text}", "it is connected to again by itself", cause=ENDED, code=code)
    if code.startswith("28"):
        return _login(code, text, where, user)
    if code == "3D000":
        fix = "name a database that exists in its dsn; the database postgres nearly always does"
        return ServerError(f'{where}: no database "{database}"', fix, cause=REFUSED, code=code)
    if code == "42501":
        return ServerError(text, f'GRANT pg_monitor TO "{user}"', "denied", code=code)
    if code == "57014":
        return ServerError(f"{where}: a question took too long and was given up: {text}", "the server is busy or something is locked",
                           code=code)  # fmt: skip
    if code == "55P03":
        return ServerError(f"{where}: {text}", "something else holds a lock on the catalog; it is asked again", code=code)
    return ServerError(f"{where}: {text}", code=code)


def _login(code: str, text: str, where: str, user: str) -> ServerError:
    """Class 28: the password, the role, or a line of pg_hba.conf; a server that wants TLS says so in the last one."""
    lowered = text.lower()
    if "no encryption" in lowered or "ssl off" in lowered:
        fix = 'tls = "require", or sslmode=require in its dsn; else a line in pg_hba.conf that lets this user in without'
        return ServerError(f"{where}: TLS is required, or this host may not connect: {text}", fix, "denied", cause=REFUSED, code=code)
    if "pg_hba.conf" in lowered:
        return ServerError(f"{where}: {text}", "a line in pg_hba.conf for this user, database and host; then SELECT pg_reload_conf()",
                           "denied", cause=REFUSED, code=code)  # fmt: skip
    if "does not exist" in lowered:
        return ServerError(f"{where}: {text}", "`perfconsole init --postgres` prints the SQL of a role for it", "denied",
                           cause=REFUSED, code=code)  # fmt: skip
    fix = f'the password of "{user}" in ~/.pgpass (mode 0600), as "${{ENV}}" or "file:/run/secrets/x" in its dsn, or in its service'
    return ServerError(f"{where}: login failed: {text}", fix, "denied", cause=REFUSED, code=code)


def _by_type(error: BaseException, where: str) -> ServerError:
    text = safe(str(error) or type(error).__name__, 300)
    if isinstance(error, FileNotFoundError):
        return ServerError(f"{where}: down: no server listens on this socket", "start it, or name host=... in its dsn", cause=DOWN)
    if isinstance(error, ConnectionRefusedError) or "Multiple exceptions" in text:
        return ServerError(f"{where}: down: connection refused", "start it, or see that host and port are right", cause=DOWN)
    if type(error).__module__ == "socket" and type(error).__name__ == "gaierror":
        return ServerError(f"{where}: no such host: {text}", "see that the host's name is right and name resolution works", cause=DOWN)
    if type(error).__module__ == "ssl" or "ssl" in text.lower():
        fix = 'tls = "disable" "prefer" "require" "verify-ca" or "verify-full"; sslrootcert=... names the authority to trust'
        return ServerError(f"{where}: TLS failed: {text}", fix, cause=REFUSED)
    if "password" in text.lower() or "authentication" in text.lower():
        return ServerError(f"{where}: login failed: {text}", "the password in ~/.pgpass (mode 0600)", "denied", cause=REFUSED)
    if isinstance(error, PermissionError):
        return ServerError(f"{where}: the socket may not be opened by this user", "host=localhost in its dsn", "denied", cause=REFUSED)
    if isinstance(error, ConnectionError | EOFError) or "connection" in text.lower():
        return ServerError(f"{where}: the connection was lost: {text}", "it is connected to again by itself", cause=ENDED)
    if isinstance(error, OSError):
        return ServerError(f"{where}: down: {safe(error.strerror or text, 200)}", "see that host and port are right", cause=DOWN)
    return ServerError(f"{where}: {type(error).__name__}: {text}", cause=REFUSED)
