"""Which of the kinds of kept samples a file is: by what is in it, not by what it is called."""

import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Final

from perfconsole.core.errors import ConfigError
from perfconsole.core.segment import Header
from perfconsole.core.text import safe
from perfconsole.core.tick import SeriesDef
from perfconsole.sources.recorded import RecordedSamples
from perfconsole.sources.samples import SampleFile

STDIN: Final = "-"
_MAGIC: Final = Header(0.0, 0.0, 0).encode()[:8]
_ACCEPTED: Final = "expected CSV, JSON lines, or a recording"


def open_samples(path: str, stdin: BufferedReader | None, wanted: Callable[[SeriesDef], bool]) -> SampleFile | RecordedSamples:
    """Read samples.

    Args:
        path: A file of CSV or JSON lines, a recording's file or directory, or ``-`` for standard input.
        stdin: That, or None where it is closed.
        wanted: Whether anybody wants the samples of a series.

    Raises:
        ConfigError: When there is no such file, or something in it cannot be read: with the line.
        RecordingError: When it is a recording that this version does not read.
    """
    if path == STDIN:
        if stdin is None:
            raise ConfigError("--samples: standard input is closed", "name a file, or pipe samples into it")
        return _read(stdin, "standard input", wanted)
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116  pathlib refuses the name "" in another way
            return RecordedSamples(Path(path))
        with open(path, "rb") as file:  # noqa: PTH123  likewise
            return RecordedSamples(Path(path)) if file.peek(len(_MAGIC)).startswith(_MAGIC) else _read(file, path, wanted)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"--samples: cannot read {safe(path) or 'a file without a name'}: {reason[:1].lower()}{reason[1:]}", _ACCEPTED
        ) from error


def _read(file: BufferedReader, name: str, wanted: Callable[[SeriesDef], bool]) -> SampleFile:
    if file.peek(len(_MAGIC)).startswith(_MAGIC):
        raise ConfigError(f"{name}: found a recording", "name its file: segments are looked for in it, which a pipe does not allow")
    return SampleFile(file, name, wanted)
