"""What has to outlive this process about alerts and of what changed, and the Protocols of who keeps it and who sends it. Pure.

The engine's keeper hands what a tick brought to the event store, in one piece: transitions, where alerts stand, and the notices that are
owed for them. What is kept in one piece is lost or found in one piece: no alert fires without the notice of it being owed.
"""

from collections.abc import Callable, Sequence
from math import nan
from typing import NamedTuple, Protocol

from msgspec import Struct

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.tick import Alert, Event, Silence


class Standing(Struct, frozen=True, array_like=True):
    """Where one rule stands at one series, for the next run of the engine to go on from.

    Moments but those in `alert` are seconds of CLOCK_BOOTTIME of the boot `boot_id`, in which the wall clock was `offset_s` ahead of them:
    within one boot no step of the wall clock touches them, and for another there is nothing better than the wall clock.

    Attributes:
        alert: As it was told last.
        shape: Of the rule, what decides (`alert_watched.shape`): of one that was written otherwise since, nothing goes on.
        since: When the breach began.
        last: The last sample that was known.
        deadline: When it fires, or was quiet for long enough; infinity where neither is under way.
        missing: Of the samples in a row that are needed.
        turns: When it fired and ended lately.
        window: The samples of its statistic (`alert_stats.Statistic.packed`); empty where there are none. One whose alert is inactive keeps
            nothing else: a window of an hour is not to be blind for an hour.
    """

    alert: Alert
    shape: str
    boot_id: str
    offset_s: float
    since: float
    last: float
    deadline: float
    missing: int = 0
    turns: tuple[float, ...] = ()
    window: bytes = b""


class Notice(Struct, frozen=True, array_like=True):
    """That one channel is owed word of one alert, and how far that is.

    Attributes:
        key: Of channel, alert, occurrence and status: the same however often it is tried, so that whoever is told can see a repetition.
        channel: The channel's name.
        status: ``firing``, ``overdue`` (nobody has taken it on within `Rule.respond_s`) or ``resolved``.
        alert: As it was when this became due.
        made_at: When that was, epoch seconds.
        state: ``waiting``, ``sent``, ``failed`` (given up) or ``dropped`` (it was over, or muted, before anybody was told).
        due_at: When it is tried next.
        tries: How often it was tried.
        batch: The message it goes out with; from its first attempt on the same one with the same others.
        sent_at: When it was taken; NaN before.
        error: Why the last attempt failed.
    """

    key: str
    channel: str
    status: str
    alert: Alert
    made_at: float
    state: str = "waiting"
    due_at: float = 0.0
    tries: int = 0
    batch: str = ""
    sent_at: float = nan
    error: str = ""


class Saved(NamedTuple):
    """What is kept of earlier runs.

    Attributes:
        notices: Those that wait, those that were sent of what stands, and of what is owed its end.
        told: Alerts that resolved within a day, oldest first.
        events: The newest of the last day, oldest first.
    """

    standings: Sequence[Standing] = ()
    silences: Sequence[Silence] = ()
    notices: Sequence[Notice] = ()
    told: Sequence[Alert] = ()
    events: Sequence[Event] = ()


class Changes(NamedTuple):
    """What is to be kept in one piece.

    Attributes:
        told: Transitions and changes of what is said of alerts, to be appended.
        standings: Replace all that are kept; None leaves them.
        silences: Likewise.
        notices: Replace those with the same key, or are added.
        events: To be added, but for those that are kept already (`changes.Known`).
    """

    told: Sequence[Alert] = ()
    standings: Sequence[Standing] | None = None
    silences: Sequence[Silence] | None = None
    notices: Sequence[Notice] = ()
    events: Sequence[Event] = ()


class EventStore(Protocol):
    """Keeps it.

    Attributes:
        error: Why it cannot, in words; empty while it can. What it was given in the meantime it keeps trying to write.
    """

    error: str

    def load(self) -> Saved:
        """What earlier runs left. Called once, before anything is put."""

    def put(self, changes: Changes, kept: Callable[[], None] | None = None) -> None:
        """Have it kept; returns at once.

        Args:
            changes: All of one call is kept, or nothing.
            kept: Called from the store's thread once it is on disk, or as soon as it is clear that it cannot be yet: a full disk is no
                reason to tell nobody.
        """

    def history(self, alert_id: str, limit: int) -> tuple[list[Alert], list[Notice]]:
        """The newest that was told of an alert (of all, where the id is empty), and of notices; newest first. Waits for the disk."""

    def events(self, wanted: EventsArgs) -> EventList:
        """The newest events that are asked for. Waits for the disk."""

    def close(self) -> None:
        """Write everything that was given; bounded in time."""


class Outbox(Protocol):
    """Decides who is owed word of what, and sends it."""

    def take(self, alerts: Sequence[Alert], at: float) -> list[Notice]:
        """Take what a tick told of alerts (thresholds are none); returns at once.

        Args:
            alerts: In the order in which it came about; empty as often as nothing did: time passes, too.
            at: Of the tick, epoch seconds.

        Returns:
            Notices that are new or changed: to be kept, then given to `send`.
        """

    def resume(self, alerts: Sequence[Alert], at: float) -> list[Notice]:
        """Make good what an earlier run left owed; called once, before the first `take`.

        Args:
            alerts: All that stand: who was told that one fires which is not among them is owed its end.
            at: As of `take`.

        Returns:
            As `take`.
        """

    def health(self) -> Sequence[tuple[str, str, str]]:
        """How each channel does: its name, ``ok`` or ``error``, and what there is to say of it. From any thread."""

    def send(self, notices: Sequence[Notice]) -> None:
        """Send these, now that they are kept; returns at once. From any thread."""

    def close(self) -> None:
        """Stop sending; bounded in time."""
