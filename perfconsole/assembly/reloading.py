"""What reads the configuration again while the engine runs: endpoints and rules come into force, channels do not."""

import os
from collections.abc import Callable, Mapping

from msgspec.structs import astuple, replace

from perfconsole.assembly.endpoints import Endpoints, difference, ready
from perfconsole.collectors.loop import ask
from perfconsole.config.load import Loaded
from perfconsole.config.rules import rules
from perfconsole.config.schema import Config
from perfconsole.core.alert_requests import RuleArgs
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Operation
from perfconsole.core.requests import CONFIG_RELOAD, RULE_EDIT, Done, Nothing
from perfconsole.core.text import safe
from perfconsole.core.tick import Rule
from perfconsole.engine.engine import Engine


def reloading(begun: Config, endpoints: Endpoints, read: Callable[[], Loaded], engine: Callable[[], Engine]) -> list[Operation]:
    """What reads the configuration again, and what changes a rule in it: endpoints and rules come into force while the engine runs.

    Channels do not, for messages are under way in them: who is told by a rule stays as it was where it names one that is not there yet.
    """
    channels = frozenset(notify.name for notify in begun.notify)

    async def use() -> str:
        loaded = await ask(lambda: ready(read()), "config")
        told = [await endpoints.use(loaded.config, engine)]
        before = dict(engine().alerting.rules)
        found = [_told_by(channels, rule, before, begun) for rule in rules(loaded.config, loaded.rule_places)]
        engine().use_rules(found)
        told.append(difference("rules", before, {rule.name: rule for rule in found}, as_written))
        if loaded.config.notify != begun.notify:
            told.append("channels change at the next start")
        return "; ".join(told)

    async def reload(_: Nothing) -> Done:
        return Done(await use())

    async def edit(args: RuleArgs) -> Done:
        from perfconsole.config.edit import edit_rule

        rule = engine().alerting.rules.get(args.rule)
        if rule is None:
            raise RequestError(f"no rule in force is called {safe(args.rule, 200)}")
        place = await ask(lambda: edit_rule(read().path, rule, dict(args.changes), os.environ), "config")
        return Done(f"{place}: {await use()}")

    return [Operation(CONFIG_RELOAD, reload), Operation(RULE_EDIT, edit)]


def _told_by(channels: frozenset[str], rule: Rule, before: Mapping[str, Rule], begun: Config) -> Rule:
    """A rule that tells nobody but channels that are there; where it names another, whom it told before."""
    if channels.issuperset(rule.notify):
        return rule
    known = before.get(rule.name)
    return replace(rule, notify=known.notify if known else begun.alerts.notify)


def as_written(rule: Rule, other: Rule) -> bool:
    """Whether two rules say the same, wherever it is written."""
    said = zip(astuple(replace(rule, source="")), astuple(replace(other, source="")), strict=True)
    return all(one == another or (one != one and another != another) for one, another in said)  # noqa: PLR0124  NaN is said, too
