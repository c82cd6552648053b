"""Finding and reading the segments of a recording: a file, or a directory of files. What is in a segment, `core.segment` knows."""

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from perfconsole.core.errors import RecordingError
from perfconsole.core.segment import HEADER_BYTES, SUFFIX, Header, Reader
from perfconsole.core.tick import Tick

_CHUNK: Final = 32768


class Place(NamedTuple):
    """Where one segment is, and what it tells: `start` to `end` (epoch seconds; the end as far as was flushed).

    Attributes:
        length: Bytes of its stream where another segment follows in the file; None for the last, which may have grown meanwhile.
    """

    path: Path
    offset: int
    start: float
    end: float
    length: int | None = None


def index(path: Path) -> list[Place]:
    """The segments of a recording in order of time, from their headers alone: 2 ms for a day.

    Raises:
        RecordingError: When there is none: says what was found.
    """
    try:
        if path.is_dir():
            return _of_directory(path)
        if path.exists() and not path.is_file():
            raise RecordingError(f"{path} is neither a file nor a directory", f"expected a {SUFFIX} file or a directory of them")
        return _of_file(path)
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from error


def _of_directory(directory: Path) -> list[Place]:
    found: list[Place] = []
    fault: RecordingError | None = None
    for path in directory.iterdir():
        if path.suffix != SUFFIX:
            continue
        try:
            found += _of_file(path)
        except OSError:
            continue  # the ring let it go meanwhile, or it is not ours to read
        except RecordingError as error:
            fault = error
    if not found:
        raise fault or RecordingError(
            f"no recording in {directory}", f"expected {SUFFIX} files, as the console or `perfconsole record` write them"
        )
    return sorted(found, key=lambda place: (place.start, place.path))


def _of_file(path: Path) -> list[Place]:
    found: list[Place] = []
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        offset = length = 0
        while not found or offset + HEADER_BYTES <= size:
            file.seek(offset)
            try:
                header = Header.decode(file.read(HEADER_BYTES))
            except RecordingError as error:
                if found:
                    break  # what a recorder that was killed wrote last, or damage: the segments before it are sound
                raise RecordingError(f"{path}: {error.message}", error.fix) from error
            if found:
                found[-1] = found[-1]._replace(length=length)
            found.append(Place(path, offset, header.start, max(header.start, header.end)))
            length = header.length
            if not length:
                break
            offset += HEADER_BYTES + length
    return found


def ticks(place: Place) -> Iterator[Tick]:
    """What a segment tells, as far as it can be read. It is never held as a whole: one chunk inflates to about half a megabyte.

    Nothing is read beyond it: one that its recorder could not finish has no end of its own, and what follows would spoil its last chunk.
    """
    reader = Reader()
    left = inf if place.length is None else place.length
    try:
        with place.path.open("rb", buffering=0) as file:
            file.seek(place.offset + HEADER_BYTES)
            while not reader.done and (data := file.read(int(min(_CHUNK, left)))):
                left -= len(data)
                yield from reader.feed(data)
    except (OSError, RecordingError):
        return
