"""What the console cannot see any more: of each collector and target one series, so that rules can tell somebody. No collector by itself.

Nobody is told by a pane at night. What was seen before in this life of the engine, or is configured, and is not seen now, is blind; what
this user never had the right to see is not. What is down is seen: that a server does not answer is what its own alert is about.
"""

from collections.abc import Callable, Collection
from typing import Final

from perfconsole.core.ports import Measured
from perfconsole.core.state import State
from perfconsole.core.tick import Health, SeriesDef

EVERY_S: Final = 10.0
"""Between two looks: what has to last for minutes need not be looked at more often."""

METRIC: Final = "perfconsole.collector.blind"
TARGET: Final = "monitoring"

_WELL_S: Final = 60.0
"""What was well for so long was seen: a collector may find out in its first seconds only that it may not look."""

_SLEPT: Final = 3.0
"""After so many intervals without a look the machine was suspended: everything is old then, and is measured before the next look."""

_TROUBLES: Final = frozenset({"error", "denied", "stale"})
_NO_COLLECTORS: Final = frozenset({"alerts", "notify", "recording"})
"""What has health, too: where the engine keeps what it knows, and whom it tells."""

_UP: Final = {"postgres": ("postgresql.up", "server")}
"""Collectors whose health is an error as well where a target is down: the metric that says so, and its label."""

_EARLY_S: Final = 0.5
_LABELS: Final = 2

Place = tuple[str, str]
"""A collector and a target."""


class Blindness:
    """Follows the health of everything that is measured.

    Args:
        state: Gives the engine's state.
        configured: Gives the places that somebody asked for: they are blind as well where nothing was ever seen of them.
    """

    def __init__(self, state: Callable[[], State], configured: Callable[[], Collection[Place]]) -> None:
        self._state, self._configured = state, configured
        self._looked = 0.0
        self._well_since: dict[Place, float] = {}
        self._seen: set[Place] = set()
        self._told: dict[Place, SeriesDef] = {}
        self._series: tuple[SeriesDef, ...] = ()

    def measured(self, boot: float, interval_s: float) -> Measured | None:
        """What is blind, where it is time for a look and there is something to tell; on the engine's loop.

        Places that were never blind have no series: where all is well this costs next to nothing.

        Args:
            boot: Seconds of CLOCK_BOOTTIME.
            interval_s: How often this is asked.
        """
        passed_s, every_s = boot - self._looked, max(EVERY_S, interval_s)
        if passed_s < every_s - _EARLY_S:
            return None
        self._looked = boot
        if passed_s > _SLEPT * every_s:
            self._well_since.clear()
            return None
        blind = self._blind(boot)
        if blind.keys() != self._told.keys():
            self._told = {place: self._told.get(place) or _series(place) for place in blind}
            self._series = tuple(self._told.values())
        elif not blind:
            return None
        return Measured(TARGET, self._series, [float(blind[place]) for place in self._told], interval_s=every_s)

    def _blind(self, boot: float) -> dict[Place, bool]:
        """Of the places that are told of, whether they are."""
        state, configured = self._state(), self._configured()
        told = self._told.keys() | _standing(state)
        self._seen &= state.health.keys()
        found: dict[Place, bool] = {}
        for place, health in state.health.items():
            if place[0] in _NO_COLLECTORS:
                continue
            blind = _troubled(state, place, health)
            if not blind and health.state == "ok":
                if place not in self._seen and boot - self._well_since.setdefault(place, boot) >= _WELL_S:
                    self._seen.add(place)
            else:
                self._well_since.pop(place, None)
            if place in told or (blind and (place in self._seen or place in configured)):
                found[place] = blind
        return found


def _troubled(state: State, place: Place, health: Health) -> bool:
    if health.state not in _TROUBLES and not (health.state == "ok" and state.stale(*place)):
        return False
    metric, label = _UP.get(place[0], ("", ""))
    return not metric or state.value(metric, **{label: place[1]}) != 0.0


def _standing(state: State) -> set[Place]:
    """What an earlier run left: it is told of where it is well by now, too, so that its alert can end."""
    standing = (alert for alert in state.alerts.values() if alert.metric == METRIC and alert.state in {"firing", "pending"})
    return {(alert.labels[0][1], alert.labels[1][1]) for alert in standing if len(alert.labels) == _LABELS}


def _series(place: Place) -> SeriesDef:
    return SeriesDef(METRIC, (("collector", place[0]), ("target", place[1])))
