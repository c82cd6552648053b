"""Alerts inside the engine: stage and muting on every tick, what can be asked of them, and what is kept of them for the next run.

All of it is on the engine's thread, and none of it waits: a store and an outbox have threads of their own.
"""

import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from math import inf, isnan
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from perfconsole.core import units
from perfconsole.core.alert_requests import AckArgs, AlertArgs, AlertHistory, SilenceArgs, UnsilenceArgs, Waiting, Watching
from perfconsole.core.alerts import AlertStage
from perfconsole.core.errors import RequestError
from perfconsole.core.muting import Muting
from perfconsole.core.notices import Changes, EventStore, Notice, Outbox, Saved, Standing
from perfconsole.core.ports import Operation
from perfconsole.core.requests import ALERT_ACK, ALERT_HISTORY, ALERT_SILENCE, ALERT_UNSILENCE, ALERT_WATCHING, Done, Nothing, Spec
from perfconsole.core.state import State
from perfconsole.core.text import safe
from perfconsole.core.tick import Ack, Alert, Rule, SeriesDef, Silence, Tick
from perfconsole.engine.clock import Clock

History = Callable[[str, int], Awaitable[tuple[list[Alert], list[Notice]]]]
"""As `EventStore.history`, beside the loop."""

HELD: Final = 1000
"""Of what was told of alerts, kept in memory: where there is no store, this is their history."""

_TOLD: Final = 200
_WAITING: Final = 500
_PENDING_S: Final = 2.0
"""How often it is kept where alerts stand while one pends: as long as the next run may think that nobody looked."""

_FIRING_S: Final = 30.0
_WINDOWS_S: Final = 300.0
"""How often long windows are kept: as long as what is missing of them after a kill."""

_SWEPT: Final = 4000
"""Samples of them that are gathered with one tick, at most: half a millisecond."""

_LONGEST_S: Final = 30 * 86400.0
_WORDS: Final = 300


