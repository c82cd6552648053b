"""The composition root: from a configuration to an engine with its collectors, rules, audit file and recording. Knows every room."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import astuple, replace

from perfconsole import __version__
from perfconsole.collectors.loop import ask
from perfconsole.collectors.own import OwnCollector
from perfconsole.collectors.processes import ProcessCollector
from perfconsole.collectors.system import system_collectors
from perfconsole.config import places
from perfconsole.config.load import Loaded
from perfconsole.config.rules import rules
from perfconsole.config.schema import Config
from perfconsole.core.alert_requests import RuleArgs
from perfconsole.core.checks import Check, same
from perfconsole.core.errors import PerfconsoleError, RecordingError, RequestError
from perfconsole.core.globs import Globs
from perfconsole.core.notices import Changes, EventStore, Outbox, Saved
from perfconsole.core.ports import Collector, Operation
from perfconsole.core.requests import CONFIG_RELOAD, RULE_EDIT, Done, Nothing
from perfconsole.core.segment import VIEWS
from perfconsole.core.text import safe
from perfconsole.core.tick import Rule, Stream
from perfconsole.engine.dispatch import Audit
from perfconsole.engine.engine import Engine

if TYPE_CHECKING:
    from perfconsole.collectors.http import HttpCollector

T = TypeVar("T")


def build_engine(
    config: Config,
    *,
    rule_places: Sequence[str] = (),
    terminal_bytes: Callable[[], float] = lambda: nan,
    offer: bool = False,
    reload: Callable[[], Loaded] | None = None,
) -> Engine:
    """An engine for this machine, not yet started; it records nothing until it is told to (see `record`).

    Args:
        config: A checked configuration.
        rule_places: Where each of its rules is written, as ``file:line``.
        terminal_bytes: Bytes written to the terminal so far.
        offer: Where no PostgreSQL server is configured, have those of this machine stand by to be connected to.
        reload: Reads the configuration again; None where that is not offered.
    """
    interval_s = config.console.interval_s
    endpoints = _Endpoints(config)
    collectors: list[Collector] = [
        *system_collectors(
            interval_s, disks=Globs(config.system.disks), networks=Globs(config.system.networks), mounts=Globs(config.system.mounts)
        ),
        ProcessCollector(interval_s),
        *_postgres(config, offer=offer),
        *endpoints.collectors(lambda: engine),
        OwnCollector(interval_s, lambda: engine.lateness_s, terminal_bytes),
    ]
    operations = _reloading(config, endpoints, reload, lambda: engine) if reload else []
    engine = Engine(collectors, _stream(config), rules=rules(config, rule_places), operations=operations, audit=_audit(config))
    return engine


class _Endpoints:
    """The collector of endpoints, if there are any: the rest would not wait for what it imports; there may be later."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._checks: tuple[Check, ...] = ()
        self._collector: HttpCollector | None = None

    def collectors(self, engine: Callable[[], Engine]) -> list[Collector]:
        """The collector of what is configured now, or none."""
        config = self._config
        if not _has_endpoints(config):
            return []
        from perfconsole.collectors.http import HttpCollector
        from perfconsole.config.endpoints import checks

        self._checks = checks(config)
        self._collector = HttpCollector(self._checks, up=lambda name: _up(engine(), name))
        return [self._collector]

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
        return _difference("endpoints", before, {check.name: check for check in self._checks}, same)


def _reloading(begun: Config, endpoints: _Endpoints, read: Callable[[], Loaded], engine: Callable[[], Engine]) -> list[Operation]:
    """What reads the configuration again, and what changes a rule in it: endpoints and rules come into force while the engine runs.

    Channels do not, for messages are under way in them: who is told by a rule stays as it was where it names one that is not there yet.
    """
    channels = frozenset(notify.name for notify in begun.notify)

    async def use() -> str:
        loaded = await ask(lambda: _ready(read()), "config")
        told = [await endpoints.use(loaded.config, engine)]
        before = dict(engine().alerting.rules)
        found = [_told_by(channels, rule, before, begun) for rule in rules(loaded.config, loaded.rule_places)]
        engine().use_rules(found)
        told.append(_difference("rules", before, {rule.name: rule for rule in found}, as_written))
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


def _has_endpoints(config: Config) -> bool:
    return bool(config.http or config.tcp or config.tls or config.dns)


def _ready(loaded: Loaded) -> Loaded:
    """A configuration, once what its endpoints need is imported: in the thread that read it, for a loop would stand still meanwhile."""
    if _has_endpoints(loaded.config):
        import_module("perfconsole.collectors.http")
        import_module("perfconsole.config.endpoints")
    return loaded


