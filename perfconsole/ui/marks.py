"""Marks and notes that people set, and steps from one thing that changed to the next: on every screen, now or at a moment of the past."""

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

from textual.events import Key

from perfconsole.core.change_requests import EventList, EventsArgs, MarkArgs
from perfconsole.core.ports import Source
from perfconsole.core.requests import EVENT_LIST, EVENT_MARK, POSTGRES_MARK, Done, ServerArgs
from perfconsole.core.tick import Event
from perfconsole.ui import changes
from perfconsole.ui.alarms import AlarmsApp
from perfconsole.ui.changes import Timeline
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.places import servers

if TYPE_CHECKING:
    from msgspec import Struct


class MarksApp(AlarmsApp, inherit_bindings=False):
    """An app that puts marks on the timeline, and follows it.

    Attributes:
        timeline: All that was learnt of what changed: of a recording also what lies after the moment that is looked at.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.timeline = Timeline()
        self._standing: tuple[Event, object] | None = None
        self._listed: tuple[float, float] | None = None

    async def ask(self, op: str, args: "Struct") -> "Struct | None":
        """Run an operation; a refusal is told, and gives None."""
        raise NotImplementedError

    def learn(self) -> None:
        """Remember what the state that is drawn tells, where it is about to be another one's turn."""
        if self.replaying:
            self.timeline.learn(self.state.events)

    def on_key(self, event: Key) -> None:
        """What is typed right after the key of a prompt goes to what had the keys before; it ends up here, and is meant for the prompt."""
        take = getattr(self.screen, "take", None)
        if take and take(event):
            event.prevent_default()

    # Marks and notes --------------------------------------------------------------------------------------------------------------

    @property
    def may_mark(self) -> bool:
        """Whether something can be put on the timeline, also while a moment is held: it is set at that moment then."""
        stream = self.state.stream
        return stream is not None and EVENT_MARK.name in stream.ops

    def counted(self) -> Sequence[str]:
        """The PostgreSQL servers whose statements a mark counts from: the one that is looked at, or all."""
        if not self.offers(POSTGRES_MARK.name):
            return ()
        own: Sequence[str] | None = getattr(self.front, "counted", None)
        return own if own is not None else [health.target for health in servers(self.state)]

    async def do_mark(self) -> None:
        """Ask what was done, put it on the timeline, and count from here; without words only that."""
        if not self.may_mark:
            await self._count()
            return
        label = "mark: what was done" + (" (Enter: only count from here)" if self.counted() else "")
        await self._ask_for(label, "mark")

    async def do_note(self) -> None:
        """Ask what was found out, and put it on the timeline."""
        await self._ask_for("note: what was found out", "note")

    async def _ask_for(self, label: str, kind: str) -> None:
        from perfconsole.ui.screens.prompt import Prompt  # noqa: PLC0415  only when asked

        at = self.pump.past.at if self.pump.past else nan  # the moment at which the key was pressed, however long the words take
        held = f" at {clock(at)}" if self.pump.past else ""

        def take(text: str | None) -> None:
            if text is not None:
                self.run_worker(self._set(text.strip(), kind, at))

        before, _, after = label.partition(":")
        await self.push_screen(Prompt(f"{before}{held}:{after}"), take)

    async def _set(self, text: str, kind: str, at: float) -> None:
        if kind == "mark":  # first: what keeps a mark may have to wait for its disk
            await self._count(quietly=bool(text))
        if text:
            done = await self.ask(EVENT_MARK.name, MarkArgs(text, kind, self.user, at))
            if isinstance(done, Done):
                self.tell(done.text)

    async def _count(self, *, quietly: bool = False) -> None:
        """Have statements counted from here on, at the servers that are meant."""
        for server in self.counted():
            done = await self.ask(POSTGRES_MARK.name, ServerArgs(server))
            if isinstance(done, Done):
                marked = getattr(self.front, "marked", None)
                if marked:
                    marked(server)
                if not quietly:
                    self.tell(done.text)

    # Steps ------------------------------------------------------------------------------------------------------------------------

    async def do_alert_next(self) -> None:
        """Go on to the next alert, mark, note or warning."""
        await self._step_on(1)

    async def do_alert_previous(self) -> None:
        """Go back to the one before."""
        await self._step_on(-1)

    async def _step_on(self, steps: int) -> None:
        """To the next alert, mark, note or warning: in a recording the moment goes there; one that is held stays, and it is told."""
        await self._list_all()
        self.timeline.learn(self.state.events)
        events = [one.event for one in self.timeline.changes if changes.notable(one.event)]
        at = changes.stepped(events, self.state.at, self._stood, steps)
        if at is None:
            self.tell(f"no {'later' if steps > 0 else 'earlier'} alert or mark is known", "warning")
            return
        told = f"{changes.said(events[at], self.state.at)} ({at + 1} of {len(events)})"
        if not self.go_to_event(events[at]):
            self._standing = (events[at], self._moment)
            told += f", held at {clock(self.state.at)}: only a recording goes there"
        self.tell(told)
        choose = getattr(self.front, "choose_change", None)
        if choose:
            choose(events[at])

    @property
    def _stood(self) -> Event | None:
        """What the last step led to, as long as nothing else has been gone to since."""
        return self._standing[0] if self._standing and self._standing[1] == self._moment and not self._playing else None

    @property
    def _moment(self) -> object:
        """Which moment is asked for, or held."""
        return self._watch.at, self.state.at if self.frozen else None

    def go_to_event(self, event: Event) -> bool:
        """Go to the moment right after an event and stand there.

        Returns:
            Whether that can be done: only a recording has other moments.
        """
        past = self.pump.past
        if not self.replaying or past is None:
            return False
        first, last = (past.stream.recorded if past.stream else None) or (past.at, past.at)
        self._go_to(max(first, min(last, event.time_hi + changes.AFTER_S)))
        self._standing = (event, self._moment)
        return True

    async def _list_all(self) -> None:
        """Ask once for what else was recorded, where somebody can be asked: a moment knows only of what came before it."""
        span = self.state.stream.recorded if self.state.stream else None
        if span is None or span == self._listed or not self.offers(EVENT_LIST.name):
            return
        self._listed = span
        found = await self.ask(EVENT_LIST.name, EventsArgs(*span, changes.MOST))
        if isinstance(found, EventList):
            self.timeline.learn(found.events)
