"""What is wrong with an alert rule that no key shows by itself: its threshold in the unit of its metric, and what it could never do."""

from collections.abc import Callable, Iterator, Mapping
from math import ceil, isfinite, nan
from typing import Any, Final

from perfconsole.config.check_endpoints import depends
from perfconsole.config.check_watched import checks_of, labelled, measured, named
from perfconsole.config.lines import Path
from perfconsole.config.rules import WINDOW_S
from perfconsole.config.schema import AlertRule, Config
from perfconsole.config.wording import shown, suggestion
from perfconsole.core.metrics import METRICS
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import Rule
from perfconsole.core.units import parse_duration, parse_ratio, parse_size

Note = Callable[[Path, str, str], None]

SHIPPED_NAMES: Final = [rule.name for rule in SHIPPED]

_READ: Final[dict[str, Callable[[str], float]]] = {"1": parse_ratio, "s": parse_duration, "By": parse_size, "By/s": parse_size}
_ACCEPTS: Final = {"1": "a ratio: 90% or 0.9", "s": "a duration: 250ms 10s, or seconds", "By": "a size: 512MB 64MiB, or bytes"}


def thresholds(note: Note, at: Path, values: dict[str, Any], item: Mapping[str, Any]) -> None:
    """Read what is written in the metric's unit, in place; note what is none, and a metric that there is not."""
    bounds = [name for name in ("above", "below") if name in item]
    if len(bounds) != 1:
        note(at, "both above and below" if bounds else "neither above nor below", "accepted: exactly one of them")
    metric = METRICS.get(values.get("metric", ""))
    if metric is None:
        if "metric" in values:
            near = suggestion(values["metric"], list(METRICS))
            note((*at, "metric"), f"found {shown(values['metric'])}, which is no metric", near or "`perfconsole snapshot` lists them")
        return
    for name in [*bounds, "clear"]:
        found = values.get(name)
        if isinstance(found, str):
            number = _number(found, "1" if values.get("stat") == "ratio" else metric.unit)
            if isfinite(number):
                values[name] = number
            else:
                accepts = _ACCEPTS.get(metric.unit, "a plain number")
                note((*at, name), f"found {shown(found)}, but {values['metric']} is in {metric.unit}", f"accepted: {accepts}")


def _number(text: str, unit: str) -> float:
    try:
        return float(_READ.get(unit, float)(text))  # float() takes "nan" and "inf" too, which nothing is ever above
    except ValueError:
        return nan


def alone(note: Note, at: Path, rule: AlertRule) -> None:
    """Note what is wrong with one rule, its keys being good each for itself."""
    for key, found, fix in _faults(rule):
        note((*at, key), found, fix)


def _faults(rule: AlertRule) -> Iterator[tuple[str, str, str]]:
    if rule.stat == "last" and rule.over_s is not None:
        yield "over", "over, but stat is last, which is the sample alone", 'stat = "avg" or another, or no over'
    if rule.min_events and rule.stat not in {"ratio", "last"}:
        yield "min_events", f"min_events, but stat is {rule.stat}", 'stat = "ratio" or "last", or no min_events'
    if rule.stat == "ratio" and METRICS[rule.metric].unit != "1":
        yield "stat", f"ratio of {rule.metric}, which is not 1 or 0", "a metric that tells of each check whether it was well: httpcheck.up"
    limit = rule.above if rule.above is not None else rule.below
    if rule.clear is not None and limit is not None and (rule.clear > limit if rule.above is not None else rule.clear < limit):
        yield "clear", "clear lies beyond the limit: it would be over before it began", "between the limit and where it is well"
    yield from labelled(rule)


def together(note: Note, config: Config) -> None:
    """Note of each rule what it can never do with the intervals that are configured, with the arithmetic.

    Args:
        note: As that of `alone`.
        config: All of it, checked.
    """
    known = _depended(config)
    for number, rule in enumerate(config.alert):
        if not rule.enabled:
            continue  # it may be about what was taken out of the file for a while
        for key, found, fix in _impossible(rule, config):
            note(("alert", number, key), found, fix)
        for label, found, fix in named(rule, config):
            note(("alert", number, "match", label), found, fix)
        for index, parent in enumerate(rule.depends_on):
            if parent not in known:
                depends(note, ("alert", number, "depends_on", index), parent, known)


def _impossible(rule: AlertRule, config: Config) -> Iterator[tuple[str, str, str]]:
    decides = Rule("", rule.severity, rule.metric, 0.0, stat=rule.stat, min_samples=rule.min_samples, min_events=rule.min_events)
    needed = decides.needed
    window_s = 0.0 if rule.stat == "last" else WINDOW_S if rule.over_s is None else rule.over_s
    for who, interval_s, timeout_s in measured(rule, config):
        most = max(1, ceil(window_s / interval_s))  # of a window the end is a part, the beginning is not
        if most < needed:
            found = f"{window_s:g} s hold {most} samples of {who} at most, one every {interval_s:g} s, and {needed} are needed"
            yield "over", found, f"it could never fire: over = {_seconds(needed * interval_s)} or longer"
            return
        several = rule.stat == "last" and rule.min_events > 1  # in a row: then no single one decides
        if 0 < rule.for_s < max(timeout_s, interval_s) and not several:
            least_s = max(timeout_s, interval_s)
            why = f"{who} is measured every {interval_s:g} s" + (f", and given up after {timeout_s:g} s" if timeout_s > interval_s else "")
            yield "for", f"{rule.for_s:g} s, but {why}: one sample would decide", f"for = {_seconds(least_s)} or longer"
            return


def _depended(config: Config) -> list[str]:
    """What a rule can depend on."""
    return ["host", *(f"http:{check.name}" for check in checks_of(config)), *(f"postgres:{server.name}" for server in config.postgres)]


def _seconds(seconds: float) -> str:
    return f'"{seconds:g}s"'


def names(note: Note, config_alerts: Any, rules: list[Any]) -> None:
    """What is disabled exists, and no rule takes the name of a shipped one that is in force.

    Args:
        note: As that of `alone`.
        config_alerts: ``[alerts]``, checked.
        rules: ``[[alert]]`` as the file has them.
    """
    for number, name in enumerate(config_alerts.disable):
        if name not in SHIPPED_NAMES:
            near = suggestion(name, SHIPPED_NAMES)
            note(("alerts", "disable", number), f"found {shown(name)}, which is no shipped rule",
                 f"{near + ' ' if near else ''}(shipped: {' '.join(SHIPPED_NAMES)})")  # fmt: skip
    for number, rule in enumerate(rules):
        name = rule.get("name") if isinstance(rule, dict) else None
        if config_alerts.defaults and name in SHIPPED_NAMES and name not in config_alerts.disable:
            note(("alert", number, "name"), f"found {shown(name)}, which a shipped rule is called",
                 f'choose another name, or leave the shipped one out: [alerts] disable = ["{name}"]')  # fmt: skip
