"""The fold of ticks that every screen, report and export reads. Whoever applied the same ticks has the same state."""

from collections import deque
from collections.abc import Iterator, Sequence
from math import nan
from typing import Final, NamedTuple, TypeVar

import msgspec

from perfconsole.core import changes, metrics, series
from perfconsole.core.series import Ring
from perfconsole.core.tables import SessionTable, Table
from perfconsole.core.tick import Alert, Backlog, Event, Group, Health, Reading, SeriesDef, Silence, Stream, Tick

Labels = tuple[tuple[str, str], ...]

EVENTS_HELD: Final = 500

WINDOW_HELD_S: Final = 150.0
"""A table over a window that nobody told anew for so long is not looked at any more: the slowest are told every minute."""

T = TypeVar("T", bound=Table)


class Series(NamedTuple):
    """One series as it stands in a state: a column of a ring. Rates are made of counters, values are left as they are."""

    definition: SeriesDef
    ring: Ring
    column: int
    counter: bool

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self.definition.labels)

    @property
    def value(self) -> float:
        """The newest value, a counter's as it was counted."""
        return self.ring.latest(self.column)

    @property
    def shown(self) -> float:
        """The newest value as it is read: a counter's is its rate per second."""
        return self.ring.rate(self.column) if self.counter else self.ring.latest(self.column)

    def points(self, since: float = 0.0) -> tuple[Sequence[float], Sequence[float]]:
        """Times and shown values from `since` on."""
        return self.ring.rates(self.column, since) if self.counter else self.ring.points(self.column, since)


