"""Whether main processes run an executable that is no longer the one on disk: an upgrade that has not been taken up (proc(5), ``exe``)."""

import os
from collections.abc import Iterable
from errno import EACCES, EPERM
from math import isnan, nan
from typing import Final, NamedTuple

from perfconsole.collectors.processes.units import unescaped
from perfconsole.collectors.system.files import is_there
from perfconsole.collectors.units.states import UnitState
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

SOURCE: Final = "/proc"
_GONE: Final = " (deleted)"
_FEW: Final = 8
"""Beyond so many at once (a C library's upgrade does not count, that of a suite does) one event tells of all."""


class Stale(NamedTuple):
    """An executable that is not the one on disk.

    Attributes:
        path: Where it was.
        at: When another was put there, epoch seconds; NaN where none is.
    """

    path: str
    at: float


class Seen(NamedTuple):
    """What one look found: by unit; and how many could not be looked at."""

    stale: dict[str, tuple[UnitState, Stale]]
    denied: int


def look(proc: str, states: Iterable[UnitState]) -> Seen:
    """Look at the main processes of units; to be run in a thread, since an executable may lie on a dead server."""
    stale: dict[str, tuple[UnitState, Stale]] = {}
    denied = 0
    for state in states:
        try:
            found = _stale(proc, state)
        except OSError as error:  # it ended meanwhile; or is another user's
            denied += error.errno in (EACCES, EPERM) or not is_there(f"{proc}/1")  # hidepid hides those of others altogether
            continue
        if found:
            stale[state.id] = (state, found)
    return Seen(stale, denied)


def _stale(proc: str, state: UnitState) -> Stale | None:
    here = f"{proc}/{state.pid}"
    link = os.readlink(f"{here}/exe")  # noqa: PTH115  the house reads /proc with os
    path = link.removesuffix(_GONE)
    if not path.startswith("/") or path.startswith("/memfd:"):
        return None
    now = _status(f"{here}/root{path}") or _status(path)  # as the process sees it; a chroot is in the link already
    if link.endswith(_GONE):
        return Stale(path, now.st_ctime if now else nan)
    then = os.stat(f"{here}/exe")  # noqa: PTH116  likewise
    if now is None or (then.st_dev, then.st_ino) == (now.st_dev, now.st_ino):
        return None
    # Two paths of one file can differ (overlays): what was there before the process began replaced nothing.
    return Stale(path, now.st_ctime) if now.st_ctime > state.main_began else None


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116  likewise
    except OSError:
        return None


class Executables:
    """Tells of each once."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, Stale]] = {}

    def follow(self, seen: Seen, before: float, at: float) -> list[Event]:
        """Events of what is new, between two looks (epoch seconds)."""
        new = [
            (state, stale)
            for key, (state, stale) in seen.stale.items()
            if key not in self._told or (self._told[key][0], self._told[key][1].path) != (state.pid, stale.path)
        ]
        self._told = {key: (state.pid, stale) for key, (state, stale) in seen.stale.items()}
        if len(new) > _FEW:
            names = ", ".join(_name(state) for state, _ in new[:_FEW])
            times = [stale.at for _, stale in new if not isnan(stale.at)]
            when = (min(times), min(max(times), at)) if times else (before, at)
            text = f"{len(new)} services run executables that were replaced on disk: {names}, ..."
            return [Event(*when, "process", "host", text, SOURCE, "info")]
        return [_event(state, stale, before, at) for state, stale in new]


def _event(state: UnitState, stale: Stale, before: float, at: float) -> Event:
    path, name = safe(stale.path, 200), _name(state)
    if isnan(stale.at):
        return Event(before, at, "process", name, f"{name} runs an executable that was removed from disk: {path}", SOURCE, "info")
    when = min(stale.at, at)
    return Event(when, when, "process", name, f"{name} runs an executable that was replaced on disk: {path}", SOURCE, "info")


def _name(state: UnitState) -> str:
    return safe(unescaped(state.id), 200)
