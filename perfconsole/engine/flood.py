"""A bound on what one source tells: what is too much of it is one event that says how much it was. No clock, no loop."""

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Final

from perfconsole.core.changes import KINDS, rank
from perfconsole.core.tick import SEVERITIES, Event

TICK_MOST: Final = 50
MINUTE_MOST: Final = 200
CRITICAL_MOST: Final = 50
"""More of them a minute, where they are critical: what matters must not drown in what somebody makes noise with."""

_MINUTE_S: Final = 60.0


class _Rest:
    """What was not told of one source."""

    def __init__(self) -> None:
        self.lo, self.hi = inf, -inf
        self.kinds: Counter[str] = Counter()
        self.scopes: set[str] = set()
        self.worst = 0

    def add(self, event: Event) -> None:
        self.lo, self.hi = min(self.lo, event.time_lo), max(self.hi, event.time_hi)
        self.kinds[event.kind] += 1
        if len(self.scopes) < 2:
            self.scopes.add(event.scope)
        self.worst = max(self.worst, SEVERITIES.index(event.severity) + 1 if event.severity in SEVERITIES else 0)

    def event(self, source: str) -> Event:
        """``and 480 more: 470 login, 10 sudo``."""
        kinds = ", ".join(f"{number} {KINDS[kind].title if kind in KINDS else kind}" for kind, number in self.kinds.most_common(3))
        scope = self.scopes.copy().pop() if len(self.scopes) == 1 else "host"
        text = f"and {self.kinds.total()} more: {kinds}" + (", ..." if len(self.kinds) > 3 else "")
        severity = ("", *SEVERITIES)[self.worst]
        return Event(self.lo, self.hi, self.kinds.most_common(1)[0][0], scope, text, source, severity)


class Flood:
    """Counts what each source tells, by the minute."""

    def __init__(self) -> None:
        self._minute = -inf
        self._told: Counter[str] = Counter()
        self._summed: set[str] = set()
        self._rest: dict[str, _Rest] = {}

    @property
    def waiting(self) -> bool:
        """Whether time alone may bring more."""
        return bool(self._rest)

    def step(self, events: Sequence[Event], boot: float) -> list[Event]:
        """What of it is told, the graver and the rarer first where not all is, and what there is to say of the rest.

        Args:
            events: News.
            boot: Seconds of CLOCK_BOOTTIME.
        """
        out: list[Event] = []
        minute = boot // _MINUTE_S
        if minute != self._minute:
            self._minute = minute
            out += self.flush()
            self._told.clear()
            self._summed.clear()
        sources: dict[str, list[Event]] = {}
        for event in events:
            sources.setdefault(event.source, []).append(event)
        for source, those in sources.items():
            out += self._of(source, those)
        return out

    def flush(self) -> list[Event]:
        """What there is to say of what was not told so far."""
        rest, self._rest = self._rest, {}
        return [one.event(source) for source, one in rest.items()]

    def _of(self, source: str, events: list[Event]) -> list[Event]:
        told: list[Event] = []
        left = events if len(events) <= TICK_MOST else sorted(events, key=rank, reverse=True)
        for event in left:
            most = MINUTE_MOST + CRITICAL_MOST * (event.severity == "critical")
            if len(told) < TICK_MOST and self._told[source] < most:
                self._told[source] += 1
                told.append(event)
            else:
                self._rest.setdefault(source, _Rest()).add(event)
        if source in self._rest and source not in self._summed:  # once a minute at once, else when it is over
            self._summed.add(source)
            told.append(self._rest.pop(source).event(source))
        return told
