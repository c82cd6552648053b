"""The machine of `world` with a PostgreSQL server on it: statements, sessions and answers are a script, all else is real.

A function of the step, as `world` is. What is asked on request is kept in `Postgres.asked`, and answered from `Postgres.answers`.
"""

from contextlib import asynccontextmanager
from math import isnan, nan, sin

import pytest
from msgspec import structs
from world import INTERVAL_S, MIB, START, Console, Scripted, World, console_app

from perfconsole.core.ports import Measured, Operation, Result
from perfconsole.core.requests import (
    POSTGRES_CANCEL,
    POSTGRES_CONNECT,
    POSTGRES_DETAIL,
    POSTGRES_EXPLAIN,
    POSTGRES_MARK,
    POSTGRES_STATEMENT,
    POSTGRES_TERMINATE,
    Done,
    Fact,
    FactSection,
    Plan,
    PlanNode,
    Relation,
    ServerDetail,
    StatementDetail,
)
from perfconsole.core.tables import SessionRow, SessionTable, StatementRow, StatementTable
from perfconsole.core.tick import Health, SeriesDef

SERVER = "shop"
ORDERS, CART, STOCK, REPORT, SYNC, NESTED, HOSTILE, VACUUM = -8841376120517731986, 1001, 1002, 1003, 1004, 1005, 1006, 1007
"""Queryids of the script. The first is twice as slow as it was; REPORT runs and has never ended; HOSTILE has an escape sequence in it."""

WINDOWS_S = {"tick": 5.0, "1m": 60.0, "5m": 300.0, "open": 900.0, "mark": 120.0, "reset": 86_400.0 * 3}

TEXTS = {
    ORDERS: "SELECT o.id, o.placed, c.name, sum(i.price * i.amount) AS total FROM shop.orders o JOIN shop.customers c ON c.id = o.customer "
    "JOIN shop.items i ON i.order_id = o.id WHERE c.name = $1 AND o.placed > $2 "
    "GROUP BY o.id, o.placed, c.name ORDER BY total DESC LIMIT $3",
    CART: "UPDATE shop.carts SET updated_at = $1, note = $2 WHERE id = $3",
    STOCK: "SELECT sku, amount\nFROM shop.stock -- what is left\nWHERE sku = ANY($1)",
    REPORT: "SELECT date_trunc($1, placed), count(*) FROM shop.orders GROUP BY 1 ORDER BY 1",
    SYNC: "INSERT INTO 在庫 (品番, 数量) VALUES ($1, $2) ON CONFLICT (品番) DO UPDATE SET 数量 = $2",
    NESTED: "SELECT price FROM shop.prices WHERE sku = $1",
    HOSTILE: "SELECT '\u241b[31m[bold]$1[/bold]' AS \"\ufffd\"",
    VACUUM: "VACUUM (ANALYZE) shop.orders",
}

_LOADS = {ORDERS: 1.9, CART: 0.45, STOCK: 0.31, SYNC: 0.12, NESTED: 0.07, HOSTILE: 0.02, VACUUM: 0.01}
_MEANS_S = {ORDERS: 0.310, CART: 0.0021, STOCK: 0.0144, SYNC: 0.0009, NESTED: 0.0002, HOSTILE: 0.004, VACUUM: 2.25}


def wave(step, period, low, high):
    """Up and down between two values."""
    return low + (high - low) * (0.5 + 0.5 * sin(step * 6.28318 / period))


