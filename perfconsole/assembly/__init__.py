"""The composition root: from a configuration to an engine with its collectors, rules, audit file and recording. Knows every room."""

import os
import socket
from collections.abc import Callable, Sequence
from math import nan
from typing import TYPE_CHECKING

from msgspec import Struct

from perfconsole import __version__
from perfconsole.assembly.endpoints import Endpoints
from perfconsole.assembly.keeping import keep_alerts, record, recording_dir
from perfconsole.assembly.observers import Observers
from perfconsole.assembly.reloading import reloading
from perfconsole.collectors.blindness import Blindness
from perfconsole.collectors.own import OwnCollector
from perfconsole.collectors.processes import ProcessCollector
from perfconsole.collectors.system import system_collectors
from perfconsole.config import places
from perfconsole.config.load import Loaded
from perfconsole.config.rules import rules
from perfconsole.config.schema import Config
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Collector
from perfconsole.core.text import safe
from perfconsole.core.tick import Stream
from perfconsole.engine.dispatch import Audit
from perfconsole.engine.engine import Engine

if TYPE_CHECKING:
    from perfconsole.collectors.postgres.server_log import Failed

__all__ = ["build_engine", "build_postgres_engine", "keep_alerts", "record", "recording_dir"]


def build_engine(
    config: Config,
    *,
    rule_places: Sequence[str] = (),
    terminal_bytes: Callable[[], float] = lambda: nan,
    offer: bool = False,
    reload: Callable[[], Loaded] | None = None,
    own: Sequence[str] = (),
    once: bool = False,
) -> Engine:
    """An engine for this machine, not yet started; it records nothing until it is told to (see `record`).

    Args:
        config: A checked configuration.
        rule_places: Where each of its rules is written, as ``file:line``.
        terminal_bytes: Bytes written to the terminal so far.
        offer: Where no PostgreSQL server is configured, have those of this machine stand by to be connected to.
        reload: Reads the configuration again; None where that is not offered.
        own: The files that it was read from.
        once: It is asked for one moment alone: everything is measured at once, and nobody waits for something to change.
    """
    interval_s = config.console.interval_s
    endpoints, observers = Endpoints(config), Observers(config, own, once=once)
    postgres = _postgres(config, observers.failed if config.security.enabled and not once else None, offer=offer)
    servers = frozenset((one.name, target) for one in postgres for target in one.targets) if config.postgres else frozenset()
    blindness = Blindness(lambda: engine.state, lambda: servers | endpoints.places)
    collectors: list[Collector] = [
        *system_collectors(
            interval_s, disks=Globs(config.system.disks), networks=Globs(config.system.networks), mounts=Globs(config.system.mounts)
        ),
        ProcessCollector(interval_s),
        *postgres,
        *endpoints.collectors(lambda: engine),
        OwnCollector(interval_s, lambda: engine.lateness_s, terminal_bytes, blindness),
    ]
    if once:
        for collector in collectors:
            collector.first_after_s = 0.0
    operations = reloading(endpoints, reload, lambda: engine) if reload else []
    engine = Engine(
        collectors,
        _stream(config),
        rules=rules(config, rule_places),
        operations=operations,
        later=observers.make,
        audit=_audit(config),
    )
    return engine


def _postgres(config: Config, failed: "Failed | None", *, offer: bool) -> list[Collector]:
    """The collector of the PostgreSQL servers, if there are any: the rest would not wait for what it imports."""
    found: list[tuple[str, str]] = []
    if not config.postgres and offer:
        from perfconsole.config.found import sockets

        found = sockets()
    if not config.postgres and not found:
        return []
    from perfconsole.collectors.postgres import PostgresCollector
    from perfconsole.config.servers import of_socket, servers

    return [PostgresCollector([*servers(config), *(of_socket(directory, port) for directory, port in found)], failed)]


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
