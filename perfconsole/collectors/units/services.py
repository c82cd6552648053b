"""systemd's units beside the groups: asks for them, follows what becomes of them, and finds each one's group."""

import asyncio
from asyncio import Future
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from math import inf, nan
from time import time

from perfconsole.collectors.loop import ask
from perfconsole.collectors.processes.units import unescaped
from perfconsole.collectors.units import executables
from perfconsole.collectors.units.courses import Courses
from perfconsole.collectors.units.executables import Executables, Seen
from perfconsole.collectors.units.node import Node
from perfconsole.collectors.units.states import UnitState
from perfconsole.collectors.units.systemd import Systemd
from perfconsole.core.globs import Globs
from perfconsole.core.tick import Event

_PATIENCE_S = 0.25
"""How long a run waits for an answer: 20 to 40 ms are usual. What takes longer is taken up by a later run."""

_STEP_S = 0.01


class Services:
    """What systemd says, kept up.

    Args:
        proc: Where procfs is.
        run: Where ``/run`` is.
        journal_told: Whether the journal tells of starts, stops and failures.
        clock: CLOCK_BOOTTIME.

    Attributes:
        answers: How many there were.
        denied: How many main processes' executables may not be seen.
    """

    def __init__(self, proc: str, run: str, journal_told: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._proc, self._journal_told, self._clock = proc, journal_told, clock
        self._systemd = Systemd(run, clock)
        self._courses = Courses()
        self._executables = Executables()
        self._looking: Future[Seen] | None = None
        self._compared_at = inf
        self._asked_at = nan
        self.answers = 0
        self.denied = 0

    @property
    def states(self) -> Sequence[UnitState]:
        """All units that systemd named."""
        return tuple((self._systemd.states or {}).values())

    def failed(self, chosen: Globs) -> float:
        """How many units have failed, and were neither started again nor reset; NaN while systemd says nothing.

        Args:
            chosen: Names that are looked at.
        """
        if self._systemd.states is None or self._systemd.error:  # what it said before it fell silent holds no longer
            return nan
        return float(sum(state.active == "failed" and unescaped(state.id) in chosen for state in self.states))

    @property
    def trouble(self) -> tuple[str, str, str] | None:
        """State, error and fix of its health; None while it is well."""
        systemd = self._systemd
        return (systemd.state, systemd.error, systemd.fix) if systemd.error else None

    def hurry(self) -> None:
        """Ask soon."""
        self._systemd.hurry()

    async def step(self, at: float) -> list[Event]:
        """Ask when it is time to, and tell what changed by the last answer; `at` is now, epoch seconds."""
        asked = self._systemd.asks
        new = self._systemd.step()
        if self._systemd.asks and not asked:
            self._asked_at = at
        waited_s = 0.0
        while not new and self._systemd.asks and waited_s < _PATIENCE_S:
            await asyncio.sleep(_STEP_S)
            waited_s += _STEP_S
            new = self._systemd.step()
        events: list[Event] = []
        if new:
            self.answers += 1
            # Told as of the question: what came about while it was answered belongs to the next.
            events = self._courses.follow(self._systemd.states or {}, self._asked_at, told=self._journal_told())
            self._look_at_executables()
        return [*events, *await self._stale(at)]

    def _look_at_executables(self) -> None:
        if self._looking is None:
            running = [state for state in self.states if state.pid and state.runs]
            self._looking = ask(lambda: executables.look(self._proc, running), "units-executables")

    async def _stale(self, at: float) -> list[Event]:
        """What the last look at executables found, if it has come back: one that hangs is waited for by nobody."""
        if self._looking is None:
            return []
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._looking), _PATIENCE_S)
        if not self._looking.done():
            return []
        seen, self._looking = self._looking.result(), None
        before, self._compared_at = min(self._compared_at, at), at
        self.denied = seen.denied
        return self._executables.follow(seen, before, at)

    @staticmethod
    def path_of(state: UnitState, nodes: Container[str]) -> str:
        """The path of a unit's group in the tree, empty without: a container's systemd may know it by that of the host."""
        path = state.group
        while path and path not in nodes:
            _, slash, rest = path[1:].partition("/")
            path = slash + rest
        return path

    def by_path(self, nodes: Mapping[str, Node]) -> dict[str, UnitState]:
        """The units that have a group, by its path."""
        found = {self.path_of(state, nodes): state for state in self.states if state.group}
        found.pop("", None)
        return found

    @staticmethod
    def wall() -> float:
        """Now, epoch seconds."""
        return time()

    def close(self) -> None:
        """End the child."""
        self._systemd.close()
