"""What became of units between two answers of systemd, as events: starts, stops, failures, restarts, loops, main processes. Pure.

Where the journal tells of starts, stops and failures with their exact times, only what it does not say is told from here.
"""

from collections import deque
from collections.abc import Mapping
from math import isnan
from typing import Final

from perfconsole.collectors.processes.units import unescaped
from perfconsole.collectors.units.states import UnitState
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

SOURCE: Final = "systemd"
LOOP_S: Final = 600.0
LOOP: Final = 3
"""So many restarts by itself within so long are a loop; it is over after as long without one."""

_TOO_OFTEN: Final = "start-limit-hit"
_MINUTE_S: Final = 60.0


class _Course:
    """What is remembered of one unit.

    Attributes:
        settled: ``up``, ``down`` or ``failed``: where it last came to rest.
        restarts: When it was restarted by itself in the last ten minutes, and how often; each with when that was last not so.
        loops: Whether that was told.
    """

    __slots__ = ("loops", "restarts", "settled", "state")

    def __init__(self, state: UnitState) -> None:
        self.state = state
        self.settled = _rest(state) or "down"
        self.restarts: deque[tuple[float, float, int]] = deque()
        self.loops = False


class Courses:
    """Follows units from one answer to the next."""

    def __init__(self) -> None:
        self._units: dict[str, _Course] = {}
        self._before: float | None = None

    def follow(self, states: Mapping[str, UnitState], at: float, *, told: bool) -> list[Event]:
        """Take an answer up.

        Args:
            states: Units by id; those that are missing are inactive.
            at: When it was asked for, epoch seconds.
            told: Whether somebody else tells of starts, stops, failures and restarts.
        """
        before, self._before = self._before, at
        if before is None or at < before:
            self._units = {key: _Course(state) for key, state in states.items() if state.active != "inactive"}
            return []
        events: list[Event] = []
        gone = UnitState("", "inactive")
        for key in self._units.keys() | states.keys():
            state = states.get(key, gone)._replace(id=key)
            course = self._units.setdefault(key, _Course(state._replace(active="inactive", restarts=0.0, sub="", pid=0)))
            mine = _changes(course, state, before, at)
            events += [event for event, exact in mine if not (told and exact)]
            events += _loop(course, before, at)
            course.state = state
            if state.active == "inactive" and not course.restarts:
                del self._units[key]
        return sorted(events, key=lambda event: (event.time_lo, event.scope))


def _changes(course: _Course, new: UnitState, before: float, at: float) -> list[tuple[Event, bool]]:
    """What happened to one unit, each with whether the journal says so, too."""
    old, rested = course.state, course.settled
    rest = _rest(new)
    course.settled = rest or rested
    events: list[tuple[Event, bool]] = []
    again = _restarts(old, new)
    if again:
        course.restarts.append((before, at, again))
        times = "" if again == 1 else f" {again} times"
        when = _when(new.main_began, before, at)
        events.append((_event(new, when, f"was restarted{times} by systemd{_because(new)}", "warning"), True))
    elif rest == "up" and rested != "up":
        events.append((_event(new, _when(new.began, before, at), "was started"), True))
    elif rest == "up" and old.runs and new.began > old.began:
        events.append((_event(new, _when(new.began, before, at), "was stopped and started"), True))
    elif rest == "down" and rested == "up":
        events.append((_event(new, _when(new.ended, before, at), "was stopped"), True))
    if rest == "failed" and (rested != "failed" or new.since > old.since):
        severity = "critical" if course.loops or new.result == _TOO_OFTEN else "warning"
        events.append((_event(new, _when(new.since, before, at), f"failed{_because(new)}", severity), True))
    if old.pid and new.pid and old.pid != new.pid and not again and old.runs and new.began == old.began:
        text = f"goes on with another main process: {new.pid}, which was {old.pid}"
        events.append((_event(new, _when(new.main_began, before, at), text, kind="process"), False))
    return events


def _rest(state: UnitState) -> str:
    """Where a unit has come to rest; empty on its way."""
    if state.runs:
        return "up"
    return state.active if state.active == "failed" else "down" if state.active == "inactive" else ""


def _restarts(old: UnitState, new: UnitState) -> int:
    """How often it was restarted by itself; the count begins anew when somebody starts it."""
    if isnan(new.restarts) or isnan(old.restarts):
        return 0
    return int(new.restarts - old.restarts if new.restarts >= old.restarts else new.restarts)


def _loop(course: _Course, before: float, at: float) -> list[Event]:
    """That a unit is restarted again and again, once as long as it goes on."""
    restarts = course.restarts
    while restarts and at - restarts[0][1] > LOOP_S:
        restarts.popleft()
    if not restarts:
        course.loops = False
    count = sum(times for _, _, times in restarts)
    if course.loops or count < LOOP:
        return []
    course.loops = True
    text = f"restarts again and again: {count} times in {_span(at - restarts[0][0])}"
    return [_event(course.state, (before, at), text, "critical")]


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE_S else f"{seconds / _MINUTE_S:.0f} min"


def _because(state: UnitState) -> str:
    if state.result == _TOO_OFTEN:
        return ": it was restarted too often, and is not any more (start-limit-hit)"
    return f" ({state.result})" if state.result else ""


def _when(stamp: float, before: float, at: float) -> tuple[float, float]:
    """The time that systemd names, if it is of the time since the last answer: its stamps are cut to whole seconds."""
    return (max(stamp, before), min(stamp + 1, at)) if before - 1 < stamp <= at else (before, at)


def _event(state: UnitState, when: tuple[float, float], text: str, severity: str = "", kind: str = "unit") -> Event:
    name = safe(unescaped(state.id), 200)
    return Event(*when, kind, name, f"{name} {text}", SOURCE, severity)
