"""What changed, inside the engine that makes the ticks: each event once, bounded, kept for the next run; and what people add to it.

The stage stands behind the alert stage, whose transitions are events, too. Time enters only through ticks. All of it is on the engine's
thread and none of it waits: a store has a thread of its own. Sources that are no engine show the events of their ticks as they come.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from math import inf, isfinite, isnan
from typing import Final

from msgspec.structs import replace

from perfconsole.core.change_requests import NOT_KEPT, EventList, EventsArgs, MarkArgs
from perfconsole.core.changes import KINDS, Known, listed
from perfconsole.core.errors import RequestError
from perfconsole.core.marks import marked
from perfconsole.core.notices import Changes, EventStore, Saved
from perfconsole.core.ports import Operation
from perfconsole.core.requests import EVENT_LIST, EVENT_MARK, Done
from perfconsole.core.state import State
from perfconsole.core.tick import Alert, Event, Tick
from perfconsole.engine.alert_events import AlertEvents
from perfconsole.engine.clock import Clock
from perfconsole.engine.dispatch import PEER
from perfconsole.engine.flood import Flood

Listing = Callable[[EventsArgs], Awaitable[EventList]]
"""As `EventStore.events`, beside the loop."""

EARLY_S: Final = 5.0
"""So long after the start an alert may turn out to have fired before it: what seems to begin is told when that is known, or then."""

KEPT_S: Final = 2.0
"""Events of so long are kept with one commit: each is a sync of the disk. Marks are kept at once."""

LISTED: Final = 10_000

_LOOKED_AT: Final = 1000
"""Events of one tick that are looked at one by one, 5 ms; of more it is said that they were."""

_MARKS_A_MINUTE: Final = 200
_KEEPING_S: Final = 4.0
"""How long a mark waits for the disk, and for a store that a console opens only after its first frame."""

_STARTING_S: Final = 15.0


class Timeline:
    """Everything about events that is one engine's.

    Args:
        clock: The engine's.
        state: Gives the engine's state.
        hurry: Has the next tick closed at once.

    Attributes:
        operations: What can be asked and done.
    """

    def __init__(self, clock: Clock, state: Callable[[], State], hurry: Callable[[], None]) -> None:
        self._clock, self._state, self._hurry = clock, state, hurry
        self._known = Known()
        self._flood = Flood()
        self._alerts = AlertEvents()
        self._early: list[Alert] | None = []
        self._began = inf
        self._marks: list[Event] = []
        self._marked: list[float] = []
        self._saved: Saved | None = None
        self._store: EventStore | None = None
        self._listing: Listing | None = None
        self._stored = asyncio.Event()
        self._owed: list[Event] = []
        self._owed_since = inf
        self.operations = [Operation(EVENT_MARK, self._mark), Operation(EVENT_LIST, self._list)]

    def keep(self, store: EventStore, saved: Saved, listing: Listing | None) -> None:
        """From the next tick on know what was saved, and keep what comes.

        Args:
            store: Opened, and loaded.
            saved: What it gave.
            listing: Asks it; without, what the state holds is all that can be listed.
        """
        self._store, self._saved, self._listing = store, saved, listing
        self._stored.set()

    def close(self) -> None:
        """Have kept what is owed, and let go of the store; it is closed by who else has it."""
        if self._store:
            self._owed += [*self._flood.flush(), *self._alerts.flush()]
        self._put_owed()
        self._store = self._listing = None
        self._stored.clear()

    # On every tick ------------------------------------------------------------------------------------------------------------------

    def step(self, tick: Tick, transitions: Sequence[Alert], state: State) -> Tick:
        """The tick with what is told of the events in it.

        Args:
            tick: Just closed, and taken through the alert stage.
            transitions: What that made of it.
            state: With that tick applied but for its events, which it takes.
        """
        self._began = min(self._began, tick.boot)
        restored, before = self._restored(state)
        settled = self._settled(transitions, tick.boot)
        waiting = self._alerts.waiting or self._flood.waiting
        if not (tick.events or settled or self._marks or restored or waiting):
            self._put(before, tick.boot)
            return tick
        marks, self._marks = self._marks, []
        news = [mark for mark in marks if self._known.take(mark)]
        made = self._flood.step(self._fresh(tick.events, tick.at), tick.boot) + self._alerts.step(settled, tick.boot)
        for event in made:
            self._known.take(event)
        told = [*restored, *news, *made]
        self._put([*before, *made], tick.boot)
        if not (told or tick.events):
            return tick
        state.tell((), None, told)
        return replace(tick, events=told)

    def _restored(self, state: State) -> tuple[list[Event], list[Event]]:
        """What an earlier run knew and this one does not, and what was told before there was anybody to keep it."""
        saved, self._saved = self._saved, None
        if saved is None:
            return [], []
        known = {standing.alert.id for standing in saved.standings}
        if self._early is not None:  # what goes on from the last run did not begin now, as it seemed
            self._early = [alert for alert in self._early if alert.id not in known]
            self._began = -inf
        return [event for event in saved.events if self._known.take(event)], list(state.events)

    def _settled(self, transitions: Sequence[Alert], boot: float) -> Sequence[Alert]:
        """Transitions that are known for what they are."""
        if self._early is None:
            return transitions
        early = [*self._early, *transitions]
        self._early = None if boot - self._began >= EARLY_S else early
        return early if self._early is None else ()

    def _fresh(self, events: Sequence[Event], at: float) -> list[Event]:
        """Those that are news, none of them in the future; of very many in one tick only the first are compared with each other."""
        fresh, out = Known(), []
        for event in islice(events, _LOOKED_AT):
            clear = _clear(event, at)
            if not self._known.knows(clear) and fresh.take(clear):
                out.append(clear)
        return out + [_clear(event, at) for event in events[_LOOKED_AT:]]

    def _put(self, events: Iterable[Event], boot: float) -> None:
        """Have events kept, soon."""
        if self._store is None:
            return  # they are put from the state once there is one
        self._owed += events
        if not self._owed:
            return
        self._owed_since = min(self._owed_since, boot)
        if boot - self._owed_since >= KEPT_S or any(event.severity == "critical" for event in self._owed):
            self._put_owed()

    def _put_owed(self) -> None:
        owed, self._owed, self._owed_since = self._owed, [], inf
        if self._store and owed:
            self._store.put(Changes(events=owed))

    # On request ---------------------------------------------------------------------------------------------------------------------

    async def _mark(self, args: MarkArgs) -> Done:
        now = self._clock.now().at
        event = marked(args, PEER.get(), now)
        self._marked = [at for at in self._marked if 0 <= now - at < 60]
        if len(self._marked) >= _MARKS_A_MINUTE:
            raise RequestError(f"more than {_MARKS_A_MINUTE} marks within a minute", "mark what was done, not each of its steps")
        self._marked.append(now)
        self._marks.append(event)
        self._hurry()
        return await self._kept(event)

    async def _kept(self, event: Event) -> Done:
        """Once it is kept, or cannot be for now: it stands on the timeline in any case.

        Raises:
            RequestError: When it cannot be kept for now.
        """
        told = f"{event.kind}: {event.text}"
        try:
            async with asyncio.timeout(_KEEPING_S):
                if self._store is None and self._clock.now().boot - self._began < _STARTING_S:
                    await self._stored.wait()
                store = self._store
                if store is None:
                    return Done(f"{told}; {NOT_KEPT}")
                loop, kept = asyncio.get_running_loop(), asyncio.Event()
                store.put(Changes(events=(event,)), lambda: _call(loop, kept.set))
                await kept.wait()
        except TimeoutError:
            if self._store is None:
                return Done(f"{told}; {NOT_KEPT}")
            raise _unkept(event, "the disk does not answer") from None
        if store.error:
            raise _unkept(event, store.error)
        return Done(told)

    async def _list(self, args: EventsArgs) -> EventList:
        if isnan(args.since) or isnan(args.until):
            raise RequestError("events from when to when?", "two moments, epoch seconds")
        if len(args.kinds) > len(KINDS):  # a database has only so much room in a question
            raise RequestError(f"events of {len(args.kinds)} kinds?", f"there are {len(KINDS)}; without any all are meant")
        wanted = replace(args, limit=max(0, min(args.limit, LISTED)))
        held = self._state().events
        if self._listing is None:
            return listed(held, wanted)
        self._put_owed()  # whoever asks is told of what came just now, too
        found = await self._listing(wanted)
        if len(found.events) > len(held):
            return found
        # A file that cannot be read tells nothing, and what stands on this timeline is known all the same.
        both = listed([*found.events, *self._state().events], wanted)
        return replace(both, more=found.more or both.more)


def _unkept(event: Event, why: str) -> RequestError:
    return RequestError(f"the {event.kind} is shown, but could not be kept yet: {why}")


def _clear(event: Event, at: float) -> Event:
    """An event whose times make sense: known, in order, and not in the future."""
    hi = min(event.time_hi, at) if isfinite(event.time_hi) else at
    lo = min(event.time_lo, hi) if isfinite(event.time_lo) else hi
    return event if (lo, hi) == (event.time_lo, event.time_hi) else replace(event, time_lo=lo, time_hi=hi)


def _call(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have something done on a loop, unless that has ended: from the store's thread."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return
