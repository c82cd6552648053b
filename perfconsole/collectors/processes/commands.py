"""Command lines of processes, kept up: read once of each that is new or became another program, and always anew of those on a screen."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from perfconsole.collectors.loop import paced
from perfconsole.collectors.processes.identity import Identity
from perfconsole.collectors.processes.patience import Patience
from perfconsole.collectors.processes.process import Process

BUDGET_S: Final = 0.5
"""2,000 command lines take 30 ms; those that are not reached come with the next scan."""


class Commands:
    """Puts command lines into rows.

    Args:
        identity: Reads them.
        clock: CLOCK_BOOTTIME.
    """

    def __init__(self, identity: Identity, clock: Callable[[], float]) -> None:
        self._identity = identity
        self._clock = clock
        self._patience = Patience(identity.arguments, "processes-commands")
        self._due: dict[int, Process] = {}

    def want(self, process: Process) -> None:
        """It is to be read with the next `read`."""
        if not process.stat.kernel:
            self._due[process.pid] = process

    def forget(self, pid: int) -> None:
        """A process has gone."""
        self._due.pop(pid, None)

    async def read(self, shown: Sequence[Process]) -> None:
        """Read what is wanted, and of those on a screen: databases and many servers write what they are doing there, all the time."""
        asked = {process.pid: process for process in (*self._due.values(), *shown) if not process.locked}
        if not asked:
            return
        found = await self._patience.ask(list(asked), BUDGET_S)
        on_screen = {process.pid for process in shown}
        async for pid, raw in paced(found.items(), self._clock):
            process = asked[pid]
            self._due.pop(pid, None)
            if raw is None or raw == process.arguments:
                continue  # what it says was made out before: that takes 3 to 100 us, by its length
            process.arguments = raw if pid in on_screen else None
            command = self._identity.command(raw, process.row.name)
            if command != process.row.command:
                process.row = replace(process.row, command=command)
