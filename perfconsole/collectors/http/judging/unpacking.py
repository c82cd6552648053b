"""Bodies that came packed although nothing packed was asked for: unpacked as far as is read of them, and not a byte further."""

import zlib
from collections.abc import Sequence
from typing import Final

from perfconsole.collectors.http.judging.bodies import SMALL_BYTES

_MEMBERS: Final = 256
_PIECE_BYTES: Final = 16_384
_QUICK_BYTES: Final = 262_144
"""Unpacked in 1 ms."""
_MOST_RATIO: Final = 1032
"""Nothing is packed tighter by deflate."""

_WINDOW: dict[str, int] = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def header(headers: Sequence[tuple[str, str]], name: str) -> str:
    """The first value of a header, whatever the case of its name; empty when there is none."""
    return next((value for key, value in headers if key.lower() == name), "")


def heard(raw: bytes) -> str:
    """A header's name or value as text: UTF-8, as servers write what is not ASCII, else Latin-1, which takes every byte."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def unpacked(body: bytes, headers: Sequence[tuple[str, str]], limit: int) -> tuple[bytes, bool]:
    """A body without its content encoding.

    Args:
        body: As it was received, maybe only its start.
        headers: Of its answer. What is packed in a way that is not known here, or not as it says, stays as it is.
        limit: Bytes that are wanted: a mebibyte may unpack to a gibibyte.

    Returns:
        The body, and whether there is more of it.
    """
    window = _WINDOW.get(header(headers, "content-encoding").strip().lower())
    if window is None or not body:
        return body, False
    for bits in (window, -zlib.MAX_WBITS):  # deflate is sent bare, too, by servers that read the RFC otherwise
        try:
            plain, whole = _members(memoryview(body), bits, limit)
        except zlib.error:
            continue
        return plain[:limit], not whole or len(plain) > limit
    return body, False


def swells(body: bytes, headers: Sequence[tuple[str, str]], limit: int) -> bool:
    """Whether unpacking a body may take longer than a loop may be held."""
    known = header(headers, "content-encoding").strip().lower() in _WINDOW
    return known and (len(body) > SMALL_BYTES or min(limit, _MOST_RATIO * len(body)) > _QUICK_BYTES)


def _members(body: memoryview, bits: int, limit: int) -> tuple[bytes, bool]:
    """All members of a packed body, one after the other (RFC 1952, 2.2), as far as they are wanted, and a byte more.

    Fed piece by piece: of what follows a member a copy is made each time, and a mebibyte may hold 50,000 that are empty.

    Returns:
        What was unpacked, and whether the last member had its end.
    """
    plain, at = bytearray(), 0
    for number in range(_MEMBERS):
        unpacker = zlib.decompressobj(bits)
        try:
            while at < len(body) and not unpacker.eof and len(plain) <= limit:
                piece = body[at : at + _PIECE_BYTES]
                plain += unpacker.decompress(piece, limit + 1 - len(plain))
                at += len(piece) - len(unpacker.unused_data) - len(unpacker.unconsumed_tail)
        except zlib.error:
            if number:  # what follows a member, and is none, is nobody's
                return bytes(plain), True
            raise
        if at >= len(body) or len(plain) > limit:
            return bytes(plain), unpacker.eof
    return bytes(plain), False


def foreign(headers: Sequence[tuple[str, str]]) -> str:
    """A content encoding that is not known here, as the server names it; empty for none."""
    named = header(headers, "content-encoding").strip()
    return "" if named.lower() in {"", "identity", *_WINDOW} else named


def charset(headers: Sequence[tuple[str, str]]) -> str:
    """The charset that an answer names; empty for none."""
    for part in header(headers, "content-type").split(";")[1:]:
        key, _, value = part.strip().partition("=")
        if key.strip().lower() == "charset":
            return value.strip(" \"'")
    return ""
