"""What an alert rule watches, held against what is measured: series that there are, targets that are configured, and how often."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from perfconsole.config.schema import AlertRule, Config
from perfconsole.config.wording import shown, suggestion
from perfconsole.core.metric_shapes import Shape, every_s, shapes
from perfconsole.core.tick import Rule, SeriesDef

if TYPE_CHECKING:
    from perfconsole.core.checks import Check

_GLOB: Final = frozenset("*?[")
_ENDPOINT: Final = {"endpoint", "service"}
_TOTAL_S: Final = 2.0
"""How often what is said of all endpoints together is made anew."""


def labelled(rule: AlertRule) -> Iterator[tuple[str, str, str]]:
    """That no series of the metric has the labels that the rule names: the key, what was found, and what to do."""
    there, names = shapes(rule.metric), tuple(sorted(rule.match))
    if names in there:
        return
    found = f"match names {' '.join(names)}" if names else "no match"
    labels = sorted({name for shape in there for name in shape})
    unknown = [name for name in names if name not in labels]
    meant = suggestion(unknown[0], labels) if unknown else ""
    near = _nearest(names, [shape for shape in there if not meant or any(f'"{name}"' in meant for name in shape)])
    wanted = ", ".join(f"{name} = {shown(rule.match.get(name, '*'))}" for name in near)
    fix = f"{meant + ' ' if meant else ''}e.g. match = {{ {wanted} }}" if near else "leave it out"
    yield "match", f"{found}, but {rule.metric} has series {_told(there)}: it would watch nothing", fix


def _nearest(names: Shape, there: Sequence[Shape]) -> Shape:
    """The label names that have most in common with those that were found."""

    def likeness(shape: Shape) -> tuple[bool, int, bool]:
        common = len(set(shape) & set(names))
        return common > 0, 2 * common - len(shape), len(shape) == len(names)

    return max(there, key=likeness)


def _told(there: Sequence[Shape]) -> str:
    """``without labels, or labelled mountpoint``."""
    said = [" ".join(shape) for shape in there if shape]
    return ", or ".join([*([] if () not in there else ["without labels"]), *(["labelled " + "; ".join(said)] if said else [])])


def named(rule: AlertRule, config: Config) -> Iterator[tuple[str, str, str]]:
    """That a target which the rule names is not configured, while others of its kind are: the key, what was found, and what to do."""
    for label, known in _targets(rule, config):
        name = rule.match.get(label, "*")
        if known and name not in known and _GLOB.isdisjoint(name):
            near = suggestion(name, known) or f"there are: {' '.join(known[:20])}"
            yield label, f"found {shown(name)}, which no {label} is called: it would watch nothing", near


def _targets(rule: AlertRule, config: Config) -> Iterator[tuple[str, list[str]]]:
    if rule.metric.startswith("httpcheck."):
        checked = checks_of(config)
        yield "endpoint", [check.name for check in checked]
        yield "service", list(dict.fromkeys(check.service for check in checked))
    elif rule.metric.startswith("postgresql."):
        yield "server", [server.name for server in config.postgres]


def checks_of(config: Config) -> "Sequence[Check]":
    """The configured checks."""
    if not (config.http or config.tcp or config.tls or config.dns):
        return ()
    from perfconsole.config.endpoints import checks  # noqa: PLC0415  only where there are endpoints

    return checks(config)


def measured(rule: AlertRule, config: Config) -> Iterator[tuple[str, float, float]]:
    """What the rule's metric is measured of: in words, its shortest interval, and the timeout after which a measurement is given up."""
    if rule.metric.startswith("httpcheck."):
        if set(rule.match) == _ENDPOINT:
            yield from _checked(rule, config)
        elif not rule.match:
            yield "all endpoints together", _TOTAL_S, 0.0
    elif rule.metric.startswith("postgresql."):
        for server in config.postgres:
            if _covers(rule, rule.match | {"server": server.name}):
                yield server.name, every_s(rule.metric, server.interval_s), 0.0
    else:
        yield rule.metric, every_s(rule.metric, config.console.interval_s), 0.0


def _checked(rule: AlertRule, config: Config) -> Iterator[tuple[str, float, float]]:
    for check in checks_of(config):
        if _covers(rule, {"endpoint": check.name, "service": check.service}):
            yield check.name, check.interval_s, check.timeout_s


def _covers(rule: AlertRule, labels: Mapping[str, str]) -> bool:
    pattern = Rule(rule.name, rule.severity, rule.metric, 0.0, match=tuple(rule.match.items()))
    return pattern.covers(SeriesDef(rule.metric, tuple(sorted(labels.items()))))