def statement(queryid, step=0, window_s=60.0, **fields):
    """One row of the script over a window."""
    whole = sum(_LOADS.values())
    load = _LOADS.get(queryid, 0.0) * wave(step, 30, 0.8, 1.2)
    mean = _MEANS_S.get(queryid, nan)
    calls = load * window_s / mean if not isnan(mean) else 0.0
    row = StatementRow(
        10, 5, queryid, queryid != NESTED, "app", "shop", calls, load * window_s, load, load / whole / wave(step, 30, 0.8, 1.2),
        mean, plan_s=0.0, baseline_s=mean / (3.1 if queryid == ORDERS else 1.05), max_s=mean * 9, max_since=START - 86_400.0 * 3,
        rows=calls * 18, shared_hit=calls * 71, shared_read=calls * 29, io_s=load * window_s * 0.62, temp_written=0.0, wal_bytes=0.0,
        query=TEXTS.get(queryid, ""), stddev_s=mean / 2,
    )  # fmt: skip
    changes = {
        ORDERS: {"in_flight": 2, "longest_s": 14.0, "temp_written": calls * 40},
        CART: {"wal_bytes": calls * 640.0, "rows": calls},
        SYNC: {"wal_bytes": calls * 410.0, "user": "同期", "new": True, "baseline_s": nan, "rows": calls},
        REPORT: {"in_flight": 1, "longest_s": 612.0 + step * INTERVAL_S, "baseline_s": nan, "max_s": nan},
        VACUUM: {"user": "postgres", "rows": 0.0},
    }
    return structs.replace(row, **(changes.get(queryid, {}) | fields))


def statements(step, window_s):
    """All of them."""
    return [statement(queryid, step, window_s) for queryid in TEXTS]


def session(pid, state="active", step=0, **fields):
    """One session of the script; times are told as ages in seconds: ``state_age``, ``xact_age``, ``query_age``."""
    now = START + step * INTERVAL_S
    ages = {
        "state_change": fields.pop("state_age", 5.0),
        "xact_start": fields.pop("xact_age", nan),
        "query_start": fields.pop("query_age", 5.0),
    }
    row = SessionRow(
        pid, START - 3600.0 - pid, "client backend", "shop", "app", "api", "10.0.0.9", state, "", "",
        **{name: now - age for name, age in ages.items()},
    )  # fmt: skip
    return structs.replace(row, **fields)


def sessions(step):
    """A tree of three that block each other with an idle transaction on top, two that run ORDERS, one that runs REPORT, and idle ones."""
    lock = {"wait_type": "Lock", "wait": "transactionid"}
    return [
        session(4100, "idle in transaction", step, state_age=312.0 + 2 * step, xact_age=340.0 + 2 * step, blocks=2, queryid=CART,
                application="psql", client="local", user="deploy", query="UPDATE shop.carts SET note = 'x' WHERE id = 7"),
        session(4101, "active", step, query_age=84.0, xact_age=85.0, blocked_by=(4100,), depth=1, blocks=1, queryid=CART,
                query=TEXTS[CART], **lock),
        session(4102, "active", step, query_age=31.0, xact_age=31.0, blocked_by=(4101,), depth=2, queryid=CART, **lock, query=TEXTS[CART]),
        session(4110, "active", step, query_age=14.0, queryid=ORDERS, wait_type="IO", wait="DataFileRead", query=TEXTS[ORDERS]),
        session(4111, "active", step, query_age=3.0, queryid=ORDERS, query=TEXTS[ORDERS]),
        session(4120, "active", step, query_age=612.0 + 2 * step, xact_age=612.0 + 2 * step, queryid=REPORT, application="報告",
                query=TEXTS[REPORT]),
        *(session(4200 + i, "idle", step, state_age=20.0 * i, query="COMMIT") for i in range(6)),
    ]  # fmt: skip


def node(depth, name, cost, own_cost, rows, **fields):
    """A node of a plan."""
    return PlanNode(depth, name, cost, own_cost, rows, **fields)


PLAN = Plan(
    "generic",
    "a1b2c3d4",
    [
        node(0, "Limit", 18_422.1, 0.1, 10),
        node(1, "Sort", 18_422.0, 60.4, 24_000, details=(("Sort Key", "(sum((i.price * i.amount))) DESC"),)),
        node(2, "HashAggregate", 18_361.6, 720.0, 24_000, details=(("Group Key", "o.id, c.name"),)),
        node(3, "Hash Join", 17_641.6, 1_210.5, 72_000, details=(("Hash Cond", "(i.order_id = o.id)"),)),
        node(4, "Seq Scan on items i", 9_240.0, 9_240.0, 480_000, findings=("costliest",)),
        node(4, "Hash", 7_191.1, 0.0, 24_000),
        node(5, "Hash Join", 7_191.1, 820.0, 24_000, details=(("Hash Cond", "(o.customer = c.id)"),)),
        node(
            6,
            "Seq Scan on orders o",
            6_370.0,
            6_370.0,
            160_000,
            details=(("Filter", "(placed > $2)"),),
            findings=("filter without an index",),
        ),
        node(6, "Index Scan using customers_name on customers c", 1.1, 1.1, 1, details=(("Index Cond", "(name = $1)"),)),
    ],
    types=("text", "timestamp with time zone", "bigint"),
    can_try=True,
)
"""The plan of ORDERS."""

