"""What a recording is made of: segments, each a header and a zlib stream of frames that begins with a keyframe. Pure: bytes in and out.

A segment can be read alone. A recording is a directory of files of one segment, or one file of several segments, one after the other.
The header says where a segment ends in time and in bytes, so that hundreds are found through without inflating one; it is written anew
with every flush, and what a dying recorder wrote after its last is still read.
"""

import zlib
from collections.abc import Iterator
from struct import Struct as Layout
from typing import Final, NamedTuple

import msgspec

from perfconsole.core import wire
from perfconsole.core.errors import RecordingError
from perfconsole.core.tables import View, cut, discreet
from perfconsole.core.tick import Tick

SUFFIX: Final = ".pcr"
KEYFRAME_POINTS: Final = 2
"""Samples a series in the keyframe that begins a segment: with two, counters have a rate from the first moment on."""

_MAGIC: Final = b"\x93perfrec"
_LAYOUT: Final = Layout(">8sHxxddQ")
HEADER_BYTES: Final = _LAYOUT.size

_MEMORY: Final = 5
"""What zlib keeps of what is not packed yet: 144 KiB a recorder in place of 256, for a stream that is half a percent longer."""

VIEWS: Final = (
    View("process", target="", sort="cpu", limit=40),
    View("process", target="", sort="memory_bytes", limit=20),
    View("statement", target="", sort="load", limit=40),
    View("endpoint", target="", sort="urgency", limit=200),
    View("unit", target="", sort="cpu", limit=120),
    View("login", target="", sort="failed", limit=20),
)
"""What a recorder has collected and keeps. Rows come in the order of their keys: those that stay compress to half."""

_KEPT: Final = (*VIEWS, View("session", target="", limit=100))
"""Sessions are kept while somebody looks at them: asking every server every second is not a recorder's business."""


class Header(NamedTuple):
    """What stands before a segment.

    Attributes:
        start: Time of its keyframe, epoch seconds.
        end: Time of the last tick that was flushed.
        length: Bytes of the stream that were flushed, without this header.
    """

    start: float
    end: float
    length: int

    def encode(self) -> bytes:
        """As it is written."""
        return _LAYOUT.pack(_MAGIC, wire.VERSION, self.start, self.end, self.length)

    @classmethod
    def decode(cls, data: bytes) -> "Header":
        """Read one.

        Raises:
            RecordingError: When it is not a segment's, or of another version.
        """
        if len(data) < HEADER_BYTES or not data.startswith(_MAGIC):
            raise RecordingError("not a recording", f"expected a {SUFFIX} file or a directory of them, as `perfconsole record` writes it")
        _, version, start, end, length = _LAYOUT.unpack_from(data)
        if version != wire.VERSION:
            raise RecordingError(
                f"a recording of format {version}", f"this perfconsole reads format {wire.VERSION}: replay it with the version that made it"
            )
        return cls(start, end, length)


class Writer:
    """The stream of one segment. What `add` and `flush` return is to be appended in order; level 6 is where the size stops falling."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY)

    def add(self, tick: Tick) -> bytes:
        """Take a tick; the bytes that have become ready, often none."""
        return self._zlib.compress(wire.encode(tick))

    def flush(self) -> bytes:
        """The bytes with which everything taken can be read."""
        return self._zlib.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """The last bytes."""
        return self._zlib.flush(zlib.Z_FINISH)


class Reader:
    """Ticks from the stream of one segment, fed in any pieces."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj()
        self._frames = wire.Splitter()

    def feed(self, data: bytes) -> Iterator[Tick]:
        """The ticks completed by these bytes.

        Raises:
            RecordingError: When the bytes are damaged; what was delivered before is sound, what comes after is lost.
        """
        try:
            for message in self._frames.feed(self._zlib.decompress(data)):
                if isinstance(message, Tick):
                    yield message
        except (zlib.error, wire.WireError) as error:
            raise RecordingError(f"the recording is damaged: {error}") from error

    @property
    def done(self) -> bool:
        """Whether the segment ended as it should; what follows in the file is another one."""
        return self._zlib.eof


def recorded(tick: Tick) -> Tick:
    """What is kept of a tick: all of it but most rows of its tables, and what sessions say in their statements."""
    if not tick.tables:
        return tick
    return msgspec.structs.replace(tick, tables=[discreet(part) for table in tick.tables if (part := cut(table, _KEPT))])
