"""Alerts as a table lists them: what fires, what is kept quiet, what is under way, what is over, and silences; grouped in a storm. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from perfconsole.core import alert_words, units, words
from perfconsole.core.alert_order import rank
from perfconsole.core.endpoints import identity
from perfconsole.core.state import State
from perfconsole.core.tables import Key
from perfconsole.core.tick import Alert, Silence
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, by_pane
from perfconsole.ui.verdict import Verdict, judge

FIRING, MUTED, PENDING, RESOLVED, SILENCE = "firing", "muted", "pending", "resolved", "silence"
SECTIONS: Final = (FIRING, MUTED, PENDING, RESOLVED, SILENCE)
"""From what asks for a look to what does not; whatever they are sorted by, they stand in this order."""

_RESOLVED_HELD: Final = 200

WHAT_LEAST, WHAT_MOST = 26, 76
NOTE_LEAST, NOTE_MOST = 12, 44
HISTORY_LEAST, HISTORY_MOST = 12, 40
_PREFIX: Final = "  "

COLUMNS: Final = (
    Column("state", "STATE", "urgency", 10, 0, by_pane, right=False),
    Column("since", "FOR", "since", 9, 0, by_pane),
    Column("what", "WHAT", "what", WHAT_LEAST, 0, by_pane, right=False),
    Column("value", "NOW", "", 15, 4, by_pane),
    Column("history", "HISTORY", "", HISTORY_LEAST, 5, by_pane, right=False),
    Column("rule", "RULE", "rule", 24, 3, by_pane, right=False),
    Column("note", "NOTE", "", 0, 0, by_pane, right=False),
)


class Entry(NamedTuple):
    """A line: an alert, several of one rule, or a silence.

    Attributes:
        section: One of `SECTIONS`.
        members: The alerts, the worst and oldest first; none for a silence.
        within: It stands below the line of its group.
    """

    key: Key
    section: str
    members: tuple[Alert, ...] = ()
    silence: Silence | None = None
    within: bool = False

    @property
    def alert(self) -> Alert | None:
        """The alert, if it is one."""
        return self.members[0] if len(self.members) == 1 else None

    @property
    def chief(self) -> Alert | None:
        """The alert, or the first of several."""
        return self.members[0] if self.members else None


class AlertTable(NamedTuple):
    """What a table of alerts is made of: no engine tells one, it is made here of what a state holds."""

    at: float
    rows: list[Entry]
    verdict: Verdict

    @property
    def total(self) -> int:
        """How many lines there are, without groups."""
        return len(self.rows)


def alert_key(alert: Alert) -> Key:
    """The identity of an alert's line: the same whatever becomes of it."""
    return identity(alert.id)


def silence_key(silence: Silence) -> Key:
    """The identity of a silence's line."""
    return (*identity(silence.id), 1)


def table(state: State) -> AlertTable:
    """All that is known of alerts; thresholds are none."""
    judged = judge(state)
    ended = sorted((alert for alert in state.alerts.values() if alert.state == RESOLVED and not alert.colour), key=lambda alert: -alert.at)
    sections = ((FIRING, judged.alerts), (MUTED, judged.muted), (PENDING, judged.pending), (RESOLVED, ended[:_RESOLVED_HELD]))
    rows = [Entry(alert_key(alert), section, (alert,)) for section, alerts in sections for alert in alerts]
    silences = sorted(state.silences, key=lambda silence: silence.until)
    rows += [Entry(silence_key(silence), SILENCE, silence=silence) for silence in silences if silence.until > state.at]
    return AlertTable(state.at, rows, judged)


def arranged(rows: Iterable[Entry], sort: str, expanded: Collection[Key], *, reverse: bool, match: str = "") -> list[Item]:
    """Lines in the order in which they are shown.

    Args:
        rows: As `table` made them.
        sort: ``urgency``, ``since``, ``what`` or ``rule``, within each section.
        expanded: Keys of the groups whose members are listed below them.
        reverse: Turns that order round.
        match: A filter: what is left is told one by one.
    """
    sections: dict[str, list[Entry]] = {name: [] for name in SECTIONS}
    for entry in rows:
        if not match or _matches(entry, match):
            sections[entry.section].append(entry)
    out: list[Item] = []
    for name, entries in sections.items():
        ordered = _ordered(entries, sort, reverse=reverse)
        out += [Item(entry) for entry in (ordered if match or name == SILENCE else _grouped(ordered, name, expanded))]
    return out


