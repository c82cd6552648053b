"""``perfconsole queries``: what loaded a PostgreSQL server over the next seconds."""

import shutil
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
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
from perfconsole.core.tables import Key, StatementTable, View, select

_PATIENCE_S: Final = 10.0
"""What a server may take beyond the window."""

_TEXTS_S: Final = 3.0
"""How long texts are waited for after it: they are read once, after the numbers."""

_SEARCHED: Final = 500
"""Statements whose texts are looked into for words."""


def run(args: Namespace) -> int:
    """Print one window; 0 when measured, 3 when the server could not be asked."""
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    window_s = _window_s(args.window)
    if args.limit < 1:
        raise ConfigError(f"--limit: found {args.limit}", "accepted: 1 and more")
    shown = View("statement", sort=args.sort, match=args.match, limit=args.limit)
    state, target, table = _measure(loaded.config, args.server, window_s, shown)
    if table is None or isnan(table.window_s):
        for why in unread(state, target):
            notice(f"{target}: {why}")
        return UNMEASURED
    table = replace(table, rows=select(table.rows, shown))
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


def unread(state: State, target: str) -> list[str]:
    """Why the statements of a server are not known, and what to do; a line a reason."""
    health, table = state.health.get(("postgres", target)), state.table(StatementTable, target)
    told = [": ".join(filter(None, (health.error, health.fix)))] if health else []
    return [line for line in [*told, *(table.notes if table else ())] if line] or ["its statements could not be read"]


def _measure(config: Config, server: str | None, window_s: float, shown: View) -> tuple[State, str, StatementTable | None]:
    """The state after one server was watched for a window, which server that is, and its statements."""
    from perfconsole import assembly
    from perfconsole.engine.local import LocalSource

    engine, names = assembly.build_postgres_engine(config, interval_s=min(window_s, 1.0))
    target = chosen(names, server)
    source, woken, state = LocalSource(engine), threading.Event(), State()
    engine.start()

    def until(condition: Callable[[], bool], within_s: float) -> None:
        began = None
        while not condition() and (began is None or state.boot - began < within_s) and woken.wait(_PATIENCE_S):
            woken.clear()
            for tick in source.drain():
                state.apply(tick)
                began = tick.boot if began is None else began

    def told() -> StatementTable | None:
        return state.table(StatementTable, target)

    try:
        source.subscribe(woken.set)
        view = View("statement", target, sort=shown.sort, limit=1 << 20, window="open")
        source.watch(Watch((view,)))
        # A hair less than the window: the server's clock and ours do not tick together.
        until(lambda: (table := told()) is not None and table.window_s >= window_s - 0.2, window_s + _PATIENCE_S)
        table = told()
        if table and table.rows:
            limit = _SEARCHED if shown.match else min(shown.limit, _SEARCHED)
            keys = {row.key for row in select(table.rows, replace(shown, match="", limit=limit))}
            source.watch(Watch((replace(view, keys=tuple(keys)),)))
            until(lambda: all(text for key, text in _texts(told()).items() if key in keys), _TEXTS_S)
            texts = _texts(told())  # what is gone from there is, by its text, our own
            table = replace(table, rows=[replace(row, query=texts[row.key]) for row in table.rows if row.key in texts])
    finally:
        source.close()
        engine.stop()
    return state, target, table


def _texts(table: StatementTable | None) -> dict[Key, str]:
    return {row.key: row.query for row in table.rows} if table else {}
