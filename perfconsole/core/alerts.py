"""The alert stage: readings in, transitions out. Pure: time enters only through ticks, so live, replay and any batching agree.

Rules read series, never tables. Elapsed time is counted by CLOCK_BOOTTIME; what is told of it has wall-clock times, each as it was told
first. A deadline that passed before a reading is taken before it, and stamped exactly. Unknown is neither breach nor recovery.

What a tick tells of lies between the tick before and itself (`engine.intake` sees to that), and its offset of wall clock to CLOCK_BOOTTIME
is that of all its readings: ticks between which the clock was set are the only ones that cannot be merged without loss.

A rule without duration and notification is a threshold: it colours a value and fills "over threshold now", and never counts as an alert.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf, isfinite
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from perfconsole.core.alert_course import Phase, Turn
from perfconsole.core.alert_stats import newest
from perfconsole.core.alert_watched import Watched, shape
from perfconsole.core.alert_windows import LeftWindows
from perfconsole.core.notices import Standing
from perfconsole.core.tick import Alert, Group, Rule, SeriesDef, Tick

_ORDER = attrgetter("at", "group")

Latest = Callable[[SeriesDef], tuple[float, float] | None]
"""When the newest known sample of a series was taken, epoch seconds, and its value; None where nothing is known."""


def _nothing(_: SeriesDef) -> None:
    return None


_CHANGED: Final = "its rule has changed"
_UNMEASURED: Final = "it is not measured any more"

UNCLAIMED_S: Final = 900.0
"""How long an alert of an earlier run stands when nobody measures what it was about: everything is measured in less, or not any more."""

_PACKED: Final = 20_000
"""Samples that are handed on in one go with what stands, at most: two milliseconds."""


class AlertStage:
    """Evaluates rules over the readings of ticks.

    Rules are bound to series by position when a group is defined: a step then costs one comparison a rule and series that is well.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = _by_metric(rules)
        self._groups: dict[int, Group] = {}
        self._bound: dict[int, list[Watched]] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._dues: list[tuple[float, int, int, Watched]] = []
        self._serial = count()
        self._peers: dict[SeriesDef, list[Watched]] = {}
        self._active: dict[str, Watched] = {}
        self._offset_s = 0.0
        self._out: list[Alert] = []
        self._left: dict[tuple[str, SeriesDef], Standing] = {}
        self._left_until = inf
        self._boot_id = ""
        self._windows = LeftWindows()

    def step(self, tick: Tick) -> list[Alert]:
        """The transitions a tick makes, in the order in which they came about."""
        self._out = []
        self._offset_s = offset_s = tick.at - tick.boot
        dues, bound = self._dues, self._bound
        coming = deque(tick.groups)
        for reading in sorted(tick.readings, key=_ORDER):
            at = reading.at - offset_s
            while coming and (coming[0].id <= reading.group or 0 < coming[0].at <= reading.at):
                self._define(coming.popleft(), at)
            if dues and dues[0][0] < at:
                self._expire(at, before=True)
            began = at if reading.began is None else min(at, reading.began - offset_s)
            values = reading.values
            for one in bound.get(reading.group, ()):
                value = values[one.column]
                if not one.low <= value <= one.high:
                    self._sample(one, at, began, value)
        for group in coming:
            self._define(group, tick.boot)
        if dues and dues[0][0] <= tick.boot:
            self._expire(tick.boot, before=False)
        if tick.boot >= self._left_until:
            self._give_up()
        if self._windows:
            self._windows.refill(self._moved_s)
        return self._out

    def _sample(self, one: Watched, at: float, began: float, value: float) -> None:
        course = one.course
        turn = course.sample(at, began, one.rate(at, value) if one.counter else value)
        if turn:
            self._turned(one, turn)
        if course.phase or one.rule.no_data == "alert":
            self._note_due(one)

    def _note_due(self, one: Watched) -> None:
        """Put it down for when something happens next. An entry that is too early stays: when it comes up, it is put down anew."""
        due = one.course.due
        if due < one.due:
            one.due = due
            heappush(self._dues, (due, one.order, next(self._serial), one))

    def _expire(self, now: float, *, before: bool) -> None:
        """Take the deadlines that passed, in their order: those before a reading, or up to the end of a tick."""
        dues = self._dues
        while dues and (dues[0][0] < now if before else dues[0][0] <= now):
            due, _, _, one = heappop(dues)
            if due != one.due:
                continue
            one.due = inf
            turn = one.course.expire(due)
            if turn:
                self._turned(one, turn)
            self._note_due(one)

    def _turned(self, one: Watched, turn: Turn) -> None:
        if not one.rule.colour:
            one.muted = _inhibited(one)
        self._out.append(one.turned(turn, self._offset_s))
        one.set_well()
        if not one.rule.colour and turn.after:
            self._active[one.id] = one
        else:
            self._active.pop(one.id, None)
        if one.rule.severity == "critical" and not one.rule.colour and turn.after is not turn.before:
            self._mute_peers(one, turn.at)

    def _mute_peers(self, one: Watched, at: float) -> None:
        """Tell of each that begins, or ceases, to be superfluous."""
        for peer in one.peers:
            muted, phase = _inhibited(peer), peer.course.phase
            if peer.told and muted != peer.muted and phase:
                peer.muted = muted
                self._out.append(peer.turned(Turn(at, phase, phase, peer.told.value), self._offset_s))

    # From one run to the next -------------------------------------------------------------------------------------------------------

    def standings(self, boot_id: str) -> list[Standing]:
        """Where all alerts stand that pend or fire, for the next run; those of the last run that nobody measured yet among them.

        Of very many the long windows are left out; see `windows`.

        Args:
            boot_id: Of this boot.
        """
        out, room = [], _PACKED
        for one in self._active.values():
            whole = not one.long or room >= one.course.held
            if one.long and whole:
                room -= one.course.held
            standing = one.standing(boot_id, self._offset_s, window=whole)
            if standing:
                out.append(standing)
        return [*out, *self._left.values()]

    def windows(self, boot_id: str) -> Iterator[Standing]:
        """The long windows of all rules, whatever they have come to, for the next run; each is made when it is asked for.

        Args:
            boot_id: Of this boot.
        """
        for one in [one for bound in self._bound.values() for one in bound if one.long]:
            if one.course.held:
                yield one.windowed(boot_id, self._offset_s)
        yield from self._windows

    def use(self, rules: Sequence[Rule], tick: Tick) -> list[Alert]:
        """Go on with other rules: what a rule that is as it was has come to goes on; of others it is over, or begins.

        Args:
            rules: All that are in force from now on.
            tick: The last one that was stepped: its clocks.

        Returns:
            What comes of it.
        """
        self._out, self._offset_s, self._rules = [], tick.at - tick.boot, _by_metric(rules)
        names = {rule.name for rule in rules}
        for key in [key for key in self._left if key[0] not in names]:
            self._out.append(_ended(self._left.pop(key).alert, tick.at, _CHANGED))
        for group in list(self._groups.values()):
            self._define(replace(group, at=0.0), tick.boot)
        return self._out

    def restore(self, standings: Iterable[Standing], boot_id: str, tick: Tick, latest: Latest = _nothing) -> list[Alert]:
        """Go on from where an earlier run stood: after this, what was pending pends on, and what fired fires.

        A series that is not measured yet is waited for; whose rule is gone, or decides otherwise now, is over.

        Args:
            standings: As `standings` gave them there, and `windows`.
            boot_id: Of this boot.
            tick: The last one that was stepped, or the next one: its clocks.
            latest: The newest known sample of a series: one that is well was no news to any course.

        Returns:
            What is told of it.
        """
        self._out, self._offset_s, self._boot_id = [], tick.at - tick.boot, boot_id
        self._left_until = tick.boot + UNCLAIMED_S
        in_force = {rule.name for rules in self._rules.values() for rule in rules}
        known = {(one.rule.name, one.definition): one for bound in self._bound.values() for one in bound}
        for standing in standings:
            alert = standing.alert
            key = (alert.rule, SeriesDef(alert.metric, alert.labels))
            if alert.state == "inactive":
                self._windows.leave(*key, standing, known.get(key))
            elif key in known:
                self._resume(known[key], standing, tick.boot, latest(key[1]))
            elif alert.rule in in_force:
                self._left[key] = standing
                self._out.append(replace(alert, before=alert.state))
            else:
                self._out.append(_ended(alert, tick.at, _CHANGED))
        return self._out

    def _resume(self, one: Watched, standing: Standing, at: float, latest: tuple[float, float] | None = None) -> None:
        alert, offset_s = standing.alert, self._offset_s
        if shape(one.rule) != standing.shape:
            self._out.append(_ended(alert, at + offset_s, _CHANGED))
            return
        turn = one.resume(standing, offset_s, self._moved_s(standing))
        one.muted = _inhibited(one)
        self._out.append(one.turned(one.stands(alert, offset_s), offset_s))
        self._active[one.id] = one
        if turn:
            self._turned(one, turn)
        elif latest and not one.counter:
            self._catch_up(one, latest[0] - offset_s, latest[1])
        if one.rule.severity == "critical":
            self._mute_peers(one, at)
        self._note_due(one)

    def _moved_s(self, standing: Standing) -> float:
        """What is to be added to the moments of another run to have them in this boot's seconds.

        What another boot measured was before this one, whatever the wall clock says: one without a clock that lasts begins in the past.
        """
        if standing.boot_id == self._boot_id:
            return 0.0
        moments = (moment for moment in (standing.last, newest(standing.window)) if isfinite(moment))
        return min(standing.offset_s - self._offset_s, *(-moment for moment in moments), inf)

    def _catch_up(self, one: Watched, at: float, value: float) -> None:
        """Have one that went on from another run take a sample of this one, if that is well: of others it knows."""
        course = one.course
        if one.rule.stat != "last" or one.rule.breached(value) or at <= course.stand.last:
            return
        while course.due < at:
            turn = course.expire(course.due)
            if turn:
                self._turned(one, turn)
        turn = course.sample(at, at, value)
        if turn:
            self._turned(one, turn)

    def _give_up(self) -> None:
        """End what an earlier run left and nobody measures; what is measured otherwise may tell this yet, and is waited for."""
        at = self._left_until + self._offset_s
        there = {(series.name.partition(".")[0], series.labels) for group in self._groups.values() for series in group.series}
        for key, left in list(self._left.items()):
            if (left.alert.metric.partition(".")[0], left.alert.labels) not in there:
                self._out.append(_ended(left.alert, at, _UNMEASURED))
                del self._left[key]
        self._left_until = self._left_until + UNCLAIMED_S if self._left else inf
        self._windows.forget()

    def watched(self) -> Iterator[tuple[Watched, float]]:
        """Every rule at every series it is about, and the interval at which that is measured."""
        for number, bound in self._bound.items():
            for one in bound:
                yield one, self._groups[number].interval_s

    # Binding ------------------------------------------------------------------------------------------------------------------------

    def _define(self, group: Group, at: float) -> None:
        """Bind a group's series; what was known of a series that is in the group's new shape too goes on, what is gone ends.

        Args:
            group: The group.
            at: The latest moment at which it was defined, if it does not say itself.
        """
        if group.at:
            at = min(at, group.at - self._offset_s)
        self._expire(at, before=True)
        place = (group.collector, group.target)
        before = self._ids.pop(place, -1)
        self._groups.pop(before, None)
        old = {(one.rule.name, one.definition): one for one in self._bound.pop(before, ())}
        bound: list[Watched] = []
        for column, definition in enumerate(group.series):
            for rule in self._rules.get(definition.name, ()):
                if rule.covers(definition):
                    one = old.pop((rule.name, definition), None)
                    fitted = rule.fitted(group.interval_s, group.timeout_s, group.failures)
                    if one and not _goes_on(one, fitted):
                        self._gone(one, at, _CHANGED)
                        one = None
                    one = one or self._begun(fitted, definition)
                    one.column, one.course.max_gap_s = column, rule.gap_s(group.interval_s, group.timeout_s)
                    if self._left and (rule.name, definition) in self._left:
                        self._resume(one, self._left.pop((rule.name, definition)), at)
                    self._windows.claim(one)
                    self._note_due(one)  # another interval is another gap
                    bound.append(one)
        if group.series:
            self._bound[group.id], self._ids[place], self._groups[group.id] = bound, group.id, group
        measured = set(group.series)
        for gone in old.values():
            self._gone(gone, at, _CHANGED if gone.definition in measured else _UNMEASURED)

    def _begun(self, rule: Rule, definition: SeriesDef) -> Watched:
        peers = [] if rule.colour else self._peers.setdefault(definition, [])
        one = Watched(rule, definition, next(self._serial), peers)
        if not rule.colour:
            peers.append(one)
        return one

    def _gone(self, one: Watched, at: float, why: str) -> None:
        one.due = inf
        turn = one.course.end(at, why)
        if turn:
            self._turned(one, turn)
        if not one.rule.colour:
            one.peers.remove(one)
            if not one.peers:
                self._peers.pop(one.definition, None)


def _inhibited(one: Watched) -> str:
    """Which critical alert about the very same series makes a milder one superfluous; empty for none."""
    if one.rule.severity == "critical":
        return ""
    graver = (peer.rule.name for peer in one.peers if peer.rule.severity == "critical" and peer.course.phase is Phase.FIRING)
    return next((f"inhibited by {name}" for name in graver), "")


def _by_metric(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    out: dict[str, list[Rule]] = {}
    for rule in rules:
        out.setdefault(rule.metric, []).append(rule)
    return out


def _goes_on(one: Watched, fitted: Rule) -> bool:
    """Whether a rule decides as the one did that is carried along; how it is told may have changed."""
    if one.rule is not fitted and (shape(one.rule), one.rule.colour) == (shape(fitted), fitted.colour):
        one.rule = one.course.rule = fitted
    return one.rule is fitted


def _ended(alert: Alert, at: float, why: str) -> Alert:
    """That an alert is over which no course carries on."""
    state = "resolved" if alert.state == "firing" else "inactive"
    return replace(alert, before=alert.state, state=state, at=at, text=why, muted="", silence="")
