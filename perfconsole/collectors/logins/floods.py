"""When there are more failed logins than usual: a flood has one beginning and one end, whatever it is made of. Pure: time is an argument.

Every machine on the internet is knocked at all day; what is worth a word is a change of that.
"""

from math import isnan, nan
from typing import Final, NamedTuple

LEAST: Final = 10
"""Failures a minute that nobody speaks of."""

MANY: Final = 100
"""Failures within a minute that are more than the usual noise of the internet."""

FACTOR: Final = 3.0
"""What is more than so many times the usual is a flood."""

_MEMORY: Final = 60
"""Minutes that the usual is an average of: what goes on for hours becomes the usual."""

_QUIET: Final = 2
"""Minutes in a row without which no flood is over."""

_SOURCES: Final = 500


class Beginning(NamedTuple):
    """A flood began at `at` (epoch seconds), with so many failures within that minute; `usual` a minute, NaN as long as nobody knows."""

    at: float
    failures: int
    usual: float


class End(NamedTuple):
    """A flood was over at `at`: how many failures since `since`, of how many sources, and who did most of them."""

    at: float
    since: float
    failures: int
    top: tuple[str, int]
    sources: int


class Flood:
    """Failures of one service by the minute."""

    def __init__(self) -> None:
        self.usual = nan
        self._minute = -1
        self._count = self._known = self._quiet = 0
        self._first = 0.0
        self._since = nan
        self._total = 0
        self._sources: dict[str, int] = {}
        self._news: list[Beginning | End] = []

    @property
    def limit(self) -> float:
        """Failures a minute from which on it is a flood."""
        return LEAST if isnan(self.usual) else max(LEAST, FACTOR * self.usual)

    def add(self, source: str, at: float, count: int) -> None:
        """Some failures at a moment."""
        self.close(at)
        self._first = self._first if self._count else at
        self._count += count
        if isnan(self._since):
            if self._count <= self.limit:
                return
            self._since, self._total, self._quiet = self._first, self._count - count, 0
            self._sources.clear()
            self._news.append(Beginning(self._since, self._count, self.usual))
        self._total += count
        if source in self._sources or len(self._sources) < _SOURCES:
            self._sources[source] = self._sources.get(source, 0) + count
        if self._news and isinstance(self._news[-1], Beginning) and self._news[-1].at >= self._minute * 60:
            self._news[-1] = self._news[-1]._replace(failures=self._count)

    def close(self, at: float) -> None:
        """Time has come so far: minutes that are over are learnt from."""
        minute = int(at // 60)
        if self._minute < 0:
            self._minute = minute
        for passed in range(self._minute, min(minute, self._minute + 2 * _MEMORY)):
            self._learn(passed)
            self._count = 0
        self._minute = max(minute, self._minute)

    def told(self) -> "list[Beginning | End]":
        """What is to be told, once; a beginning when its minute is over, so that it says how much it is, or when that is much by now."""
        last = self._news[-1] if self._news else None
        held = [last] if isinstance(last, Beginning) and last.at >= self._minute * 60 and last.failures < MANY else []
        news, self._news = self._news[: len(self._news) - len(held)], list(held)
        return news

    def _learn(self, minute: int) -> None:
        count, limit = self._count, self.limit
        if not isnan(self._since):
            self._quiet = self._quiet + 1 if count <= limit else 0
            if self._quiet >= _QUIET:
                top = max(self._sources.items(), key=lambda pair: pair[1], default=("?", 0))
                at = (minute + 1 - _QUIET) * 60.0
                self._news.append(End(max(at, self._since), self._since, self._total, top, len(self._sources)))
                self._since = nan
        self._known = min(self._known + 1, _MEMORY)
        usual = 0.0 if isnan(self.usual) else self.usual
        self.usual = usual + (min(count, limit) - usual) / self._known
