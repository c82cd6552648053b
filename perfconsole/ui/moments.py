"""Time on the screen: the present, a held moment, a recording; and how far back the charts reach."""

import time
from math import inf, nextafter
from typing import Final

from textual.app import App

from perfconsole.core import units
from perfconsole.core.ports import Source, Watch
from perfconsole.core.series import HELD_S
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.ui.driver import ConsoleDriver
from perfconsole.ui.pump import Pump
from perfconsole.ui.spark import fitting_window
from perfconsole.ui.widgets.header import clock

WINDOWS: Final = (120.0, 300.0, 900.0, HELD_S)


class MomentsApp(App[int], inherit_bindings=False):
    """An app over a source of ticks: what is known now, what is looked at, and which moment of it is drawn.

    Textual's own keys are not inherited: ctrl+q would quit, where somebody who pressed ctrl+s means to go on.

    Attributes:
        source: Where ticks come from.
        pump: The states made of them.
        window_s: Seconds that sparklines and charts reach back.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(driver_class=ConsoleDriver)
        self.source = source
        self.pump = Pump(source, self.show_state)
        self.window_s = 900.0
        self._watch = Watch()

    def show_state(self, news: bool) -> None:
        """Bring what is on view up to date; `news` says whether anything but time has passed."""
        raise NotImplementedError

    def tell(self, text: str, role: str = "foreground") -> None:
        """Say something in passing."""
        raise NotImplementedError

    @property
    def state(self) -> State:
        """The state that is drawn."""
        return self.pump.state

    def silent_s(self) -> float:
        """Seconds since the source said anything, once that is too long."""
        return 0.0 if self.pump.past else self.pump.silent_s()

    def look_at_views(self, views: tuple[View, ...]) -> None:
        """Tell the source which tables are looked at."""
        watch = Watch(views, self._watch.at, self._watch.speed)
        if watch != self._watch:
            self._watch = watch
            self.source.watch(watch)

    @property
    def replaying(self) -> bool:
        """Whether what is looked at is a recording."""
        return self.pump.past is not None and self.pump.past.past

    @property
    def frozen(self) -> bool:
        """Whether a moment is held that was live."""
        return self.pump.past is not None and not self.pump.past.past

    def banners(self) -> list[str]:
        """What must not be overlooked, that this is not the present: from all of it to as little as tells the moment."""
        past = self.pump.past
        if past is None:
            return []
        if self.frozen:
            brief = f"FROZEN {clock(past.at)}"
            return [f"{brief}  live +{units.duration(self.pump.live.at - past.at)}", brief]
        span = past.stream.recorded if past.stream else None
        told = f"  of {clock(span[0])} - {clock(span[1])}" if span else ""
        how = "playing" if self._playing else "the end" if span and past.at >= span[1] else "standing"
        moment = f"REPLAY {time.strftime('%a %d %b', time.localtime(past.at))} {clock(past.at)}"
        return [f"{moment}{told}  {how}", f"{moment}  {how}", moment, f"REPLAY {clock(past.at)}"]

    @property
    def _playing(self) -> bool:
        """Whether the recording is being told on; a watch without a moment stands at its end."""
        return self._watch.at is not None and self._watch.speed > 0

    def look_when(self, at: float | None, speed: float) -> None:
        """Look at a moment of the recording, standing still or playing."""
        self._watch = Watch(self._watch.views, at, speed)
        self.source.watch(self._watch)

    def _go_to(self, at: float) -> None:
        """Go to a moment and stand there; also to the one from which it has been playing since: to a source only another one is news."""
        self.look_when(nextafter(at, inf) if at == self._watch.at else at, 0.0)

    def do_freeze(self) -> None:
        """Hold this moment, or go on; in a recording: stand still, or play."""
        if self.replaying:
            self.do_replay_play()
            return
        if self.frozen:
            self.pump.thaw()
        else:
            self.pump.freeze()
        self.show_state(True)

    def do_time_live(self) -> None:
        if self.frozen:
            self.do_freeze()

    def do_time_narrower(self) -> None:
        self._window(-1)

    def do_time_wider(self) -> None:
        self._window(1)

    def _window(self, step: int) -> None:
        at = WINDOWS.index(self.window_s) + step
        if 0 <= at < len(WINDOWS):
            self.window_s = WINDOWS[at]
            self.show_state(True)
            held_s = self.state.held_s
            so_far = f", {units.duration(held_s)} held so far" if fitting_window(held_s, self.window_s) < self.window_s else ""
            self.tell(f"time window {units.duration(self.window_s).removesuffix('00s')}{so_far}")

    def _step(self, intervals: float) -> None:
        past = self.pump.past
        if self.replaying and past and past.stream:
            first, last = past.stream.recorded or (past.at, past.at)
            self._go_to(max(first, min(last, past.at + intervals * past.stream.interval_s)))

    def do_time_back(self) -> None:
        self._step(-1)

    def do_time_forward(self) -> None:
        self._step(1)

    def do_replay_play(self) -> None:
        past = self.pump.past
        if past:
            self.look_when(past.at, 0.0 if self._playing else 1.0)
            self.show_state(True)

    async def do_time_go(self) -> None:
        """Ask for a moment of the recording, and go there."""
        from perfconsole.ui.screens.prompt import Prompt, read_time  # noqa: PLC0415  only when asked

        def go(text: str | None) -> None:
            past = self.pump.past
            if not text or not past:
                return
            try:
                self._go_to(read_time(text, past.at))
            except ValueError as error:
                self.tell(str(error), "warning")

        if self.replaying:
            await self.push_screen(Prompt("go to: 14:02  14:02:30  2026-11-23 14:02  -5m  +30s"), go)
