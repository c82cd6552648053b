"""An alert from when it fires until it ends, what each channel was told of it, and when nobody having taken it on is said again. Pure.

What is waited for is counted by the clock of the lanes, which is never set; `now` and `at` are the same moment by it and by the wall clock,
which counts only for what an earlier run left.
"""

from collections.abc import Iterator, Sequence
from math import inf, isnan
from typing import Final

from msgspec.structs import replace

from perfconsole.core.tick import Alert, Rule
from perfconsole.notify.outbox_owed import FIRING, RESOLVED, Owed, thread_of

OVERDUE_MOST_S: Final = 86400.0
"""An alert that nobody takes on is told again after twice as long each time, and at least once a day."""

QUIET_S: Final = 600.0
"""One that flaps is over when it has ended for so long, or for twice the rule's `for_s`: until then its next firing is the same one."""

_SAME_S: Final = 5e-4
"""Keys know an occurrence to the millisecond."""


class Occurrence:
    """An alert from when it fires until it ends.

    Attributes:
        alert: As it was told last.
        fired_at: When it fired first, epoch seconds; of one that flaps, later firings belong to it.
        told: What each channel is owed, oldest first; a channel that is owed nothing is not in it.
        overdue_at: When it is overdue next, unless somebody takes it on, by the clock of the lanes; infinity for never.
        ordinal: Tells the times apart at which it was overdue, across runs: when it was so last, in milliseconds.
        quiet_at: When one that flaps and has ended is over, by the same clock; infinity while it fires.
    """

    __slots__ = ("_step_s", "alert", "fired_at", "ordinal", "overdue_at", "quiet_at", "told")

    def __init__(self, alert: Alert) -> None:
        self.alert, self.fired_at = alert, alert.fired_at
        self.told: dict[str, list[Owed]] = {}
        self.overdue_at = self.quiet_at = inf
        self._step_s, self.ordinal = 0.0, 0

    @property
    def flaps(self) -> bool:
        """Whether somebody is owed word that it flaps: then nothing more until it is over."""
        return any(one.notice.alert.flapping for chain in self.told.values() for one in chain[:1])

    def is_that_of(self, alert: Alert) -> bool:
        """Whether an alert is this one still. It may not say when it fired: then it is."""
        fired_at = alert.fired_at
        return isnan(fired_at) or abs(fired_at - self.alert.fired_at) < _SAME_S or abs(fired_at - self.fired_at) < _SAME_S

    def join(self, later: "Occurrence") -> bool:
        """Take up a later one that is this one still: it flaps, and some channels were told only then. Whether it is."""
        if not (self.flaps and later.flaps) or self.told.keys() & later.told.keys():
            return False
        self.told |= later.told
        self.alert = later.alert
        return True

    def owed(self) -> Iterator[Owed]:
        """All that anybody is owed."""
        for chain in self.told.values():
            yield from chain

    def end(self, alert: Alert) -> Alert:
        """Have it over; returns the alert that says so, as one of this occurrence."""
        self.overdue_at = self.quiet_at = inf
        return alert if alert.fired_at == self.fired_at else replace(alert, fired_at=self.fired_at)

    def calm(self, alert: Alert, rule: Rule | None, at: float, now: float) -> None:
        """Of one that flaps: it has ended for now."""
        self.alert, self.overdue_at = alert, inf
        self.quiet_at = now - (at - alert.at) + max(QUIET_S, 2 * rule.for_s if rule else 0.0)

    def begin_overdue(self, rule: Rule | None, made_at: float, at: float, now: float) -> None:
        """Say when it is overdue first: counted from when it fired, or where it was muted so long from when somebody was told."""
        respond_s = rule.respond_s if rule else 0.0
        if self.overdue_at < inf or not respond_s > 0:
            return
        base = self.fired_at if made_at - self.fired_at < respond_s else made_at
        self.overdue_at, self._step_s, self.ordinal = now + (base + respond_s - at), min(respond_s, OVERDUE_MOST_S), 0

    def pass_overdue(self, until: float, at: float, now: float) -> None:
        """Go on to the next time it is overdue after a moment (by the clock of the lanes)."""
        while self.overdue_at <= until + _SAME_S:
            self.ordinal = round((at + (self.overdue_at - now)) * 1000)
            self.overdue_at += self._step_s
            self._step_s = min(2 * self._step_s, OVERDUE_MOST_S)


def over(alert: Alert, at: float) -> Alert:
    """An alert that ended unseen."""
    return replace(alert, state=RESOLVED, before=FIRING, at=at, text="it ended while nobody was watching")


def place(alert: Alert) -> tuple[str, int]:
    """An occurrence, as a key."""
    return alert.id, -1 if isnan(alert.fired_at) else round(alert.fired_at * 1000)


def thread(chain: Sequence[Owed]) -> str:
    """The thread that a channel was told of it in; empty for none."""
    return next(filter(None, (thread_of(one.notice.batch) for one in chain)), "")
