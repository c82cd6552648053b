"""PostgreSQL's protocol as far as the admin console of pgbouncer speaks it: log in, ask one line, read a table of texts.

The driver only speaks the extended protocol where rows come back, which that console refuses. Frames are those of the documentation's
chapter "Message Formats". Whoever answers may be hostile: lengths and numbers of rows are bounded.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from perfconsole.collectors.postgres.faults import REFUSED, ServerError
from perfconsole.collectors.postgres.pools.logins import LoginError, Scram, md5_answer, password_from_file, tls_context
from perfconsole.config.servers import DEFAULT_PORT
from perfconsole.core.text import safe

if TYPE_CHECKING:
    import socket
    import ssl

_PROTOCOL: Final = (3 << 16).to_bytes(4, "big")
_TLS_REQUEST: Final = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
_LOGIN: Final = "28P01"
_MOST_BYTES: Final = 1 << 20
_MOST_ROWS: Final = 20_000
_MOST_ANSWER_BYTES: Final = 16 << 20
"""A console with 20,000 pools answers in 4 MiB."""

Row = dict[str, str]


class Refusal(Exception):  # noqa: N818  what a server says, not what is wrong here
    """The server's no: its words, and its five letters."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate


class SimpleConnection:
    """A connection that is logged in; made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._writer.is_closing() or self._reader.at_eof()

    def terminate(self) -> None:
        """End it, at once."""
        self._writer.transport.abort()

    async def fetch(self, sql: str) -> list[Row]:
        """Ask one line: rows by the names of their columns; NULL is empty.

        Raises:
            Refusal: The server's no.
            ConnectionError: When the connection ended.
        """
        self._send(b"Q", sql.encode() + b"\0")
        names: list[str] = []
        rows: list[Row] = []
        refused: Refusal | None = None
        left = _MOST_ANSWER_BYTES
        while True:
            kind, body = await self._read()
            left -= len(body)
            if left < 0:
                self.terminate()
                raise ConnectionError("its answer has no end")
            if kind == b"T":
                names = _names(body)
            elif kind == b"D" and len(rows) < _MOST_ROWS:
                rows.append(dict(zip(names, _values(body), strict=False)))
            elif kind == b"E":
                said = _refusal(body)
                # pgbouncer gives all it refuses the code of a broken protocol, which would be taken for the end of the connection.
                refused = Refusal(said.message, "42601") if said.sqlstate.startswith("08") else said
            elif kind == b"Z":
                if refused:
                    raise refused
                return rows

    async def log_in(self, words: Mapping[str, str], password: str | None) -> None:
        """Say who we are, prove it, and wait until the server is ready.

        Raises:
            Refusal: The server's no.
            LoginError: When it asks for what there is not, or answers nonsense.
        """
        self._startup({"user": words["user"], "database": words.get("dbname", ""), "application_name": "perfconsole"})
        proof = _Proof(words["user"], password)
        while True:
            kind, body = await self._read()
            if kind == b"E":
                raise _refusal(body)
            if kind == b"Z":
                proof.finish()
                return
            if kind == b"R":  # what else comes are settings, a key for cancelling, notices
                # In a thread: a server may ask for as many rounds of hashing as take a second.
                answer = await asyncio.to_thread(proof.answer, int.from_bytes(body[:4], "big"), body[4:])
                if answer:
                    self._send(b"p", answer)

    # Frames -----------------------------------------------------------------------------------------------------------------------

    def _startup(self, said: Mapping[str, str]) -> None:
        body = _PROTOCOL + b"".join(f"{name}\0{value}\0".encode() for name, value in said.items()) + b"\0"
        self._writer.write((len(body) + 4).to_bytes(4, "big") + body)

    def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + (len(body) + 4).to_bytes(4, "big") + body)

    async def _read(self) -> tuple[bytes, bytes]:
        head = await self._reader.readexactly(5)
        length = int.from_bytes(head[1:], "big") - 4
        if not 0 <= length <= _MOST_BYTES:
            self.terminate()
            raise ConnectionError("what it answers is not PostgreSQL's protocol")
        return head[:1], await self._reader.readexactly(length)


class _Proof:
    """The client's side of a login: what it answers to the server's requests, by their numbers."""

    def __init__(self, user: str, password: str | None) -> None:
        self._user = user
        self._password = password
        self._scram: Scram | None = None

    def answer(self, how: int, rest: bytes) -> bytes:
        """What is sent for a request; empty for nothing.

        Raises:
            LoginError: When it cannot be answered.
        """
        if how in {0, 12}:
            if how == 12 and self._scram:
                self._scram.check(rest)
            return b""
        if self._password is None:
            raise LoginError("a password is needed, and none is known")
        if how == 3:
            return self._password.encode() + b"\0"
        if how == 5:
            return md5_answer(self._user, self._password, rest).encode() + b"\0"
        if how == 10 and Scram.MECHANISM.encode() in rest.split(b"\0"):
            self._scram = Scram(self._password)
            first = self._scram.first
            return Scram.MECHANISM.encode() + b"\0" + len(first).to_bytes(4, "big") + first
        if how == 11 and self._scram:
            return self._scram.final(rest)
        raise LoginError(f"the server asks for a kind of login that is not known here ({how})")

    def finish(self) -> None:
        """See that nothing is left to be proven, where the server lets us in.

        Raises:
            LoginError: When it has our proof, and gave none itself.
        """
        if self._scram and not self._scram.proven:
            raise LoginError("the server did not show that it knows the password")


async def connect(words: Mapping[str, str]) -> SimpleConnection:
    """Connect and log in, to the first of the hosts that answers.

    Args:
        words: libpq's keywords, secrets looked up.

    Raises:
        ServerError: When the server refuses the login.
        OSError: When none can be reached, or TLS fails.
    """
    words = {"user": _own_name(), **words}
    hosts = (words.get("hostaddr") or words.get("host") or "localhost").split(",")
    ports = (words.get("port") or DEFAULT_PORT).split(",")
    names = (words.get("host") or ",".join(hosts)).split(",")
    failed: OSError | None = None
    for at, host in enumerate(hosts):
        port = ports[min(at, len(ports) - 1)]
        try:
            connection = await _open(words, host, port, names[min(at, len(names) - 1)])
        except OSError as error:
            failed = error
            continue
        try:
            password = words.get("password") or await asyncio.to_thread(password_from_file, words, host, port)
            await connection.log_in(words, password)
        except Exception as error:  # noqa: BLE001  what it is, is found out there
            connection.terminate()
            raise _worded(error, words["user"], f"{host}:{port}") from None
        except BaseException:
            connection.terminate()
            raise
        return connection
    raise failed or ConnectionRefusedError("no host")


async def _open(words: Mapping[str, str], host: str, port: str, name: str) -> SimpleConnection:
    """Connect to one host; `name` is what its certificate must say, also where an address is connected to."""
    if host.startswith("/"):
        return SimpleConnection(*await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}"))
    link = await _reach(host, int(port))
    try:
        context = await _secured(link, words)
        return SimpleConnection(*await asyncio.open_connection(sock=link, ssl=context, server_hostname=name if context else None))
    except BaseException:
        link.close()
        raise


async def _reach(host: str, port: int) -> "socket.socket":
    """A connection to one of the addresses of a host."""
    import socket  # noqa: PLC0415  only to connect

    loop = asyncio.get_running_loop()
    failed = OSError("no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        link = socket.socket(family, kind, protocol)
        link.setblocking(False)
        try:
            await loop.sock_connect(link, address)
        except OSError as error:
            link.close()
            failed = error
        except BaseException:
            link.close()
            raise
        else:
            return link
    raise failed


async def _secured(link: "socket.socket", words: Mapping[str, str]) -> "ssl.SSLContext | None":
    """TLS, where it is wanted and the server has it; without it only where that is allowed.

    One byte is read, not more: what somebody put behind it in clear must not be taken for what came encrypted (CVE-2021-23222).
    """
    mode = words.get("sslmode") or "prefer"
    if mode == "disable":
        return None
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(link, _TLS_REQUEST)
    if await loop.sock_recv(link, 1) == b"S":
        return tls_context(words, mode)
    if mode in {"allow", "prefer"}:
        return None
    raise ConnectionError(f"SSL is not offered, and sslmode={mode} wants it")


def _own_name() -> str:
    import getpass  # noqa: PLC0415  only to log in

    return getpass.getuser()


def _worded(error: Exception, user: str, where: str) -> Exception:
    """What a login ended in; pgbouncer gives every refusal the code of a protocol error."""
    if isinstance(error, asyncio.IncompleteReadError):
        return ConnectionResetError("the connection was closed during the login")
    if not isinstance(error, LoginError | Refusal):
        return error
    text, who = safe(str(error), 300), safe(user, 60)
    if isinstance(error, LoginError):
        what, fix = "login failed", f'the password of "{who}" in ~/.pgpass (mode 0600), as "${{ENV}}" or "file:/run/secrets/x" in its dsn'
    elif text.lower().startswith("not allowed"):
        what, fix = "login refused", f"stats_users = {who} in pgbouncer.ini, then RELOAD"
    elif "ssl required" in text.lower():
        what, fix = "TLS is required", 'tls = "require", or sslmode=require in its dsn'
    else:
        return Refusal(text, _LOGIN) if error.sqlstate.startswith("08") else error
    return ServerError(f"{safe(where, 120)}: {what}: {text}", fix, "denied", cause=REFUSED, code=_LOGIN)


# Bodies ---------------------------------------------------------------------------------------------------------------------------


def _names(body: bytes) -> list[str]:
    """Names of columns: each ends in a zero, and 18 bytes of types follow."""
    names, at = [], 2
    for _ in range(int.from_bytes(body[:2], "big")):
        end = body.find(b"\0", at)
        if end < 0:
            break
        names.append(body[at:end].decode("utf-8", "replace"))
        at = end + 19
    return names


def _values(body: bytes) -> list[str]:
    values, at = [], 2
    for _ in range(int.from_bytes(body[:2], "big")):
        length = int.from_bytes(body[at : at + 4], "big", signed=True)
        at += 4
        values.append(body[at : at + max(0, length)].decode("utf-8", "replace"))
        at += max(0, length)
    return values


def _refusal(body: bytes) -> Refusal:
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return Refusal(safe(fields.get(b"M", "refused"), 300), fields.get(b"C", ""))
