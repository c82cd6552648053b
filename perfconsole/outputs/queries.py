"""The statements of one server over one window, as the JSON object ``perfconsole.queries/1`` and as a table for people. Pure."""

from math import isfinite, isnan
from typing import Any, Final

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import StatementRow, StatementTable
from perfconsole.outputs.snapshot import heading, rfc3339

SCHEMA: Final = "perfconsole.queries/1"


def queries(state: State, table: StatementTable, limit: int) -> dict[str, Any]:
    """The heaviest statements.

    Args:
        state: Says which host it was asked from.
        table: Rows in the order in which they are wanted.
        limit: At most so many.

    Returns:
        Base units; None for what is unknown; 64-bit ids as strings.
    """
    return {
        **heading(SCHEMA, state.at, state.stream.host if state.stream else ""),
        "window_s": _known(table.window_s),
        "server": {"name": table.target, "version": table.server_version or None, "extension_version": table.extension or None},
        "statements": [_statement(row, table) for row in table.rows[:limit]],
        "hidden": table.hidden,
        "dealloc": _known(table.dealloc),
        "warnings": list(table.notes),
    }


def _statement(row: StatementRow, table: StatementTable) -> dict[str, Any]:
    return {
        "queryid": str(row.queryid),
        "database": row.database,
        "user": row.user,
        "toplevel": row.toplevel,
        "calls": _known(row.calls),
        "calls_per_s": _known(row.calls / table.window_s if table.window_s else float("nan")),
        "exec_s": _known(row.exec_s),
        "mean_s": _known(row.mean_s),
        "rows_per_call": _known(row.rows / row.calls if row.calls else float("nan")),
        "load": _known(row.load),
        "share": _known(row.share),
        "max_s": _known(row.max_s),
        "max_since": rfc3339(row.max_since),
        "shared_blks_hit": _known(row.shared_hit),
        "shared_blks_read": _known(row.shared_read),
        "temp_blks_written": _known(row.temp_written),
        "wal_bytes": _known(row.wal_bytes),
        "in_flight": row.in_flight,
        "longest_s": _known(row.longest_s),
        "new": row.new,
        "query": row.query or None,
    }


def text(table: StatementTable, limit: int, width: int) -> str:
    """The same for a person, one line a statement."""
    lines = [f"{table.target}  over {units.duration(table.window_s)}  {table.total} statements known", *table.notes, ""]
    lines.append(f"{'LOAD':>6} {'SHARE':>5} {'CALLS/s':>8} {'MEAN':>6} {'ROWS/c':>6}  DATABASE      QUERY")
    for row in table.rows[:limit]:
        calls_s = row.calls / table.window_s if table.window_s else float("nan")
        per_call = row.rows / row.calls if row.calls else float("nan")
        query = " ".join(row.query.split()) or f"queryid {row.queryid}"
        line = (
            f"{_load(row.load):>6} {units.percent(row.share):>5} {units.count(calls_s):>8} {units.latency(row.mean_s):>6} "
            f"{units.count(per_call):>6}  {row.database[:12]:<12}  {query}"
        )
        lines.append(line[: max(width, 60)])
    return "\n".join(lines) + "\n"


def _load(value: float) -> str:
    return units.UNKNOWN if isnan(value) else f"{value:.2f}"


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
