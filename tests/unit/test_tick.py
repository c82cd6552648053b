"""What a tick is, and the merging of several; that merging loses nothing is proved in test_state."""

from perfconsole.core.tables import ProcessTable
from perfconsole.core.tick import Event, Reading, Stream, Tick, merge


def test_nothing_but_time_is_empty():
    assert Tick(1, 1.0, 1.0).empty
    assert not Tick(1, 1.0, 1.0, key=True).empty
    assert not Tick(1, 1.0, 1.0, readings=[Reading(1, 1.0, [1.0])]).empty


def test_merging_one_changes_nothing():
    tick = Tick(3, 5.0, 6.0, past=True, events=[Event(1.0, 2.0, "mark", "host", "text", "engine")])
    assert merge([tick]) == tick


def test_a_merged_tick_has_the_time_of_the_last_and_of_a_table_only_the_newest():
    old, new = ProcessTable("host", 1.0, 0, []), ProcessTable("host", 2.0, 0, [])
    merged = merge([Tick(1, 1.0, 11.0, tables=[old]), Tick(2, 2.0, 12.0, tables=[new]), Tick(3, 3.0, 13.0)])
    assert (merged.seq, merged.at, merged.boot, merged.key, merged.tables) == (3, 3.0, 13.0, False, [new])


def test_what_precedes_a_keyframe_is_dropped():
    stream = Stream("box", "session", "boot", "0")
    merged = merge([Tick(1, 1.0, 1.0, readings=[Reading(1, 1.0, [1.0])]), Tick(2, 2.0, 2.0, key=True, stream=stream), Tick(3, 3.0, 3.0)])
    assert merged.key
    assert merged.readings == []
    assert merged.stream == stream
