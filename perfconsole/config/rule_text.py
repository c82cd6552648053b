"""A rule as a configuration has it: the lines of its ``[[alert]]``, whether somebody wrote them or it ships. Pure."""

from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import Any

from msgspec.structs import replace

from perfconsole.config.kinds import duration_text, size_text
from perfconsole.core import alert_words
from perfconsole.core.metrics import METRICS, is_counter
from perfconsole.core.shipped import RESPOND_S, keep_s
from perfconsole.core.tick import Rule


def rule_lines(rule: Rule) -> list[str]:
    """The lines of a rule; what goes without saying is left out."""
    return [f"# {alert_words.written(rule)}", "[[alert]]", *(f"{name} = {value}" for name, value in _keys(rule))]


def instead(rule: Rule, **changes: Any) -> str:
    """In one line what to write in place of a rule that ships: ``[alerts] disable = ["x"] and [[alert]] name = "x", severity = ...``.

    Args:
        rule: The rule.
        changes: What is another in what is written.
    """
    written = ", ".join(f"{name} = {value}" for name, value in _keys(replace(rule, **changes)))
    return f"[alerts] disable = [{_quoted(rule.name)}] and [[alert]] {written}"


def _keys(rule: Rule) -> Iterator[tuple[str, str]]:
    """Names and values, in the order in which the example configuration explains them."""
    yield "name", _quoted(rule.name)
    yield "severity", _quoted(rule.severity)
    yield "metric", _quoted(rule.metric)
    if rule.match:
        yield "match", "{ " + ", ".join(f"{name} = {_quoted(glob)}" for name, glob in rule.match) + " }"
    if rule.stat != "last":
        yield "stat", _quoted(rule.stat)
        yield "over", _duration(rule.over_s)
    yield "above" if rule.above else "below", limit_text(rule, rule.limit)
    yield "for", _duration(rule.for_s)
    usual_s = RESPOND_S.get(rule.severity, nan)
    further = (
        ("clear", limit_text(rule, rule.clear), not isnan(rule.clear)),
        ("keep_firing_for", _duration(rule.keep_s), rule.keep_s != keep_s(rule.for_s)),
        ("max_gap", _duration(rule.max_gap_s), not isnan(rule.max_gap_s)),
        ("min_samples", str(rule.min_samples), rule.min_samples != 1),
        ("min_events", str(rule.min_events), rule.min_events != 0),
        ("no_data", _quoted(rule.no_data), rule.no_data != "keep"),
        ("depends_on", _listed(rule.depends_on), bool(rule.depends_on)),
        ("respond_within", _duration(rule.respond_s), not isnan(rule.respond_s) and rule.respond_s != usual_s),
        ("runbook", _quoted(rule.runbook), bool(rule.runbook)),
        ("notify", _listed(rule.notify), bool(rule.notify)),
    )
    yield from ((name, value) for name, value, said in further if said)


def limit_text(rule: Rule, value: float) -> str:
    """A limit in the unit of its metric, as it is written: ``"500ms"``, ``"90%"``, ``4``."""
    metric = METRICS.get(rule.metric)
    unit = "1" if rule.stat == "ratio" else metric.unit if metric else ""
    per_second = is_counter(rule.metric) and rule.stat != "ratio"
    if isnan(value) or value < 0 or (rule.metric.endswith(".up") and rule.stat != "ratio"):  # half up is no share of anything
        return f"{value:g}"
    if unit == "1" or (unit == "s" and per_second):
        return _quoted(f"{value * 100:g}%")
    if unit == "s":
        return _duration(value)
    return _quoted(size_text(value)) if unit in {"By", "By/s"} and value else f"{value:g}"


def _listed(texts: Sequence[str]) -> str:
    return "[" + ", ".join(map(_quoted, texts)) + "]"


def _duration(seconds: float) -> str:
    """Quoted, as all durations are."""
    return _quoted("-" if isnan(seconds) else duration_text(seconds) if seconds else "0s")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
