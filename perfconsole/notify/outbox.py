"""The outbox: takes what is told of alerts, and sees to it that everybody who should know does. The room's door.

Books decide who is owed what, a lane for each channel when it goes, the sender calls the channel. Here is what they share: a lock, the
clocks, and the order of things. A notice is sent only when it is kept, and what is in a message is kept before that is first tried: a
process that is killed at any moment goes on in its next run with the same message under the same key. What it could not write down any
more it sends again: at least once, under a key by which the receiver can tell.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from perfconsole.core import units
from perfconsole.core.notices import Notice
from perfconsole.core.tick import Alert, Rule
from perfconsole.notify.channel import Channel, Message, SendError
from perfconsole.notify.outbox_batch import Batch
from perfconsole.notify.outbox_books import Books
from perfconsole.notify.outbox_lane import Lane
from perfconsole.notify.outbox_owed import thread_of
from perfconsole.notify.sender import Parcel, Sender


class Keep(Protocol):
    """Has changed notices kept; called in the sender's thread, returns at once."""

    def __call__(self, notices: Sequence[Notice], kept: Callable[[], None] | None = None) -> None:
        """Keep them.

        Args:
            notices: Replace those with the same key.
            kept: Called, from any thread, once they are, or as soon as it is clear that they cannot be yet.
        """


class Given(NamedTuple):
    """What an outbox takes from the world.

    Attributes:
        clock: Epoch seconds.
        steady: Seconds of a clock that is never set: what is waited for is counted by it.
        chance: A random number from 0 to 1.
    """

    clock: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


_WORLD: Final = Given()


class _Tag(NamedTuple):
    """Whose attempt it is."""

    lane: Lane
    batch: Batch


