"""Bodies that came packed although nothing packed was asked for: unpacked as far as is read of them, and not a byte further."""

import zlib
from collections.abc import Sequence

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
    if window is None:
        return body, False
    for bits in (window, -zlib.MAX_WBITS):  # deflate is sent bare, too, by servers that read the RFC otherwise
        try:
            plain = _members(body, bits, limit)
        except zlib.error:
            continue
        return plain[:limit], len(plain) > limit
    return body, False


def _members(body: bytes, bits: int, limit: int) -> bytes:
    """All members of a packed body, one after the other (RFC 1952, 2.2), as far as they are wanted, and a byte more."""
    plain = b""
    while body and len(plain) <= limit:
        unpacker = zlib.decompressobj(bits)
        try:
            plain += unpacker.decompress(body, limit + 1 - len(plain))
        except zlib.error:
            if plain:  # what follows a member, and is none, is nobody's
                break
            raise
        if not unpacker.eof:
            break
        body = unpacker.unused_data
    return plain


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
