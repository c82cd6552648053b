"""Frames; that ticks survive them in any pieces is proved in test_state."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core import wire
from perfconsole.core.ports import Watch
from perfconsole.core.requests import Done, ProcessId
from perfconsole.core.tables import View
from perfconsole.core.tick import Tick

MESSAGES = [
    Tick(1, 2.0, 3.0),
    Watch((View("process", match="ä", keys=((1, 2),)),), at=5.0, speed=0.0),
    wire.Request(7, "process.detail", wire.pack(ProcessId(1, 2))),
    wire.Response(7, wire.pack(Done("done"))),
    wire.Response(8, error="no", fix="ask"),
]


def test_every_kind_of_message_comes_back():
    found = list(wire.Splitter().feed(b"".join(map(wire.encode, MESSAGES))))
    assert [type(message) for message in found] == [type(message) for message in MESSAGES]
    assert [wire.encode(message) for message in found] == [wire.encode(message) for message in MESSAGES]


def test_one_byte_at_a_time():
    splitter = wire.Splitter()
    data = b"".join(map(wire.encode, MESSAGES))
    found = [message for i in range(len(data)) for message in splitter.feed(data[i : i + 1])]
    assert len(found) == len(MESSAGES)


@given(st.binary(max_size=200))
def test_garbage_is_a_wire_error_or_waits_for_more(data):
    with suppress(wire.WireError):
        assert all(isinstance(message, wire.Message) for message in wire.Splitter().feed(data))


def test_a_frame_too_long_is_refused_before_it_is_held():
    with pytest.raises(wire.WireError, match="a frame of 4294967295 bytes"):
        list(wire.Splitter().feed(b"\xff\xff\xff\xffT"))


def test_an_unknown_kind_is_named():
    with pytest.raises(wire.WireError, match="unknown kind of frame: b'X'"):
        wire.decode(b"X", b"")


def test_messages_before_the_damage_are_delivered():
    taken = []
    with pytest.raises(wire.WireError):
        taken.extend(wire.Splitter().feed(wire.encode(MESSAGES[0]) + b"\0\0\0\0\0"))
    splitter = wire.Splitter()
    feed = splitter.feed(wire.encode(MESSAGES[0]) + b"\0\0\0\0\0")
    assert next(feed) == MESSAGES[0]


NO_TEXT = b"\xa1\xff"
"""A text of one byte that is no UTF-8."""

NESTED = b"\x91" * 100_000 + b"\xc0"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (wire.REQUEST, b"\x93\x01" + NO_TEXT + b"\xc0"),
        (wire.RESPONSE, b"\x93\x01\xc0" + NO_TEXT),
        (wire.REQUEST, b"\x93\x01\xa1a" + NESTED),
    ],
)
def test_text_that_is_none_and_nesting_without_end_are_wire_errors(kind, body):
    with pytest.raises(wire.WireError, match="cannot be read"):
        wire.decode(kind, body)


def test_a_reader_may_say_less_than_an_engine():
    frame = wire.encode(wire.Request(1, "o", msgspec.Raw(msgspec.msgpack.encode("x" * wire.PEER_LIMIT))))
    assert len(list(wire.Splitter().feed(frame))) == 1
    with pytest.raises(wire.WireError, match=f"at most {wire.PEER_LIMIT}"):
        list(wire.Splitter(wire.PEER_LIMIT).feed(frame[:5]))
