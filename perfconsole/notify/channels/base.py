"""What all channels have in common: their settings, threads, trust, the words of what went wrong."""

import asyncio
import os
import socket
import ssl
import time
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe
from perfconsole.notify.channel import SendError
from perfconsole.notify.channels.hiding import Secrets
from perfconsole.notify.channels.words import RunbookOf

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import Notify

ANSWER_CHARS: Final = 300
"""Of an answer or an error that are told: it is one line on a screen."""

T = TypeVar("T")


class Given(NamedTuple):
    """What channels are given beside their settings.

    Attributes:
        runbook_of: Where it is written what to do about an alert.
        env: The environment that references are looked up in.
        clock: Epoch seconds.
    """

    runbook_of: RunbookOf = lambda _: ""
    env: Mapping[str, str] = os.environ
    clock: Callable[[], float] = time.time


def refused(message: str, *, final: bool = False, after_s: float | None = None, unsure: bool = False) -> SendError:
    """An attempt that failed, in one printable line."""
    return SendError(safe(message, ANSWER_CHARS), final=final, after_s=after_s, unsure=unsure)


# Channels -------------------------------------------------------------------------------------------------------------------------


class Base:
    """The settings of a channel.

    Attributes:
        name: As it is configured.
        send_resolved: Whether it is told that an alert is over.
        wants: The severities it is told of.
        each: Whether it takes one alert a message.
        refresh_s: How often it wants to be told again while an alert fires; 0 for never.
        limit_s: What an attempt may take, secrets that are looked up before it included.
    """

    each = False
    refresh_s = 0.0

    def __init__(self, notify: "Notify", given: Given) -> None:
        self.name = notify.name
        self.send_resolved = notify.resolved
        self.wants = frozenset(notify.severities)
        self._timeout_s = notify.timeout_s
        self.limit_s = 2 * notify.timeout_s + 1
        self._given = given

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    async def close(self) -> None:
        """Give back what is held: nothing here."""

    async def _looked_up(self, secrets: Secrets, *templates: str) -> list[str]:
        """Texts with their references looked up.

        Raises:
            SendError: When one cannot be. It is worth trying again: a secret that is missing now may be there after the next start.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await in_thread(lambda: [secrets.text(template) for template in templates], "perfconsole-secrets")
        except ConfigError as error:
            raise refused(str(error)) from None
        except TimeoutError:
            raise refused(f"the file of a secret was not read within {self._timeout_s:g} s") from None

    def _late(self) -> SendError:
        return refused(f"no answer within {self._timeout_s:g} s", unsure=True)


# Threads --------------------------------------------------------------------------------------------------------------------------


def in_thread(question: Callable[[], T], name: str) -> "Future[T]":
    """Run what may hang (a file on a dead NFS server, a resolver, an import of 100 ms) in a daemon thread of its own.

    An executor's threads are joined at exit, so that one that hangs would keep the process.

    Returns:
        A future of the running loop; forgetting or cancelling it leaves the thread to itself.
    """
    loop = asyncio.get_running_loop()
    answer: Future[T] = loop.create_future()
    Thread(target=_work, args=(question, loop, answer), name=name, daemon=True).start()
    return answer


def _work(question: Callable[[], T], loop: AbstractEventLoop, answer: "Future[T]") -> None:
    try:
        settle: Callable[[], Any] = partial(answer.set_result, question())
    except Exception as error:  # noqa: BLE001  whatever it is, it belongs to the one who asked
        settle = partial(answer.set_exception, error)
    with suppress(RuntimeError):  # the loop is closed: the answer came after the end
        loop.call_soon_threadsafe(lambda: answer.done() or settle())


def look_up_apart(loop: AbstractEventLoop) -> None:
    """Have a loop look names up in threads as above: its own are an executor's, by which a dead name server keeps the process.

    What connects still knows the name, by which certificates are verified, and tries all addresses.
    """

    async def getaddrinfo(host: Any, port: Any, **more: int) -> Any:
        return await in_thread(lambda: socket.getaddrinfo(host, port, **more), "perfconsole-names")

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]


# Trust ----------------------------------------------------------------------------------------------------------------------------


def tls_context(ca: str) -> ssl.SSLContext:
    """Who is trusted: the certificates of a file, else the system's. Reading those takes 23 ms: in a thread.

    Raises:
        ConfigError: When the file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(*(_system() if not ca else (ca, None)))
    except ssl.SSLError:
        raise ConfigError(f"{safe(ca)} holds no certificate", "ca names a file of PEM certificates") from None
    except OSError as error:
        raise ConfigError(f"{safe(ca)} cannot be read: {error.strerror}", "ca names a file readable by this user") from None
    return context


def _system() -> tuple[str | None, str | None]:
    """File and directory of the system's certificates, not asking SSL_CERT_FILE: whom a channel trusts is said in its `ca`."""
    paths = ssl.get_default_verify_paths()
    file, directory = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    found = (str(file) if file.is_file() else None, str(directory) if directory.is_dir() and any(directory.iterdir()) else None)
    if any(found):
        return found
    import certifi  # noqa: PLC0415  httpx brings it; only needed in containers without certificates of their own

    return certifi.where(), None


# Words ----------------------------------------------------------------------------------------------------------------------------


def broke_off(error: BaseException) -> bool:
    """Whether the connection ended when something may have been taken."""
    return type(error).__name__ in {
        "ReadError",
        "RemoteProtocolError",
        "WriteError",
        "ReadTimeout",
        "WriteTimeout",
        "SMTPServerDisconnected",
    }


def why(error: BaseException) -> str:
    """What went wrong on the way, in words that quote nothing that was sent."""
    for found in _causes(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"the certificate is not accepted: {found.verify_message}"
        if isinstance(found, ssl.SSLError):
            return f"TLS failed: {(found.reason or 'unknown').replace('_', ' ').lower()}"
        if isinstance(found, TimeoutError):
            return "no connection in time"
        if isinstance(found, OSError) and found.errno:  # asyncio's own words hold the address
            return (found.strerror or "") if found.errno < 0 else os.strerror(found.errno)
    return _KINDS.get(type(error).__name__, type(error).__name__)


def _causes(error: BaseException) -> Iterable[BaseException]:
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


_KINDS: Final = {
    "RemoteProtocolError": "the server closed the connection, or answered what is no HTTP",
    "ReadError": "the server closed the connection",
    "WriteError": "the server closed the connection",
    "ProxyError": "the proxy refused",
    "InvalidURL": "with its secrets looked up, the URL is none",
    "UnsupportedProtocol": "with its secrets looked up, the URL is none",
    "LocalProtocolError": "with its secrets looked up, a header is none",
    "UnicodeEncodeError": "with its secrets looked up, a header is none",
    "SMTPNotSupportedError": "the server offers no STARTTLS, or no login",
    "SMTPServerDisconnected": "the server closed the connection",
}