def _ordered(entries: list[Entry], sort: str, *, reverse: bool) -> list[Entry]:
    if sort == "since":
        entries = sorted(entries, key=_began)
    elif sort == "what":
        entries = sorted(entries, key=lambda entry: alert_words.thing(entry.members[0]).lower() if entry.members else "")
    elif sort == "rule":
        entries = sorted(entries, key=lambda entry: entry.members[0].rule if entry.members else "")
    return entries[::-1] if reverse else entries


def _began(entry: Entry) -> float:
    if entry.silence:
        return entry.silence.at
    alert = entry.members[0]
    return -alert.at if entry.section == RESOLVED else alert.since


def _grouped(entries: Sequence[Entry], section: str, expanded: Collection[Key]) -> Iterator[Entry]:
    """Those of a rule that has many stand in one line, with them below it where that is wanted."""
    for members in alert_words.gathered([entry.members[0] for entry in entries]):
        if len(members) == 1:
            yield Entry(alert_key(members[0]), section, members)
            continue
        key = (*identity(f"{section} {members[0].rule}"), 0)
        yield Entry(key, section, members)
        if key in expanded:
            yield from (Entry(alert_key(alert), section, (alert,), within=True) for alert in members)


# Filter ----------------------------------------------------------------------------------------------------------------------------


def _fields(entry: Entry) -> Mapping[str, str]:
    """What can be looked for, by name."""
    silence, alert = entry.silence, entry.chief
    if silence:
        return {"state": SILENCE, "match": alert_words.matcher(silence.match), "by": silence.by, "reason": silence.reason}
    assert alert is not None
    by = f"{alert.ack.by} {alert.ack.text} acked" if alert.ack else ""
    own = {"state": f"{entry.section} {'silenced' if alert.silence else ''}", "severity": alert.severity, "rule": alert.rule}
    return {**dict(alert.labels), **own, "metric": alert.metric, "by": by, "why": alert.muted, "what": words.breach(alert, alert.value)}


def _matches(entry: Entry, match: str) -> bool:
    """Whether every word is found; ``rule:down`` in that field alone."""
    fields = {name: text.lower() for name, text in _fields(entry).items()}
    every = " ".join(fields.values())
    for word in match.lower().split():
        name, colon, text = word.partition(":")
        if word not in every if not colon or name not in fields else text not in fields[name]:
            return False
    return True


# Words -----------------------------------------------------------------------------------------------------------------------------


def state_word(entry: Entry) -> str:
    """``CRIT`` of what fires; of the others what they are."""
    alert = entry.chief
    if alert is None or entry.section not in {FIRING, MUTED}:
        return entry.section
    if entry.section == MUTED:
        return "silenced" if alert_words.only_silenced(alert) else MUTED
    return alert_words.LEVELS.get(alert.severity, alert.severity)


def ago(seconds: float) -> str:
    """Roughly, so that a list of it is not painted anew every second: ``12s``, ``5m``, ``2h05m``."""
    return units.duration(seconds) if seconds < 60 or seconds >= 3600 else f"{seconds // 60:.0f}m"


def until(seconds: float) -> str:
    """``42s``, ``6m12s``; of more than ten minutes without the seconds."""
    return f"{seconds // 60:.0f}m" if 600 <= seconds < 3600 else units.duration(seconds)


def counted(verdict: Verdict) -> list[tuple[str, int]]:
    """Severities and how many alerts fire with them, the worst first."""
    found = [(severity, sum(alert.severity == severity for alert in verdict.alerts)) for severity in ("critical", "warning", "info")]
    return sorted(((severity, number) for severity, number in found if number), key=lambda pair: -rank(pair[0]))


def watched(state: State) -> tuple[int, int]:
    """How many rules there are, and how many series they watch; thresholds are none of them."""
    rules = [rule for rule in state.stream.rules if not rule.colour] if state.stream else []
    by_metric: dict[str, list[int]] = {}
    for i, rule in enumerate(rules):
        by_metric.setdefault(rule.metric, []).append(i)
    found = (series.definition for series in state.all_series() if series.definition.name in by_metric)
    return len(rules), sum(any(rules[i].covers(definition) for i in by_metric[definition.name]) for definition in found)
