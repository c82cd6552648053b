"""The engine: runs collectors, closes a tick on every beat, takes it through the alert stage, and hands it to sinks and readers.

One thread with one event loop. Nothing here waits for a disk, a terminal or a reader; nothing here knows a collector by name.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from perfconsole.core.notices import EventStore, Outbox, Saved
from perfconsole.core.ports import Collector, Operation, Sink, Watch
from perfconsole.core.segment import KEYFRAME_POINTS
from perfconsole.core.state import State
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event, Health, Rule, Stream, Tick
from perfconsole.engine import arena
from perfconsole.engine.alerting import Alerting, History
from perfconsole.engine.clock import Clock
from perfconsole.engine.dispatch import Audit, Dispatcher
from perfconsole.engine.intake import Intake
from perfconsole.engine.mailbox import Mailbox
from perfconsole.engine.runs import Runs
from perfconsole.engine.schedule import Schedule
from perfconsole.engine.timeline import Listing, Timeline

BEAT_S: Final = 0.5
_GRACE_S: Final = 0.05
"""How long a beat waits for the runs it started: a scan of 2,000 processes takes 26 ms, and belongs into this tick, not the next."""

_DEBOUNCE_S: Final = 0.1
_STOP_S: Final = 0.3


class Engine:
    """Collects, and tells everybody who listens.

    Args:
        collectors: What is measured; more may join later (see `adopt`).
        stream: What the ticks will be about; `ops`, `rules` and `began` are filled in here.
        rules: The alert rules.
        operations: What can be asked of the engine itself, beside what its collectors do.
        later: Makes the collectors that nobody waits for at the start (see `complete`); may take its time.
        audit: Where actions are written down; without it operations that change something are refused.
        clock: Injected in tests.

    Attributes:
        alerting: What becomes of readings, by the rules.
        timeline: What becomes of events.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        stream: Stream,
        *,
        rules: Sequence[Rule] = (),
        operations: Sequence[Operation] = (),
        later: Callable[[], Sequence[Collector]] = tuple,
        audit: Audit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._collectors = list(collectors)
        self._later = later
        self._schedule: Schedule | None = None
        self._clock = clock or Clock()
        self.state = State()
        self.alerting = Alerting(rules, stream.boot_id, self._clock)
        self.timeline = Timeline(self._clock, lambda: self.state, self._rouse)
        own = [*operations, *self.alerting.operations, *self.timeline.operations]
        offered = [*own, *(operation for collector in collectors for operation in collector.operations)]
        self._dispatcher = Dispatcher(offered, audit, read_only=stream.read_only)
        self._sinks: dict[str, Sink] = {}
        self._sink_errors: dict[tuple[str, str], str] = {}
        self._sink_views: dict[str, tuple[View, ...]] = {}
        self._boxes: list[Mailbox] = []
        self._intake = Intake()
        self._runs = Runs(self._clock, self._intake, self._views, self._end_run)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._thread_main, name="engine", daemon=True)
        self._stopping = False
        self._roused = asyncio.Event()
        self._resting = False
        self._look: asyncio.TimerHandle | None = None
        self._looking: set[asyncio.Task[None]] = set()
        self._lateness_s = 0.0
        ops = self._dispatcher.offered()
        self.stream = msgspec.structs.replace(stream, ops=ops, rules=tuple(rules), began=self._clock.now().at)

    # Life -------------------------------------------------------------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The engine's event loop; only after `start`."""
        if self._loop is None:
            raise RuntimeError("the engine is not running")
        return self._loop

    @property
    def lateness_s(self) -> float:
        """How late the last beat came."""
        return self._lateness_s

    def start(self) -> None:
        """Start collecting, on a thread of its own."""
        arena.share()
        self._thread.start()
        self._ready.wait()
        if self._loop is None or not self._thread.is_alive():
            raise RuntimeError("the engine did not start")

    def stop(self) -> list[str]:
        """Stop, and finish the sinks. Bounded: what hangs is left behind on its daemon thread.

        Returns:
            What sinks could not finish, in words.
        """
        if self._loop and self._post(self._end):
            self._thread.join(_STOP_S)
        sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink.close()
        self.timeline.close()
        self.alerting.close(ended=not self._thread.is_alive())
        return [sink.error for sink in sinks.values() if sink.error]

    def _post(self, call: Callable[[], None]) -> bool:
        """Have something done on the engine's thread; false once that has ended."""
        loop = self.loop
        try:
            loop.call_soon_threadsafe(call)
        except RuntimeError:  # closed, perhaps this very moment: nobody can ask first and be sure
            return False
        return True

    def _thread_main(self) -> None:
        try:
            asyncio.run(self._run())
        finally:
            self._ready.set()  # whoever waits for the start is not left waiting

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._clock.now()
        self.state.apply(Tick(seq=0, at=now.at, boot=now.boot, key=True, stream=self.stream))
        schedule = self._schedule = Schedule(self._collectors, now.boot)
        self._ready.set()
        try:
            while not self._stopping:
                await self._beat(schedule)
                await self._rest(schedule)
        finally:
            for job in schedule.jobs:
                if job.task:
                    job.task.cancel()
            for collector in self._collectors:
                with suppress(Exception):  # one's fault leaves no other's child behind
                    collector.close()

    async def _rest(self, schedule: Schedule) -> None:
        """Sleep until the next beat (aligned, so that wake-ups are shared), something is due, or a run that outlived its beat ends."""
        boot = self._clock.now().boot
        wait_s = max(0.0, min((int(boot / BEAT_S + 1e-6) + 1) * BEAT_S, schedule.next_due()) - boot)
        # The loop's clock stands still while the machine is suspended: to have slept is not to be late.
        wake = self.loop.time() + wait_s
        self._resting = True
        try:
            async with asyncio.timeout(wait_s):
                await self._roused.wait()
        except TimeoutError:
            self._lateness_s = max(0.0, self.loop.time() - wake)
        self._resting = False
        self._roused.clear()

    def _rouse(self) -> None:
        self._roused.set()

    def _end(self) -> None:
        self._stopping = True
        self._roused.set()

    # Collecting -------------------------------------------------------------------------------------------------------------------

    async def _beat(self, schedule: Schedule) -> None:
        now = self._clock.now()
        started = [self._runs.begin(job, now) for job in schedule.due(now.boot)]
        if started:
            await asyncio.wait(started, timeout=_GRACE_S)
        self._note_time()
        self.close_tick()

    def _end_run(self) -> None:
        """What took longer than the grace is told now: the first table of 2,000 processes does not wait for a beat."""
        if self._resting:
            self._roused.set()

    def _note_time(self) -> None:
        before = self._clock.now().at
        slept_s, step_s = self._clock.slept(), self._clock.follow()
        now = self._clock.now().at
        if slept_s:
            self._intake.note(Event(now - slept_s, now, "suspend", "host", f"suspended for {slept_s:.0f} s", "engine"))
        if step_s:
            self._intake.note(Event(before, now, "clock", "host", f"the clock was set by {step_s:+.1f} s", "engine"))

    def close_tick(self) -> None:
        """Close a tick of what has come in: alert stage, timeline, state, sinks, readers. On the engine's thread."""
        self._note_sinks()
        now = self._clock.now()
        tick = self._intake.close(self.state.seq + 1, now.at, now.boot)
        self.state.apply(msgspec.structs.replace(tick, events=[]) if tick.events else tick)
        tick = self.alerting.step(tick, self.state)
        tick = self.timeline.step(tick, self.alerting.transitions, self.state)
        for sink in self._sinks.values():
            sink(self.state.keyframe(points=KEYFRAME_POINTS) if sink.wants_keyframe else tick)
        for box in self._boxes:
            box.put(tick)

    def _note_sinks(self) -> None:
        """A sink that fails, or works again, is a state like a collector's; so is what keeps alerts, and who is told of them."""
        errors = {(name, "host"): sink.error for name, sink in self._sinks.items()} | self.alerting.faults()
        for place, error in errors.items():
            if error != self._sink_errors.get(place):
                self._sink_errors[place] = error
                now = self._clock.now().at
                state, last_ok = ("error", 0.0) if error else ("ok", now)
                self._intake.find(Health(*place, state, now, last_ok, error=error))

    def add_sink(self, name: str, sink: Sink, views: Sequence[View] = (), *, recorder: str = "") -> None:
        """Feed a sink from the next tick on. From any thread.

        Args:
            name: Its name in health.
            sink: Called on the engine's thread.
            views: What it needs collected.
            recorder: What the stream is to say about who records.

        A sink for an engine that has ended meanwhile is closed.
        """

        def add() -> None:
            self._sinks[name], self._sink_views[name] = sink, tuple(views)
            self.stream = self._intake.stream = msgspec.structs.replace(self.stream, recorder=recorder or self.stream.recorder)

        if not self._post(add):
            sink.close()

    def keep_alerts(self, store: EventStore, saved: Saved, history: History, outbox: Outbox | None, listing: Listing | None = None) -> None:
        """Go on from what an earlier engine saved, and save what comes; see `Alerting.keep` and `Timeline.keep`. From any thread.

        Both are closed for an engine that has ended meanwhile.
        """

        def keep() -> None:
            self.alerting.keep(store, saved, history, outbox)
            self.timeline.keep(store, saved, listing)

        if not self._post(keep):
            if outbox:
                outbox.close()
            store.close()

    def forget_alerts(self) -> None:
        """Go on without keeping alerts and events, or telling of them: another engine does it now. From any thread."""

        def forget() -> None:
            self.timeline.close()
            self.alerting.forget()

        self._post(forget)

    def use_rules(self, rules: Sequence[Rule]) -> None:
        """Go on with other rules; see `Alerting.use`. On the engine's thread."""
        self.alerting.use(rules)
        self.stream = self._intake.stream = msgspec.structs.replace(self.stream, rules=tuple(rules))

    def note(self, kind: str, text: str, severity: str = "") -> None:
        """Tell of something that was done to the engine itself, with the next tick; see `Event`. On the engine's thread."""
        now = self._clock.now().at
        self._intake.note(Event(now, now, kind, "host", text, "perfconsole", severity))

    def adopt(self, collector: Collector) -> None:
        """Have one more collector run from now on, and what it can do offered. On the engine's thread."""
        if self._schedule is None:
            raise RuntimeError("the engine is not running")
        self._collectors.append(collector)
        self._schedule.add(collector, self._clock.now().boot)
        self._dispatcher.add(collector.operations)
        self.stream = self._intake.stream = msgspec.structs.replace(self.stream, ops=self._dispatcher.offered())
        self._roused.set()

    def complete(self) -> None:
        """Have those collectors run, too, that nobody waited for at the start. From any thread, which does the importing."""
        collectors = self._later()

        def adopt() -> None:
            for collector in collectors:
                self.adopt(collector)

        if not self._post(adopt):
            for collector in collectors:
                collector.close()

    # Readers ----------------------------------------------------------------------------------------------------------------------

    def attach(self, wake: Callable[[], None], points: int | None = None) -> Mailbox:
        """A new reader's mailbox, which begins with a keyframe. From any thread.

        Args:
            wake: Called on the engine's thread when there is something to drain.
            points: Samples a series in this reader's keyframes; all when None.
        """
        box = Mailbox(lambda: self.state.keyframe(points), wake)

        def begin() -> None:
            box.put(self.state.keyframe(points))
            self._boxes.append(box)

        self._post(begin)
        return box

    def detach(self, box: Mailbox) -> None:
        """Forget a reader, and with it what it watched. From any thread."""
        box.close()

        def end() -> None:
            if box in self._boxes:
                self._boxes.remove(box)

        self._post(end)

    def watch(self, box: Mailbox, watch: Watch) -> None:
        """Take a reader's watch; what it newly looks at is fetched at once, debounced. From any thread."""

        def take() -> None:
            if box.watch == watch:
                return
            box.watch = watch
            if self._look is None:
                self._look = self.loop.call_later(_DEBOUNCE_S, self._begin_look)

        self._post(take)

    def _views(self) -> list[View]:
        """The union of what all readers and sinks look at."""
        looked_at = [box.watch.views for box in self._boxes] + list(self._sink_views.values())
        return list(dict.fromkeys(view for views in looked_at for view in views))

    def _begin_look(self) -> None:
        self._look = None
        task = asyncio.create_task(self._look_now())
        self._looking.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._looking.discard)

    async def _look_now(self) -> None:
        views = self._views()
        tables: list[Table] = []
        for collector in self._collectors:
            try:
                tables.extend(await collector.look(views))
            except Exception:  # noqa: BLE001, S112  the collector's next run says what is wrong
                continue
        if tables:
            self._intake.show(tables)
            self.close_tick()

    # Operations -------------------------------------------------------------------------------------------------------------------

    async def dispatch(self, op: str, args: Struct, *, peer: str, read_only: bool = False) -> Struct:
        """Run an operation; see `Dispatcher.run`. On the engine's loop.

        Raises:
            RequestError: When it was refused or failed.
        """
        return await self._dispatcher.run(op, args, peer=peer, read_only=read_only)
