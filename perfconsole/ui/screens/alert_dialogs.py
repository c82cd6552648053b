"""The dialogs about alerts: take one on or give it back, silence it, end a silence. Bound to the alert as it was when they were opened.

An acknowledgement is of one occurrence: of an alert that ended meanwhile and fired again it is refused by the engine, which compares.
"""

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from perfconsole.core import alert_words, units
from perfconsole.core.alert_requests import AckArgs, SilenceArgs, UnsilenceArgs
from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.requests import ALERT_ACK, ALERT_SILENCE, ALERT_UNSILENCE, Done
from perfconsole.core.state import State
from perfconsole.core.tick import Alert, Silence
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.screens.form import Field, FormDialog
from perfconsole.ui.verdict import began, said
from perfconsole.ui.widgets.detail import day_and_time
from perfconsole.ui.widgets.header import clock

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp

PRESETS: Final = ("15m", "1h", "4h", "1d")
_SHORTEST_S, _LONGEST_S = 10.0, 30 * 86_400.0
_DAY_S: Final = 86_400.0


async def acknowledge(app: "ConsoleApp", alerts: Sequence[Alert]) -> None:
    """Have it confirmed that somebody takes these on, or gives them back; returns when the dialog is open."""
    standing = [alert for alert in alerts if alert.state in {"firing", "pending"}]
    if standing:
        await app.push_screen(AckDialog(app, standing))
    else:
        app.tell("what is over cannot be acknowledged" if alerts else "no alert is firing", "warning")


async def silence(app: "ConsoleApp", alerts: Sequence[Alert]) -> None:
    """Have it said what is to notify nobody, for how long and why; returns when the dialog is open."""
    await app.push_screen(SilenceDialog(app, alerts))


async def end_silence(app: "ConsoleApp", found: Silence) -> None:
    """Have it confirmed that a silence ends; returns when the dialog is open."""
    await app.push_screen(EndSilenceDialog(app, found))


async def _act(app: "ConsoleApp", op: str, every: Sequence[Struct]) -> None:
    """Ask for each of some operations, and tell what came of them: of several, how many were done, and why one was not."""
    told, refused = "", ""
    done = 0
    for args in every:
        try:
            result = await app.source.request(op, args)
        except PerfconsoleError as error:
            refused = str(error).splitlines()[0]
        else:
            done += 1
            told = result.text if isinstance(result, Done) else ""
    if refused:
        app.tell(f"{done} of {len(every)} done: {refused}" if len(every) > 1 else refused, "critical")
    else:
        app.tell(told if len(every) == 1 else f"{done} alerts: {told}")


def common(alerts: Sequence[Alert]) -> tuple[tuple[str, str], ...]:
    """What matches all of these, and as little else as can be said: what their rules and labels have in common."""
    shared = dict(alert_words.about(alerts[0]))
    for alert in alerts[1:]:
        other = dict(alert_words.about(alert))
        shared = {name: text for name, text in shared.items() if other.get(name) == text}
    return tuple(shared.items())


class AlertDialog(FormDialog):
    """A dialog about one alert, or several of one rule."""

    def __init__(self, app: "ConsoleApp", alerts: Sequence[Alert]) -> None:
        super().__init__()
        self._main = app
        self.alerts = tuple(alerts)

    @property
    def alert(self) -> Alert | None:
        """The one it is about; of several the first; None for one about none."""
        return self.alerts[0] if self.alerts else None

    def who(self, state: State, *, brief: bool) -> list[Line]:
        """What is meant, since when, and what became of it."""
        box, alert = self.box, self.alert
        if alert is None:
            return []
        now = state.alerts.get(alert.id, None)
        first = box.inner().put(f"{box.look.glyph(alert.severity)} {WORDS[alert.severity]}", alert.severity).gap()
        first.put(alert_words.group_line(self.alerts) if len(self.alerts) > 1 else said(state, alert))
        second = box.inner().put("rule ", "dim").put(alert.rule)
        if len(self.alerts) == 1:
            second.put("  since ", "dim").put(clock(alert.since)).put(f"  {alert_words.lasting(alert, state.at, began(state))}", "dim")
        if len(self.alerts) == 1 and (now is None or now.since != alert.since or now.state == "resolved"):
            second.gap(2).put(f"{box.look.glyph('ok')} it is over", "ok")
        return [first, second] if brief else [first, second, box.inner()]


class AckDialog(AlertDialog):
    """Take it on, perhaps with a word; what one has taken on oneself is given back."""

    TITLE_TEXT = "Acknowledge"

    def __init__(self, app: "ConsoleApp", alerts: Sequence[Alert]) -> None:
        super().__init__(app, alerts)
        self.giving_back = all(alert.ack is not None and alert.ack.by == app.user for alert in self.alerts)
        if not self.giving_back:
            self.fields = [Field("note", hint="optional: what you are doing about it")]
        self.wanted_height = 9 + len(self.fields)

    def rest(self) -> list[Line]:
        """Who has it now."""
        box, acks = self.box, [alert.ack for alert in self.alerts if alert.ack]
        if not acks:
            return [box.inner().put(f"taken on by {self._main.user}; it goes on being watched, and ends with the alert", "dim")]
        last = acks[-1]
        who = "you" if last.by == self._main.user else last.by
        of = f"{len(acks)} of {len(self.alerts)} " if len(self.alerts) > 1 else ""
        line = box.inner().put(f"{of}taken on by {who} {clock(last.at)}", "foreground").put(f": {last.text}" if last.text else "", "dim")
        return [line]

    def keys(self) -> str:
        """What Enter does."""
        of = f" all {len(self.alerts)}" if len(self.alerts) > 1 else ""
        taken = any(alert.ack for alert in self.alerts)
        verb = "give it back" if self.giving_back else "take it over" if taken and not of else f"acknowledge{of}"
        return f"Enter {verb}   Esc cancel"

    def do(self) -> bool:
        """Ask for it."""
        text = self.fields[0].text.strip() if self.fields else ""
        by = "" if self.giving_back else self._main.user
        every = [AckArgs(alert.id, alert.since, by, text) for alert in self.alerts]
        self._main.run_worker(_act(self._main, ALERT_ACK.name, every))
        return True


