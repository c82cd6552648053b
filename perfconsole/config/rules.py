"""The thresholds in force: the shipped ones that are left, and the configured ones."""

from perfconsole.config.schema import Config
from perfconsole.core.alerts import SHIPPED
from perfconsole.core.tick import Rule


def rules(config: Config) -> tuple[Rule, ...]:
    """The rules of a checked configuration, shipped ones first."""
    shipped = SHIPPED if config.alerts.defaults else ()
    kept = [rule for rule in shipped if rule.name not in config.alerts.disable]
    for own in config.alert:
        above = own.above is not None
        limit = own.above if own.above is not None else own.below
        if own.enabled and limit is not None:
            kept.append(Rule(own.name, own.severity, own.metric, limit, above, tuple(sorted(own.match.items()))))
    return tuple(kept)
