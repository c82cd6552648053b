"""The beginning of an answer as nearly all are: headers in one piece, a length. Whatever is not exactly so is h11's to read.

h11 takes a fifth of what a check costs, most of it for what such an answer has none of. What is read here is what h11 makes of the same
bytes (tests/http/test_plain_answers.py); of what it would refuse, or read otherwise, nothing is.
"""

import re
from typing import Final, NamedTuple

from perfconsole.collectors.http.attempts.trial import Head

_HEAD_BYTES: Final = 8192
_LENGTH_DIGITS: Final = 15
_STATUS: Final = re.compile(rb"HTTP/(1\.[01]) ([2-9][0-9]{2})(?: [\t -~]*)?")
_NAME: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_VALUE: Final = re.compile(rb"[\t -~]*")
"""One class of characters, repeated: no header makes it go back."""

_BODILESS: Final = frozenset({204, 304})


class Begun(NamedTuple):
    """An answer whose headers are there: how long its body is, and the part of it that came with them."""

    head: Head
    length: int
    body: bytes


def begun(data: bytes, method: str) -> Begun | None:
    """What came in first, as the beginning of an answer; None for one that is to be read with more care.

    Args:
        data: From its first byte.
        method: Of the request.
    """
    end = data.find(b"\r\n\r\n", 0, _HEAD_BYTES)
    if end < 0:
        return None
    status_line, *lines = data[:end].split(b"\r\n")
    matched = _STATUS.fullmatch(status_line)
    fields = _fields(lines)
    if matched is None or fields is None:
        return None
    status, (headers, length) = int(matched[2]), fields
    if method == "HEAD" or status in _BODILESS:
        length = 0
    if length < 0:
        return None
    at = end + 4
    return Begun(Head(status, headers, f"HTTP/{matched[1].decode('ascii')}"), length, data[at : at + length])


def _fields(lines: list[bytes]) -> tuple[list[tuple[str, str]], int] | None:
    """Headers, and the length that one of them tells, -1 where none does; None where one asks for more care."""
    headers, length = [], -1
    for line in lines:
        name, colon, value = line.partition(b":")
        if not (colon and _NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            return None
        key, value = name.lower(), value.strip(b" \t")
        if key == b"content-length" and length < 0 and value.isdigit() and len(value) <= _LENGTH_DIGITS:
            length = int(value)
        elif key in {b"content-length", b"transfer-encoding"}:
            return None
        headers.append((name.decode("ascii"), value.decode("ascii")))
    return headers, length
