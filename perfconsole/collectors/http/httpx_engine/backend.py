"""The network below httpx: the same lines as those of the lean engine, so that both tell DNS, TCP, TLS and the server apart alike.

httpcore's own backend resolves and connects in one step, and races addresses against each other: neither could be told of afterwards.
What passes between here and a proxy before the target is spoken to is a part of connecting.
"""

import ssl
from collections.abc import Awaitable, Iterable
from typing import Any

import httpcore

from perfconsole.collectors.http.attempts.attempt import limited
from perfconsole.collectors.http.attempts.request import Message, Origin
from perfconsole.collectors.http.attempts.shaken import secured
from perfconsole.collectors.http.attempts.trial import Trial
from perfconsole.collectors.http.network.line import Line
from perfconsole.collectors.http.network.names import server_name
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure


class Backend(httpcore.AsyncNetworkBackend):
    """The connection of one hop.

    Args:
        trial: Whose stopwatch is told of the phases.
        message: What is sent.
        first: Whom the check is for.

    Attributes:
        with_proxy: Whether what happens is between here and a proxy, and the target has no part in it.
    """

    def __init__(self, trial: Trial, message: Message, first: Origin) -> None:
        self.trial = trial
        self.origin = message.origin
        self.first = first
        self.proxy = message.proxy
        self.with_proxy = message.proxy is not None
        self._connect_before_s = trial.watch.spent_s("connect")
        self._line: Line | None = None

    def close(self) -> None:
        """End the connection, at once."""
        if self._line is not None:
            self._line.close()
            self._line = None

    @property
    def line(self) -> Line:
        """The connection.

        Raises:
            httpcore.ReadError: When it was ended here.
        """
        if self._line is None:
            raise httpcore.ReadError
        return self._line

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002  # httpcore's, which knows of no `connect_to`; likewise the port
        port: int,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # httpcore's; each phase has its own limit here
        local_address: str | None = None,  # noqa: ARG002  # httpcore's
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002  # httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Look the name up and connect to the first address.

        Raises:
            Failure: When either did not work.
            OSError: Likewise.
        """
        trial, proxy = self.trial, self.proxy
        place = trial.place_of(self.origin, self.first) if proxy is None else proxy.origin.place
        self._line = Line(await trial.connected(place), trial.shared.lag)
        self.with_proxy = proxy is not None and (proxy.origin.secure or self.origin.secure)
        return Stream(self)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Never asked for: a unix socket is one of the places that `connect_tcp` connects to, so that it has phases like every other."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Never asked for: httpcore sleeps between retries, and there are none."""
        raise NotImplementedError

    async def connecting(self, work: Awaitable[Any]) -> Any:
        """Have something done that is a part of connecting, within the limit of that.

        Raises:
            Failure: When it took too long.
            OSError: As the work.
        """
        trial, line = self.trial, self.line
        trial.watch.enter("connect")
        spent_s = trial.watch.spent_s("connect") - self._connect_before_s
        async with limited("connect", trial.check.timeouts.connect, spent_s):
            done = await work
        trial.doubt_s += line.take_doubt_s()
        trial.watch.stand(line.at)
        return done

    def failure(self, error: Exception) -> Failure:
        """What httpcore raised, or passed on, as a failure; with whom it is."""
        if isinstance(error, httpcore.ProxyError):
            return Failure("connect", self._turned_away(str(error).partition(" ")[0]))
        odd = isinstance(error, httpcore.RemoteProtocolError)
        failure = self.trial.broken(str(error)) if odd else self.trial.failure(error)
        if failure.cause in {UNMEASURED, "timeout"}:
            return failure
        # With TLS 1.3 a server refuses a client once that believes to be done; where the target speaks none, it was the proxy.
        if not (self.with_proxy or (failure.cause == "tls" and not self.origin.secure)):
            return failure
        return Failure(failure.cause, f"the proxy: {failure.text}")

    def _turned_away(self, status: str) -> str:
        if status == "407":
            known = self.proxy is not None and self.proxy.authorization
            return f"the proxy answered 407: it {'does not take this user and password' if known else 'wants a user and a password'}"
        return f"the proxy answered {status}: it did not connect to {self.origin.place}"


class Stream(httpcore.AsyncNetworkStream):
    """The same connection as httpcore reads and writes it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._secure: ssl.SSLObject | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109  # httpcore's
        """What came in; empty at the end.

        Raises:
            Failure: When it did not come in time.
            OSError: When the connection broke; `ssl.SSLError` likewise.
        """
        backend = self._backend
        line = backend.line
        if not backend.with_proxy:
            return await backend.trial.received(line)
        data: bytes = await backend.connecting(line.receive())
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109  # httpcore's
        """Hand everything to the kernel.

        Raises:
            httpcore.WriteError: When that does not work: a server may have answered before, and httpcore looks.
        """
        if not buffer:
            return
        backend = self._backend
        line = backend.line
        try:
            await (line.send(buffer) if backend.with_proxy else backend.trial.sent(line, buffer))
        except OSError as error:
            raise httpcore.WriteError from error

    async def aclose(self) -> None:
        """End the connection, at once: nobody waits for a goodbye."""
        self._backend.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,  # noqa: ARG002  # httpcore's; the check may ask for another
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from here on: with a proxy that wants it first, with the target then.

        Raises:
            Failure: When the handshake took too long, or the certificate was not accepted.
            OSError: When it failed otherwise; `ssl.SSLError` likewise.
        """
        backend = self._backend
        line, proxy = backend.line, backend.proxy
        if proxy is not None and proxy.origin.secure and not line.secured:
            await backend.connecting(line.secure(ssl_context, server_name(proxy.origin.host)))
            backend.with_proxy = backend.origin.secure
        else:
            backend.with_proxy = False
            await secured(backend.trial, line, ssl_context, backend.origin, backend.first)
        return self

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002  # httpcore's
        """Nothing: which protocol was agreed on need not be asked where only one is offered."""
        return None
