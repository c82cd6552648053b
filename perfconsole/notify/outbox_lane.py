"""The lane of one channel: what waits, what goes together, when, and when again. Pure: `now` is seconds of a clock that is never set.

Notices gather for a moment and go as one message, a *batch*: from then on the same one with the same notices at every attempt. What comes
soon after a message waits longer, what a limit holds back goes with what comes meanwhile: nothing is ever let go for being too much.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Final

from perfconsole.core.notices import Notice
from perfconsole.core.text import safe
from perfconsole.notify.channel import Channel, SendError
from perfconsole.notify.outbox_batch import Batch, Bucket, asked_s
from perfconsole.notify.outbox_hold import Hold
from perfconsole.notify.outbox_owed import (
    DROPPED,
    FAILED,
    FIRING,
    RESOLVED,
    SENT,
    Owed,
    Place,
    batch_name,
    by_gravity,
    end_name,
    notice_key,
    thread_of,
)  # fmt: skip

GATHER_S: Final = 5.0
"""A message goes so long after the last notice for it came: checks behind one gateway fail within their interval, 5 s while failing. It is
also how long somebody has to wait for the word of a single alert."""

GATHER_MOST_S: Final = 30.0
"""And at the latest so long after the first: what never ends to come must not keep the rest."""

RATE_S: Final = 6.0
"""One message in so many seconds, in the long run: the strictest receivers (Slack) take one a second, people take far less."""

BURST: Final = 5
"""Messages that may go faster than that."""

EACH_BURST: Final = 10
"""Alerts that go one by one to a channel that wants each of its own; more at once are one message. It may be given as many at once."""

EACH_RATE_S: Final = 2.0
"""The rate of such a channel: PagerDuty takes 120 events a minute."""

OPEN: Final = 4
"""Messages that may be under way or tried again at the same time: one that the receiver chokes on must not be in the way of the others."""

EACH_OPEN: Final = 2 * EACH_BURST

PROBE_S: Final = 60.0
"""Where each of those failed, one more may go, and another so long after that, if it fails as well: whether nothing is taken, or only those
are choked on, is seen by one that was never tried."""

PROBE_MOST_S: Final = 900.0
"""The longest of these waits, which double; a message that is taken ends them."""

KEEP_S: Final = 2.0
"""How long a new message waits until it is kept which notices are in it: a disk that hangs is no reason to tell nobody."""

ERROR_CHARS: Final = 300


class Lane:
    """What is on its way to one channel.

    Args:
        channel: The channel.
        chance: A random number from 0 to 1.

    Attributes:
        standing: Firing notices of alerts that still fire, by alert, for a channel that wants to hear of them again and again.
        error: Why the last attempt failed; empty when it did not.
        failing: When the first of those that failed in a row did.
    """

    def __init__(self, channel: Channel, chance: Callable[[], float]) -> None:
        self._chance = chance
        self.channel, self._each = channel, channel.each
        self._bucket = _bucket(channel)
        self._pool: dict[str, Owed] = {}
        self._first = self._newest = -inf
        self._others: set[str] = set()  # in the pool: of what does not only say that something fires
        self._urgent: set[str] = set()  # likewise, of critical alerts that nobody was told of lately
        self._behind: dict[str, Owed] = {}
        self._members: dict[str, set[str]] = {}  # of threads: who is not over
        self._ends: dict[str, list[Owed]] = {}  # likewise, word of who is
        self._open: dict[str, Batch] = {}
        self._hold = Hold()
        self._not_before = -inf
        self.standing: dict[str, Owed] = {}
        self._refresh_at = -inf
        self._refreshed: frozenset[str] = frozenset()  # alerts that are being told of again just now
        self._probe_at, self._probe_s = -inf, PROBE_S
        self.error, self.failing = "", -inf

    # Another channel of the name --------------------------------------------------------------------------------------------------

    def use(self, channel: Channel, now: float) -> None:
        """Go on with another channel of this name: what is owed is owed still, and tried at once, for why it failed may be mended."""
        if channel.each != self._each:
            self._bucket = _bucket(channel)
        self.channel, self._each = channel, channel.each
        self.error, self._not_before = "", -inf
        for batch in self._open.values():
            if batch.failed:  # what was never tried may not be kept yet
                batch.due = min(batch.due, now)

    def abandon(self) -> list[Owed]:
        """Let go of what is owed, for nobody is there to be told any more; but for what is being sent just now: that may arrive."""
        running = {name: batch for name, batch in self._open.items() if batch.running}
        held = [*self._pool.values(), *self._behind.values(), *(one for ends in self._ends.values() for one in ends)]
        held += [one for name, batch in self._open.items() if name not in running for one in batch.owed]
        self._open = running
        for kept in (self._pool, self._urgent, self._others, self._behind, self._members, self._ends, self.standing):
            kept.clear()
        return [one for one in held if not one.settled]

    # What comes -------------------------------------------------------------------------------------------------------------------

    def add(self, owed: Owed, since: float) -> None:
        """Take a notice that is kept, and has waited since a moment; word that an alert is over is then for `promote`."""
        if owed.notice.status == RESOLVED:
            owed.place = Place.BEHIND
            self._behind[owed.notice.key] = owed
        else:
            self._gather(owed, since)

    def go_on(self, name: str, owed: Iterable[Owed], due: float) -> None:
        """Take up a message of an earlier run."""
        batch = Batch(name, by_gravity(owed), due)
        for one in batch.owed:
            one.place = Place.BATCH
        self._open[name] = batch
        self.join(batch.owed)

    def join(self, owed: Iterable[Owed]) -> None:
        """Note who is told of as one."""
        for one in owed:
            thread = thread_of(one.notice.batch)
            if thread and one.notice.status != RESOLVED and self.channel.send_resolved:
                self._members.setdefault(thread, set()).add(_member(one))

    def leave(self, chain: Iterable[Owed], now: float) -> None:
        """Note that an alert is over of which nobody was told, and so nobody hears that."""
        for one in chain:
            self._leave(one, thread_of(one.notice.batch), now)

    def withdraw(self, owed: Owed, now: float) -> bool:
        """Take a notice back that nobody needs any more; whether it was early enough: what only a limit or a fault held back goes."""
        if owed.place is Place.POOL and now < max(min(self._newest + GATHER_S, owed.since + GATHER_MOST_S), self._held()):
            self._remove(owed)
            return True
        return owed.place is Place.MADE

    def promote(self, now: float) -> list[Notice]:
        """Let those go that were behind what is settled now: word that an alert is over, if anybody was told of it.

        Returns:
            Notices that changed by that.
        """
        dropped: list[Notice] = []
        for one in [one for one in self._behind.values() if all(first.settled for first in one.after)]:
            del self._behind[one.notice.key]
            thread = thread_of(one.notice.batch) or next(filter(None, (thread_of(first.notice.batch) for first in one.after)), "")
            if not (one.heard or any(first.told for first in one.after)):
                dropped.append(one.become(state=DROPPED))
            elif thread:
                one.become(batch=end_name(thread))  # where that was not clear before what came first was sent
                self._ends.setdefault(thread, []).append(one)
            else:
                self._gather(one, now)
            one.after = ()
            self._leave(one, thread, now)
        return dropped

    def _leave(self, one: Owed, thread: str, now: float) -> None:
        """One of those that were told of as one is over: when all of them are, that is told."""
        if not thread:
            return
        members = self._members.get(thread, set())
        members.discard(_member(one))
        if not members:
            self._members.pop(thread, None)
            for end in self._ends.pop(thread, ()):
                self._gather(end, now)

    def _gather(self, owed: Owed, now: float) -> None:
        key, other = owed.notice.key, owed.notice.status != FIRING
        urgent = not other and self._hold.urgent(owed.notice.alert, now)
        if not self._pool:
            self._first = self._newest = now
        elif (other and not self._others) or (urgent and not self._urgent):  # what is held does not hurry what is not
            self._first = now
        owed.place, owed.since, self._newest = Place.POOL, now, max(self._newest, now)
        self._pool[key] = owed
        if urgent:
            self._urgent.add(key)
        if other:
            self._others.add(key)

    def _remove(self, owed: Owed) -> None:
        del self._pool[owed.notice.key]
        self._urgent.discard(owed.notice.key)
        self._others.discard(owed.notice.key)

    # When it goes -----------------------------------------------------------------------------------------------------------------

    def _ripe(self) -> float:
        """When what gathered would go, as far as it is for that to say."""
        ripe = min(self._newest + GATHER_S, self._first + GATHER_MOST_S)
        return ripe if self._others else max(ripe, self._held())

    def _held(self) -> float:
        """Until when what fires waits, so soon after a message."""
        if self._each or self.channel.refresh_s:  # those that group for themselves are told of each as it comes
            return -inf
        return self._hold.until(urgent=bool(self._urgent))

    def _ready(self) -> float:
        """When the next message can be made, all told."""
        if not self._pool:
            return inf
        return max(self._ripe(), self._bucket.ready(), self._not_before, self._place_free())

    @property
    def _full(self) -> bool:
        return len(self._open) >= (EACH_OPEN if self._each else OPEN)

    def _place_free(self) -> float:
        """From when on there is a place for one more message."""
        if not self._full:
            return -inf
        return self._probe_at if all(batch.failed for batch in self._open.values()) else inf

    def due(self) -> float:
        """When there is something to do next, unless something comes before."""
        dues = [max(batch.due, self._not_before) for batch in self._open.values() if self._may_go(batch)]
        return min(self._ready(), self._refresh_due(), *dues) if dues else min(self._ready(), self._refresh_due())

    def form(self, now: float) -> list[Batch]:
        """Make messages of what is ready: to be kept, then `release`d."""
        formed: list[Batch] = []
        if now < self._ready():
            return formed
        for name, owed in self._parts():
            if now < self._place_free() or not self._bucket.take(now):
                break
            formed.append(self._formed(name, owed, now))
        return formed

    def _parts(self) -> list[tuple[str, list[Owed]]]:
        """What goes together, by name."""
        pool = by_gravity(self._pool.values())
        if not self._each:
            return [(batch_name(pool), pool)]
        parts: list[tuple[str, list[Owed]]] = []
        fires = [one for one in pool if one.notice.status == FIRING]
        if len(fires) > EACH_BURST:
            parts.append((batch_name(fires, group=True), fires))
        else:
            parts += [(batch_name([one]), [one]) for one in fires]
        threads: dict[str, list[Owed]] = {}
        for one in pool:
            if one.notice.status != FIRING:
                threads.setdefault(one.notice.batch or one.notice.key, []).append(one)
        for name, owed in threads.items():
            over = owed[0].notice.status == RESOLVED
            parts.append((name if over or not thread_of(name) else batch_name(owed, thread=thread_of(name)), owed))
        return parts

    def _formed(self, name: str, owed: Sequence[Owed], now: float) -> Batch:
        if self._full:
            self._probe_at, self._probe_s = now + self._probe_s, min(2 * self._probe_s, PROBE_MOST_S)
        batch = self._open[name] = Batch(name, owed, now + KEEP_S)
        for one in owed:
            self._remove(one)
            one.become(batch=name)
            one.place = Place.BATCH
        self.join(owed)
        self._hold.made((one.notice.alert for one in owed if one.notice.status == FIRING), now)
        return batch

    def release(self, batches: Iterable[Batch], now: float) -> None:
        """Let new messages go: it is kept what is in them."""
        for batch in batches:
            if not batch.running and not batch.tries:
                batch.due = min(batch.due, now)

    def attempts(self, now: float) -> list[Batch]:
        """Messages that are to be tried now."""
        if now < self._not_before:
            return []
        found = [batch for batch in self._open.values() if batch.due <= now and self._may_go(batch)]
        if now >= self._refresh_due():
            owed = by_gravity(one for one in self.standing.values() if one.notice.state == SENT)
            self._refreshed, self._refresh_at = frozenset(one.notice.alert.id for one in owed), now + self.channel.refresh_s
            found.append(Batch(f"{batch_name(owed)}-{self._refresh_at:.3f}", owed, now, refresh=True))
        for batch in found:
            batch.begin(now)
        return found

    def drop_muted(self, now: float) -> list[Notice]:
        """Leave out of messages that are due what is muted by now, and certainly not taken yet; returns the notices that changed."""
        dropped: list[Notice] = []
        for batch in [batch for batch in self._open.values() if batch.due <= now and not batch.running]:
            if any(one.doubt for one in batch.owed):
                continue  # as it was it may have been taken: the same goes again
            muted = [one for one in batch.owed if one.latest.muted and one.notice.status != RESOLVED]
            for one in muted:
                dropped.append(one.become(state=DROPPED))
                self._leave(one, thread_of(batch.name), now)
            if muted:
                batch.owed = tuple(one for one in batch.owed if not one.settled)
            if not batch.owed:
                del self._open[batch.name]
        return dropped + self.promote(now) if dropped else []

    def _may_go(self, batch: Batch) -> bool:
        """Whether it can be tried. No end of an alert beside word that it still fires: the other way round that would begin it anew."""
        if batch.running:
            return False
        return not any(one.notice.status == RESOLVED and one.notice.alert.id in self._refreshed for one in batch.owed)

    def _refresh_due(self) -> float:
        if not self.channel.refresh_s or self._refreshed or not any(one.notice.state == SENT for one in self.standing.values()):
            return inf
        return max(self._refresh_at, self._not_before)

    # What becomes of it -----------------------------------------------------------------------------------------------------------

    def sent(self, batch: Batch, now: float, at: float) -> list[Notice]:
        """A message was taken.

        Args:
            batch: Which one.
            now: The moment, of the clock that is never set.
            at: The same moment, epoch seconds.

        Returns:
            The notices that changed, to be kept.
        """
        self.error = ""
        self._probe_at, self._probe_s = -inf, PROBE_S
        if batch.refresh:
            self._refreshed = frozenset()
            return []
        del self._open[batch.name]
        if self._refresh_at <= now:
            self._refresh_at = now + self.channel.refresh_s
        changed = [one.become(state=SENT, sent_at=at, due_at=at, tries=batch.tries, error="") for one in batch.owed]
        return changed + self.promote(now)

    def failed(self, batch: Batch, error: SendError, now: float, at: float) -> list[Notice]:
        """A message was not taken; see `sent`."""
        if not self.error:
            self.failing = now
        self.error = safe(str(error), ERROR_CHARS) or "failed"
        self._not_before = max(self._not_before, now + asked_s(error))
        if batch.refresh:
            self._refreshed = frozenset()
            return []
        if batch.put_off(error, now, self._chance()):
            return [one.become(tries=batch.tries, error=self.error, due_at=at + batch.due - now) for one in batch.owed]
        del self._open[batch.name]
        changed = [one.become(state=FAILED, tries=batch.tries, error=self.error) for one in batch.owed]
        return changed + self.promote(now)

    def forget(self, batch: Batch) -> None:
        """An attempt was broken off by the end of the program: nothing is known of it."""
        batch.running = False

    @property
    def waiting(self) -> int:
        """Notices that are not settled."""
        held = len(self._pool) + len(self._behind) + sum(map(len, self._ends.values()))
        return held + sum(len(batch.owed) for batch in self._open.values())


def _bucket(channel: Channel) -> Bucket:
    return Bucket(EACH_BURST, EACH_RATE_S) if channel.each else Bucket(BURST, RATE_S)


def _member(owed: Owed) -> str:
    """Of an alert that is told of with others: its occurrence, as the key of the word that it fires."""
    notice = owed.notice
    return notice.key if notice.status == FIRING else notice_key(notice.channel, notice.alert, FIRING)
