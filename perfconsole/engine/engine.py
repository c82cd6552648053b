"""The engine: runs collectors, closes a tick on every beat, takes it through the alert stage, and hands it to sinks and readers.

One thread with one event loop. Nothing here waits for a disk, a terminal or a reader; nothing here knows a collector by name.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from perfconsole.core.alerts import AlertStage
from perfconsole.core.errors import CollectorError, PerfconsoleError, RequestError
from perfconsole.core.ports import Collector, Measured, Operation, Result, Sink, Slot, Watch
from perfconsole.core.segment import KEYFRAME_POINTS
from perfconsole.core.state import State
from perfconsole.core.tables import Table, View
from perfconsole.core.text import safe
from perfconsole.core.tick import Event, Group, Health, Reading, Rule, Stream, Tick
from perfconsole.engine.clock import Clock, Moment
from perfconsole.engine.mailbox import Mailbox
from perfconsole.engine.schedule import Job, Schedule

BEAT_S: Final = 0.5
_GRACE_S: Final = 0.05
"""How long a beat waits for the runs it started: a scan of 2,000 processes takes 26 ms, and belongs into this tick, not the next."""

_DEBOUNCE_S: Final = 0.1
_STOP_S: Final = 0.3

Audit = Callable[[str, str, Struct, str], None]
"""(peer, operation, arguments, outcome): called before acting with an empty outcome, and with what came of it afterwards. Raises
RequestError when it cannot be written: what cannot be audited is not done."""


class Engine:
    """Collects, and tells everybody who listens.

    Args:
        collectors: What is measured.
        stream: What the ticks will be about; `ops`, `rules` and `began` are filled in here.
        rules: The alert rules.
        audit: Where actions are written down; without it operations that change something are refused.
        clock: Injected in tests.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        stream: Stream,
        *,
        rules: Sequence[Rule] = (),
        audit: Audit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._collectors = collectors
        self._operations: dict[str, Operation] = {
            operation.spec.name: operation for collector in collectors for operation in collector.operations
        }
        self._stage = AlertStage(rules)
        self._sinks: dict[str, Sink] = {}
        self._sink_errors: dict[str, str] = {}
        self._sink_views: dict[str, tuple[View, ...]] = {}
        self._audit = audit
        self._clock = clock or Clock()
        self._boxes: list[Mailbox] = []
        self._groups: dict[tuple[str, str], Group] = {}
        self._next_group = 1
        self._pending = _Pending()
        self._busy: set[tuple[str, str]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._thread_main, name="engine", daemon=True)
        self._stopping = asyncio.Event()
        self._look: asyncio.TimerHandle | None = None
        self._lateness_s = 0.0
        self.state = State()
        ops = frozenset(self._offered(stream.read_only))
        self.stream = msgspec.structs.replace(stream, ops=ops, rules=tuple(rules), began=self._clock.now().at)

    def _offered(self, read_only: bool) -> list[str]:
        return [name for name, operation in self._operations.items() if not (read_only and operation.spec.changes)]

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
        self._thread.start()
        self._ready.wait()
        if self._loop is None or not self._thread.is_alive():
            raise RuntimeError("the engine did not start")

    def stop(self) -> None:
        """Stop, and finish the sinks. Bounded: what hangs is left behind on its daemon thread."""
        if self._loop and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_STOP_S)
        for sink in self._sinks.values():
            sink.close()
        self._sinks = {}

    def _thread_main(self) -> None:
        try:
            asyncio.run(self._run())
        finally:
            self._ready.set()  # whoever waits for the start is not left waiting

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._clock.now()
        self.state.apply(Tick(seq=0, at=now.at, boot=now.boot, key=True, stream=self.stream))
        schedule = Schedule(self._collectors, now.boot)
        self._ready.set()
        try:
            while not self._stopping.is_set():
                await self._beat(schedule)
                await self._rest(schedule)
        finally:
            for job in schedule.jobs:
                if job.task:
                    job.task.cancel()
            for collector in self._collectors:
                collector.close()

    async def _rest(self, schedule: Schedule) -> None:
        """Sleep until the next beat (aligned, so that wake-ups are shared), or until something is due."""
        boot = self._clock.now().boot
        wake = min((int(boot / BEAT_S + 1e-6) + 1) * BEAT_S, schedule.next_due())
        try:
            async with asyncio.timeout(max(0.0, wake - boot)):
                await self._stopping.wait()
        except TimeoutError:
            self._lateness_s = max(0.0, self._clock.now().boot - wake)

    # Collecting -------------------------------------------------------------------------------------------------------------------

    async def _beat(self, schedule: Schedule) -> None:
        now = self._clock.now()
        started = [self._begin(job, now) for job in schedule.due(now.boot)]
        if started:
            await asyncio.wait(started, timeout=_GRACE_S)
        self._note_time()
        self.close_tick()

    def _begin(self, job: Job, now: Moment) -> asyncio.Task[None]:
        job.started(now.boot)
        job.task = asyncio.create_task(self._collect(job, Slot(now.at, now.boot, now.boot + job.timeout_s)))
        return job.task

    async def _collect(self, job: Job, slot: Slot) -> None:
        collector, target = job.collector, job.target
        before = time.thread_time()
        failures, state, error, fix = job.failures + 1, "ok", "", ""
        try:
            async with asyncio.timeout(job.timeout_s):
                result = await collector.run(target, slot, self._views())
            self._take(collector, result)
            failures = 0
            if said := _said(result, collector.name, target):
                state, error, fix = said.state, said.error, said.fix
            if state == "ok":
                job.last_ok = self._clock.now().at
        except CollectorError as failure:
            state, error, fix = failure.state, failure.message, failure.fix
        except TimeoutError:
            state, error = "error", f"did not finish within {job.timeout_s:g} s"
        except Exception as failure:  # noqa: BLE001  one collector's fault must show on its pane and stop nothing else
            state, error = "error", safe(f"{type(failure).__name__}: {failure}", 300)
        finally:
            job.task = None
        job.failures = failures
        cost_s = time.thread_time() - before
        self._pending.health.append(Health(collector.name, target, state, self._clock.now().at, job.last_ok, cost_s, error, fix))

    def _take(self, collector: Collector, result: Result) -> None:
        at = self._clock.now().at
        for measured in result.measured:
            self._take_measured(collector, measured, at)
        self._pending.tables.extend(result.tables)
        self._pending.events.extend(result.events)
        self._pending.health.extend(result.health)

    def _take_measured(self, collector: Collector, measured: Measured, at: float) -> None:
        place = (collector.name, measured.target)
        group = self._groups.get(place)
        if group is None or (group.series is not measured.series and group.series != measured.series):
            if group is None and not measured.series:
                return
            group = Group(self._next_group, collector.name, measured.target, measured.interval_s or collector.interval_s, measured.series)
            self._next_group += 1
            self._pending.groups.append(group)
            if not measured.series:
                del self._groups[place]
                return
            self._groups[place] = group
        self._pending.readings.append(Reading(group.id, at, measured.values, measured.began))

    def _note_time(self) -> None:
        before = self._clock.now().at
        slept_s, step_s = self._clock.slept(), self._clock.follow()
        now = self._clock.now().at
        if slept_s:
            self._pending.events.append(Event(now - slept_s, now, "suspend", "host", f"suspended for {slept_s:.0f} s", "engine"))
        if step_s:
            self._pending.events.append(Event(before, now, "clock", "host", f"the clock was set by {step_s:+.1f} s", "engine"))

    def close_tick(self) -> None:
        """Close a tick of what has come in: alert stage, state, sinks, readers. On the engine's thread."""
        self._note_sinks()
        pending, self._pending = self._pending, _Pending()
        now = self._clock.now()
        tick = Tick(
            seq=self.state.seq + 1,
            at=now.at,
            boot=now.boot,
            groups=pending.groups,
            readings=pending.readings,
            tables=pending.tables,
            events=pending.events,
            health=pending.health,
            stream=pending.stream,
        )
        alerts = self._stage.step(tick)
        if alerts:
            tick = msgspec.structs.replace(tick, alerts=alerts)
        self.state.apply(tick)
        for sink in self._sinks.values():
            sink(self.state.keyframe(points=KEYFRAME_POINTS) if sink.wants_keyframe else tick)
        for box in self._boxes:
            box.put(tick)

    def _note_sinks(self) -> None:
        """A sink that fails, or works again, is a state like a collector's."""
        for name, sink in self._sinks.items():
            if sink.error != self._sink_errors.get(name):
                self._sink_errors[name] = sink.error
                now = self._clock.now().at
                state, last_ok = ("error", 0.0) if sink.error else ("ok", now)
                self._pending.health.append(Health(name, "host", state, now, last_ok, error=sink.error))

    def add_sink(self, name: str, sink: Sink, views: Sequence[View] = (), *, recorder: str = "") -> None:
        """Feed a sink from the next tick on. From any thread.

        Args:
            name: Its name in health.
            sink: Called on the engine's thread.
            views: What it needs collected.
            recorder: What the stream is to say about who records.
        """

        def add() -> None:
            self._sinks[name], self._sink_views[name] = sink, tuple(views)
            self.stream = self._pending.stream = msgspec.structs.replace(self.stream, recorder=recorder or self.stream.recorder)

        self.loop.call_soon_threadsafe(add)

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

        self.loop.call_soon_threadsafe(begin)
        return box

    def detach(self, box: Mailbox) -> None:
        """Forget a reader, and with it what it watched. From any thread."""
        box.close()

        def end() -> None:
            if box in self._boxes:
                self._boxes.remove(box)

        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(end)

    def watch(self, box: Mailbox, watch: Watch) -> None:
        """Take a reader's watch; what it newly looks at is fetched at once, debounced. From any thread."""

        def take() -> None:
            if box.watch == watch:
                return
            box.watch = watch
            if self._look is None:
                self._look = self.loop.call_later(_DEBOUNCE_S, lambda: asyncio.ensure_future(self._look_now()))

        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(take)

    def _views(self) -> list[View]:
        """The union of what all readers and sinks look at."""
        looked_at = [box.watch.views for box in self._boxes] + list(self._sink_views.values())
        return list(dict.fromkeys(view for views in looked_at for view in views))

    async def _look_now(self) -> None:
        self._look = None
        views = self._views()
        tables: list[Table] = []
        for collector in self._collectors:
            try:
                tables.extend(await collector.look(views))
            except (CollectorError, OSError):
                continue  # the collector's next run says what is wrong
        if tables:
            self._pending.tables.extend(tables)
            self.close_tick()

    # Operations -------------------------------------------------------------------------------------------------------------------

    async def dispatch(self, op: str, args: Struct, *, peer: str, read_only: bool = False) -> Struct:
        """Run an operation: the one place where read-only is enforced and actions are audited. On the engine's loop.

        Raises:
            RequestError: When it is not offered, refused, under way already, too slow, or failed.
        """
        operation = self._operations.get(op)
        if operation is None:
            raise RequestError(f"{op} is not offered here")
        spec = operation.spec
        if not isinstance(args, spec.args):
            raise RequestError(f"{op} takes {spec.args.__name__}, not {type(args).__name__}")
        if spec.changes and (read_only or self.stream.read_only):
            raise RequestError(f"{op} changes something, and this console is read-only")
        if (peer, op) in self._busy:
            raise RequestError(f"{op} is still under way")
        self._busy.add((peer, op))
        try:
            return await self._act(operation, args, peer)
        finally:
            self._busy.discard((peer, op))

    async def _act(self, operation: Operation, args: Struct, peer: str) -> Struct:
        spec = operation.spec
        if spec.changes:
            self._write_audit(peer, spec.name, args, "")
        outcome = "done"
        try:
            async with asyncio.timeout(spec.timeout_s):
                return await operation.run(args)
        except TimeoutError as error:
            outcome = f"not finished within {spec.timeout_s:g} s"
            raise RequestError(f"{spec.name}: {outcome}") from error
        except PerfconsoleError as error:
            outcome = error.message
            raise
        except OSError as error:
            outcome = safe(str(error))
            raise RequestError(f"{spec.name}: {outcome}") from error
        finally:
            if spec.changes:
                self._write_audit(peer, spec.name, args, outcome)

    def _write_audit(self, peer: str, op: str, args: Struct, outcome: str) -> None:
        if self._audit is None:
            raise RequestError(f"{op} is refused: there is no audit file to write it to")
        self._audit(peer, op, args, outcome)


def _said(result: Result, collector: str, target: str) -> Health | None:
    """What a run says of its target itself, in place of the "ok" that is implied by its end.

    That a server is down is a finding, not a fault: when to ask it again, its collector knows better than a back-off does.
    """
    return next((health for health in result.health if (health.collector, health.target) == (collector, target)), None)


class _Pending:
    """What has come in since the last tick was closed."""

    __slots__ = ("events", "groups", "health", "readings", "stream", "tables")

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.readings: list[Reading] = []
        self.tables: list[Table] = []
        self.events: list[Event] = []
        self.health: list[Health] = []
        self.stream: Stream | None = None