class SilenceDialog(AlertDialog):
    """What is to notify nobody, for how long, and why: the last two are not optional, or nobody would know when it is over."""

    TITLE_TEXT = "Silence"

    def __init__(self, app: "ConsoleApp", alerts: Sequence[Alert]) -> None:
        super().__init__(app, alerts)
        match = alert_words.matcher(common(alerts)) if alerts else ""
        self.fields = [
            Field("match", match, hint="label=glob pairs, all have to match: endpoint=shop-*"),
            Field("for", "1h", presets=PRESETS), Field("reason", hint="why nobody is to be told"),
        ]  # fmt: skip
        self._at = 2 if alerts else 0
        self.wanted_height = 13 if alerts else 10

    def _match(self) -> tuple[tuple[str, str], ...]:
        labels = [name for alert in self.alerts[:1] for name, _ in alert.labels]
        return alert_words.read_matcher(self.fields[0].text, labels)

    def _for_s(self) -> float:
        for_s = units.parse_duration(self.fields[1].text.strip())
        if not _SHORTEST_S <= for_s <= _LONGEST_S:
            raise ValueError(f"{self.fields[1].text}: from 10s to 30d; what is never to be told is disabled: [alerts] disable")
        return for_s

    def rest(self) -> list[Line]:
        """Until when, by whom, and what of that which fires lies under it."""
        box, state = self.box, self._main.state
        try:
            match, for_s = self._match(), self._for_s()
        except ValueError:
            return [box.inner(), box.inner()]
        until = state.at + for_s
        made = Silence("", match, state.at, until, self._main.user, "")
        under = alert_words.covered(made, state.alerts)
        every = sum(not alert.colour and alert.state in {"firing", "pending"} for alert in state.alerts.values())
        told = f"{len(under)} of {every} that fire or are pending" if under else "nothing that fires now"
        when = day_and_time(until) if for_s >= _DAY_S else "" if isnan(until) else clock(until)[:5]
        first = box.inner().gap(9).put("covers ", "dim").put(told, "foreground" if under else "warning_bar")
        return [first, box.inner().gap(9).put(f"until {when}, by {self._main.user}", "dim")]

    def keys(self) -> str:
        """How it is filled in."""
        return "Tab next field   arrows choose a time   Enter silence   Esc cancel"

    def do(self) -> bool:
        """Ask for it, if it is complete."""
        reason = self.fields[2].text.strip()
        try:
            match = self._match()
        except ValueError as error:
            return self._refuse(0, str(error))
        try:
            for_s = self._for_s()
        except ValueError as error:
            return self._refuse(1, str(error))
        if not reason:
            return self._refuse(2, "a reason is needed: whoever finds it silent wants to know why")
        args = SilenceArgs(match, for_s, self._main.user, reason)
        self._main.run_worker(_act(self._main, ALERT_SILENCE.name, [args]))
        return True

    def _refuse(self, at: int, why: str) -> bool:
        self._at, self.trouble = at, why
        return False


class EndSilenceDialog(FormDialog):
    """Whether a silence is to end."""

    TITLE_TEXT = "End the silence"
    wanted_height = 9

    def __init__(self, app: "ConsoleApp", found: Silence) -> None:
        super().__init__()
        self._main = app
        self.silence = found

    def who(self, state: State, *, brief: bool) -> list[Line]:
        """Which one, by whom and why, and what it keeps quiet."""
        box, found = self.box, self.silence
        first = box.inner().put(alert_words.matcher(found.match), "title")
        second = box.inner().put("by ", "dim").put(found.by).put(f"  {clock(found.at)}", "dim").put(f"  {found.reason}")
        if all(other.id != found.id for other in state.silences):
            third = box.inner().put(f"{box.look.glyph('ok')} it has ended", "ok")
        else:
            under = len(alert_words.covered(found, state.alerts))
            ends = units.duration(max(0.0, found.until - state.at))
            third = box.inner().put(f"{under} alert{'' if under == 1 else 's'} under it; ends by itself in {ends}", "dim")
        return [first, second, third] if brief else [first, second, third, box.inner()]

    def keys(self) -> str:
        """What Enter does."""
        return "Enter end it now   Esc leave it"

    def do(self) -> bool:
        """Ask for it."""
        self._main.run_worker(_act(self._main, ALERT_UNSILENCE.name, [UnsilenceArgs(self.silence.id, self._main.user)]))
        return True
