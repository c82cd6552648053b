"""Carries out checks when they are due, on the running loop: each in its own rhythm, never two of one at a time, none in another's way.

What the console itself causes (the wait for a turn, a loop that was busy, a machine that slept) is told beside an outcome, never in it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from perfconsole.collectors.http.checking.held import BEAT_S, Held
from perfconsole.collectors.http.checking.schedule import next_start
from perfconsole.collectors.http.checking.turns import Turns
from perfconsole.collectors.http.network.prober import UNMEASURED, Prober
from perfconsole.core.checks import Check, Outcome, same

if TYPE_CHECKING:
    from perfconsole.collectors.http.attempts.shared import Shared

CAP: Final = 10
"""Checks that may be in their first moments at a time."""

_SLEPT_S: Final = 0.5
"""How far the clock that counts sleep may run ahead of the one that does not, before the machine was suspended."""

_SETTLES_S: Final = 1.0
"""For how long after the loop was held up what ends does so because of it: 500 that were under way take half a second to get through."""

_OF_THE_WAY: Final = frozenset({"dns", "connect", "tls", "timeout", "protocol"})
"""Failures that may be those of one who was not there in time. What was answered is an answer."""

_FRESH_S: Final = 1.0
"""Who was checked so lately is not asked again on another's behalf: thirty that depend on one fail together."""

Deliver = Callable[[Outcome], None]
Make = Callable[[Check, "Shared"], Prober]


class Moment(NamedTuple):
    """Wall-clock time, epoch seconds, and CLOCK_BOOTTIME, which goes on while the machine is suspended."""

    at: float
    boot: float


