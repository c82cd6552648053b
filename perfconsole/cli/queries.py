"""``perfconsole queries``: what loaded a PostgreSQL server over the next seconds."""

import shutil
import threading
from argparse import Namespace
from collections.abc import Sequence
from math import isnan
from typing import Final

from msgspec.structs import replace

from perfconsole.cli.dispatch import UNMEASURED, notice, put
from perfconsole.cli.settings import settle
from perfconsole.config.schema import Config
from perfconsole.core import units
from perfconsole.core.errors import ConfigError
from perfconsole.core.ports import Watch
from perfconsole.core.state import State
from perfconsole.core.tables import StatementTable, View, select

_PATIENCE_S: Final = 10.0
"""What a server may take beyond the window."""


def run(args: Namespace) -> int:
    """Print one window; 0 when measured, 3 when the server could not be asked."""
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    window_s = _window_s(args.window)
    state, target = _measure(loaded.config, args.server, window_s)
    table = state.table(StatementTable, target)
    if table is None or isnan(table.window_s):
        health = state.health.get(("postgres", target))
        notice(f"{target}: {(health and (health.error or health.fix)) or 'no statements could be measured'}")
        return UNMEASURED
    table = replace(table, rows=select(table.rows, View("statement", sort=args.sort, match=args.match, limit=args.limit)))
    if args.json:
        from perfconsole.outputs.queries import queries
        from perfconsole.outputs.snapshot import encode

        put(encode(queries(state, table, args.limit)))
    else:
        from perfconsole.outputs.queries import text

        print(text(table, args.limit, shutil.get_terminal_size((160, 24)).columns), end="")
    return 0


def _window_s(written: str) -> float:
    try:
        seconds = units.parse_duration(written)
    except ValueError as error:
        raise ConfigError(f"--window: {error}") from error
    if not 1 <= seconds <= 3600:
        raise ConfigError(f"--window: found {written!r}", "accepted: 1s to 1h")
    return seconds


def chosen(names: Sequence[str], server: str | None) -> str:
    """The server that is meant.

    Raises:
        ConfigError: When there is none, or it is not clear which.
    """
    if not names:
        raise ConfigError("no PostgreSQL server is configured", "[[postgres]] in the configuration, or --dsn postgresql://host/database")
    if (server is None and len(names) > 1) or (server is not None and server not in names):
        raise ConfigError(f"--server: found {server!r}", f"accepted: {' '.join(names)}")
    return server or names[0]


def _measure(config: Config, server: str | None, window_s: float) -> tuple[State, str]:
    """The state after one server was watched for a window, and which server that is."""
    from perfconsole import assembly
    from perfconsole.engine.local import LocalSource

    engine, names = assembly.build_postgres_engine(config, interval_s=min(window_s, 1.0))
    target = chosen(names, server)
    source, woken, state = LocalSource(engine), threading.Event(), State()
    engine.start()
    try:
        source.subscribe(woken.set)
        source.watch(Watch((View("statement", target, sort="load", limit=1 << 20, window="open"),)))
        began = None
        while woken.wait(_PATIENCE_S):
            woken.clear()
            for tick in source.drain():
                state.apply(tick)
                began = tick.boot if began is None else began
            table = state.table(StatementTable, target)
            # A hair less than the window: the server's clock and ours do not tick together.
            if (table and table.window_s >= window_s - 0.2) or state.boot - (began or state.boot) > window_s + _PATIENCE_S:
                break
    finally:
        source.close()
        engine.stop()
    return state, target
