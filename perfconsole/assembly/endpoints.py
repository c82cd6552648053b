"""The collector of endpoints, which comes with the first of them and is given others while it runs."""

from collections.abc import Callable, Mapping
from importlib import import_module
from math import nan
from typing import TYPE_CHECKING, TypeVar

from perfconsole.config.load import Loaded
from perfconsole.config.schema import Config
from perfconsole.core.checks import Check, same
from perfconsole.core.ports import Collector
from perfconsole.engine.engine import Engine

if TYPE_CHECKING:
    from perfconsole.collectors.http import HttpCollector

AS_THEY_WERE = "as they were"

T = TypeVar("T")


class Endpoints:
    """The collector of endpoints, if there are any: the rest would not wait for what it imports; there may be later."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._checks: tuple[Check, ...] = ()
        self._collector: HttpCollector | None = None

    def collectors(self, engine: Callable[[], Engine]) -> list[Collector]:
        """The collector of what is configured now, or none."""
        config = self._config
        if not has_endpoints(config):
            return []
        from perfconsole.collectors.http import HttpCollector
        from perfconsole.config.endpoints import checks

        self._checks = checks(config)
        self._collector = HttpCollector(self._checks, up=lambda name: _up(engine(), name))
        return [self._collector]

    @property
    def places(self) -> frozenset[tuple[str, str]]:
        """What is configured, as collector and target."""
        return frozenset((self._collector.name, check.name) for check in self._checks) if self._collector else frozenset()

    async def use(self, config: Config, engine: Callable[[], Engine]) -> str:
        """Go on with another configuration: endpoints that are as they were go on as if nothing had happened. What changed, in words."""
        self._config = config
        before = {check.name: check for check in self._checks}
        if self._collector is None:
            for collector in self.collectors(engine):
                engine().adopt(collector)
        else:
            from perfconsole.config.endpoints import checks

            self._checks = checks(self._config)
            await self._collector.configure(self._checks)
        return difference("endpoints", before, {check.name: check for check in self._checks}, same)


def has_endpoints(config: Config) -> bool:
    """Whether any are configured."""
    return bool(config.http or config.tcp or config.tls or config.dns)


def ready(loaded: Loaded) -> Loaded:
    """A configuration, once what its endpoints need is imported: in the thread that read it, for a loop would stand still meanwhile."""
    if has_endpoints(loaded.config):
        import_module("perfconsole.collectors.http")
        import_module("perfconsole.config.endpoints")
    return loaded


def difference(what: str, before: Mapping[str, T], after: Mapping[str, T], alike: Callable[[T, T], bool]) -> str:
    """``endpoints: 2 added, 1 changed``."""
    counts = {
        "added": len(after.keys() - before.keys()),
        "changed": sum(not alike(after[name], one) for name, one in before.items() if name in after),
        "removed": len(before.keys() - after.keys()),
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{what}: {told or AS_THEY_WERE}"


def _up(engine: Engine, name: str) -> float:
    """Whether something that endpoints depend on is up: 1, 0, or NaN for unknown. ``host`` is this machine, which is up while we run."""
    kind, _, called = name.partition(":")
    return engine.state.value("postgresql.up", server=called) if kind == "postgres" else 1.0 if kind == "host" else nan