MEASURED = structs.replace(
    PLAN,
    how="analyze",
    hash="ffff0000",
    changed=True,
    planning_s=0.0012,
    execution_s=0.298,
    nodes=[
        structs.replace(each, actual_rows=each.rows / 120, actual_s=0.298 - 0.03 * each.depth, own_s=0.02, loops=1.0) for each in PLAN.nodes
    ],
    notes=("ran read-only, and was rolled back",),
)
"""The same, run and measured."""

DETAIL = StatementDetail(
    TEXTS[ORDERS],
    [
        Relation("shop", "items", 812 * MIB, 310 * MIB, 4.8e6, 12_000, 18_200, 3, START - 86_400.0, START - 7200.0,
                 ("CREATE UNIQUE INDEX items_pkey ON shop.items USING btree (id)",)),
        Relation("shop", "orders", 96 * MIB, 40 * MIB, 160_000, 41_000, 9_400, 88_000, nan, nan,
                 ("CREATE UNIQUE INDEX orders_pkey ON shop.orders USING btree (id)",
                  "CREATE INDEX orders_customer ON shop.orders USING btree (customer)")),
        Relation("shop", "customers", 3 * MIB, 1 * MIB, 12_000, 0, 12, 1_900_000, START - 600.0, START - 600.0),
    ],
)  # fmt: skip
"""What is read of ORDERS."""

SERVER_DETAIL = ServerDetail(
    [
        FactSection("Sizes", [Fact("shop", "1.2G"), Fact("postgres", "7.6M")]),
        FactSection(
            "Indexes",
            [Fact("shop.orders_note", "never used, 40M", "DROP INDEX CONCURRENTLY shop.orders_note", "warning")],
            "since the statistics were reset 3 d ago",
        ),
    ]
)


