"""Samples as somebody kept them, one a line: CSV with the header ``time,metric,<label>...,value``, or JSON {t, metric, labels, value}.

What cannot be read is told with its line, what was found and what was expected, and then nothing of the file is used: rules that were
tried on half of what was meant have been tried on nothing. A value that says itself that it is unknown (empty, NaN, null) is a sample.
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from io import BufferedReader
from math import isfinite, nan
from typing import Final, NamedTuple, NoReturn, Protocol

import msgspec

from perfconsole.config.wording import shown
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe
from perfconsole.core.tick import SeriesDef

HEADER: Final = "time,metric,<label>...,value"

_LONGEST_BYTES: Final = 65536
"""No honest line is longer; ``/dev/zero`` has to end too."""

_CACHED: Final = 65536
"""Series whose definitions are kept at hand: a file in which every line has a label of its own is not to fill the memory."""

_LAST_MOMENT: Final = 253402300799.0
"""The end of the year 9999: what lies beyond it was not written in seconds."""

_BOM: Final = b"\xef\xbb\xbf"
_TIME: Final = "expected RFC 3339 with a zone (2026-03-01T03:12:40Z), or epoch seconds"
_VALUE: Final = "expected a number, or nothing or NaN where it is unknown"


class _Rows(Protocol):
    """What `csv.reader` gives; the module keeps its type to itself."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


class Sample(NamedTuple):
    """One sample: the line on which it stands, its series, when it was (epoch seconds), its value; NaN for unknown."""

    line: int
    series: SeriesDef
    at: float
    value: float


def read(file: BufferedReader, name: str) -> Iterator[Sample]:
    """The samples of a file, in its order.

    Args:
        file: At its beginning; need not be seekable.
        name: What errors call it.

    Raises:
        ConfigError: With the line, what was found there, and what was expected.
    """
    of_json = file.peek(1).removeprefix(_BOM).lstrip().startswith(b"{")
    return _json_lines(file, name) if of_json else _csv(file, name)


def _csv(file: BufferedReader, name: str) -> Iterator[Sample]:
    rows = csv.reader(_lines(file, name))
    row: list[str] = []
    labels = _header(rows, name)
    width, cached = len(labels) + 3, _Definitions()
    written, at = "", nan
    try:
        for row in rows:
            if len(row) != width:
                if not row:
                    continue
                _refuse(
                    name, rows.line_num, f"found {len(row)} field{'s' * (len(row) != 1)}", f"expected the {width} that the first line names"
                )
            if row[0] != written:
                written, at = row[0], _moment(row[0])
            key = tuple(row[1:-1])
            series = cached.get(key) or cached.add(key, row[1], zip(labels, row[2:-1], strict=True))
            yield Sample(rows.line_num, series, at, _value(row[-1]))
    except csv.Error as error:
        _refuse(name, rows.line_num, _no_csv(error), f"expected lines of {HEADER}")
    except _Wrong as wrong:
        _refuse(name, rows.line_num, wrong.found, wrong.expected)


def _header(rows: "_Rows", name: str) -> list[str]:
    """The names of the labels, of the first line that says anything."""
    try:
        row = next((row for row in rows if row), None)
    except csv.Error as error:
        _refuse(name, rows.line_num, _no_csv(error), f"expected the header {HEADER}")
    if row is None:
        raise ConfigError(f"{safe(name)}: found nothing in it", f"expected the header {HEADER}, JSON lines, or a recording")
    names = [field.strip() for field in row]
    labels = names[2:-1]
    if names[:2] != ["time", "metric"] or names[-1] != "value" or len(names) < 3 or not all(labels) or len(set(labels)) != len(labels):
        _refuse(name, rows.line_num, f"found {shown(','.join(names))}", f"expected the header {HEADER}, each label once")
    return labels


def _no_csv(error: csv.Error) -> str:
    """What the reader found, without its advice on how to open files."""
    return f"found what is no CSV: {safe(str(error).partition(' - ')[0], 80)}"


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of JSON. A key that is not known is refused: ``label`` in place of ``labels`` would make another series of it."""

    t: float | str
    metric: str
    value: float | None
    labels: dict[str, str] = {}


def _json_lines(file: BufferedReader, name: str) -> Iterator[Sample]:
    decode, cached = msgspec.json.Decoder(_Line).decode, _Definitions()
    number = 0
    try:
        for number, text in enumerate(_lines(file, name), 1):
            if text.isspace():
                continue
            line = decode(text)
            at = _moment(line.t) if isinstance(line.t, str) else _checked(line.t, line.t)
            key = (line.metric, *line.labels.items())
            series = cached.get(key) or cached.add(key, line.metric, line.labels.items())
            yield Sample(number, series, at, nan if line.value is None else _value(line.value))
    except msgspec.DecodeError as error:
        _refuse(
            name,
            number,
            f"found what is no sample: {safe(str(error), 120)}",
            'expected {"t": ..., "metric": "...", "labels": {...}, "value": ...}',
        )
    except _Wrong as wrong:
        _refuse(name, number, wrong.found, wrong.expected)


class _Definitions(dict[tuple[object, ...], SeriesDef]):
    """Series by what is written of them, so that a line costs one look."""

    def add(self, key: tuple[object, ...], metric: str, labels: Iterable[tuple[str, str]]) -> SeriesDef:
        """The definition of a series that is met for the first time; a label that is empty is not there."""
        if len(self) >= _CACHED:
            self.clear()
        if not metric:
            raise _Wrong("found no metric", "expected the name of one, as `perfconsole snapshot --json` has them")
        kept = tuple(sorted((safe(label, 200), safe(text)) for label, text in labels if text))
        return self.setdefault(key, SeriesDef(safe(metric, 200), kept))


class _Wrong(ValueError):  # noqa: N818  a field is wrong; nothing went wrong here
    """A field that cannot be read."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found, self.expected = found, expected


def _moment(text: str) -> float:
    """Epoch seconds of a time as it is written."""
    try:
        if text[4:5] != "-":
            return _checked(float(text), text)
        # Upper case, because RFC 3339 allows t and z.
        moment = datetime.fromisoformat(text.strip().upper())
    except _Wrong:
        raise
    except ValueError:
        raise _Wrong(f"found the time {shown(text)}", _TIME) from None
    if moment.tzinfo is None:
        raise _Wrong(f"found the time {shown(text)}, which has no zone", _TIME)
    return moment.timestamp()


def _checked(seconds: float, written: object) -> float:
    if not 0 <= seconds <= _LAST_MOMENT:
        raise _Wrong(f"found the time {shown(written)}, which is none in seconds", _TIME)
    return seconds


def _value(written: str | float) -> float:
    """A value; what is infinite was never measured, and is as unknown as what is NaN."""
    try:
        value = float(written)
    except ValueError:
        if str(written).strip():
            raise _Wrong(f"found the value {shown(written)}", _VALUE) from None
        return nan
    return value if isfinite(value) else nan


def _lines(file: BufferedReader, name: str) -> Iterator[str]:
    """The lines of a file, without the byte-order mark that it may begin with."""
    number = 0
    while line := file.readline(_LONGEST_BYTES):
        number += 1
        if len(line) == _LONGEST_BYTES and line[-1:] != b"\n":
            _refuse(name, number, f"found a line of over {_LONGEST_BYTES} bytes", f"expected {HEADER}, JSON lines, or a recording")
        yield (line.removeprefix(_BOM) if number == 1 else line).decode("utf-8", "replace")


def _refuse(name: str, line: int, found: str, expected: str) -> NoReturn:
    raise ConfigError(f"{safe(name)}:{line}: {found}", expected)
