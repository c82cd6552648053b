"""Segments as bytes; that any ticks survive them in any pieces is proved in test_state."""

import pytest

from perfconsole.core.errors import RecordingError
from perfconsole.core.segment import HEADER_BYTES, Header, Reader, Writer, recorded
from perfconsole.core.state import WINDOW_HELD_S, State
from perfconsole.core.tables import ProcessRow, ProcessTable, SessionRow, SessionTable, View, select
from perfconsole.core.tick import Tick


def test_a_header_comes_back():
    header = Header(1.7e9, 1.7e9 + 0.5, 4711)
    assert Header.decode(header.encode() + b"what follows") == header
    assert len(header.encode()) == HEADER_BYTES


@pytest.mark.parametrize("data", [b"", b"\x93per", b"GIF89a" + bytes(60), b"# a config file of some length, in text\n" * 3])
def test_what_is_not_a_header(data):
    with pytest.raises(RecordingError, match=r"not a recording: expected a \.pcr file"):
        Header.decode(data)


def test_another_version_is_named():
    data = bytearray(Header(1.0, 2.0, 3).encode())
    data[9] = 99
    with pytest.raises(RecordingError, match=r"format 99: this perfconsole reads format \d"):
        Header.decode(bytes(data))


def stream(count):
    writer = Writer()
    return b"".join(writer.add(Tick(seq, float(seq), 1.0)) + writer.flush() for seq in range(count)), writer


def test_what_was_flushed_is_read_though_nothing_was_finished():
    data, _ = stream(10)
    reader = Reader()
    assert [tick.seq for tick in reader.feed(data)] == list(range(10))
    assert not reader.done


def test_the_end_is_seen_and_what_follows_is_left():
    data, writer = stream(3)
    reader = Reader()
    assert len(list(reader.feed(data + writer.finish() + b"another segment"))) == 3
    assert reader.done


def test_before_the_damage_everything_is_delivered():
    data, _ = stream(10)
    reader, found = Reader(), []
    for i in range(0, 98, 7):
        found += reader.feed(data[i : i + 7])
    with pytest.raises(RecordingError, match="damaged"):
        list(reader.feed(b"\xff" * 200))
    assert [tick.seq for tick in found] == list(range(len(found)))
    assert found


def test_of_a_table_the_top_by_cpu_and_memory_is_kept():
    rows = [ProcessRow(pid, 0, 0, "name", "root", "S", pid / 1000, 1.0, 1e9 - pid, 1, 0, 1.0) for pid in range(500)]
    (kept,) = recorded(Tick(1, 1.0, 1.0, tables=[ProcessTable("host", 1.0, 500, rows)])).tables
    assert [row.pid for row in kept.rows] == [*range(20), *range(460, 500)]
    assert kept.total == 500
    view = View("process", limit=30)
    assert select(kept.rows, view) == select(rows, view)


def test_a_tick_without_tables_is_kept_as_it_is():
    tick = Tick(1, 1.0, 1.0)
    assert recorded(tick) is tick


def test_what_sessions_say_in_their_statements_is_not_kept():
    said = "UPDATE people SET name = 'Anna' WHERE id = 42 -- hers"
    row = SessionRow(7, 1.0, "client backend", "shop", "app", "web", "local", "active", "", "", 1.0, 1.0, 1.0, query=said)
    (kept,) = recorded(Tick(1, 1.0, 1.0, tables=[SessionTable("orders", 1.0, 1.0, 1, [row])])).tables
    assert kept.rows[0].query == "UPDATE people SET name = ? WHERE id = ?  "


def test_sessions_of_minutes_ago_are_not_those_of_now():
    state = State()
    state.apply(Tick(1, 100.0, 1.0, key=True, tables=[SessionTable("orders", 100.0, 1.0, 0, [])]))
    assert state.table(SessionTable, "orders") is not None
    state.apply(Tick(2, 100.0 + WINDOW_HELD_S + 1, 200.0))
    assert state.table(SessionTable, "orders") is None
