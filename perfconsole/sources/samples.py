"""The source that is a file of samples: they become the ticks that an engine would have told of them, for rules to be tried on.

The file is read once, from its beginning to its end, before anything is told of it: it may be a pipe, what is wrong with it is known before
a rule has said anything, and how far apart the samples of a series are (from which follows what is a gap) is known from its first tick on.
What is needed of it then lies in a temporary file, 24 bytes a sample: the memory this takes does not grow with the file.

Every series is a group of its own, for nothing in such a file says what was measured together; each so has its own interval.
"""

import tempfile
from array import array
from collections.abc import Callable, Iterator
from io import BufferedReader
from math import isnan
from typing import IO, Final

from perfconsole.config.wording import suggestion
from perfconsole.core.backtest import Shapes
from perfconsole.core.errors import ConfigError
from perfconsole.core.metrics import METRICS
from perfconsole.core.text import safe
from perfconsole.core.tick import Group, Reading, SeriesDef, Tick
from perfconsole.sources.sample_lines import Sample, read

BATCH: Final = 512
"""Readings a tick: an engine tells some hundred at once. What comes of them does not depend on it."""

_STEPS: Final = 256
"""Steps of a series whose median is its interval."""

_MOST_SERIES: Final = 50_000
_HELD_BYTES: Final = 8 << 20
"""Samples held in memory before the temporary file is one on a disk."""

_CHUNK: Final = 3 * 4096
_NAMED: Final = 5
_MOST_STRANGERS: Final = 1000


