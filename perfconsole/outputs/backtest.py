"""Rules that were tried on samples: every transition, and at the end what it amounts to. Pure: alerts in, pieces of text out, as they come.

JSON is written piece by piece as well: a rule that flaps over a year of samples has more transitions than a memory should hold.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from math import isfinite, isnan
from typing import Any, Final, NamedTuple

from perfconsole.core import units
from perfconsole.core.backtest import Backtest, Shapes
from perfconsole.core.tick import Alert, Rule
from perfconsole.core.words import measured
from perfconsole.outputs.paper import WORDS, Paper
from perfconsole.outputs.rules import exactly, statistic
from perfconsole.outputs.snapshot import encode, heading, rfc3339

SCHEMA: Final = "perfconsole.backtest/1"

_INDENT: Final = "\n    "
_STATE: Final = max(map(len, ("inactive", "pending", "firing", "resolved")))


class Tried(NamedTuple):
    """What rules were tried on, once they were.

    Attributes:
        shapes: The label names of the series of each metric that there were.
        notes: What there is to say of the samples.
        samples: How many there were.
    """

    shapes: Shapes
    notes: list[str]
    samples: int


def warnings(backtest: Backtest, tried: Tried) -> list[str]:
    """All that somebody should know before they believe what came of it, a line each."""
    none = [] if backtest.rules else ["no rule was tried: there is none, or only thresholds, which --thresholds tries"]
    return [*none, *tried.notes, *backtest.warnings(tried.shapes)]


def transition(alert: Alert) -> dict[str, Any]:
    """A transition for programs: base units, None for what is unknown; ``value`` decided, of ``n`` samples."""
    return {
        "time": rfc3339(alert.at),
        "rule": alert.rule,
        "labels": dict(alert.labels),
        "from": alert.before,
        "to": alert.state,
        "value": alert.value if isfinite(alert.value) else None,
        "n": alert.n,
    }


def in_json(transitions: Iterable[Alert], last: Iterator[list[str]], at: float, host: str) -> Iterator[str]:
    """The JSON object ``perfconsole.backtest/1``, in pieces.

    Args:
        transitions: Each as it comes about.
        last: Gives the warnings, once all transitions were taken.
        at: When, epoch seconds.
        host: From where.
    """
    yield encode(heading(SCHEMA, at, host)).rstrip("\n}") + ',\n  "transitions": ['
    before = ""
    for alert in transitions:
        yield before + _INDENT + encode(transition(alert)).replace("\n", _INDENT)
        before = ","
    yield ("\n  " if before else "") + '],\n  "warnings": '
    yield encode(next(last)).replace("\n", "\n  ") + "\n}\n"


def in_text(backtest: Backtest, transitions: Iterable[Alert], last: Iterator[Tried], paper: Paper) -> Iterator[str]:
    """The same for a person, in pieces: a line a transition, what still stands at the end, how often each rule fired, and warnings.

    Args:
        backtest: Whose transitions these are.
        transitions: Each as it comes about.
        last: Gives what they were tried on, once all were taken.
        paper: What it is printed on.
    """
    rules = {rule.name: rule for rule in backtest.rules}
    width = max(map(len, rules), default=0)
    told = 0
    for alert in transitions:
        told += 1
        yield paper.printable(_line(alert, rules[alert.rule], width, paper)) + "\n"
    tried = next(last)
    blocks = [_standing(backtest, rules, width, paper), _summary(backtest, tried, told, width), _told(warnings(backtest, tried), paper)]
    yield paper.printable(("\n" if told else "") + "\n".join("\n".join(block) + "\n" for block in blocks if block))


def _line(alert: Alert, rule: Rule, width: int, paper: Paper) -> str:
    turn = f"{alert.before:<{_STATE}} -> {alert.state:<{_STATE}}"
    muted = f"  ({alert.muted})" if alert.muted and alert.state == "firing" else ""
    flapping = "  (flapping)" if alert.flapping else ""
    return f"{clock(alert.at)}  {_sign(alert, paper)}  {alert.rule:<{width}}  {turn}  {_found(alert, rule)}{muted}{flapping}"


def _sign(alert: Alert, paper: Paper) -> str:
    """The sign of its severity, of one that fires; what does not has that of being well, or none yet."""
    role = alert.severity if alert.state == "firing" else "ok" if alert.state != "pending" else ""
    return f"{paper.glyph(role)} {WORDS[role]:<4}" if role else " " * 6


def _found(alert: Alert, rule: Rule) -> str:
    """``p95 over 1m of httpcheck.duration endpoint=web 612ms > 500ms (n=31)``."""
    what = f"{statistic(rule)} of {alert.metric}" if rule.over_s else alert.metric
    labels = "".join(f" {name}={text}" for name, text in alert.labels)
    if alert.text or isnan(alert.value):
        return f"{what}{labels}  {alert.text or 'no data'}"
    value = units.percent(alert.value, 1) if rule.stat == "ratio" else _value(alert)
    limit = f" {'>' if alert.above else '<'} {exactly(rule, rule.limit)}" if rule.breached(alert.value) else ""
    return f"{what}{labels}  {value}{limit}" + (f"  (n={alert.n})" if rule.over_s else "")


def _value(alert: Alert) -> str:
    """As people read it; a share neither rounded to nothing nor to its limit, and what is either 1 or 0 as that."""
    if alert.metric.endswith(".up"):
        return f"{alert.value:g}"
    shown = measured(alert.metric, alert.value)
    fine = alert.value < 0.1 or abs(alert.value - alert.limit) < 0.01
    return units.percent(alert.value, 1) if shown.endswith("%") and fine else shown


def _standing(backtest: Backtest, rules: dict[str, Rule], width: int, paper: Paper) -> list[str]:
    """What is pending or firing at the end."""
    lines = []
    for alert in backtest.standing.values():
        rule = rules[alert.rule]
        still = f"still {alert.state} at the end, since {clock(alert.since)}"
        lasted = f", fired {clock(alert.fired_at)}" if alert.state == "firing" else f", not yet for {units.duration(rule.for_s)}"
        labels = "".join(f" {name}={text}" for name, text in alert.labels)
        lines.append(f"{_sign(alert, paper)}  {alert.rule:<{width}}  {still}{lasted if rule.for_s else ''}{labels}")
    return lines


def _summary(backtest: Backtest, tried: Tried, told: int, width: int) -> list[str]:
    lasted = units.duration(backtest.end - backtest.begin)
    span = "" if isnan(backtest.begin) else f", from {clock(backtest.begin)} to {clock(backtest.end)} ({lasted})"
    of = f"{backtest.series or 'no'} series that they are about"
    lines = [f"{_count(len(backtest.rules), 'rule')} on {_count(tried.samples, 'sample')}{span}, {of}: {_count(told, 'transition')}"]
    fired = backtest.fired
    for rule in backtest.rules:
        times, lasted_s = fired.get(rule.name, (0, 0.0))
        often = f"fired {_count(times, 'time')}, {units.duration(lasted_s)} in all" if times else "never fired"
        lines.append(f"{'':6}  {rule.name:<{width}}  {often}")
    return lines


def _told(lines: list[str], paper: Paper) -> list[str]:
    return [f"{paper.glyph('unknown')} {line}" for line in lines]


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def clock(at: float) -> str:
    """A moment in local time with its zone, in milliseconds where it has any."""
    moment = datetime.fromtimestamp(round(at, 3)).astimezone()
    return moment.isoformat(" ", "milliseconds" if moment.microsecond else "seconds")
