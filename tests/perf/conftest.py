"""Figures that are printed, whether they please or not: times and CPU depend on the machine, so that only what does not can fail."""

from typing import NamedTuple

import pytest
from harness import Pty, environment

_FIGURES = []


class Figure(NamedTuple):
    """A line of the table: what, the console's figure, the floor's, the promise."""

    name: str
    ours: str
    floor: str
    promise: str


@pytest.fixture
def tell():
    """Add a line to the table at the end."""

    def tell(name, ours, floor="", promise=""):
        _FIGURES.append(Figure(name, ours, floor, promise))

    return tell


@pytest.fixture
def spawn(tmp_path):
    """Start a program in a terminal."""
    made = []

    def spawn(argv, *, size=(160, 48), **env):
        pty = Pty(argv, environment(tmp_path, **env), size)
        made.append(pty)
        return pty

    yield spawn
    for pty in made:
        pty.close()


def pytest_terminal_summary(terminalreporter):
    """The table."""
    if not _FIGURES:
        return
    rows = [Figure("measured", "perfconsole", "bare Textual", "promise"), *_FIGURES]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    terminalreporter.section("what it costs")
    for row in rows:
        terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
