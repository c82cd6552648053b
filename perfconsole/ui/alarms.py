"""Alerts wherever one is in the console: the news that something fires, the bell, and taking on or silencing what the screen shows."""

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from textual.events import Event, Key

from perfconsole.core.requests import ALERT_ACK, ALERT_SILENCE, RULE_EDIT
from perfconsole.core.tick import Alert, Rule
from perfconsole.ui.bell import Bell, sequence
from perfconsole.ui.moments import MomentsApp
from perfconsole.ui.newly import Newly, News, news
from perfconsole.ui.settings import Settings
from perfconsole.ui.verdict import judge, rules, runbook

if TYPE_CHECKING:
    from perfconsole.ui.screens.base import ConsoleScreen

_NEWS_S: Final = 10.0

ALERT_OPS: Final = {"alert.ack": ALERT_ACK.name, "alert.silence": ALERT_SILENCE.name}


class AlarmsApp(MomentsApp, inherit_bindings=False):
    """An app that says it when an alert fires.

    Attributes:
        settings: How the console is to be.
        news: What a banner in the footer says; None when there is nothing new, or it was seen.
    """

    settings: Settings
    news: News | None = None
    _newly: Newly
    _bell: Bell

    @property
    def front(self) -> "ConsoleScreen | None":
        """The console's screen that is on view."""
        raise NotImplementedError

    @property
    def user(self) -> str:
        """Who acts here, as it is written down."""
        return self.settings.user or "somebody"

    # News -------------------------------------------------------------------------------------------------------------------------

    def hear(self) -> None:
        """Take from the present what fires newly: tell it, and ring."""
        state = self.pump.live
        fresh = self._newly.look(state)
        if not fresh:
            return
        told = news(state, fresh)
        self._ring(f"{told.severity}: {told.text}")
        if self.front is None or self.front.SCOPE != "alerts" or self.pump.past:
            self._say(told)

    def _say(self, told: News) -> None:
        self.news = told
        self._show_news()

        def over() -> None:
            if self.news is told:
                self.hush()

        self.set_timer(_NEWS_S, over)

    def hush(self) -> None:
        """It was seen."""
        if self.news is not None:
            self.news = None
            self._show_news()

    def _show_news(self) -> None:
        if self.front and self.front.is_mounted:
            self.front.footer.show(self.state)

    async def on_event(self, event: Event) -> None:
        """Any key says that somebody looks."""
        if isinstance(event, Key):
            self.hush()
        await super().on_event(event)

    def _ring(self, text: str) -> None:
        """Have the terminal call somebody, if that is wanted; through the driver, for nothing else may write to the terminal."""
        sound = sequence(self.settings.bell, text, tmux=bool(os.environ.get("TMUX")))
        if sound and self._driver is not None and self._bell.may_ring(time.monotonic()):
            self._driver.write(sound)

    # Acting -----------------------------------------------------------------------------------------------------------------------

    @property
    def meant(self) -> Sequence[Alert]:
        """The alerts that an action is about: what is selected, or shown in detail; else the worst, which the header tells."""
        chosen: Sequence[Alert] = getattr(self.front, "chosen", ())
        return chosen or judge(self.state).alerts[:1]

    async def do_alert_ack(self) -> None:
        """Take on what is meant, or give it back."""
        from perfconsole.ui.screens.alert_dialogs import acknowledge  # noqa: PLC0415  only when asked

        await acknowledge(self, self.meant)  # type: ignore[arg-type]  # the console's app is the only one of these

    async def do_alert_silence(self) -> None:
        """Silence what is meant."""
        from perfconsole.ui.screens.alert_dialogs import silence  # noqa: PLC0415  only when asked

        await silence(self, self.meant)  # type: ignore[arg-type]  # likewise

    @property
    def changeable(self) -> Rule | None:
        """The rule of what is selected, where it may be changed from here."""
        chosen: Sequence[Alert] = getattr(self.front, "chosen", ())
        stream = self.state.stream
        if not chosen or stream is None or stream.read_only or not self.offers(RULE_EDIT.name):
            return None
        return rules(self.state).get(chosen[0].rule)

    async def do_alert_edit(self) -> None:
        """Change the rule of what is selected."""
        from perfconsole.ui.screens.rule_dialog import RuleDialog  # noqa: PLC0415  only when asked

        if self.changeable:
            await self.push_screen(RuleDialog(self, self.changeable))  # type: ignore[arg-type]  # likewise

    def offers(self, op: str) -> bool:
        """Whether the source offers an operation."""
        raise NotImplementedError

    def copy_text(self, text: str) -> None:
        """Copy a text to the terminal's clipboard (OSC 52), and say so."""
        raise NotImplementedError

    def copy_runbook(self, alert: Alert) -> None:
        """Copy the address of the runbook of an alert: of its endpoint, or of its rule."""
        address = runbook(self.state, alert)
        if address:
            self.copy_text(address)
        else:
            self.tell(f'{alert.rule} has no runbook: runbook = "https://..." in its [[alert]]', "warning")
