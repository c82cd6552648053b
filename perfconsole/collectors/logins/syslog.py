"""A line of a log file as syslog daemons write it: when, who, what. Pure but for the machine's time zone.

Three forms: the traditional one of RFC 3164 (``Nov 28 20:01:02``, without year, in local time), rsyslog's own with an RFC 3339 stamp (the
default since Debian 12), and RFC 5424. What follows the stamp is what somebody wrote to /dev/log: no word of it is certain.
"""

import re
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from perfconsole.core.text import safe

_MONTHS: Final = {
    name: at for at, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}
_TRADITIONAL: Final = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) \S+ (.*)", re.DOTALL)
_STAMPED: Final = re.compile(rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?) \S+ (.*)", re.DOTALL)
_RFC5424: Final = re.compile(rb"(?:<\d{1,3}>)?1 (\S+) \S+ (\S+) (\S+) \S+ (.*)", re.DOTALL)
_DATA: Final = re.compile(rb'(?:-|(?:\[[^\s\]="]+(?: [^\s\]="]+="(?:[^"\\\]]|\\.)*")*\])+)(?= |$)', re.DOTALL)
_TAG: Final = re.compile(rb"([\w.@/-]{1,64})(?:\[(\d{1,9})\])?: ?(.*)", re.DOTALL)
_DAY_S: Final = 86400.0


class Written(NamedTuple):
    """A line: its stamp (epoch seconds), the program it names and its process id (-1 without), and the rest. Texts are safe."""

    at: float
    identifier: str
    pid: int
    message: str


def parse(line: bytes, now: float) -> Written | None:
    """Take a line apart.

    Args:
        line: Without its end.
        now: Epoch seconds: a stamp without year is of the last twelve months.

    Returns:
        None for one that has none of the three forms, or no program before its words.
    """
    if line[:1] == b"<" or line[:2] == b"1 ":
        return _parse_5424(line)
    if found := _TRADITIONAL.match(line):
        at = _local(found, now)
        rest = found[6]
    elif found := _STAMPED.match(line):
        at = _moment(found[1])
        rest = found[2]
    else:
        return None
    tag = _TAG.match(rest)
    return _written(at, tag[1], tag[2], tag[3]) if tag else None


def _parse_5424(line: bytes) -> Written | None:
    found = _RFC5424.match(line)
    if not found:
        return None
    rest = found[4]
    data = _DATA.match(rest)
    if not data:
        return None
    rest = rest[data.end() :]
    return _written(_moment(found[1]), found[2], found[3] if found[3].isdigit() else None, rest[1:].removeprefix(b"\xef\xbb\xbf"))


def _written(at: float | None, identifier: bytes, pid: bytes | None, message: bytes) -> Written | None:
    if at is None:
        return None
    return Written(at, safe(identifier, 64).rpartition("/")[2], int(pid[:9]) if pid else -1, safe(message))


def _moment(stamp: bytes) -> float | None:
    try:
        return datetime.fromisoformat(stamp.decode("ascii")).timestamp()  # without offset it is local time
    except (ValueError, OverflowError, OSError):
        return None


def _local(found: "re.Match[bytes]", now: float) -> float | None:
    """The stamp without year: of this year, unless that lies ahead of us."""
    month = _MONTHS.get(found[1].decode("ascii"))
    if month is None:
        return None
    year = datetime.fromtimestamp(now, UTC).year
    day, hour, minute, second = (int(found[group]) for group in range(2, 6))
    for guess in (year + 1, year, year - 1):  # on the first of January UTC it may still be, or already be, another year here
        try:
            at = time.mktime((guess, month, day, hour, minute, second, 0, 0, -1))
        except (ValueError, OverflowError):
            return None
        if at <= now + _DAY_S:
            return at
    return None
