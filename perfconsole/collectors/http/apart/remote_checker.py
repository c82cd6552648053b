"""Has checks carried out in a process of its own: what the console computes and paints is in no check's way then, nor they in its way.

A process that dies is started again, with longer and longer pauses; what was under way is told as not measured, never as a failure.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, NamedTuple

from perfconsole import __version__
from perfconsole.collectors.http.apart import pipe
from perfconsole.collectors.http.apart.child import Child, Heard
from perfconsole.collectors.http.checking.checker import Deliver
from perfconsole.collectors.http.network.prober import UNMEASURED
from perfconsole.core.checks import Check, Outcome, same
from perfconsole.core.units import duration

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0
"""One that lived so long is started again without a longer pause than the first."""

LOOK_S: Final = 10.0
"""How often it is looked at whether the process still says something, which it does every 5 s."""

PATIENCE: Final = 3
"""Such looks without a word after which it is ended. Counted in looks: a console that stood still itself heard nothing either."""

_WHO: Final = "the process that carries out checks"

Say = Callable[[str], None]


class _Question(NamedTuple):
    name: str
    answer: "asyncio.Future[Outcome]"


class RemoteChecker:
    """Checks in a child process (`checker.Checking`), which is started when it is first configured.

    Args:
        deliver: Called with every outcome, on the loop.
        say: Called with what the user should know.
        ready: Called when the process is there and begins to check; again with each that takes its place.
        failed: Called once, with the reason, when there is no process to be had; nothing is checked then, and this has to be closed.
        start: Starts the process; tests have others.
    """

    def __init__(
        self, deliver: Deliver, say: Say, ready: Callable[[], None], failed: Say, *, start: Callable[[Heard], Child] = Child
    ) -> None:
        self._deliver, self._say = deliver, say
        self._ready, self._failed = ready, failed
        self._start = start
        self._checks: dict[str, Check] = {}
        self._serial = 0
        self._valid: dict[str, int] = {}
        self._life: asyncio.Task[None] | None = None
        self._child: Child | None = None
        self._greeted = self._heard_of = False
        self._lost = ""
        self._under_way: set[str] = set()
        self._ids = count(1)
        self._questions: dict[int, _Question] = {}

    @property
    def pid(self) -> int:
        """The process; 0 while there is none."""
        return self._child.pid if self._child else 0

    def configure(self, checks: Sequence[Check]) -> None:
        """Carry out these from now on; those that are unchanged go on as they were."""
        self._serial += 1
        before, self._checks = self._checks, {check.name: check for check in checks if self._can_travel(check)}
        # Outcomes that are on their way yet may be of another target: those of older configurations count for what is unchanged only.
        self._valid = {
            name: self._valid[name] if name in before and same(before[name], check) else self._serial
            for name, check in self._checks.items()
        }
        if self._life is None:
            self._life = asyncio.create_task(self._live())
        elif self._greeted:
            self._instruct()

    def _can_travel(self, check: Check) -> bool:
        """Whether a check can be sent; of one that cannot it is said, and the others are carried out all the same."""
        try:
            pipe.encode(check)
        except (OverflowError, TypeError, UnicodeError) as error:
            words = f"{type(error).__name__} on the way to the checker: it cannot carry this check out"
            self._deliver(Outcome(check.name, time.time(), ok=False, cause=UNMEASURED, error=words))
            return False
        return True

    def soon(self, name: str) -> None:
        """Check once as soon as may be, unless that was done just now."""
        if self._child and self._greeted:
            self._child.send(pipe.Soon(name), hint=True)

    async def now(self, name: str) -> Outcome:
        """Check now, and wait for what comes of it.

        Raises:
            KeyError: When no check is called so.
        """
        if name not in self._checks:
            raise KeyError(name)
        if self._lost:
            return self._unmeasured(name)
        id_, question = next(self._ids), _Question(name, asyncio.get_running_loop().create_future())
        self._questions[id_] = question
        if self._child and self._greeted:
            self._child.send(pipe.Now(id_, name))
        try:
            return await question.answer
        finally:
            self._questions.pop(id_, None)

    def close(self) -> None:
        """End the process, at once."""
        if self._life is not None:
            self._life.cancel()
        if self._child is not None:
            self._child.end()
            self._child = None
        self._greeted = False
        for question in self._questions.values():
            if not question.answer.done():
                question.answer.set_exception(KeyError(question.name))

    # The process's life -----------------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            began = loop.time()
            try:
                child = self._child = self._start(self._hear)
            except OSError as error:
                self._failed(f"{_WHO} cannot be started ({error.strerror or error})")
                return
            self._lost, self._heard_of = "", False
            await self._watch(child)
            self._child = None
            how = child.over.result()
            if not self._greeted:
                self._failed(f"{_WHO} did not begin: it {how}")
                return
            self._greeted = False
            if loop.time() - began > STEADY_S:
                pause_s = FIRST_PAUSE_S
            self._lose(f"{_WHO} {how}; it is started again in {duration(pause_s)}")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _watch(self, child: Child) -> None:
        """Until it is over; one that says nothing any more is ended."""
        silent = 0
        while not child.over.done():
            await asyncio.wait({child.over}, timeout=LOOK_S)
            silent = 0 if self._heard_of else silent + 1
            self._heard_of = False
            if silent == PATIENCE:
                child.end(f"said nothing for {PATIENCE * LOOK_S:.0f} s")

    def _instruct(self) -> None:
        if self._child is not None:
            self._under_way.clear()  # it tells them anew
            self._child.send(pipe.Configure(self._serial, tuple(self._checks.values())))

    def _hear(self, report: pipe.Report) -> None:
        self._heard_of = True
        if isinstance(report, pipe.Batch):
            self._take(report)
        elif isinstance(report, pipe.Hello) and self._child is not None:
            if report.version != __version__:
                self._child.end(f"is of version {report.version}, which was installed meanwhile")
                return
            self._greeted = True
            self._instruct()
            for id_, question in self._questions.items():
                self._child.send(pipe.Now(id_, question.name))
            self._ready()

    def _take(self, batch: pipe.Batch) -> None:
        for told in batch.told:
            name = told.outcome.name
            self._under_way.discard(name)
            if told.serial >= self._valid.get(name, self._serial + 1):
                self._deliver(told.outcome)
            for id_ in told.ids:
                self._answer(id_, told.outcome)
        self._under_way.update(name for name in batch.begun if name in self._checks)
        for id_ in batch.gone:
            if id_ in self._questions and not self._questions[id_].answer.done():
                self._questions[id_].answer.set_exception(KeyError(self._questions[id_].name))
        if batch.note:
            self._say(batch.note)

    def _answer(self, id_: int, outcome: Outcome) -> None:
        if id_ in self._questions and not self._questions[id_].answer.done():
            self._questions[id_].answer.set_result(outcome)

    def _lose(self, words: str) -> None:
        """What was under way, and what was asked for, is not measured."""
        self._lost = words
        self._say(words)
        names = self._under_way | {question.name for question in self._questions.values()}
        self._under_way = set()
        outcomes = {name: self._unmeasured(name) for name in self._checks if name in names}
        for id_, question in self._questions.items():
            if question.name in outcomes:
                self._answer(id_, outcomes[question.name])

    def _unmeasured(self, name: str) -> Outcome:
        outcome = Outcome(name, time.time(), ok=False, cause=UNMEASURED, error=self._lost)
        self._deliver(outcome)
        return outcome
