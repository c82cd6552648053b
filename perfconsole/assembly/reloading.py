"""What reads the configuration again while the engine runs: endpoints, rules and channels come into force."""

import asyncio
import os
from collections.abc import Callable

from msgspec.structs import astuple, replace

from perfconsole.assembly import telling
from perfconsole.assembly.endpoints import AS_THEY_WERE, Endpoints, difference, ready
from perfconsole.collectors.loop import ask
from perfconsole.config.load import Loaded
from perfconsole.config.rules import rules
from perfconsole.core.alert_requests import RuleArgs
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Operation
from perfconsole.core.requests import CONFIG_RELOAD, RULE_EDIT, Done, Nothing
from perfconsole.core.text import safe
from perfconsole.core.tick import Rule
from perfconsole.engine.engine import Engine


def reloading(endpoints: Endpoints, read: Callable[[], Loaded], engine: Callable[[], Engine]) -> list[Operation]:
    """What reads the configuration again, and what changes a rule in it: endpoints, rules and channels come into force at once."""
    turn = asyncio.Lock()  # whoever reads it again meanwhile comes after

    async def use() -> str:
        async with turn:
            return await used()

    async def used() -> str:
        loaded = await ask(lambda: ready(read()), "config")
        use_channels = await telling.ready(engine(), loaded.config)  # before anything is changed: it may fail
        told = [await endpoints.use(loaded.config, engine)]
        before = dict(engine().alerting.rules)
        found = rules(loaded.config, loaded.rule_places)
        engine().use_rules(found)
        told += [difference("rules", before, {rule.name: rule for rule in found}, as_written), use_channels()]
        told += telling.untold(loaded.config)
        return "; ".join(sorted(filter(None, told), key=_unchanged))  # a line is short: what changed comes first

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


def _unchanged(told: str) -> bool:
    return told.endswith(AS_THEY_WERE)


def as_written(rule: Rule, other: Rule) -> bool:
    """Whether two rules say the same, wherever it is written."""
    said = zip(astuple(replace(rule, source="")), astuple(replace(other, source="")), strict=True)
    return all(one == another or (one != one and another != another) for one, another in said)  # noqa: PLR0124  NaN is said, too
