"""What passes between the console and the process that carries out its checks: checks down, outcomes up, in frames of msgpack.

No secret passes: a check holds references, which are looked up where it is carried out, and an outcome was redacted there.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw, Struct

from perfconsole.core.checks import Check, Outcome

FRAME_LIMIT: Final = 64 * 2**20
"""No honest frame is longer: 1,000 checks are 0.7 MiB."""

_LENGTH: Final = 4


class Configure(Struct, frozen=True, array_like=True, tag="configure"):
    """Carry out these checks from now on; what is told afterwards bears the serial number."""

    serial: int
    checks: tuple[Check, ...]


class Soon(Struct, frozen=True, array_like=True, tag="soon"):
    """Check one as soon as may be."""

    name: str


class Now(Struct, frozen=True, array_like=True, tag="now"):
    """Check one now, and say whose question its outcome answers."""

    id: int
    name: str


class Hello(Struct, frozen=True, array_like=True, tag="hello"):
    """The first word of the process: which version it is. An upgrade may have put another one in the place of the console's own."""

    version: str


class Told(Struct, frozen=True, array_like=True):
    """An outcome.

    Attributes:
        serial: Of the configuration whose check it was.
        ids: The questions that it answers.
    """

    outcome: Outcome
    serial: int
    ids: tuple[int, ...] = ()


class Batch(Struct, frozen=True, array_like=True, tag="batch"):
    """What came of checks since the last batch; empty where there is nothing to tell but that the process is alive.

    Attributes:
        begun: Those that are under way now, as far as that was not told before.
        gone: Questions about checks that there are no more.
        note: Something to tell the user; empty for nothing.
    """

    told: tuple[Told, ...] = ()
    begun: tuple[str, ...] = ()
    gone: tuple[int, ...] = ()
    note: str = ""


class Packed(Struct, frozen=True, array_like=True, tag="batch"):
    """A `Batch` whose outcomes are encoded already."""

    told: list[Raw]
    begun: tuple[str, ...] = ()
    gone: tuple[int, ...] = ()
    note: str = ""


class Fault(Struct, frozen=True, array_like=True, tag="fault"):
    """The last word of a process that ends by a mistake of its own: which, and where. Never what it was about."""

    text: str


Order = Configure | Soon | Now
Report = Hello | Batch | Fault

encode: Final = msgspec.msgpack.Encoder().encode
order_of: Final = msgspec.msgpack.Decoder(Order).decode
report_of: Final = msgspec.msgpack.Decoder(Report).decode


def frame(message: Struct) -> bytes:
    """A message with its length before it."""
    body = encode(message)
    return len(body).to_bytes(_LENGTH, "big") + body


class Splitter:
    """Cuts a stream of bytes into the messages of its frames, whatever the pieces it arrives in."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that these bytes complete, encoded.

        Raises:
            ValueError: When these are no frames; nothing after that is to be trusted.
        """
        held = self._held
        held += data
        start = 0
        try:
            while len(held) - start >= _LENGTH:
                length = int.from_bytes(held[start : start + _LENGTH], "big")
                if length > FRAME_LIMIT:
                    raise ValueError(f"a frame of {length} bytes")
                end = start + _LENGTH + length
                if len(held) < end:
                    break
                body = bytes(held[start + _LENGTH : end])
                start = end
                yield body
        finally:
            del held[:start]