def now() -> Moment:
    """This moment."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; elsewhere nothing tells sleep apart
    return Moment(time.time(), time.monotonic() if boottime is None else time.clock_gettime(boottime))


class Checking(Protocol):
    """Whoever carries out checks: here, or in a process of its own."""

    def configure(self, checks: Sequence[Check]) -> None:
        """Carry out these from now on; those that are unchanged go on as they were."""

    def soon(self, name: str) -> None:
        """Check once as soon as may be, unless that was done just now."""

    async def now(self, name: str) -> Outcome:
        """Check now, and wait for what comes of it, which is delivered too.

        Raises:
            KeyError: When no check is called so.
        """

    def close(self) -> None:
        """Stop, and give back all that is held."""


class Checker:
    """Checks on the loop on which it is first configured.

    Args:
        deliver: Called with every outcome, on the loop.
        shared: What probers share.
        make: Makes the prober of a check; the one place that chooses unless a test does.
        cap: Checks that may be in their first moments at a time.
        clock: Injected in tests.
        warm_up: Done before the first round; None for nothing.
    """

    def __init__(
        self,
        deliver: Deliver,
        shared: "Shared | None" = None,
        *,
        make: Make | None = None,
        cap: int = CAP,
        clock: Callable[[], Moment] = now,
        warm_up: "Callable[[Sequence[Check], Shared], Coroutine[Any, Any, None]] | None" = None,
    ) -> None:
        self._deliver = deliver
        self._given = shared
        self._make = make or _prober_of
        self._turns = Turns(cap)
        self._held = Held()
        self._clock = clock
        self._warm_up = warm_up
        self._warming: asyncio.Task[None] | None = None
        self._rounds: dict[str, _Round] = {}

    def configure(self, checks: Sequence[Check]) -> None:
        """Carry out these from now on: the first round of new ones begins at once; those that are unchanged go on as they were."""
        wanted = {check.name: check for check in checks}
        for name, held in list(self._rounds.items()):
            if name not in wanted or not same(wanted[name], held.check):
                self._rounds.pop(name).close()
        if wanted:
            self._held.begin()
        else:
            self._held.end()
        new = [check for check in checks if check.name not in self._rounds]
        for check in new:
            self._admit(check)
        if new and self._warm_up is not None and self._warming is None:
            self._warming = asyncio.create_task(self._warmed(new))
        elif self._warming is None or self._warming.done():
            self._begin()

    def _admit(self, check: Check) -> None:
        """Take a check in; of one that nothing can carry out it is said why, and the others are carried out all the same."""
        try:
            self._rounds[check.name] = _Round(check, self._make(check, self._shared), self)
        except Exception as error:  # noqa: BLE001  whatever it is, it is this check's alone
            words = f"{type(error).__name__} in the checker itself: it cannot carry this check out"
            self._deliver(Outcome(check.name, self._clock().at, ok=False, cause=UNMEASURED, error=words))

    @property
    def _shared(self) -> "Shared":
        if self._given is None:
            from perfconsole.collectors.http.attempts.shared import Shared  # noqa: PLC0415  loads ssl, which no process needs that checks nothing

            self._given = Shared()
        return self._given

    async def _warmed(self, checks: Sequence[Check]) -> None:
        with suppress(Exception):  # the check that needs what was to be loaded will say so
            if self._warm_up is not None:
                await self._warm_up(checks, self._shared)
        self._begin()

    def _begin(self) -> None:
        for one in self._rounds.values():
            one.begin()

    def soon(self, name: str) -> None:
        """Check once as soon as may be, unless that is being done, or was just now."""
        self._soon(name, urgent=True)

    def _soon(self, name: str, *, urgent: bool) -> None:
        if name in self._rounds:
            self._rounds[name].soon(urgent=urgent)

    async def now(self, name: str) -> Outcome:
        """Check now, and wait for what comes of it; one that is under way is waited for.

        Raises:
            KeyError: When no check is called so.
        """
        return await self._rounds[name].now()

    def close(self) -> None:
        """Stop, and give back all that is held."""
        if self._warming is not None:
            self._warming.cancel()
        self._held.end()
        for one in self._rounds.values():
            one.close()
        self._rounds.clear()

    async def measure(self, prober: Prober, check: Check, due: float, *, well: bool) -> Outcome:
        """Carry out one check, in its turn.

        Args:
            prober: Carries it out.
            check: What is checked.
            due: When it was due, by the loop's clock.
            well: Whether the last one was.
        """
        loop = asyncio.get_running_loop()
        asked = loop.time()
        scheduled = self._clock().at - (asked - due)
        place = await self._turns.place(well=well)
        began, before = loop.time(), self._clock()
        try:
            outcome = await prober.probe()
        except Exception as error:  # noqa: BLE001  a prober promises not to; one that does must not end the round
            outcome = Outcome(
                check.name, self._clock().at, ok=False, cause=UNMEASURED, error=f"{type(error).__name__} in the checker itself"
            )
        finally:
            place.give_back()
        after = self._clock()
        if after.boot - before.boot - (loop.time() - began) > _SLEPT_S:
            outcome = Outcome(check.name, after.at, ok=False, cause=UNMEASURED, error="this machine was suspended meanwhile")
        else:
            outcome = self._judged(outcome, began)
        return msgspec.structs.replace(outcome, scheduled=scheduled, slot_wait_s=began - asked, late_s=max(0.0, asked - due))

    def _judged(self, outcome: Outcome, began: float) -> Outcome:
        """An outcome without what comes of a loop that was held up while it came about."""
        held_s = self._held.since(began)
        if not held_s:
            return outcome
        if outcome.cause in _OF_THE_WAY and asyncio.get_running_loop().time() - self._held.ended < _SETTLES_S:
            words = f"checking was stopped or held up for {held_s:.1f} s meanwhile"
            return Outcome(outcome.name, outcome.at, ok=False, cause=UNMEASURED, error=words, engine=outcome.engine)
        if outcome.total_s >= held_s > outcome.doubt_s:  # no stamp tells them apart: a lookup in a thread
            return msgspec.structs.replace(outcome, doubt_s=min(outcome.total_s, held_s + BEAT_S))
        return outcome

    def take(self, check: Check, outcome: Outcome, *, was_well: bool) -> None:
        """Deliver an outcome; a failure has what it depends on looked at, one that nobody expected at once."""
        self._deliver(outcome)
        if not outcome.ok and not outcome.unmeasured:
            for parent in check.depends_on:
                kind, _, name = parent.partition(":")
                if kind == "http":
                    self._soon(name, urgent=was_well)


class _Round:
    """The checks of one endpoint, one after the other.

    Attributes:
        check: What is checked.
    """

    __slots__ = ("_began", "_checker", "_prober", "_task", "_timer", "_well", "check")

    def __init__(self, check: Check, prober: Prober, checker: Checker) -> None:
        self.check = check
        self._checker = checker
        self._prober = prober
        self._task: asyncio.Task[Outcome] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began = -inf
        self._well = False

    def begin(self) -> None:
        """Have the first check carried out, if there was none."""
        if self._began == -inf and self._task is None:
            self._start(asyncio.get_running_loop().time())

    def soon(self, *, urgent: bool) -> None:
        """Check unless that was done lately: just now, or as lately as it would be done if it failed. Thirty others may fail all day."""
        fresh_s = _FRESH_S if urgent else max(_FRESH_S, min(self.check.failing_s, self.check.interval_s))
        now = asyncio.get_running_loop().time()
        if self._task is None and now - self._began > fresh_s:
            self._start(now)

    async def now(self) -> Outcome:
        task = self._task or self._start(asyncio.get_running_loop().time())
        await asyncio.wait({task})
        if task.cancelled():
            raise KeyError(self.check.name)  # configured away meanwhile
        return task.result()

    def _start(self, due: float) -> "asyncio.Task[Outcome]":
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._began = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(due))
        return self._task

    async def _run(self, due: float) -> Outcome:
        outcome = await self._checker.measure(self._prober, self.check, due, well=self._well)
        loop = asyncio.get_running_loop()
        self._task = None
        was_well, self._well = self._well, outcome.ok
        following = next_start(self.check, self._began, failing=not outcome.ok and not outcome.unmeasured)
        # One that outlasted its interval is followed at once: that it took so long is not the console being late.
        following = max(following, loop.time())
        self._timer = loop.call_at(following, self._start, following)
        self._checker.take(self.check, outcome, was_well=was_well)
        return outcome

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            with suppress(RuntimeError):  # the loop is closed
                self._task.add_done_callback(self._closed)
        else:
            self._prober.close()

    def _closed(self, _task: "asyncio.Task[Outcome]") -> None:
        self._prober.close()


def _prober_of(check: Check, shared: "Shared") -> Prober:
    """Imported when the first check is made: what an engine loads is nobody's business before."""
    from perfconsole.collectors.http.checking.probers import prober_of  # noqa: PLC0415  see above

    return prober_of(check, shared)
