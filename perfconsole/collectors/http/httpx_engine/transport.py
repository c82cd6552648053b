"""Requests and answers by way of httpx: loaded by `http_client` in a thread, since httpx alone takes 100 ms and 9 MiB.

What httpx would do by itself it is kept from: it adds no header, follows no redirect, keeps neither connections nor cookies, asks no
environment, and is told of headers of an answer only what it cannot act upon.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final

import h11
import httpcore
import httpx

from perfconsole.collectors.http.attempts.request import Message, Origin, Proxy
from perfconsole.collectors.http.attempts.trial import Head, Trial
from perfconsole.collectors.http.httpx_engine.backend import Backend
from perfconsole.collectors.http.httpx_engine.http_client import NAME
from perfconsole.collectors.http.judging.unpacking import heard
from perfconsole.collectors.http.lean_engine.lean import written
from perfconsole.collectors.http.network.prober import Failure
from perfconsole.core.checks import Tls

# At DEBUG it writes down headers of requests and answers, with what is secret in them.
logging.getLogger("httpcore").setLevel(logging.WARNING)

_PLAN: Final = "perfconsole.plan"
_HEADERS: Final = "perfconsole.headers"
_URL: Final = "http://target/"
"""For httpx, which has opinions of its own about URLs, and writes them to its log with the secrets in them. A plan knows where it goes."""

_WARM: Final = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"OK")

Plan = Callable[[httpx.Request], tuple[httpcore.AsyncConnectionPool, httpcore.Request]]
"""Makes of a request of httpx one of httpcore, and the pool to be asked."""


class Transport(httpx.AsyncBaseTransport):
    """Sends each request on a connection of its own, as its plan says."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx asks for it; errors are passed on as they are."""
        plan: Plan = request.extensions[_PLAN]
        pool, sent = plan(request)
        answer = await pool.handle_async_request(sent)
        # Not as headers: httpx would look for cookies and redirects in them, and fail at a Location that it cannot read.
        extensions = {**answer.extensions, _HEADERS: answer.headers}
        return httpx.Response(answer.status, stream=_Body(answer.stream), extensions=extensions)


class _Body(httpx.AsyncByteStream):
    """A body as httpx wants it."""

    def __init__(self, pieces: Any) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        await self._pieces.aclose()


def client() -> httpx.AsyncClient:
    """A client for one endpoint."""
    return httpx.AsyncClient(transport=Transport(), trust_env=False, timeout=None)  # noqa: S113  # each phase has its limit in `Trial`


class Exchange:
    """Requests and answers of one check, one connection after the other."""

    name = NAME

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._backend: Backend | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._trial: Trial | None = None

    async def head(self, trial: Trial, message: Message, first: Origin) -> Head:
        """Send a request, and take the beginning of its answer."""
        self.end()
        self._trial = trial
        written(h11.Connection(h11.CLIENT), message)  # what cannot be sent is found before anybody is connected to
        plan = await self._plan(trial, message, first)
        request = httpx.Request(
            message.method, _URL, headers=_headers(message), stream=httpx.ByteStream(message.body), extensions={_PLAN: plan}
        )
        try:
            answer = await self._client.send(request, stream=True)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this check's failure
            raise self._failure(error) from None
        self._pieces = answer.aiter_raw()
        headers = [(heard(name), heard(value)) for name, value in answer.extensions[_HEADERS]]
        return Head(answer.status_code, headers, answer.http_version)

    async def more(self) -> bytes:
        """The next piece of the body; empty at its end."""
        assert self._pieces is not None
        try:
            return await anext(self._pieces, b"")
        except Exception as error:  # noqa: BLE001  # as above
            raise self._failure(error) from None

    def end(self) -> None:
        """Give back the connection."""
        if self._backend is not None:
            self._backend.close()

    async def run_out(self) -> None:
        """Read what is left of a body whose connection is ended: at most what was received already.

        A generator that is dropped half way is ended by the loop some time later, one that has run out is ended.
        """
        self.end()
        if self._pieces is not None and self._trial is not None:
            with suppress(Exception):
                async for _ in self._pieces:
                    await self._trial.breathe()

    async def _plan(self, trial: Trial, message: Message, first: Origin) -> Plan:
        context, proxy, proxy_context = await trial.context(message.origin), message.proxy, None
        if proxy is not None:  # trusted as the target is, but never shown the client's certificate
            tls = trial.check.tls
            proxy_context = await trial.context(proxy.origin, Tls(tls.ca, insecure=tls.insecure))
        self._backend = backend = Backend(trial, message, first)

        def plan(request: httpx.Request) -> tuple[httpcore.AsyncConnectionPool, httpcore.Request]:
            sent = httpcore.Request(
                request.method, _url(message.origin, message.target), headers=request.headers.raw, content=request.stream
            )
            if proxy is None:
                return httpcore.AsyncConnectionPool(ssl_context=context, network_backend=backend), sent
            pool = httpcore.AsyncHTTPProxy(
                _url(proxy.origin, "/"),
                proxy_headers=_for_proxy(proxy),
                ssl_context=context,
                proxy_ssl_context=proxy_context,
                network_backend=backend,
            )
            return pool, sent

        return plan

    def _failure(self, error: Exception) -> Failure:
        assert self._backend is not None
        return self._backend.failure(error)


def _headers(message: Message) -> list[tuple[bytes, bytes]]:
    """As they are sent; to a proxy that is told what to ask for, with what it wants to know: httpcore would put that before Host."""
    proxy = message.proxy
    return message.raw_headers + (_for_proxy(proxy) if proxy is not None and not message.origin.secure else [])


def _for_proxy(proxy: Proxy) -> list[tuple[bytes, bytes]]:
    return [(b"Proxy-Authorization", proxy.authorization.encode("ascii"))] if proxy.authorization else []


def _url(origin: Origin, target: str) -> httpcore.URL:
    """With brackets around an IPv6 address, which httpcore sends to proxies as it is given."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return httpcore.URL(scheme=origin.scheme, host=host, port=origin.port, target=target)


async def warm_up() -> None:
    """One request without a network: the first in a process costs 33 ms, which no check is to be charged with."""

    def plan(request: httpx.Request) -> tuple[httpcore.AsyncConnectionPool, httpcore.Request]:
        pool = httpcore.AsyncConnectionPool(network_backend=httpcore.AsyncMockBackend(list(_WARM)))
        return pool, httpcore.Request("GET", _URL, headers=request.headers.raw, content=request.stream)

    async with client() as warmed:
        request = httpx.Request("GET", _URL, headers=[("Host", "target")], stream=httpx.ByteStream(b""), extensions={_PLAN: plan})
        answer = await warmed.send(request, stream=True)
        async for _ in answer.aiter_raw():
            pass
