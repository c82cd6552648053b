"""Pictures of the screen of one PostgreSQL server."""

import pytest
from postgres_world import PostgresWorld
from world import HISTORY, Console, console_app, frozen_costs

from perfconsole.core.requests import POSTGRES_DETAIL, Fact, FactSection, ServerDetail

SMALL, USUAL, LARGE = (60, 16), (80, 24), (160, 48)
MONO, ASCII = {"theme": "mono", "colours": 0}, {"theme": "terminal", "colours": 16, "ascii_only": True}
PICTURES = {
    "small": (("d",), SMALL, {}),
    "findings": (("d", "j"), USUAL, {}),
    "tables": (("d", "tab", "tab", "tab", "j"), USUAL, {}),
    "large": (("d", "j", "j"), LARGE, {}),
    "plain": (("d",), USUAL, MONO),
    "ascii": (("d", *["tab"] * 6), USUAL, ASCII),
}
OTHER = "DROP INDEX CONCURRENTLY shop.orders_note"
GRANT = 'GRANT pg_monitor TO "app"'
MORE = "ALTER SYSTEM SET max_connections = 200; -- then restart the server"
PARTS = "  TOAST  8.0K  indexes  9.0G"
DROP = "DROP INDEX CONCURRENTLY shop.orders_placed_again"
STANDBYS = "counted on this server only: its standbys (1) count for themselves, look there before dropping"
SLOW = "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf()"
FOUND = ServerDetail(
    [
        FactSection(
            "Connections",
            [Fact("in use", "92 of 97 (95%): max_connections 100 less 3 reserved", MORE, "critical", "before more are allowed: a pooler"),
             Fact("shop web", "80: 70 idle, 9 active, 1 idle in transaction"), Fact("perfconsole", "2: 1 idle, 1 active")],
        ),
        FactSection("Databases", [Fact("shop", " 215G  90 sessions"), Fact("postgres", " 7.6M  2 sessions")], "2 databases, 215G together"),
        FactSection(
            "Tables",
            [Fact("shop.orders", f"  98G  table   41G{PARTS}  rows 210M  dead 31%  vacuumed 6d2h ago  analyzed 2d4h ago",
                  "VACUUM (ANALYZE) shop.orders", "warning"),
             *(Fact(f"shop.archive_{2025 - n}", f" {40 - n:3}G  table   {30 - n}G{PARTS}  rows 80M  dead 0%") for n in range(25))],
            "the largest of 312 tables in shop; another database is read where a dsn names it",
        ),
        FactSection("Upkeep", [Fact("autovacuum: VACUUM", " 42%  scanning heap  shop.orders  for 1h12m  pid 4711"),
                                    Fact("autovacuum workers", "1 of 3 busy")]),
        FactSection("Replication", [Fact("role", "primary"), Fact("standby b", "its lag cannot be seen", GRANT, "unknown")]),
        FactSection(
            "Advice",
            [Fact("redundant index shop.orders_placed_again", "the same as shop.orders_placed  ~4.1G", DROP, "warning"),
             Fact("unused index shop.orders_note", "not used in 41d  on orders  ~9.8G", OTHER, "", STANDBYS)],
            "of shop only; sizes are estimates",
        ),
        FactSection("Settings", [Fact("track_io_timing", "off: times are unknown", SLOW, "warning"), Fact("track_counts", "on")]),
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def busy():
    with frozen_costs():
        world = PostgresWorld(HISTORY)
    world.postgres.answers[POSTGRES_DETAIL.name] = FOUND
    yield world
    world.close()


@pytest.mark.parametrize("picture", PICTURES)
def test_server(busy, snap_compare, picture):
    keys, size, changes = PICTURES[picture]
    app = console_app(busy.connect("local"), **changes)

    async def before(pilot):
        console = Console(app, pilot, busy)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press("4")
        await console.press(keys[0])
        await console.until(lambda: app.front.answer.result is not None)
        await console.settled()
        await console.press(*keys[1:])

    assert snap_compare(app, terminal_size=size, run_before=before)
