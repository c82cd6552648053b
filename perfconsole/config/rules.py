"""The rules in force: the shipped ones that are left, and the configured ones."""

from collections.abc import Sequence
from math import nan
from typing import Final

from perfconsole.config.schema import AlertRule, Config
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import Rule

WINDOW_S: Final = 60.0
"""What a statistic is over unless it is said."""

_KEPT_S: Final = 300.0
_RESPOND_S: Final = {"critical": 300.0, "warning": 3600.0, "info": nan}


def rules(config: Config, places: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules of a checked configuration, shipped ones first.

    Args:
        config: The configuration.
        places: Where each ``[[alert]]`` is written, as ``file:line``; without, that is not told.
    """
    shipped = SHIPPED if config.alerts.defaults else ()
    kept = [rule for rule in shipped if rule.name not in config.alerts.disable]
    own = zip(config.alert, places or [""] * len(config.alert), strict=True)
    return (*kept, *(_rule(rule, place) for rule, place in own if rule.enabled))


def _rule(own: AlertRule, place: str) -> Rule:
    limit = own.above if own.above is not None else own.below
    assert limit is not None
    clear = own.clear if isinstance(own.clear, float) else nan
    return Rule(
        own.name, own.severity, own.metric, limit, own.above is not None, tuple(sorted(own.match.items())),
        stat=own.stat, over_s=0.0 if own.stat == "last" else WINDOW_S if own.over_s is None else own.over_s, for_s=own.for_s, clear=clear,
        keep_s=min(own.for_s / 3, _KEPT_S) if own.keep_s is None else own.keep_s, max_gap_s=nan if own.max_gap_s is None else own.max_gap_s,
        min_samples=own.min_samples, min_events=own.min_events, no_data=own.no_data, depends_on=own.depends_on,
        respond_s=_RESPOND_S[own.severity] if own.respond_s is None else own.respond_s, runbook=own.runbook, colour=not own.for_s,
        source=place,
    )  # fmt: skip
