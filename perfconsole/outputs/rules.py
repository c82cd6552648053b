"""The rules in force, as the JSON object ``perfconsole.rules/1`` and as a table for people. Pure: rules in, text out.

Limits are written as a configuration writes them, exactly: a rule at 0.5 % is not one at 0 %.
"""

from collections.abc import Iterator, Sequence
from math import isfinite, isnan
from typing import Any, Final

from perfconsole.config.kinds import duration_text, size_text
from perfconsole.core.alert_requests import Watching
from perfconsole.core.metrics import METRICS, is_counter
from perfconsole.core.tick import TIMEOUT_S, Rule
from perfconsole.core.units import duration
from perfconsole.outputs.snapshot import heading

SCHEMA: Final = "perfconsole.rules/1"
SHIPPED: Final = "shipped"
_NAMED: Final = 3
_EITHER: Final = (".up", ".read_only", ".failed", ".plugged")
"""What metrics end with that are 1 or 0."""

_COLUMNS: Final = ("NAME", "SEVERITY", "KIND", "SERIES", "BREACHED", "FOR", "KEPT", "WRITTEN")


def rules(told: Sequence[Rule], at: float, host: str, watching: Watching | None = None) -> dict[str, Any]:
    """The rules for programs.

    Args:
        told: The rules in force.
        at: When, epoch seconds.
        host: From where.
        watching: What they watch at the engine that runs; None where there is none.

    Returns:
        Base units, that of the metric for ``limit`` and ``clear``; None for what is not limited or goes without saying (``clear``: to the
        limit, ``max_gap_s``: two intervals, and the timeout of what is measured), and ``watching`` where no engine runs.
    """
    return {**heading(SCHEMA, at, host), "rules": [_rule(rule) for rule in told], "watching": _watching(watching)}


def _watching(watching: Watching | None) -> dict[str, Any] | None:
    if watching is None:
        return None
    waiting = [
        {"rule": one.rule, "labels": dict(one.labels), "n": one.n, "needed": one.needed, "about_s": one.about_s} for one in watching.waiting
    ]
    return {"series": dict(watching.series), "waiting": waiting}


def _rule(rule: Rule) -> dict[str, Any]:
    metric = METRICS.get(rule.metric)
    return {
        "name": rule.name,
        "severity": rule.severity,
        "kind": kind(rule),
        "metric": rule.metric,
        "unit": ("1" if rule.stat == "ratio" else metric.unit) if metric else "",
        "per_second": is_counter(rule.metric),
        "match": dict(rule.match),
        "only": sorted(rule.only),
        "stat": rule.stat,
        "over_s": rule.over_s,
        "limit": rule.limit,
        "above": rule.above,
        "for_s": rule.for_s,
        "clear": _known(rule.clear),
        "keep_firing_for_s": rule.keep_s,
        "max_gap_s": _known(rule.max_gap_s),
        "min_samples": rule.min_samples,
        "min_events": rule.min_events,
        "no_data": rule.no_data,
        "depends_on": list(rule.depends_on),
        "respond_within_s": _known(rule.respond_s),
        "runbook": rule.runbook or None,
        "notify": list(rule.notify),
        "source": rule.source or SHIPPED,
    }


def text(told: Sequence[Rule], watching: Watching | None = None) -> str:
    """The same for a person: a line a rule, and below them what cannot be judged, or not yet."""
    if not told:
        return "no rule is in force\n"
    rows = [_COLUMNS, *(_row(rule) for rule in told)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    thresholds = sum(rule.colour for rule in told)
    lines += ["", f"{_count(len(told) - thresholds, 'alert')}, {_count(thresholds, 'threshold')} (without for: it colours)",
              f"max_gap, where a rule says none: two intervals of its series, and the timeout of a check, else {TIMEOUT_S:g}s"]  # fmt: skip
    lines += _remarks(told, watching) if watching else []
    return "\n".join(lines) + "\n"


def _remarks(told: Sequence[Rule], watching: Watching) -> Iterator[str]:
    """What the rules do not watch, or cannot judge yet, at the engine that runs."""
    series = dict(watching.series)
    blind = [rule.name for rule in told if rule.source and series.get(rule.name) == 0]
    if blind:
        yield f"watches 0 series now: {', '.join(blind)}"
    for name in dict.fromkeys(one.rule for one in watching.waiting):
        found = [one for one in watching.waiting if one.rule == name]
        first = found[0]
        where = " ".join(label for _, label in first.labels)
        others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        so_far = f"{first.n} of {first.needed} samples, about {duration(first.about_s)} to go"
        yield f"{name} cannot judge{' ' + where if where else ''} yet: {so_far}{others}"


def _row(rule: Rule) -> tuple[str, ...]:
    lasting = tuple(duration_text(seconds) if seconds else "0s" for seconds in (rule.for_s, rule.keep_s))
    return (rule.name, rule.severity, kind(rule), series(rule), breached(rule), *lasting, rule.source or SHIPPED)


def kind(rule: Rule) -> str:
    """``alert``, or ``threshold`` for a rule that only colours a value."""
    return "threshold" if rule.colour else "alert"


def series(rule: Rule) -> str:
    """What it is about: ``httpcheck.up{endpoint=*,service=shop}``."""
    names = sorted(rule.only)
    few = "|".join(names[:_NAMED]) + (f"|... {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    match = ",".join(f"{name}={few if name == 'endpoint' and names else glob}" for name, glob in rule.match)
    return f"{rule.metric}{{{match}}}" if match else rule.metric


def breached(rule: Rule) -> str:
    """When it is breached: ``p95 over 1m > 500ms``, ``< 0.5``."""
    least = f", of {rule.min_samples} samples or more" if rule.min_samples > 1 else ""
    events = (
        (f", {rule.min_events} in a row" if rule.stat == "last" else f", {rule.min_events} or more of them") if rule.min_events > 1 else ""
    )
    cleared = "" if isnan(rule.clear) else f", until {'<=' if rule.above else '>='} {exactly(rule, rule.clear)}"
    return f"{statistic(rule)}{' ' if rule.over_s else ''}{'>' if rule.above else '<'} {exactly(rule, rule.limit)}{least}{events}{cleared}"


def statistic(rule: Rule) -> str:
    """``p95 over 1m``; empty where it is the sample itself."""
    return f"{rule.stat} over {duration_text(rule.over_s)}" if rule.over_s else ""


def exactly(rule: Rule, value: float) -> str:
    """A limit in its metric's unit, as a configuration would have it: ``0.5%``, ``500ms``, ``512MB/s``, ``4``."""
    metric = METRICS.get(rule.metric)
    unit = "1" if rule.stat == "ratio" or metric is None else metric.unit
    per_second = is_counter(rule.metric) and rule.stat != "ratio"
    if metric is None or value < 0 or (rule.metric.endswith(_EITHER) and rule.stat != "ratio"):  # half up is no share of anything
        return f"{value:g}"
    if unit == "1" or (unit == "s" and per_second):  # seconds a second are a share
        return f"{value * 100:g}%"
    if unit == "s":
        return duration_text(value) if value else "0s"
    if unit in {"By", "By/s"}:
        return size_text(value) + ("/s" if per_second or unit == "By/s" else "")
    return f"{value:g}" + ("/s" if per_second else "")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
