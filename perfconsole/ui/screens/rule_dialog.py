"""Changing a rule where it is written: its keys in a form. What the configuration refuses stands in the form, and nothing is lost."""

from typing import TYPE_CHECKING, Final

from perfconsole.config.rule_text import rule_lines
from perfconsole.core import alert_words
from perfconsole.core.alert_requests import RuleArgs
from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.requests import RULE_EDIT, Done
from perfconsole.core.state import State
from perfconsole.core.tick import SEVERITIES, Rule
from perfconsole.ui.line import Line
from perfconsole.ui.screens.form import Field, FormDialog
from perfconsole.ui.verdict import rules

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp

_PRESETS: Final = {"severity": tuple(reversed(SEVERITIES)), "enabled": ("true", "false")}
_HINTS: Final = {
    "for": "how long before it fires: 5m", "clear": "where it is over; without: at the limit",
    "keep_firing_for": "without: a third of for, at most 5m", "respond_within": "without: 5m critical, 1h warning",
    "runbook": "https://...",
}  # fmt: skip


def written(rule: Rule) -> dict[str, str]:
    """What a configuration has of a rule, key by key, without the quotes."""
    pairs = (line.partition(" = ") for line in rule_lines(rule))
    return {name: _unquoted(value) for name, equals, value in pairs if equals and not name.startswith("#")}


def _unquoted(value: str) -> str:
    return value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if value[:1] == '"' else value


class RuleDialog(FormDialog):
    """A rule's keys as they are written; those that are not the same any more are sent, an empty one is taken away.

    Args:
        app: The app.
        rule: The rule, as it is in force.
    """

    TITLE_TEXT = "Change a rule"
    TROUBLE_LINES = 3

    def __init__(self, app: "ConsoleApp", rule: Rule) -> None:
        super().__init__()
        self._main = app
        self.rule = rule
        self._before = {"enabled": "true"} | written(rule)
        limit = "above" if rule.above else "below"
        names = ("severity", limit, "for", "clear", "keep_firing_for", "respond_within", "runbook", "enabled")
        self.fields = [Field(name, self._before.get(name, ""), presets=_PRESETS.get(name, ()), hint=_HINTS.get(name, "")) for name in names]
        self._at = 1
        self._waiting = False
        self.wanted_height = 19

    @property
    def changes(self) -> tuple[tuple[str, str], ...]:
        """What is to be written otherwise than it is."""
        found = ((field.name, field.text.strip()) for field in self.fields)
        return tuple((name, text) for name, text in found if text != self._before.get(name, ""))

    # Drawing ----------------------------------------------------------------------------------------------------------------------

    def who(self, state: State, *, brief: bool) -> list[Line]:
        """Which rule, what it looks at, and where it is written."""
        box, rule = self.box, self.rule
        first = box.inner().put(rule.name, "title").gap(2).put(f"{rule.metric} {self._looks_at()}".rstrip(), "dim")
        second, now = box.inner(), rules(state).get(rule.name)
        if now is None:
            second.put("not in force any more", "warning_bar")
        elif rule_lines(now) != rule_lines(rule):
            second.put("it was changed meanwhile: what stands here is what it was", "warning_bar")
        elif rule.source:
            second.put("written in ", "dim").put(alert_words.written(rule))
        else:
            second.put("ships: a copy will be written to the configuration", "foreground")
        return [first, second] if brief else [first, second, box.inner()]

    def _looks_at(self) -> str:
        stat = "" if self.rule.stat == "last" else f"{self.rule.stat} over {alert_words.short(self.rule.over_s)}"
        return "  ".join(filter(None, (stat, alert_words.matcher(self.rule.match))))

    def rest(self) -> list[Line]:
        """What comes of it."""
        changed = self.changes
        told = "an empty key is taken away; what is changed is in force at once"
        return [self.box.inner().put(f"to be written: {', '.join(name for name, _ in changed)}" if changed else told, "dim")]

    def keys(self) -> str:
        """What the keys do, or that it is being done."""
        if self._waiting:
            return f"writing{self.box.look.glyphs.ellipsis}   Esc close"
        return "Tab next field   Enter write it   Esc cancel"

    # Doing it ---------------------------------------------------------------------------------------------------------------------

    def press(self, key: str, character: str | None) -> None:
        """What has been sent stays as it was sent until there is an answer."""
        if not self._waiting:
            super().press(key, character)

    def do(self) -> bool:
        """Ask for it. The form stays until the answer is there."""
        if self._waiting:
            return False
        if not self.changes:
            self.trouble = "nothing is changed"
            return False
        self._waiting = True
        self._main.run_worker(self._ask())
        return False

    async def _ask(self) -> None:
        try:
            result = await self._main.source.request(RULE_EDIT.name, RuleArgs(self.rule.name, self.changes))
        except PerfconsoleError as error:
            self._refused(str(error))
            return
        if self.is_current:
            self.dismiss(None)
        # The answer begins with the way to the file, which may be longer than the line: what was done comes before it.
        self._main.tell("  ".join(filter(None, (f"{self.rule.name} is changed", result.text if isinstance(result, Done) else ""))))

    def _refused(self, why: str) -> None:
        self._waiting = False
        first, *others = why.splitlines()
        told = f"{first}  (and {len(others)} more)" if others else first
        if self.is_current:
            self.trouble = told
            self.redraw()
        else:
            self._main.tell(told, "critical")
