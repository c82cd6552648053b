"""What is owed: one notice on its way, from being made to being settled. Pure, as all of the outbox but `outbox.py` and `sender.py`.

Nothing here knows of time; a notice is replaced, never changed, and what is told of it to the store is what stands here.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from hashlib import sha1
from math import isnan
from typing import Any

from msgspec.structs import replace

from perfconsole.core.alert_order import rank
from perfconsole.core.notices import Notice
from perfconsole.core.tick import Alert

FIRING, OVERDUE, RESOLVED = "firing", "overdue", "resolved"
WAITING, SENT, FAILED, DROPPED = "waiting", "sent", "failed", "dropped"

_GROUP = "g"
"""Begins the name of a batch that told a channel of single alerts of many at once; what is hexadecimal never does."""


class Place(IntEnum):
    """Where an owed notice is: made (and not kept yet), waiting with others, behind what has to come first, in a message, settled."""

    MADE = 0
    POOL = 1
    BEHIND = 2
    BATCH = 3
    SETTLED = 4


class Owed:
    """A notice on its way.

    Attributes:
        notice: As it is to be kept.
        after: Those that have to be settled before this one goes.
        heard: Whether the channel was told of the occurrence before, or may have been.
        doubt: Whether an attempt ended without an answer: it may have been taken.
        since: Since when it waits with others, by the clock of the lanes.
        latest: What was told of the alert last, for those who want to hear that again and again.
    """

    __slots__ = ("after", "doubt", "heard", "latest", "notice", "place", "since")

    def __init__(self, notice: Notice, after: Sequence["Owed"] = (), *, heard: bool = False, doubt: bool = False) -> None:
        self.notice = notice
        self.after, self.heard, self.doubt = tuple(after), heard, doubt
        self.since = 0.0
        self.latest: Alert = notice.alert
        self.place = Place.MADE if notice.state == WAITING else Place.SETTLED

    def become(self, **changes: Any) -> Notice:
        """Replace the notice, with these changes."""
        self.notice = replace(self.notice, **changes)
        if self.notice.state != WAITING:
            self.place = Place.SETTLED
        return self.notice

    @property
    def settled(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.place is Place.SETTLED

    @property
    def told(self) -> bool:
        """Whether the receiver knows of it, or may."""
        return self.notice.state == SENT or self.doubt


def notice_key(channel: str, alert: Alert, status: str, ordinal: int = 0) -> str:
    """The key of a notice: of channel, alert, occurrence (to the millisecond), status, and which one of many it is."""
    fired_ms = -1 if isnan(alert.fired_at) else round(alert.fired_at * 1000)
    return sha1(f"{channel}\0{alert.id}\0{fired_ms}\0{status}\0{ordinal}".encode(), usedforsecurity=False).hexdigest()


def new_notice(channel: str, alert: Alert, status: str, at: float, ordinal: int = 0, *, batch: str = "") -> Notice:
    """A notice that is owed from now on.

    Args:
        channel: The name of the channel.
        alert: As it is now.
        status: What is said of it.
        at: Epoch seconds.
        ordinal: Which one of those that say the same of the same occurrence.
        batch: The message it has to go with; empty where that is to be seen.
    """
    return Notice(notice_key(channel, alert, status, ordinal), channel, status, alert, at, due_at=at, batch=batch)


def by_gravity(owed: Iterable[Owed]) -> list[Owed]:
    """Worst first, then oldest: the order of a message, whoever is asked."""
    return sorted(owed, key=_gravity)


def _gravity(owed: Owed) -> tuple[int, float, float, str, str]:
    alert = owed.notice.alert
    return (-rank(alert.severity), 0.0 if isnan(alert.since) else alert.since, owed.notice.made_at, alert.id, owed.notice.key)


def batch_name(owed: Sequence[Owed], *, group: bool = False, thread: str = "") -> str:
    """The name of a message: of a single notice its key, of several of theirs; so it comes out the same even where it was lost.

    Args:
        owed: What is in it.
        group: Whether it tells a channel of single alerts of many at once, and so begins a thread.
        thread: The thread it goes on with.
    """
    keys = [one.notice.key for one in owed]
    name = keys[0] if len(keys) == 1 else sha1("\n".join(sorted(keys)).encode(), usedforsecurity=False).hexdigest()
    return f"{thread}-{name}" if thread else _GROUP * group + name


def end_name(thread: str) -> str:
    """The name of the message that says that all of a thread are over: known from when the first of them is."""
    return f"{thread}-over" if thread else ""


def thread_of(batch: str) -> str:
    """The thread that a message belongs to; empty for none."""
    return batch.partition("-")[0] if batch.startswith(_GROUP) else ""


def is_bound(notice: Notice) -> bool:
    """Whether it is only said which thread it belongs to: it is in no message yet, though it has a `Notice.batch`."""
    if notice.status == RESOLVED:
        return notice.batch.endswith("-over") and not notice.tries
    return notice.status == OVERDUE and notice.batch.startswith(_GROUP) and "-" not in notice.batch
