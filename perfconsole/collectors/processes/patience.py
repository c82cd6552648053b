"""Files of processes whose read may never end: asked for in a thread, for a while. Knows neither their names nor what is in them.

Whoever reads a command line or a memory map takes the memory lock of that process, and hangs for as long as a thread of it sleeps with
the lock held (a page on a dead NFS server, a fault in FUSE): so ps hangs, and top.
"""

from asyncio import Future, wait
from collections.abc import Callable
from time import monotonic
from typing import Final, Generic, TypeVar

from perfconsole.collectors.loop import ask

PATIENCE_S: Final = 0.5
"""How much longer than its budget a question may take: the one read that is under way then."""

T = TypeVar("T")


class Patience(Generic[T]):
    """Asks one thing of many processes. One that hangs is left alone until it answers, and holds up no other.

    Args:
        read: Asks it of the process with this pid; never raises. Called in a thread.
        name: The thread's.
    """

    def __init__(self, read: Callable[[int], T], name: str) -> None:
        self._read = read
        self._name = name
        self._hanging: dict[int, Future[None]] = {}

    async def ask(self, pids: list[int], budget_s: float) -> dict[int, T]:
        """The answers of those that gave one, as far as the time goes."""
        self._hanging = {pid: question for pid, question in self._hanging.items() if not question.done()}
        pids = [pid for pid in pids if pid not in self._hanging]
        if not pids:
            return {}
        found: dict[int, T] = {}
        question = ask(lambda: self._read_each(pids, found, budget_s), self._name)
        await wait((question,), timeout=budget_s + PATIENCE_S)
        if not question.done():
            self._hanging.update((pid, question) for pid in pids[len(found) :][:1])
        return dict(found)

    def _read_each(self, pids: list[int], found: dict[int, T], budget_s: float) -> None:
        until = monotonic() + budget_s
        for pid in pids:
            found[pid] = self._read(pid)
            if monotonic() > until:
                break
