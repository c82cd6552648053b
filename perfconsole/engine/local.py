"""The source that is this process: an engine's ticks by reference, its operations without a wire."""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from perfconsole.core.ports import Watch
from perfconsole.core.tick import Tick
from perfconsole.engine.actor import actor
from perfconsole.engine.engine import Engine
from perfconsole.engine.mailbox import Mailbox

__all__ = ["LocalSource", "actor"]


class LocalSource:
    """A reader of an engine in this process; see `core.ports.Source`. The engine is started and stopped by whoever made it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._box: Mailbox | None = None

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Start; `wake` is called on the engine's thread."""
        self._box = self._engine.attach(wake)

    def close(self) -> None:
        """Stop."""
        if self._box:
            self._engine.detach(self._box)
            self._box = None

    def drain(self) -> list[Tick]:
        """The ticks since the last drain."""
        return self._box.drain() if self._box else []

    def watch(self, watch: Watch) -> None:
        """Say what is looked at. A moment in the past is not looked at here: this source has only the present."""
        if self._box:
            self._engine.watch(self._box, watch)

    async def request(self, op: str, args: Struct) -> Struct:
        """Run an operation on the engine's loop, and wait for it on the caller's.

        Raises:
            RequestError: When it was refused or failed.
        """
        running = asyncio.run_coroutine_threadsafe(self._engine.dispatch(op, args, peer=actor()), self._engine.loop)
        return await asyncio.wrap_future(running)
