"""The compatible engine: httpx, for what the lean one does not do, which is to go through a proxy.

Whatever both can do has the same outcome (tests/http/test_conformance.py). httpx takes 100 ms to import, and 33 more for its first request:
it is loaded in a thread, and tried without a network, before the first check that needs it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, Final

from perfconsole.collectors.http.attempts.request import Message, Origin
from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.attempts.trial import Head, Prepared, Trial
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.collectors.loop import ask
from perfconsole.core.checks import Check, Outcome
from perfconsole.core.text import safe

NAME: Final = "httpx"

_LOADING: Final = "httpx was not loaded within {:g} s: the disk that it is on does not answer, or this machine is too busy"


class HttpxProber:
    """Carries out one check."""

    def __init__(self, check: Check, shared: Shared) -> None:
        self._check = check
        self._shared = shared
        self._prepared = Prepared(check)
        self._client: Any = None

    async def probe(self) -> Outcome:
        """Check once."""
        exchange = _Deferred(self._exchange)
        try:
            return await Trial(self._check, self._shared, exchange).probe(self._prepared)
        finally:
            await exchange.run_out()

    async def _exchange(self) -> Any:
        engine = await loaded(self._shared)
        if self._client is None:
            self._client = engine.client()
        return engine.Exchange(self._client)

    def close(self) -> None:
        """Nothing is kept between two checks but a client without connections."""
        self._client = None


class _Deferred:
    """Requests and answers of one check by an engine that is loaded by the first of them, within the check's own time.

    Args:
        made: Makes the exchange.
    """

    name = NAME

    def __init__(self, made: Callable[[], Awaitable[Any]]) -> None:
        self._made = made
        self._exchange: Any = None

    async def head(self, trial: Trial, message: Message, first: Origin) -> Head:
        """Send a request, and take the beginning of its answer.

        Raises:
            Failure: ``unmeasured``, when httpx cannot be loaded.
        """
        if self._exchange is None:
            holds, trial.holds = trial.holds, _LOADING
            try:
                self._exchange = await self._made()
            except Exception as error:  # noqa: BLE001  # not there, no thread, no memory: ours in any case
                words = f"httpx cannot be loaded here: {type(error).__name__}: {safe(str(error), 200)}"
                raise Failure(UNMEASURED, words) from None
            trial.holds = holds
        head: Head = await self._exchange.head(trial, message, first)
        return head

    async def more(self) -> bytes:
        """The next piece of the body; empty at its end."""
        piece: bytes = await self._exchange.more()
        return piece

    def end(self) -> None:
        """Give back the connection, at once."""
        if self._exchange is not None:
            self._exchange.end()

    async def run_out(self) -> None:
        """As that of the exchange."""
        if self._exchange is not None:
            await self._exchange.run_out()


async def loaded(shared: Shared) -> Any:
    """The module `transport`, and its first request done with; once for all who need it.

    Raises:
        ImportError: When httpx is not to be had; RuntimeError when no thread is.
    """
    if shared.compatible is None:
        shared.compatible = asyncio.ensure_future(_load())
    try:
        return await asyncio.shield(shared.compatible)
    except Exception:
        shared.compatible = None  # tried again with the next check: a machine without a thread left may have one then
        raise


async def _load() -> Any:
    module = await ask(lambda: import_module("perfconsole.collectors.http.httpx_engine.transport"), "perfconsole-load")
    await module.warm_up()
    return module