class Alerting:
    """Everything about alerts that is one engine's.

    Args:
        rules: Those in force.
        boot_id: Of this boot of the machine.
        clock: The engine's.

    Attributes:
        operations: What can be asked and done.
        rules: Those in force, by name; changed in place.
        transitions: Of alerts, no thresholds among them, that the last step made.
    """

    def __init__(self, rules: Sequence[Rule], boot_id: str, clock: Clock) -> None:
        self._stage = AlertStage(rules)
        self._muting = Muting(rules)
        self.rules = {rule.name: rule for rule in rules}
        self.transitions: list[Alert] = []
        self._other: Sequence[Rule] | None = None
        self._boot_id = boot_id
        self._clock = clock
        self._held: deque[Alert] = deque(maxlen=HELD)
        self._store: EventStore | None = None
        self._outbox: Outbox | None = None
        self._saved: Saved | None = None
        self._kept_history: History | None = None
        self._kept_at = -inf
        self._windows: dict[str, Standing] = {}
        self._gathered: dict[str, Standing] = {}
        self._sweep: Iterator[Standing] | None = None
        self._swept_at = inf
        self.operations = [
            Operation(ALERT_ACK, self._acknowledge),
            Operation(ALERT_SILENCE, self._silence),
            Operation(ALERT_UNSILENCE, self._unsilence),
            Operation(ALERT_HISTORY, self._history),
            Operation(ALERT_WATCHING, self._watching),
        ]

    def use(self, rules: Sequence[Rule]) -> None:
        """From the next tick on go on with other rules; what one that is as it was has come to goes on."""
        self._other = rules
        self.rules.clear()
        self.rules.update((rule.name, rule) for rule in rules)

    def keep(self, store: EventStore, saved: Saved, history: History, outbox: Outbox | None) -> None:
        """From the next tick on go on from what was saved, keep what comes, and tell who is owed word of it.

        Args:
            store: Opened, and loaded.
            saved: What it gave.
            history: Asks it.
            outbox: Where there are channels.
        """
        self._store, self._outbox, self._saved, self._kept_history = store, outbox, saved, history

    async def change(self, saved: Saved, spec: Spec, args: Struct) -> tuple[Struct, Changes]:
        """Do what an operation does to what another run left, while none goes on.

        Returns:
            The operation's result, and what is to be kept of it.

        Raises:
            RequestError: As the operation.
        """
        self._muting.resume((standing.alert for standing in saved.standings), saved.silences)
        self._muting.hold(standing.alert for standing in saved.standings)
        operation = next(operation for operation in self.operations if operation.spec is spec)
        done = await operation.run(args)
        acked = [
            replace(standing, alert=replace(standing.alert, ack=self._muting.ack_of(standing.alert.id))) for standing in saved.standings
        ]
        return done, Changes(standings=acked, silences=tuple(self._muting.silences.values()))

    def close(self, *, ended: bool = True) -> None:
        """Keep where everything stands, and let go of store and outbox; bounded in time, and not on the engine's thread.

        Args:
            ended: Whether nothing is stepped any more: else it stands as it was kept last.
        """
        outbox, self._outbox = self._outbox, None
        store, self._store = self._store, None
        if outbox:
            outbox.close()
        if store:
            if ended and self._saved is None:
                self._windows = {standing.alert.id: standing for standing in self._stage.windows(self._boot_id)}
                store.put(Changes(standings=self._standings()))
            store.close()

    def forget(self) -> None:
        """Let go of store and outbox on the engine's thread, which is not to wait for them: their disk may hang."""
        held = (self._outbox, self._store)
        self._outbox = self._store = None

        def close() -> None:
            for one in held:
                if one:
                    one.close()

        threading.Thread(target=close, name="forgetting", daemon=True).start()

    def faults(self) -> dict[tuple[str, str], str]:
        """What of it is known to work or not, as names of a collector and a target: why not, in words; empty where it does."""
        if self._store is None:
            return {}
        channels = self._outbox.health() if self._outbox else ()
        return {("alerts", "host"): self._store.error} | {("notify", name): text if state != "ok" else "" for name, state, text in channels}

    # On every tick ------------------------------------------------------------------------------------------------------------------

    def step(self, tick: Tick, state: State) -> Tick:
        """The tick with what becomes of its readings.

        Args:
            tick: Just closed.
            state: With that tick applied; takes the alerts.
        """
        saved, self._saved = self._saved, None
        left: list[Alert] = []
        if saved:  # before anything else: what comes now goes on from there
            self._muting.resume((standing.alert for standing in saved.standings), saved.silences)
            self._windows = {one.alert.id: one for one in saved.standings if one.alert.state == "inactive"}
            self._swept_at = tick.boot
            self._muting.recall(saved.told)
            left = self._stage.restore(saved.standings, self._boot_id, tick, partial(_latest, state))
        alerts = [*left, *self._stage.step(tick)]
        if self._other is not None:
            rules, self._other = self._other, None
            self._muting.use(rules)
            alerts += self._stage.use(rules, tick)
        alerts = self._muting.step(state, alerts)
        told = [alert for alert in alerts if not (alert.colour or (saved and alert.before == alert.state))]
        self.transitions = [alert for alert in told if alert.before != alert.state]
        if saved:
            standing = self._muting.standing
            alerts = [*(alert for alert in saved.told if alert.id not in standing), *alerts]
        silences = self._muting.told_silences()
        if alerts or silences is not None:
            tick = replace(tick, alerts=alerts, silences=silences)
            state.tell(alerts, silences)
        if self._store:
            known = {standing.alert.id for standing in saved.standings} if saved else set()
            # Told before there was anybody to keep it; what goes on from the last run did not begin then, as it seemed.
            before = [alert for alert in self._held if alert.id not in known] if saved else []
            self._keep([*before, *told], silences, self._owed(told, tick.at, anew=saved is not None), tick.boot)
        self._held.extend(told)
        return tick

    def _owed(self, told: Sequence[Alert], at: float, *, anew: bool) -> list[Notice]:
        """Who is owed word of what; `anew` after another run, which may have left something to make good."""
        if self._outbox is None:
            return []
        left = self._outbox.resume(list(self._muting.standing.values()), at) if anew else []
        return [*left, *self._outbox.take(told, at)]

    def _keep(self, told: Sequence[Alert], silences: Sequence[Silence] | None, notices: Sequence[Notice], boot: float) -> None:
        assert self._store
        due_s = _PENDING_S if any(alert.state == "pending" for alert in self._muting.standing.values()) else _FIRING_S
        swept = self._sweep_on(boot)
        stand = bool(told) or swept or (bool(self._muting.standing) and not 0 <= boot - self._kept_at < due_s)
        if not (stand or notices or silences is not None):
            return
        if stand:
            self._kept_at = boot
        outbox = self._outbox
        send = (lambda: outbox.send(notices)) if outbox and notices else None
        self._store.put(Changes(told, self._standings() if stand else None, silences, notices), send)

    def _standings(self) -> list[Standing]:
        known = self._muting.standing
        found = self._stage.standings(self._boot_id)
        return [*(replace(standing, alert=known.get(standing.alert.id, standing.alert)) for standing in found), *self._windows.values()]

    def _sweep_on(self, boot: float) -> bool:
        """Gather long windows, some with each tick; whether it has just got through."""
        if self._sweep is None:
            if 0 <= boot - self._swept_at < _WINDOWS_S:
                return False
            self._swept_at = boot
            self._sweep, self._gathered = self._stage.windows(self._boot_id), {}
        room = _SWEPT
        for standing in self._sweep:
            self._gathered[standing.alert.id] = standing
            room -= len(standing.window) // 5  # bytes of a sample, at least
            if room <= 0:
                return False
        before, self._sweep, self._windows, self._gathered = self._windows, None, self._gathered, {}
        return bool(before or self._windows)

    # On request -----------------------------------------------------------------------------------------------------------------------

    async def _acknowledge(self, args: AckArgs) -> Done:
        ack = Ack(_name(args.by), self._clock.now().at, safe(args.text, _WORDS)) if args.by else None
        if not self._muting.acknowledge(args.id, args.since, ack):
            raise RequestError(f"{safe(args.id, _WORDS)} does not stand any more, or is another occurrence")
        return Done(f"acknowledged by {ack.by}" if ack else "given back: nobody has taken it on")

    async def _silence(self, args: SilenceArgs) -> Done:
        if not args.match:
            raise RequestError("a silence of everything is refused", "say which: rule=NAME, severity=warning, endpoint=GLOB")
        if not 0 < args.for_s <= _LONGEST_S:
            raise RequestError("a silence has to end", f"for how long: up to {units.duration(_LONGEST_S)}")
        if not args.reason.strip():
            raise RequestError("a silence needs a reason", "say why: whoever comes next has to know")
        now = self._clock.now().at
        match = tuple(sorted((safe(name, 100), safe(glob, 200)) for name, glob in args.match))
        silence = Silence(os.urandom(4).hex(), match, now, now + args.for_s, _name(args.by), safe(args.reason.strip(), _WORDS))
        count = self._muting.silence(silence)
        return Done(f"silence {silence.id}: {count} of the alerts that stand now, for {units.duration(args.for_s)}")

    async def _unsilence(self, args: UnsilenceArgs) -> Done:
        silence = self._muting.unsilence(args.id)
        if silence is None:
            known = ", ".join(self._muting.silences) or "there is none"
            raise RequestError(f"no silence is called {safe(args.id, 100)}", f"silences: {known}")
        return Done(f"silence {silence.id} is over")

    async def _history(self, args: AlertArgs) -> AlertHistory:
        if self._kept_history:
            told, notices = await self._kept_history(args.id, _TOLD)
            return AlertHistory(tuple(told), tuple(notices))
        told = [alert for alert in reversed(self._held) if not args.id or alert.id == args.id]
        return AlertHistory(tuple(told[:_TOLD]))

    async def _watching(self, _: Nothing) -> Watching:
        series, waiting = dict.fromkeys(self.rules, 0), []
        for one, interval_s in self._stage.watched():
            series[one.rule.name] = series.get(one.rule.name, 0) + 1
            n, needed = one.course.held, one.rule.needed
            if one.rule.stat != "last" and n < needed:
                waiting.append(Waiting(one.rule.name, one.definition.labels, n, needed, (needed - n) * interval_s))
        waiting.sort(key=lambda one: -one.about_s)
        return Watching(tuple(series.items()), tuple(waiting[:_WAITING]))


def _latest(state: State, series: SeriesDef) -> tuple[float, float] | None:
    found = state.find(series.name, **dict(series.labels))
    points = zip(*map(reversed, found.points()), strict=True) if found else ()
    return next(((at, value) for at, value in points if not isnan(value)), None)


def _name(by: str) -> str:
    return safe(by, 100) or "somebody"
