"""What the event store holds in memory: what it owes the disk, and what a new file would have to begin with. Bounded; no I/O.

Of where alerts stand and of silences only the last word is owed, of notices that of each key, of transitions and of what changed every one.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from perfconsole.core.notices import Changes, Notice, Saved, Standing
from perfconsole.core.tick import Alert, Event, Silence

BOUND: Final = 5000
"""Transitions owed, events, and notices that are settled: 4 MiB of each. Past that the oldest are let go."""

WAITING_BOUND: Final = 50_000
"""Notices that somebody waits for are not let go for that; only past so many, 40 MiB, the oldest of these, too."""


class Batch(NamedTuple):
    """What goes to the disk in one piece; None leaves what is there."""

    told: list[Alert]
    standings: Sequence[Standing] | None
    silences: Sequence[Silence] | None
    notices: list[Notice]
    events: Sequence[Event] = ()


class _Notices:
    """Notices by key, what was put last last; bounded. Whatever is done with one does not depend on how many there are."""

    def __init__(self, held: Iterable[Notice] = ()) -> None:
        self.held = {notice.key: notice for notice in held}
        self._settled = sum(notice.state != "waiting" for notice in self.held.values())

    def put(self, notice: Notice) -> None:
        """Hold it last, instead of the one with its key."""
        old = self.held.pop(notice.key, None)
        self.held[notice.key] = notice
        self._settled += (notice.state != "waiting") - (old is not None and old.state != "waiting")

    def forget(self, bound: int, waiting_bound: int) -> None:
        """Let the oldest go past the bounds, and a tenth more, so that this is not looked for with each."""
        waiting = len(self.held) - self._settled
        settled_off = self._settled - bound + bound // 10 if self._settled > bound else 0
        waiting_off = waiting - waiting_bound + waiting_bound // 10 if waiting > waiting_bound else 0
        if not (settled_off or waiting_off):
            return
        off: list[str] = []
        left = {False: settled_off, True: waiting_off}
        for key, notice in self.held.items():
            waits = notice.state == "waiting"
            if left[waits]:
                left[waits] -= 1
                off.append(key)
                if not any(left.values()):
                    break
        for key in off:
            del self.held[key]
        self._settled -= settled_off


class Memory:
    """What was put, until it is written; and of it what matters on, afterwards too. Used under the store's lock.

    Args:
        bound: Transitions held, events, and settled notices.
        waiting_bound: Notices held that somebody waits for.

    Attributes:
        let_go: Transitions that were given up for the bound.
        events_let_go: Events likewise.
    """

    def __init__(self, bound: int = BOUND, waiting_bound: int = WAITING_BOUND) -> None:
        self.let_go = self.events_let_go = 0
        self._bound, self._waiting_bound = bound, waiting_bound
        self._told: list[Alert] = []
        self._events: list[Event] = []
        self._standings: Sequence[Standing] | None = None  # None: nobody said, here or in the file
        self._silences: Sequence[Silence] | None = None
        self._notices = _Notices()
        self._owe_standings = self._owe_silences = False
        self._owed = _Notices()
        self._flight: Batch | None = None

    @property
    def owing(self) -> bool:
        """Whether anything has to go to the disk."""
        return bool(self._told or self._events or self._owe_standings or self._owe_silences or self._owed.held)

    def restore(self, saved: Saved) -> None:
        """Know what the file knows."""
        self._standings, self._silences = saved.standings, saved.silences
        self._notices = _Notices(saved.notices)

    def take(self, changes: Changes) -> None:
        """Owe what was put."""
        self._told += changes.told
        self._events += changes.events
        if changes.standings is not None:
            self._standings, self._owe_standings = tuple(changes.standings), True
        if changes.silences is not None:
            self._silences, self._owe_silences = tuple(changes.silences), True
        for notice in changes.notices:
            self._owed.put(notice)
            self._notices.put(notice)
        self._forget()

    def begin(self) -> Batch | None:
        """Everything that is owed, on its way to the disk from now on; None when nothing is."""
        if not self.owing:
            return None
        batch = Batch(
            self._told,
            self._standings if self._owe_standings else None,
            self._silences if self._owe_silences else None,
            list(self._owed.held.values()),
            self._events,
        )
        self._told, self._events, self._owed = [], [], _Notices()
        self._owe_standings = self._owe_silences = False
        self._flight = batch
        return batch

    def done(self, stand: AbstractSet[str]) -> None:
        """It is on the disk.

        Args:
            stand: The alerts of its standings, if it has any: of those that are over, only who is still to be told matters on.
        """
        batch, self._flight = self._flight, None
        if batch and batch.standings is not None and batch.standings is self._standings:
            held = self._notices.held.values()
            self._notices = _Notices(notice for notice in held if notice.state == "waiting" or notice.alert.id in stand)

    def failed(self) -> None:
        """It is not: owe it still, before what came since."""
        batch, self._flight = self._flight, None
        if batch is None:
            return
        self._told = batch.told + self._told
        self._events = [*batch.events, *self._events]
        self._owe_standings |= batch.standings is not None
        self._owe_silences |= batch.silences is not None
        self._owed = _Notices(({notice.key: notice for notice in batch.notices} | self._owed.held).values())
        self._forget()

    def owe_all(self) -> None:
        """Owe a new file everything that matters on."""
        self._owe_standings = self._standings is not None
        self._owe_silences = self._silences is not None
        self._owed = _Notices((self._notices.held | self._owed.held).values())

    def told(self, alert_id: str) -> list[Alert]:
        """What was told of an alert (of all, where the id is empty) and is not known to be on the disk, newest first."""
        held = (self._flight.told if self._flight else []) + self._told
        return [alert for alert in reversed(held) if not alert_id or alert.id == alert_id]

    def events(self) -> list[Event]:
        """Events that are not known to be on the disk, as they were put."""
        return [*(self._flight.events if self._flight else ()), *self._events]

    def notices(self, alert_id: str) -> list[Notice]:
        """The notices held of an alert (of all, where the id is empty), newest first."""
        flown = {notice.key: notice for notice in self._flight.notices} if self._flight else {}
        held = self._notices.held | flown | self._owed.held
        return [notice for notice in reversed(held.values()) if not alert_id or notice.alert.id == alert_id]

    def _forget(self) -> None:
        if len(self._told) > self._bound:
            over = len(self._told) - self._bound
            del self._told[:over]
            self.let_go += over
        if len(self._events) > self._bound:
            over = len(self._events) - self._bound
            del self._events[:over]
            self.events_let_go += over
        for notices in (self._owed, self._notices):
            notices.forget(self._bound, self._waiting_bound)
