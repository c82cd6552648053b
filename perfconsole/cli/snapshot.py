"""``perfconsole snapshot``: measure this machine for a second, print what is known, leave."""

import sys
import threading
from argparse import Namespace
from math import isnan
from typing import Final

from msgspec.structs import replace

from perfconsole.cli.dispatch import UNMEASURED, notice, put
from perfconsole.cli.settings import settle
from perfconsole.config.schema import Config
from perfconsole.core.alert_order import rank
from perfconsole.core.endpoints import TARGET, EndpointTable
from perfconsole.core.ports import Watch
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessTable, View, select
from perfconsole.core.unit_rows import UnitTable

_INTERVAL_S: Final = 0.5
"""Two measurements this far apart make the rates: long enough for whole clock ticks to tell something, short enough to wait for."""

_LOOKED_S: Final = 3 * _INTERVAL_S
"""Units whose use is not known by then have none to tell."""

_PATIENCE_S: Final = 4.0
"""What is not there by then is reported as it stands: a dead mount must not hold the answer back."""

_ROUND_S: Final = 1.5
"""In which a checker is ready, and one more beat tells of the last."""

_BEGUN_PER_S: Final = 300
"""Endpoints are begun one after the other: 500 in 1.3 s."""

_EVERY: Final = 1_000_000

_WATCH: Final = Watch((
    View("process", sort="read_bytes_s", limit=_EVERY, columns=("read_bytes_s", "write_bytes_s")), View("endpoint", limit=_EVERY),
    View("unit", limit=_EVERY, columns=("live",)),
))  # fmt: skip
"""Sorted by storage I/O, because only that has it read for every process."""


def run(args: Namespace) -> int:
    """Print one moment; 0 when measured, 3 when a collector failed, the severity with ``--fail-on``."""
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    state = _sorted(measure(loaded.config))
    if args.json:
        from perfconsole.outputs.snapshot import encode, snapshot

        put(encode(snapshot(state)))
    else:
        from perfconsole.outputs.text import text

        print(text(state), end="")
    return _code(state, args.fail_on)


def measure(config: Config) -> State:
    """The state after two measurements of everything."""
    from perfconsole import assembly
    from perfconsole.engine.local import LocalSource

    servers = tuple(replace(server, interval_s=_INTERVAL_S) for server in config.postgres)
    console = replace(config.console, interval_s=_INTERVAL_S, recording_s=0.0)
    engine = assembly.build_engine(replace(config, console=console, postgres=servers), once=True)
    source = LocalSource(engine)
    woken = threading.Event()
    state = State()
    engine.start()
    engine.complete()
    try:
        source.subscribe(woken.set)
        source.watch(_WATCH)
        began = None
        patience_s = _patience_s(config)
        while not (_measured(state) and _heard_of(state, config)) and (began is None or state.boot - began < patience_s):
            if not woken.wait(patience_s):
                break
            woken.clear()
            for tick in source.drain():
                state.apply(tick)
                began = tick.boot if began is None else began
    finally:
        source.close()
        engine.stop()
    return state


def _measured(state: State) -> bool:
    """Whether every group was read as often as its rates need, and every process twice."""
    table = state.table(ProcessTable)
    if table is None or all(isnan(row.cpu) for row in table.rows) or not _knows_units(state):
        return False
    return all(len(series.ring) >= (2 if series.ring.interval_s <= _INTERVAL_S else 1) for series in state.all_series())


def _knows_units(state: State) -> bool:
    """Whether their use was measured over an interval, or is not to be had."""
    table = state.table(UnitTable)
    if table is None or not table.rows:
        return ("units", "host") in state.health or not sys.platform.startswith("linux")
    looked_s = table.at - state.stream.began if state.stream else 0.0
    return any(not isnan(row.cpu) for row in table.rows) or looked_s > _LOOKED_S


def _patience_s(config: Config) -> float:
    """An endpoint that hangs is told as what it is, once its timeout is over."""
    timeouts = [one.timeout_s for one in (*config.http, *config.tcp, *config.tls, *config.dns)]
    return max(_PATIENCE_S, max(timeouts, default=0.0) + _ROUND_S + len(timeouts) / _BEGUN_PER_S)


def _heard_of(state: State, config: Config) -> bool:
    """Whether every server has answered, or why it has not is known; and every endpoint was checked."""
    servers = all(("postgres", server.name) in state.health for server in config.postgres)
    if not (config.http or config.tcp or config.tls or config.dns):
        return servers
    endpoints = state.table(EndpointTable, TARGET)
    return servers and endpoints is not None and not endpoints.unchecked


def _sorted(state: State) -> State:
    """The same with its processes in the usual order."""
    table = state.table(ProcessTable)
    if table:
        keyframe = state.keyframe()
        rows = select(table.rows, View("process", limit=_EVERY))
        others = [held for held in keyframe.tables if not isinstance(held, ProcessTable)]
        state.apply(replace(keyframe, tables=[replace(table, rows=rows), *others]))
    return state


def _of_endpoints(state: State) -> list[str]:
    """What their states amount to: each is checked once, and as with `probe` one that failed is down.

    Their alerts last for a minute before they fire, which no snapshot does.
    """
    table = state.table(EndpointTable, TARGET)
    return ["critical" for row in (table.rows if table else ()) if row.state in {"down", "failing"}]


def _code(state: State, fail_on: str | None) -> int:
    if fail_on:
        # A threshold without a duration only colours: it never enters an exit code.
        found = [alert.severity for alert in state.alerts.values() if alert.state == "firing" and not alert.colour]
        worst = max(map(rank, [*found, *_of_endpoints(state)]), default=0)
        if worst >= rank(fail_on):
            return worst
    failed = any(
        health.state == "error" if target == "host" or name == "http" else name == "postgres" and health.state != "ok"
        for (name, target), health in state.health.items()
    )
    endpoints = state.table(EndpointTable, TARGET)
    return UNMEASURED if failed or (endpoints and endpoints.unchecked) or not state.groups else 0