class Postgres(Scripted):
    """PostgreSQL servers. Tables are made for who looks at them, as the real collector does.

    Attributes:
        statements: Rows of a step and a window's seconds; `sessions` those of a step.
        notes: Of the table of statements; `load` of all statements, where that is more than the rows'.
        answers: Operation to its result, an exception, or a function of the arguments that gives either.
        asked: Operations and arguments, in order.
    """

    def __init__(self, *servers):
        super().__init__("postgres")
        self.targets = servers or (SERVER,)
        self.statements, self.sessions, self.notes = statements, sessions, ()
        self.steps = dict.fromkeys(self.targets, -1)
        self.at = START
        self.load = None
        self.health = []
        self.asked = []
        self.answers = {
            POSTGRES_CANCEL.name: lambda args: Done(f"cancelled what session {args.pid} was running"),
            POSTGRES_TERMINATE.name: lambda args: Done(f"terminated session {args.pid}"),
            POSTGRES_STATEMENT.name: lambda args: structs.replace(DETAIL, query=TEXTS.get(args.queryid, "")),
            POSTGRES_EXPLAIN.name: lambda args: MEASURED if args.how == "analyze" else structs.replace(PLAN, how=args.how),
            POSTGRES_DETAIL.name: SERVER_DETAIL,
            POSTGRES_MARK.name: lambda args: Done(f"{args.server}: counting from here"),
            POSTGRES_CONNECT.name: lambda args: Done(f"connecting to {args.server}"),
        }
        specs = (
            POSTGRES_CANCEL, POSTGRES_TERMINATE, POSTGRES_STATEMENT, POSTGRES_EXPLAIN, POSTGRES_DETAIL, POSTGRES_MARK, POSTGRES_CONNECT,
        )  # fmt: skip
        self.operations = tuple(Operation(spec, self._answering(spec.name)) for spec in specs)

    def _answering(self, op):
        async def run(args):
            self.asked.append((op, args))
            answer = self.answers[op]
            answer = answer(args) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return run

    async def run(self, target, slot, views):
        self.steps[target] += 1
        self.at = slot.at
        if self.fault:
            raise self.fault
        step = self.steps[target]
        series, values = zip(*_series(target, step), strict=True)
        load = {queryid: value * wave(step, 30, 0.8, 1.2) for queryid, value in _LOADS.items()}
        heaviest = [
            (SeriesDef(f"postgresql.statement.{what}", _labels(target, queryid)), value)
            for queryid in (ORDERS, CART, STOCK)
            for what, value in (("load", load[queryid]), ("mean", _MEANS_S[queryid] * wave(step, 45, 0.9, 1.1)))
        ]
        measured = [
            Measured(target, series, list(values)),
            Measured(f"statements:{target}", tuple(series for series, _ in heaviest), [value for _, value in heaviest]),
        ]
        return Result(measured, self._tables(target, slot.at, views), health=[Health(*each) for each in self.health])

    def _tables(self, target, at, views):
        mine = [view for view in views if view.target in {"", target}]
        step = self.steps[target]
        for window in dict.fromkeys(view.window or "tick" for view in mine if view.table == "statement"):
            window_s = WINDOWS_S[window]
            rows = self.statements(step, window_s)
            yield StatementTable(
                target,
                at,
                window or "tick",
                window_s,
                len(rows),
                0,
                0.0,
                8192,
                rows,
                self.notes,
                "PostgreSQL 16.4",
                "1.10",
                load=self.load if self.load is not None else sum(row.load for row in rows),
                since=at - window_s,
            )
        if any(view.table == "session" for view in mine):
            rows = self.sessions(step)
            waits = (("CPU", 0.5), ("Lock", 0.3), ("IO", 0.2))
            yield SessionTable(target, at, START + step * INTERVAL_S, len(rows), rows, waits=waits)

    async def look(self, views):
        return [table for target, step in self.steps.items() if step >= 0 for table in self._tables(target, self.at, views)]


def _labels(server, queryid):
    return (("database", "shop"), ("queryid", str(queryid)), ("server", server), ("user", "app"))


def _series(server, step):
    """What is told of a server on Operations."""
    of = (("server", server),)
    values = {
        "up": 1.0, "connections": 12.0, "connections.utilization": 0.124, "sessions.blocked": 2.0,
        "transactions": 400.0 * step * INTERVAL_S, "cache.hit_ratio": wave(step, 40, 0.97, 0.995),
        "transaction.longest": 612.0, "wal.bytes": 3e6 * step, "temp.bytes": 0.0,
        "statement.load": 2.9, "statement.mean": 0.021, "statement.longest": 612.0,
    }  # fmt: skip
    for name, value in values.items():
        yield SeriesDef(f"postgresql.{name}", of), value
    yield SeriesDef("postgresql.sessions", (*of, ("state", "active"))), 5.0


class PostgresWorld(World):
    """The machine with servers.

    Attributes:
        postgres: The collector.
    """

    def __init__(self, steps=4, *servers, **options):
        self.postgres = Postgres(*servers)
        super().__init__(steps, more=(self.postgres,), **options)


@pytest.fixture
def make_postgres_world():
    """Makes such machines: steps, names of servers, options of `world.World`."""
    made = []

    def make(*args, **options):
        made.append(PostgresWorld(*args, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def postgres_world(make_postgres_world):
    """One with one server."""
    return make_postgres_world()


@asynccontextmanager
async def queries_screen(world, kind="local", size=(120, 36), **changes):
    """A console on the Queries screen, with its first tables there."""
    app = console_app(world.connect(kind), **changes)
    async with app.run_test(size=size) as pilot:
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press("4")
        await console.step()
        yield console
