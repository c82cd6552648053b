"""The collector in a running engine: a server that ends and comes back, actions refused and written down, other collectors undisturbed."""

import signal
import time

import pytest

from perfconsole.collectors.postgres import PostgresCollector
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Watch
from perfconsole.core.requests import SessionArgs
from perfconsole.core.state import State
from perfconsole.core.tables import SessionTable, View
from perfconsole.core.tick import Stream
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource


class Console:
    """A reader of an engine that asks servers."""

    def __init__(self, *servers, read_only=False):
        self.audit = []
        self.engine = Engine(
            [PostgresCollector(servers)],
            Stream("box", "s", "b", "0", read_only=read_only),
            audit=lambda peer, op, args, outcome: self.audit.append((op, args, outcome)),
        )
        self.source = LocalSource(self.engine)
        self.state = State()
        self.engine.start()
        self.source.subscribe(lambda: None)

    def close(self):
        self.source.close()
        self.engine.stop()

    def until(self, condition, within_s=15.0):
        """Fold ticks until something holds; how long that took."""
        began = time.monotonic()
        while True:
            for tick in self.source.drain():
                self.state.apply(tick)
            if condition(self.state):
                return time.monotonic() - began
            assert time.monotonic() - began < within_s, list(self.state.health.values())
            time.sleep(0.02)

    @property
    def health(self):
        return self.state.health.get(("postgres", "orders"))

    def up(self):
        return self.state.value("postgresql.up", server="orders")


@pytest.fixture
def console():
    made = []

    def console(*servers, **kwargs):
        made.append(Console(*servers, **kwargs))
        return made[-1]

    yield console
    for one in made:
        one.close()


def test_a_server_ends_and_comes_back_and_the_pane_says_so_in_time(victim, console):
    one = console(victim.settings_of(user="monitor"))
    assert one.until(lambda state: one.up() == 1.0) < 3.0
    assert one.health.state == "ok"
    victim.kill()
    assert one.until(lambda state: one.health.state == "error") < 2.0
    assert one.up() == 0.0
    assert "down" in one.health.error
    last_ok = one.health.last_ok
    victim.start()
    one.until(lambda state: one.health.state == "ok")
    one.until(lambda state: one.up() == 1.0)
    assert one.health.last_ok > last_ok > 0


def test_a_server_that_hangs_while_it_is_watched_is_named_within_two_seconds(victim, console):
    one = console(victim.settings_of(user="monitor"))
    one.source.watch(Watch((View("session", "orders"),)))
    one.until(lambda state: state.table(SessionTable, "orders") is not None)
    victim.signal_all(signal.SIGSTOP)
    try:
        assert one.until(lambda state: one.health.state == "stale") < 2.7  # a beat more, for a machine with other things to do
        one.until(lambda state: one.health.state == "error")
        assert "no answer within" in one.health.error
    finally:
        victim.signal_all(signal.SIGCONT)
    one.until(lambda state: one.health.state == "ok")


async def test_actions_are_written_down_and_refused_where_nothing_may_be_changed(victim, console):
    shop = await victim.connect(user="plain", server_settings={"application_name": "shop"})
    looking = console(victim.settings_of(user="monitor"), read_only=True)
    assert not {"postgres.cancel", "postgres.terminate"} & looking.engine.stream.ops
    acting = console(victim.settings_of())
    acting.source.watch(Watch((View("session", "orders"),)))
    acting.until(lambda state: (table := state.table(SessionTable, "orders")) is not None and table.rows)
    (row,) = [row for row in acting.state.table(SessionTable, "orders").rows if row.application == "shop"]
    args = SessionArgs("orders", *row.key)
    with pytest.raises(RequestError, match="read-only"):
        await looking.source.request("postgres.terminate", args)
    assert looking.audit == []
    done = await acting.source.request("postgres.terminate", args)
    who = f"session {row.pid} (plain shop)"
    assert done.text in {f"terminated {who}", f"told {who} to end"}  # before 14 nothing tells whether it has
    assert acting.audit == [("postgres.terminate", args, ""), ("postgres.terminate", args, "done")]
    shop.terminate()