class _Track:
    """What is known of a series: its number, when it was last seen, and the first steps from sample to sample, in seconds."""

    __slots__ = ("at", "number", "steps_s")

    def __init__(self, number: int) -> None:
        self.number = number
        self.at = -1.0
        self.steps_s = array("d")

    @property
    def interval_s(self) -> float:
        """The median step; 0 of a single sample, after which nothing is taken to go on for long."""
        return sorted(self.steps_s)[len(self.steps_s) // 2] if self.steps_s else 0.0


class _Noticed:
    """Lines about which there is something to say: how many, and the first."""

    def __init__(self) -> None:
        self.count = self.first = 0

    def add(self, line: int) -> None:
        """One more."""
        self.first = self.first or line
        self.count += 1


class SampleFile:
    """A file of samples, read.

    Args:
        file: At its beginning; need not be seekable.
        name: What errors call it.
        wanted: Whether anybody wants the samples of a series; those of the others are only counted.

    Attributes:
        shapes: The label names of the series of each metric.
        notes: What is to be said about it, a line each.
        count: How many samples there are.

    Raises:
        ConfigError: With the line, what was found there, and what was expected.
    """

    def __init__(self, file: BufferedReader, name: str, wanted: Callable[[SeriesDef], bool]) -> None:
        self.shapes: Shapes = {}
        self.count = 0
        self.host = ""
        self._name, self._wanted = name, wanted
        self._tracks: dict[SeriesDef, _Track] = {}
        self._passed: set[SeriesDef] = set()
        self._unknown, self._twice = _Noticed(), _Noticed()
        self._strangers: dict[str, _Noticed] = {}
        self._first = self._last = 0.0
        # On a disk only once it is long; gone with this process, however that ends.
        self._kept: IO[bytes] = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115  it lives as long as this does
        try:
            self._take_in(read(file, name))
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the temporary file."""
        self._kept.close()

    # Reading it ---------------------------------------------------------------------------------------------------------------------

    def _take_in(self, samples: Iterator[Sample]) -> None:
        buffer, line_before = array("d"), 0
        for sample in samples:
            line, series, at, value = sample
            if at < self._last:
                self._refuse_disorder(line, line_before)
            if not self.count:
                self._first = at
            self._last, line_before = at, line
            self.count += 1
            track = self._tracks.get(series) or self._met(sample)
            if track is None:
                continue
            if track.at == at:
                self._twice.add(line)
                continue
            if isnan(value):
                self._unknown.add(line)
            if track.at >= 0 and len(track.steps_s) < _STEPS:
                track.steps_s.append(at - track.at)
            track.at = at
            buffer.extend((track.number, at, value))
            if len(buffer) >= _CHUNK:
                self._kept.write(buffer)
                buffer = array("d")
        self._kept.write(buffer)

    def _met(self, sample: Sample) -> _Track | None:
        """The track of a series that is met for the first time; None where nobody wants it."""
        series = sample.series
        if series in self._passed:
            return None
        if series.name not in METRICS:
            # Past so many names it is no file of samples, and one more tells nothing.
            name = series.name if series.name in self._strangers or len(self._strangers) < _MOST_STRANGERS else ""
            self._strangers.setdefault(name, _Noticed()).add(sample.line)
            return None
        self.shapes.setdefault(series.name, set()).add(tuple(label for label, _ in series.labels))
        if not self._wanted(series):
            if len(self._passed) < _MOST_SERIES:  # past that each is judged anew: slower, and no larger
                self._passed.add(series)
            return None
        if len(self._tracks) >= _MOST_SERIES:
            raise ConfigError(f"{safe(self._name)}:{sample.line}: found more than {_MOST_SERIES} series that rules are about",
                              "expected fewer: --rule NAME tries one rule alone")  # fmt: skip
        track = self._tracks[series] = _Track(len(self._tracks))
        return track

    def _refuse_disorder(self, line: int, before: int) -> None:
        # Not sorted here: what would be sorted is not what somebody looked at, and the whole of it would have to be held.
        raise ConfigError(f"{safe(self._name)}:{line}: found a time before that of line {before}",
                          "expected samples ordered by time: sort the lines")  # fmt: skip

    @property
    def notes(self) -> list[str]:
        """See the class."""
        told = [_stranger(metric, noticed) for metric, noticed in list(self._strangers.items())[:_NAMED]]
        if len(self._strangers) > _NAMED:
            told.append(f"{len(self._strangers) - _NAMED} more names are no metrics")
        if self._unknown.count:
            told.append(f"{_samples(self._unknown)} no number: unknown, which is neither a breach nor a recovery")
        if self._twice.count:
            told.append(f"{_samples(self._twice)} of the same series and time as one before, and left out")
        return told

    # Telling it ---------------------------------------------------------------------------------------------------------------------

    def ticks(self, batch: int = BATCH) -> Iterator[Tick]:
        """What an engine would have told: first what is measured, then readings, and last how late it has become.

        Args:
            batch: Readings a tick at least; those of one moment are never parted.
        """
        if not self.count:
            return
        groups = [
            Group(track.number + 1, "samples", str(track.number), track.interval_s, (series,)) for series, track in self._tracks.items()
        ]
        yield Tick(0, self._first, self._first, groups=groups)
        seq, readings = 1, list[Reading]()
        for number, at, value in self._told():
            if len(readings) >= batch and at > readings[-1].at:
                # The clock stands still between ticks, so that elapsed time is exactly what the samples say it is.
                yield Tick(seq, readings[-1].at, readings[-1].at, readings=readings)
                seq, readings = seq + 1, []
            readings.append(Reading(int(number) + 1, at, [value]))
        yield Tick(seq, self._last, self._last, readings=readings)

    def _told(self) -> Iterator[tuple[float, float, float]]:
        self._kept.seek(0)
        while data := self._kept.read(_CHUNK * 8):
            numbers = iter(array("d", data))
            yield from zip(numbers, numbers, numbers, strict=True)


def _stranger(metric: str, noticed: _Noticed) -> str:
    near = suggestion(metric, list(METRICS))
    count = f"{noticed.count} sample{'s' * (noticed.count > 1)}, the first on line {noticed.first}"
    return f'"{safe(metric, 60)}" is no metric ({count}){": " + near if near else ""}'


def _samples(noticed: _Noticed) -> str:
    """``3 samples (the first on line 7) are``."""
    return (
        f"{noticed.count} samples (the first on line {noticed.first}) are"
        if noticed.count > 1
        else f"the sample on line {noticed.first} is"
    )
