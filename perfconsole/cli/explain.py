"""``perfconsole queries explain``: how the planner would run one statement of a PostgreSQL server."""

import asyncio
import threading
from argparse import Namespace
from typing import Final

from perfconsole.cli.dispatch import UNMEASURED, notice, put
from perfconsole.cli.queries import chosen, unread
from perfconsole.cli.settings import settle
from perfconsole.config.schema import Config
from perfconsole.core.errors import ConfigError, RequestError
from perfconsole.core.ports import Source, Watch
from perfconsole.core.requests import POSTGRES_EXPLAIN, POSTGRES_STATEMENT, ExplainArgs, Plan, StatementArgs, StatementDetail
from perfconsole.core.state import State
from perfconsole.core.tables import StatementRow, StatementTable, View
from perfconsole.outputs.explain import Explained

_PATIENCE_S: Final = 10.0
"""What a server may take until its statements are known."""


def run(args: Namespace) -> int:
    """Print a plan; 0 when there is one, 3 when the server gave none or could not be asked."""
    if args.live and args.values:
        raise ConfigError("--live and --values: one of them", "--live takes the values of a session, --values those that follow it")
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    explained = _explained(loaded.config, args)
    if explained is None:
        return UNMEASURED
    if args.json:
        from perfconsole.outputs.explain import explain
        from perfconsole.outputs.snapshot import encode

        put(encode(explain(explained)))
    else:
        from perfconsole.outputs.explain import text

        print(text(explained), end="")
    return 0


def _explained(config: Config, args: Namespace) -> Explained | None:
    """The plan; None when there is none, and why was said."""
    from perfconsole import assembly
    from perfconsole.engine.local import LocalSource

    engine, names = assembly.build_postgres_engine(config, interval_s=1.0)
    target = chosen(names, args.server)
    source, state = LocalSource(engine), State()
    engine.start()
    try:
        row = _found(source, state, target, args)
        if row is None:
            return None
        plan, detail = asyncio.run(_asked(source, target, row, args))
    finally:
        source.close()
        engine.stop()
    return Explained(state.at, state.stream.host if state.stream else "", target, row, plan, detail)


def _found(source: Source, state: State, target: str, args: Namespace) -> StatementRow | None:
    """The statement that is meant: of several with its id, the one that took the most time."""
    table = _statements(source, state, target)
    if table is None:
        for why in unread(state, target):
            notice(f"{target}: {why}")
        return None
    rows = [
        row for row in table.rows if row.queryid == args.queryid and args.database in {None, row.database} and args.user in {None, row.user}
    ]
    if not rows:
        whose = "".join(f" of {word} {value}" for word, value in (("user", args.user), ("database", args.database)) if value)
        notice(f"{target}: no statement{whose} has queryid {args.queryid}: `perfconsole queries --json` lists them")
        for note in table.notes:
            notice(f"{target}: {note}")
        return None
    row = max(rows, key=lambda row: (row.exec_s, row.key))
    if len(rows) > 1:
        notice(f"queryid {args.queryid} is known {len(rows)} times: taken is that of user {row.user} in database {row.database}, "
               "which took the most time (--user and --database choose)")  # fmt: skip
    return row


def _statements(source: Source, state: State, target: str) -> StatementTable | None:
    """All statements since the server's reset; None when it did not answer, or what was wrong stands in the table's notes."""
    woken = threading.Event()
    source.subscribe(woken.set)
    source.watch(Watch((View("statement", target, sort="exec_s", limit=1 << 20, window="reset"),)))
    began = None
    table: StatementTable | None = None
    while woken.wait(_PATIENCE_S):
        woken.clear()
        for tick in source.drain():
            state.apply(tick)
            began = tick.boot if began is None else began
        table = state.table(StatementTable, target)
        health = state.health.get(("postgres", target))
        down = health is not None and health.state in {"error", "denied", "off"}
        if (table is not None and (table.rows or table.notes)) or down or state.boot - (began or state.boot) > _PATIENCE_S:
            break
    return table


async def _asked(source: Source, target: str, row: StatementRow, args: Namespace) -> tuple[Plan, StatementDetail | None]:
    statement = StatementArgs(target, row.userid, row.dbid, row.queryid, row.toplevel)
    how = "analyze" if args.analyze else "live" if args.live or args.values else "generic"
    plan = await source.request(POSTGRES_EXPLAIN.name, ExplainArgs(statement, how, tuple(args.values or ()), args.index or ""))
    assert isinstance(plan, Plan)
    try:
        detail = await source.request(POSTGRES_STATEMENT.name, statement)
    except RequestError as error:  # the plan is there; its tables are an addition
        notice(str(error))
        return plan, None
    assert isinstance(detail, StatementDetail)
    return plan, detail
