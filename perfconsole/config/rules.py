"""The rules in force: the shipped ones that are left, and the configured ones."""

from collections.abc import Sequence
from math import nan
from typing import Final

from msgspec.structs import replace

from perfconsole.config.schema import AlertRule, Config
from perfconsole.core.shipped import API, CRITICAL, MARKED, RESPOND_S, SHIPPED, keep_s
from perfconsole.core.tick import Rule

WINDOW_S: Final = 60.0
"""What a statistic is over unless it is said."""


def rules(config: Config, places: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules of a checked configuration, shipped ones first.

    Args:
        config: The configuration.
        places: Where each ``[[alert]]`` is written, as ``file:line``; without, that is not told.
    """
    shipped = SHIPPED if config.alerts.defaults else ()
    kept = [rule for rule in _of_marked(shipped, config) if rule.name not in config.alerts.disable]
    if config.alerts.notify:
        kept = [rule if rule.colour else replace(rule, notify=config.alerts.notify) for rule in kept]
    own = zip(config.alert, places or [""] * len(config.alert), strict=True)
    return (*kept, *(_rule(rule, place, config.alerts.notify) for rule, place in own if rule.enabled))


def _of_marked(shipped: Sequence[Rule], config: Config) -> list[Rule]:
    """The shipped rules, those about marked endpoints as rules about these; left out where none is marked."""
    marked: dict[str, frozenset[str]] = dict.fromkeys(MARKED, frozenset())
    if config.http or config.tcp or config.tls or config.dns:
        from perfconsole.config.endpoints import checks  # noqa: PLC0415  only where there are endpoints

        known = checks(config)
        marked[API] = frozenset(check.name for check in known if check.api)
        marked[CRITICAL] = frozenset(check.name for check in known if check.critical)
    return [replace(rule, only=marked[rule.name]) if rule.name in marked else rule for rule in shipped if marked.get(rule.name, True)]


def _rule(own: AlertRule, place: str, usual: tuple[str, ...]) -> Rule:
    limit = own.above if own.above is not None else own.below
    assert limit is not None
    colour = not own.for_s and not own.notify  # a threshold: whom everybody's alerts go to is not asked for it
    clear = own.clear if isinstance(own.clear, float) else nan
    return Rule(
        own.name, own.severity, own.metric, limit, own.above is not None, tuple(sorted(own.match.items())),
        stat=own.stat, over_s=0.0 if own.stat == "last" else WINDOW_S if own.over_s is None else own.over_s, for_s=own.for_s, clear=clear,
        keep_s=keep_s(own.for_s) if own.keep_s is None else own.keep_s, max_gap_s=nan if own.max_gap_s is None else own.max_gap_s,
        min_samples=own.min_samples, min_events=own.min_events, no_data=own.no_data, depends_on=own.depends_on,
        respond_s=RESPOND_S[own.severity] if own.respond_s is None else own.respond_s, runbook=own.runbook, colour=colour,
        notify=() if colour else usual if own.notify is None else own.notify, source=place,
    )  # fmt: skip