class Outbox:
    """Decides who is owed word of what, and sends it; see `core.notices.Outbox`.

    Args:
        channels: Who can be told.
        rules: By name: whom they tell, and within what time somebody should answer.
        keep: Has changed notices kept.
        saved: What earlier runs left of notices.
        host: Name of the machine.
        given: Clocks and chance.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        rules: Mapping[str, Rule],
        keep: Keep,
        saved: Sequence[Notice] = (),
        *,
        host: str = "",
        given: Given = _WORLD,
    ) -> None:
        self._keep, self._host = keep, host
        self._clock, self._steady, self._chance = given
        self._lanes = {channel.name: Lane(channel, self._chance) for channel in channels}
        self._books = Books(self._lanes, rules)
        self._lock = threading.Lock()
        self._closed = False
        self._books.restore(saved, self._clock(), self._steady())
        self._next = -inf  # the first tick looks whether earlier runs left something
        self._sender = Sender(channels, self._due, self._done)

    # From the engine --------------------------------------------------------------------------------------------------------------

    def take(self, alerts: Sequence[Alert], at: float) -> list[Notice]:
        """Take what a tick told of alerts; returns notices that are new or changed: to be kept, then given to `send`."""
        now = self._steady()
        if not alerts and now < self._next:
            return []
        with self._lock:
            changed = self._books.take(alerts, at, now)
            first, self._next = self._next == -inf, self._books.due
            waiting = first and self._busy
        if waiting:
            self._sender.wake()
        return changed

    def resume(self, alerts: Sequence[Alert], at: float) -> list[Notice]:
        """Make good what is owed after a start: whoever was not told of what stands is, and whoever was of what does not any more.

        Args:
            alerts: Those that stand, as they were told last.
            at: Epoch seconds.

        Returns:
            Notices that are new or changed: to be kept, then given to `send`.
        """
        with self._lock:
            changed = self._books.resume(alerts, at, self._steady())
            self._next = self._books.due
            waiting = self._busy
        if waiting:
            self._sender.wake()
        return changed

    def send(self, notices: Sequence[Notice]) -> None:
        """Send these, now that they are kept. From any thread."""
        if not notices:
            return
        with self._lock:
            changed = self._books.keep((notice.key for notice in notices), self._steady())
            waiting = self._busy
        self._have_kept(changed)
        if waiting:
            self._sender.wake()

    def use(self, channels: Sequence[Channel]) -> list[Notice]:
        """Tell these from now on; a channel that is the same object goes on as if nothing had happened. From any thread.

        What is owed to one of the same name is owed still, by whatever it is told now. Whoever is new is owed word of what stands once
        that is told again (see `take`).

        Args:
            channels: All that there are from now on.

        Returns:
            What was owed to those that are no more: dropped, and kept as that.
        """
        dropped: list[Notice] = []
        with self._lock:
            now = self._steady()
            others = {channel.name: channel for channel in channels}
            for name in self._lanes.keys() - others.keys():
                dropped += self._books.leave(name, self._lanes.pop(name).abandon())
            for name, channel in others.items():
                lane = self._lanes.get(name)
                if lane is None:
                    self._lanes[name] = Lane(channel, self._chance)
                elif lane.channel is not channel:
                    lane.use(channel, now)
                else:
                    continue
                self._books.join(name)
            waiting = self._busy
        self._sender.use(channels)
        self._have_kept(dropped)
        if waiting:
            self._sender.wake()
        return dropped

    def close(self) -> None:
        """Stop sending, within half a second; what waits is for the next run."""
        self._sender.close()
        with self._lock:
            self._closed = True

    # For the screens --------------------------------------------------------------------------------------------------------------

    def health(self) -> list[tuple[str, str, str]]:
        """How each channel does: its name, ``ok`` or ``error``, and what there is to say; empty when that is nothing. From any thread."""
        with self._lock:
            now = self._steady()
            fault = self._sender.error
            return [(name, "error" if lane.error or fault else "ok", fault or _state(lane, now)) for name, lane in self._lanes.items()]

    @property
    def _busy(self) -> bool:
        return any(lane.due() < inf for lane in self._lanes.values())

    # In the sender's thread -------------------------------------------------------------------------------------------------------

    def _due(self) -> tuple[list[Parcel], float]:
        with self._lock:
            now = self._steady()
            formed = [(lane, batch) for lane in self._lanes.values() for batch in lane.form(now)]
            notices = [owed.notice for _, batch in formed for owed in batch.owed]
        if formed:
            self._have_kept(notices, partial(self._kept, formed))
        with self._lock:
            now = self._steady()
            dropped = [notice for lane in self._lanes.values() for notice in lane.drop_muted(now)]
        self._have_kept(dropped)
        with self._lock:
            now, at = self._steady(), self._clock()
            parcels = [self._parcel(lane, batch, at) for lane in self._lanes.values() for batch in lane.attempts(now)]
            return parcels, max(min((lane.due() for lane in self._lanes.values()), default=inf) - now, 0.0)

    def _parcel(self, lane: Lane, batch: Batch, at: float) -> Parcel:
        notices = [replace(owed.notice, alert=owed.latest) if batch.refresh else owed.notice for owed in batch.owed]
        message = Message(batch.name, tuple(notices), self._host, at, thread=thread_of(batch.name))
        return Parcel(lane.channel, message, _Tag(lane, batch))

    def _kept(self, formed: Sequence[tuple[Lane, Batch]]) -> None:
        with self._lock:
            now = self._steady()
            for lane, batch in formed:
                lane.release([batch], now)
        self._sender.wake()

    def _done(self, parcel: Parcel, outcome: str | SendError | None) -> None:
        lane, batch = parcel.tag
        with self._lock:
            now, at = self._steady(), self._clock()
            if outcome is None:
                lane.forget(batch)
                return
            changed = lane.failed(batch, outcome, now, at) if isinstance(outcome, SendError) else lane.sent(batch, now, at)
            if self._lanes.get(lane.channel.name) is not lane:  # it was under way when its channel ceased to be
                changed += self._inherited(lane, batch, now)
        self._have_kept(changed)

    def _inherited(self, lane: Lane, batch: Batch, now: float) -> list[Notice]:
        """What is left of a message of a lane that is no more: dropped, or taken up by the one that came in its place meanwhile."""
        name, left = lane.channel.name, lane.abandon()
        heir = self._lanes.get(name)
        if heir is None:
            return self._books.leave(name, left)
        if left:
            heir.go_on(batch.name, left, batch.due)
        return heir.promote(now)

    def _have_kept(self, notices: Sequence[Notice], kept: Callable[[], None] | None = None) -> None:
        if notices and not self._closed:
            with suppress(Exception):  # a store at fault says so itself; the message goes all the same, a moment later
                self._keep(notices, kept)


def _state(lane: Lane, now: float) -> str:
    waiting = lane.waiting
    wait = f"{waiting} {'notice waits' if waiting == 1 else 'notices wait'}" if waiting else ""
    if not lane.error:
        return wait
    return f"failing for {units.duration(max(now - lane.failing, 0.0))}: {lane.error}" + (f"; {wait}" if wait else "")
