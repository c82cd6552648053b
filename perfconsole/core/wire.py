"""Ticks, watches, requests and responses as bytes: the socket's and the recording's frames.

A frame is a 4-byte big-endian length, one byte that says the kind, and a msgpack body; the length counts kind and body.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.ports import Watch
from perfconsole.core.tick import Tick

VERSION: Final = 1
"""Changes whenever a struct in `core.tick` or `core.tables` changes shape."""

FRAME_LIMIT: Final = 64 * 2**20
"""No honest frame is longer: a keyframe of 1,000 endpoints with full rings is 14 MiB."""

PEER_LIMIT: Final = 2**20
"""No honest watch or request is longer: what a reader says is a few hundred bytes."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding bytes from elsewhere may end with: text that is no UTF-8 is none of msgspec's errors, nor is nesting without end."""

TICK, WATCH, REQUEST, RESPONSE = b"T", b"W", b"Q", b"A"

_HEADER: Final = 5


class WireError(PerfconsoleError):
    """Bytes that are not frames of this version."""


class Request(Struct, frozen=True, array_like=True):
    """An operation to run; `args` is the encoded argument struct of its `Spec`."""

    id: int
    op: str
    args: msgspec.Raw


class Response(Struct, frozen=True, array_like=True):
    """What came of it: `result` encodes the result struct (msgpack nil where there is none: then `error` says why)."""

    id: int
    result: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: str = ""
    fix: str = ""


Message = Tick | Watch | Request | Response

_encoder = msgspec.msgpack.Encoder()
_decoders: Final[dict[bytes, msgspec.msgpack.Decoder[Message]]] = {
    TICK: msgspec.msgpack.Decoder(Tick),
    WATCH: msgspec.msgpack.Decoder(Watch),
    REQUEST: msgspec.msgpack.Decoder(Request),
    RESPONSE: msgspec.msgpack.Decoder(Response),
}
_KINDS: Final = {Tick: TICK, Watch: WATCH, Request: REQUEST, Response: RESPONSE}


def greeting(*, read_only: bool = False) -> bytes:
    """What either end says first where the two were not made by one program, so that no version misreads another's frames.

    Args:
        read_only: Of a reader: refuse me whatever changes something.
    """
    return b"perfconsole-wire/%d %s\n" % (VERSION, b"ro" if read_only else b"rw")


GREETING_BYTES: Final = len(greeting())


def read_greeting(line: bytes) -> bool:
    """Whether who said this wants to be refused what changes something.

    Raises:
        WireError: When it is no greeting of this version; nothing after it is to be trusted.
    """
    for read_only in (False, True):
        if line == greeting(read_only=read_only):
            return read_only
    raise WireError(f"the other end does not speak version {VERSION} of the wire")


def pack(message: Struct) -> msgspec.Raw:
    """The msgpack body of an argument or result struct, to be carried in a `Request` or `Response`."""
    return msgspec.Raw(_encoder.encode(message))


def encode(message: Message) -> bytes:
    """One frame."""
    body = _encoder.encode(message)
    return (len(body) + 1).to_bytes(4, "big") + _KINDS[type(message)] + body


def decode(kind: bytes, body: bytes) -> Message:
    """The message of one frame.

    Raises:
        WireError: When it is not one.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        raise WireError(f"an unknown kind of frame: {kind!r}")
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise WireError(f"a frame that cannot be read: {error}") from error


class Splitter:
    """Cuts a byte stream into frames, whatever the pieces it arrives in.

    Args:
        limit_bytes: The longest frame that is taken, its header apart.
    """

    def __init__(self, limit_bytes: int = FRAME_LIMIT) -> None:
        self._limit_bytes = limit_bytes
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages completed by these bytes; an incomplete one is held.

        Raises:
            WireError: When the bytes are not frames; nothing after that is to be trusted.
        """
        held = self._held
        held += data
        start = 0
        try:
            while len(held) - start >= _HEADER:
                length = int.from_bytes(held[start : start + 4], "big")
                if not 0 < length <= self._limit_bytes:
                    raise WireError(f"a frame of {length} bytes (at most {self._limit_bytes})")
                end = start + 4 + length
                if len(held) < end:
                    break
                kind, body = bytes(held[start + 4 : start + _HEADER]), bytes(held[start + _HEADER : end])
                start = end
                yield decode(kind, body)
        finally:
            del held[:start]
