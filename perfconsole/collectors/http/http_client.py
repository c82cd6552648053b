"""The compatible engine: httpx, for what the lean one does not do, which is to go through a proxy.

Whatever both can do has the same outcome (tests/http/test_conformance.py). httpx takes 100 ms to import, and 33 more for its first request:
it is loaded in a thread, and tried without a network, before the first check that needs it.
"""

import asyncio
from importlib import import_module
from typing import Any

from perfconsole.collectors.http.attempt import Attempt
from perfconsole.collectors.http.prober import UNMEASURED, Failure
from perfconsole.collectors.http.shared import Shared
from perfconsole.collectors.http.trial import Prepared, Trial
from perfconsole.collectors.loop import ask
from perfconsole.core.checks import Check, Outcome
from perfconsole.core.text import safe


class HttpxProber:
    """Carries out one check."""

    def __init__(self, check: Check, shared: Shared) -> None:
        self._check = check
        self._shared = shared
        self._prepared = Prepared(check)
        self._client: Any = None

    async def probe(self) -> Outcome:
        """Check once."""
        try:
            engine = await loaded(self._shared)
        except Exception as error:  # noqa: BLE001  not there, no thread, no memory: ours in any case
            attempt = Attempt(self._check, self._shared)
            words = f"httpx cannot be loaded here: {type(error).__name__}: {safe(str(error), 200)}"
            return attempt.outcome(Failure(UNMEASURED, words))
        if self._client is None:
            self._client = engine.client()
        exchange = engine.Exchange(self._client)
        try:
            return await Trial(self._check, self._shared, exchange).probe(self._prepared)
        finally:
            await exchange.run_out()

    def close(self) -> None:
        """Nothing is kept between two checks but a client without connections."""
        self._client = None


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
    module = await ask(lambda: import_module("perfconsole.collectors.http.transport"), "perfconsole-load")
    await module.warm_up()
    return module
