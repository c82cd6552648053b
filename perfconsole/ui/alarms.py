"""Alerts wherever one is in the console: the news that something fires, the bell, and taking on or silencing what the screen shows."""

import os
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from textual.events import Event, Key

from perfconsole.core.requests import ALERT_ACK, ALERT_SILENCE, RULE_EDIT
from perfconsole.core.tick import Alert, Rule
from perfconsole.ui.bell import DESKTOP, Bell, sequence
from perfconsole.ui.moments import MomentsApp
from perfconsole.ui.newly import Newly, News, news
from perfconsole.ui.settings import Settings
from perfconsole.ui.verdict import Verdict, judge, rules, runbook

if TYPE_CHECKING:
    from perfconsole.ui.screens.base import ConsoleScreen

_NEWS_S: Final = 10.0
_LEAST_S: Final = 2.0
"""A key that was already on its way when something fired says nothing of its having been seen."""

Label = tuple[str, str]
"""Name and value."""

ALERT_OPS: Final = {"alert.ack": ALERT_ACK.name, "alert.silence": ALERT_SILENCE.name}


def of_one_rule(verdict: Verdict, label: Label) -> list[Alert]:
    """The alerts of one rule that fire with a label, for a dialog is about one alert or several of one rule.

    Of several rules the gravest that nobody is on yet; those that are muted only where no other fires.
    """
    for alerts in (verdict.alerts, verdict.muted):
        ours = [alert for alert in alerts if label in alert.labels]
        if ours:
            first = next((alert for alert in ours if alert.ack is None), ours[0])
            return [alert for alert in ours if alert.rule == first.rule]
    return []


class AlarmsApp(MomentsApp, inherit_bindings=False):
    """An app that says it when an alert fires.

    Attributes:
        settings: How the console is to be.
        news: What a banner in the footer says; None when there is nothing new, or it was seen.
    """

    settings: Settings
    news: News | None = None
    _told_at: float = 0.0
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
        self._ring(told)
        if self.front is None or self.front.SCOPE != "alerts" or self.pump.past:
            self._say(told)

    def _say(self, told: News) -> None:
        self.news, self._told_at = told, monotonic()
        self._show_news()
        self._hush_after(_NEWS_S)

    def _hush_after(self, seconds: float) -> None:
        """End what is told now, unless something else is by then."""
        told = self.news

        def over() -> None:
            if self.news is told:
                self.news = None
                self._show_news()

        self.set_timer(seconds, over)

    def hush(self) -> None:
        """It was seen, though not sooner than it could be read."""
        if self.news is None:
            return
        left_s = self._told_at + _LEAST_S - monotonic()
        if left_s > 0:
            self._hush_after(left_s)
        else:
            self.news = None
            self._show_news()

    def _show_news(self) -> None:
        if self.front and self.front.is_mounted:
            self.front.footer.show(self.state)

    async def on_event(self, event: Event) -> None:
        """Any key says that somebody looks, once there was time to."""
        if isinstance(event, Key):
            self.hush()
        await super().on_event(event)

    def _ring(self, told: News) -> None:
        """Call somebody, if that is wanted; by the terminal through the driver, for nothing else may write to that."""
        wanted, text = self.settings.bell, f"{told.severity}: {told.text}"
        if not wanted or self._driver is None or not self._bell.may_ring(monotonic()):
            return
        if sound := "".join(sequence(kind, text, tmux=bool(os.environ.get("TMUX"))) for kind in wanted):
            self._driver.write(sound)
        if DESKTOP in wanted:
            from perfconsole.ui import desktop  # noqa: PLC0415  only when one is called

            if os.environ.get(desktop.ADDRESS):  # where there is none, that was said at the start
                desktop.notify(told.severity, text, self._not_told)

    def _not_told(self, why: str) -> None:
        """Say that a call went wrong. From another thread; the app may have ended meanwhile."""
        with suppress(RuntimeError, CancelledError):
            self.call_from_thread(self.tell, why, "warning")

    # Acting -----------------------------------------------------------------------------------------------------------------------

    @property
    def concern(self) -> Label | None:
        """What the screen, or what is selected there, is about, as a label of its alerts; None where it is about everything."""
        return getattr(self.front, "concern", None)

    @property
    def meant(self) -> Sequence[Alert]:
        """The alerts that an action is about: what is selected, or shown in detail; else the worst, which the header tells.

        Where something else is looked at than the worst is about, it is never that one.
        """
        chosen: Sequence[Alert] = getattr(self.front, "chosen", ())
        if chosen:
            return chosen
        verdict = judge(self.state)
        return verdict.alerts[:1] if self.concern is None else of_one_rule(verdict, self.concern)

    def _none_is_meant(self) -> bool:
        """Whether nothing fires of what is looked at; that is told then."""
        if self.concern is None or self.meant:
            return False
        self.tell(f"no alert of {self.concern[1]} is firing", "warning")
        return True

    async def do_alert_ack(self) -> None:
        """Take on what is meant, or give it back."""
        if self._none_is_meant():
            return
        from perfconsole.ui.screens.alert_dialogs import acknowledge  # noqa: PLC0415  only when asked

        await acknowledge(self, self.meant)  # type: ignore[arg-type]  # the console's app is the only one of these

    async def do_alert_silence(self) -> None:
        """Silence what is meant."""
        if self._none_is_meant():
            return
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