class State:
    """What is known of one host now, and `series.HELD_S` seconds back.

    Attributes:
        at: Wall-clock time of the newest tick, epoch seconds; NaN before the first.
        boot: CLOCK_BOOTTIME of that tick.
        stream: What the stream is about; None before the first keyframe.
        alerts: The alerts by id, those that are over included, as each was told last.
        silences: Those in force.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.seq = -1
        self.at = nan
        self.boot = nan
        self.past = False
        self.stream: Stream | None = None
        self.groups: dict[int, Group] = {}
        self.health: dict[tuple[str, str], Health] = {}
        self.alerts: dict[str, Alert] = {}
        self.silences: tuple[Silence, ...] = ()
        self.events: deque[Event] = deque(maxlen=EVENTS_HELD)
        self._rings: dict[int, Ring] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._tables: dict[tuple[type[Table], str], dict[str, Table]] = {}
        self._index: dict[SeriesDef, Series] | None = None
        self._named: dict[str, list[Series]] = {}

    # Reading it -------------------------------------------------------------------------------------------------------------------

    def find(self, name: str, **labels: str) -> Series | None:
        """The series with exactly these labels, or None."""
        return self._indexed().get(SeriesDef(name, tuple(sorted(labels.items()))))

    def every(self, name: str) -> list[Series]:
        """All series of a metric, in the order in which they were defined."""
        self._indexed()
        return list(self._named.get(name, ()))

    def all_series(self) -> Iterator[Series]:
        """Every series there is."""
        return iter(self._indexed().values())

    def value(self, name: str, **labels: str) -> float:
        """The newest value (of a counter its rate per second); NaN when unknown."""
        found = self.find(name, **labels)
        return found.shown if found else nan

    def table(self, kind: type[T], target: str = "host", window: str = "") -> T | None:
        """The newest table of a kind, or None; of a kind with several windows the one that was told last, unless one is named."""
        held = self._tables.get((kind, target))  # type: ignore[arg-type]  # a kind is one of the union's
        if not held:
            return None
        found = held.get(window) if window else next(reversed(held.values()))
        # Sessions are told while somebody looks: what was seen of them minutes ago, in a recording too, is not what they do.
        left = isinstance(found, SessionTable) and found.at < self.at - WINDOW_HELD_S
        return found if isinstance(found, kind) and not left else None

    def _indexed(self) -> dict[SeriesDef, Series]:
        if self._index is None:
            self._index = {
                definition: Series(definition, self._rings[group.id], column, metrics.is_counter(definition.name))
                for group in self.groups.values()
                for column, definition in enumerate(group.series)
            }
            self._named = {}
            for definition, found in self._index.items():
                self._named.setdefault(definition.name, []).append(found)
        return self._index

    # Folding ----------------------------------------------------------------------------------------------------------------------

    def apply(self, tick: Tick) -> None:
        """Fold one tick in.

        Readings of a group that was never defined are dropped: their definition was lost with the ticks a keyframe replaced.
        """
        if tick.key:
            self._clear()
        self.seq, self.at, self.boot, self.past = tick.seq, tick.at, tick.boot, tick.past
        self.stream = tick.stream or self.stream
        for group in tick.groups:
            self._complete(group, tick)
            self._define(group)
        for part in tick.backlog:
            self._load(part)
        for reading in tick.readings:
            self._add(reading)
        for table in tick.tables:
            self._hold(table)
        for health in tick.health:
            self.health[health.collector, health.target] = health
        self.tell(tick.alerts, tick.silences, tick.events)

    def _hold(self, table: Table) -> None:
        """Keep a table in place of the one before it; those of other windows, for as long as somebody may still look at them."""
        held = self._tables.setdefault((type(table), table.target), {})
        held.pop(table.window, None)  # told last, it stands last
        held[table.window] = table
        for window in [window for window, other in held.items() if other.at < table.at - WINDOW_HELD_S]:
            del held[window]

    def _define(self, group: Group) -> None:
        place = (group.collector, group.target)
        old_id = self._ids.pop(place, None)
        old = self.groups.pop(old_id, None) if old_id is not None else None
        old_ring = self._rings.pop(old.id) if old else None
        self._index = None
        if not group.series:
            self.health.pop(place, None)
            return
        if old and old_ring:
            ring = old_ring.rearranged(_sources(old, group), group.interval_s)
        else:
            ring = Ring(len(group.series), group.interval_s)
        self.groups[group.id], self._rings[group.id], self._ids[place] = group, ring, group.id

    def _complete(self, group: Group, tick: Tick) -> None:
        """Fold in what a tick says of the group that `group` replaces, while it still has a ring: a merged tick tells of both."""
        old = self._ids.get((group.collector, group.target))
        if old is None or old == group.id:
            return
        for part in tick.backlog:
            if part.group == old:
                self._load(part)
        for reading in tick.readings:
            if reading.group == old:
                self._add(reading)

    def resume(self, keyframe: Tick) -> None:
        """Fold in a keyframe that goes on where this state stands: as `apply` does, but the samples that are held are kept.

        A recording begins anew every few minutes, and with every run of the engine, with a keyframe that carries next to no samples;
        those before it are not to be lost. Another run may not have measured everything yet: until it has, that is unknown.
        """
        groups, rings, ids = self.groups, self._rings, self._ids
        session = self.stream.session if self.stream else ""
        self.apply(keyframe)
        goes_on = self.stream is not None and self.stream.session == session
        for place, old_id in ids.items():
            old = groups[old_id]
            new_id = self._ids.get(place)
            if new_id is None:
                if goes_on:
                    continue  # it ended
                # An id of its own: the other run counts from 1 too.
                new_id = min(0, 0, *self.groups) - 1
                self._define(msgspec.structs.replace(old, id=new_id))
            ring = rings[old_id].rearranged(_sources(old, self.groups[new_id]), self.groups[new_id].interval_s)
            ring.extend(self._rings[new_id])
            if not goes_on and not len(self._rings[new_id]):
                ring.append(self.at, [nan] * ring.width)
            self._rings[new_id] = ring
        self._index = None

    def _load(self, part: Backlog) -> None:
        ring = self._rings.get(part.group)
        if ring is not None:
            ring.load(part.times, part.columns)

    def _add(self, reading: Reading) -> None:
        ring = self._rings.get(reading.group)
        if ring is not None:
            ring.append(reading.at, reading.values)

    def tell(self, alerts: Sequence[Alert], silences: tuple[Silence, ...] | None, events: Sequence[Event] = ()) -> None:
        """Take what was made of a tick that was applied without it."""
        for alert in alerts:
            self._set_alert(alert)
        if silences is not None:
            self.silences = silences
        if events:
            self._add_events(events)

    def _add_events(self, events: Sequence[Event]) -> None:
        """Hold the newest, in the order of time: what was learnt late, as what an earlier run knew, stands where it belongs."""
        held = changes.in_order([*self.events, *events])
        self.events.clear()
        self.events.extend(held)

    def _set_alert(self, alert: Alert) -> None:
        if alert.state == "inactive":
            self.alerts.pop(alert.id, None)
        else:
            self.alerts[alert.id] = alert

    def keyframe(self, points: int | None = None) -> Tick:
        """A tick that makes any state equal to this one.

        Args:
            points: Samples a series carried along; all that are held when None.
        """
        backlog = []
        for group_id, ring in self._rings.items():
            times, columns = ring.dump(points)
            backlog.append(Backlog(group_id, times, columns))
        return Tick(
            seq=self.seq,
            at=self.at,
            boot=self.boot,
            key=True,
            past=self.past,
            groups=list(self.groups.values()),
            tables=[table for held in self._tables.values() for table in held.values()],
            alerts=list(self.alerts.values()),
            events=list(self.events),
            health=list(self.health.values()),
            backlog=backlog,
            stream=self.stream,
            silences=self.silences,
        )

    @property
    def held_s(self) -> float:
        """Seconds back to the oldest sample; 0 when there is none."""
        return max((self.at - ring.first for ring in self._rings.values() if len(ring)), default=0.0)

    def age_s(self, collector: str, target: str = "host") -> float:
        """Seconds between a collector's last success and the newest tick; NaN when it never succeeded."""
        health = self.health.get((collector, target))
        return self.at - health.last_ok if health and health.last_ok else nan

    def stale(self, collector: str, target: str = "host") -> bool:
        """Whether a collector's last success lies too far back to tell of the present; not so where there was none."""
        place = (collector, target)
        return place in self._ids and self.age_s(*place) > series.STALE * self.groups[self._ids[place]].interval_s


def _sources(old: Group, new: Group) -> list[int | None]:
    """Where each series of a group stands in the one it replaces."""
    columns = {definition: column for column, definition in enumerate(old.series)}
    return [columns.get(definition) for definition in new.series]
