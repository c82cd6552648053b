"""Writes actions down beside the loop, in their order: the audit file lies in somebody's home, and that may be on a server that died."""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from perfconsole.core.errors import RequestError

if TYPE_CHECKING:
    from perfconsole.engine.dispatch import Audit  # which imports this

PATIENCE_S: Final = 2.0
"""How long a line may take. An action waits for the line before it; past this it is refused."""

_NOT_DONE: Final = "not done"


class _Line(NamedTuple):
    """A line, and who is told when it is written, or why not."""

    peer: str
    op: str
    args: Struct
    outcome: str
    written: "asyncio.Future[Exception | None]"


class Scribe:
    """Hands lines to a thread that lives as long as there are any: a disk that hangs takes one thread, however many actions it costs.

    Args:
        audit: Writes one line; called in the thread.
    """

    def __init__(self, audit: "Audit") -> None:
        self._audit = audit
        self._lock = threading.Lock()
        self._lines: deque[_Line] = deque()
        self._busy = False
        self._newest: asyncio.Future[Exception | None] | None = None
        self._late = False

    async def before(self, peer: str, op: str, args: Struct) -> None:
        """Write down what is about to be done, and wait until that stands; on the engine's loop, as all of this.

        Raises:
            RequestError: When it cannot be written, or not in time: then nothing may be done.
        """
        if self._hangs():
            raise _refused(op)
        try:
            written = await self._write(peer, op, args, "")
        except asyncio.CancelledError:
            self._put(peer, op, args, _NOT_DONE)
            raise
        if not written.done():
            self._put(peer, op, args, _NOT_DONE)  # the line may still come, and it promises an action
            raise _refused(op)
        error = written.result()
        if error:
            raise error

    async def after(self, peer: str, op: str, args: Struct, outcome: str) -> None:
        """Write down what came of it. Not to succeed in that is no error: the action is done, and the first line says who wanted it."""
        if self._hangs():
            self._put(peer, op, args, outcome)
        else:
            await self._write(peer, op, args, outcome)

    def _hangs(self) -> bool:
        """Whether a line was not written in time, and still is not."""
        self._late = self._late and self._newest is not None and not self._newest.done()
        return self._late

    async def _write(self, peer: str, op: str, args: Struct, outcome: str) -> "asyncio.Future[Exception | None]":
        written = self._put(peer, op, args, outcome)
        await asyncio.wait((written,), timeout=PATIENCE_S)
        self._late = self._late or not written.done()
        return written

    def _put(self, peer: str, op: str, args: Struct, outcome: str) -> "asyncio.Future[Exception | None]":
        written = self._newest = asyncio.get_running_loop().create_future()
        with self._lock:
            self._lines.append(_Line(peer, op, args, outcome, written))
            begin, self._busy = not self._busy, True
        if begin:
            threading.Thread(target=self._work, name="audit", daemon=True).start()
        return written

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._lines:
                    self._busy = False
                    return
                line = self._lines.popleft()
            error: Exception | None = None
            try:
                self._audit(line.peer, line.op, line.args, line.outcome)
            except Exception as failure:  # noqa: BLE001  whatever it is, it belongs to the one who waits
                error = failure
            with suppress(RuntimeError):  # the loop is closed: it took until after the end
                line.written.get_loop().call_soon_threadsafe(line.written.set_result, error)


def _refused(op: str) -> RequestError:
    return RequestError(f"{op} is refused, for it cannot be written down: the audit file does not answer", "see to the disk it is on")