def _difference(what: str, before: Mapping[str, T], after: Mapping[str, T], alike: Callable[[T, T], bool]) -> str:
    """``endpoints: 2 added, 1 changed``."""
    counts = {
        "added": len(after.keys() - before.keys()),
        "changed": sum(not alike(after[name], one) for name, one in before.items() if name in after),
        "removed": len(before.keys() - after.keys()),
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{what}: {told or 'as they were'}"


def _up(engine: Engine, name: str) -> float:
    """Whether something that endpoints depend on is up: 1, 0, or NaN for unknown. ``host`` is this machine, which is up while we run."""
    kind, _, called = name.partition(":")
    return engine.state.value("postgresql.up", server=called) if kind == "postgres" else 1.0 if kind == "host" else nan


def _postgres(config: Config, *, offer: bool) -> list[Collector]:
    """The collector of the PostgreSQL servers, if there are any: the rest would not wait for what it imports."""
    found: list[tuple[str, str]] = []
    if not config.postgres and offer:
        from perfconsole.config.found import sockets

        found = sockets()
    if not config.postgres and not found:
        return []
    from perfconsole.collectors.postgres import PostgresCollector
    from perfconsole.config.servers import of_socket, servers

    return [PostgresCollector([*servers(config), *(of_socket(directory, port) for directory, port in found)])]


def build_postgres_engine(config: Config, *, interval_s: float) -> tuple[Engine, list[str]]:
    """An engine that asks nothing but the configured servers, and their names; not yet started.

    Args:
        config: A checked configuration.
        interval_s: Seconds between two looks, whatever is configured.
    """
    from perfconsole.config.servers import servers

    found = [server._replace(interval_s=interval_s) for server in servers(config)]
    from perfconsole.collectors.postgres import PostgresCollector

    return Engine([PostgresCollector(found)], _stream(config)), [server.name for server in found]


def _stream(config: Config) -> Stream:
    return Stream(
        host=safe(socket.gethostname()),
        session=os.urandom(8).hex(),
        boot_id=_boot_id(),
        version=__version__,
        read_only=config.console.read_only,
        interval_s=config.console.interval_s,
    )


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123  pathlib says no more
            return file.read().strip()
    except OSError:
        return ""


def _audit(config: Config) -> Audit:
    """Opens the audit file when there is something to write: most consoles never act."""

    def write(peer: str, op: str, args: Struct, outcome: str) -> None:
        from perfconsole.history.audit import AuditFile

        AuditFile(places.state_dir(os.environ, config.history.dir) / "audit.log")(peer, op, args, outcome)

    return write


def keep_alerts(engine: Engine, config: Config) -> str:
    """Have an engine go on from where the last one's alerts stood, keep where its own stand, and tell the channels.

    For who holds the lease of the state directory. Waits for the disk, bounded.

    Args:
        engine: A running engine.
        config: Says where the state directory is, and who is told.

    Returns:
        What is wrong with it, in words; empty when all is well.
    """
    from perfconsole.history.events import EventFile

    store = EventFile(places.state_dir(os.environ, config.history.dir))
    saved = store.load()
    wrong, outbox = "", None
    try:
        outbox = _outbox(engine, config, store, saved)
    except PerfconsoleError as error:
        wrong = f"nobody is told of alerts: {error}"
    engine.keep_alerts(store, saved, lambda alert, limit: ask(partial(store.history, alert, limit), "alert-history"), outbox)
    return "; ".join(filter(None, (wrong, store.error, *store.said)))


def _outbox(engine: Engine, config: Config, store: EventStore, saved: Saved) -> Outbox | None:
    """What tells the channels, if there are any: the rest would not wait for what it imports."""
    if not config.notify:
        return None
    from perfconsole.notify import outbox
    from perfconsole.notify.making import channels

    keep = lambda notices, kept=None: store.put(Changes(notices=notices), kept)  # noqa: E731  a name for what is handed on
    return outbox.Outbox(channels(config), engine.alerting.rules, keep, saved.notices, host=engine.stream.host)


def record(engine: Engine, config: Config, path: str | None = None) -> str:
    """Begin to record an engine's ticks.

    Args:
        engine: A running engine.
        config: Says where the state directory is, and how much is kept there.
        path: A file to record into instead.

    Returns:
        Why nothing is recorded, in words; empty when it is.

    Raises:
        RecordingError: When `path` cannot be recorded into: that was asked for.
    """
    from perfconsole.history.recording import FileRecordingSink, RecordingSink

    if path is not None:
        engine.add_sink("recording", FileRecordingSink(path), VIEWS, recorder=path)
        return ""
    if not config.console.recording_s:
        return ""
    place = recording_dir(config)
    try:
        sink = RecordingSink(place, config.console.recording_s, config.console.recording_size_bytes)
    except RecordingError as error:
        return str(error)
    engine.add_sink("recording", sink, VIEWS, recorder=str(place))
    return ""


def recording_dir(config: Config) -> Path:
    """Where this user's consoles record."""
    return places.state_dir(os.environ, config.history.dir) / "recording"
