"""Who tried to get in within the last hour, bounded: so many sources, so many names of each, five minutes at a time.

Pure: time is an argument. Addresses stand here as they are, since a success has to be held against the failures of the same one; whoever
shows them masks them.
"""

from array import array
from collections import OrderedDict
from heapq import nlargest
from math import log
from operator import attrgetter
from typing import Final
from zlib import crc32

SPAN_S: Final = 3600.0
REST: Final = "(others)"

_SLOT_S: Final = 300.0
_SLOTS: Final = 12
_NAMES: Final = 24
"""Names kept of one source with how often each was tried; of more than these only how many, by an estimate."""

_BITS: Final = 512
_MOST: Final = 3000
"""Sources kept apart, at 0.9 KiB each."""

_LOOKED_AT: Final = 16
"""How many of those that were quiet for longest are looked at for one to give up."""

_ROLLED: Final = 300
"""Sources whose oldest minutes are forgotten in one go; the rest has its turn at the next."""

_NAMES_A_SLOT: Final = 200


class Source:
    """What one source did at one service.

    Attributes:
        failed, succeeded: Within the window.
        breached: A success came after as many failures as count.
    """

    __slots__ = ("_bits", "_counts", "_names", "_slots", "_turn", "breached", "failed", "first", "last", "name", "service", "succeeded")

    def __init__(self, service: str, name: str, at: float) -> None:
        self.service, self.name = service, name
        self.first = self.last = at
        self.failed = self.succeeded = self._bits = 0
        self._names: list[str] = []  # as two lists they are a third of what a dictionary takes, of which there are thousands
        self._counts: list[int] = []
        self.breached = False
        self._turn = int(at // _SLOT_S)
        self._slots = array("I", bytes(array("I").itemsize * 2 * _SLOTS))

    def add(self, user: str, at: float, *, failed: int = 0, succeeded: int = 0) -> bool:
        """Some attempts at a moment; False for one that is too old to count."""
        turn = int(at // _SLOT_S)
        self.roll(turn)
        if turn <= self._turn - _SLOTS:
            return False
        self._slots[turn % _SLOTS] += failed
        self._slots[_SLOTS + turn % _SLOTS] += succeeded
        self.failed += failed
        self.succeeded += succeeded
        self.first, self.last = min(self.first, at), max(self.last, at)
        if user in self._names:
            self._counts[self._names.index(user)] += failed + succeeded
        elif user and len(self._names) < _NAMES:
            self._names.append(user)
            self._counts.append(failed + succeeded)
        elif user:
            self._bits |= 1 << crc32(user.encode(errors="surrogatepass")) % _BITS
        return True

    def roll(self, turn: int) -> None:
        """Forget what lies before the window that ends in a slot."""
        for passed in range(max(self._turn + 1, turn - _SLOTS + 1), turn + 1):
            at = passed % _SLOTS
            self.failed -= self._slots[at]
            self.succeeded -= self._slots[_SLOTS + at]
            self._slots[at] = self._slots[_SLOTS + at] = 0
        self._turn = max(turn, self._turn)

    def join(self, other: "Source") -> None:
        """Take over what another did."""
        turn = max(self._turn, other._turn)  # noqa: SLF001  its own kind
        self.roll(turn)
        other.roll(turn)
        for at, count in enumerate(other._slots):  # noqa: SLF001  its own kind
            self._slots[at] += count
        self.failed += other.failed
        self.succeeded += other.succeeded
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)

    @property
    def names(self) -> dict[str, int]:
        """Whom it tried to be, with how often."""
        return dict(zip(self._names, self._counts, strict=True))

    @property
    def others(self) -> int:
        """How many names there were beyond those kept (linear counting: of more than some hundred a rough number)."""
        zeros = _BITS - self._bits.bit_count()
        return round(-_BITS * log(max(zeros, 1) / _BITS))


class Sources:
    """All sources, those touched last at the end.

    Attributes:
        failed, succeeded: Of all within the window.
        overflowed: Whether there were more than are kept apart.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._all: OrderedDict[tuple[str, str], Source] = OrderedDict()
        self._names: dict[int, dict[str, int]] = {}
        self._swept = 0
        self.failed = self.succeeded = 0
        self.overflowed = False

    def __len__(self) -> int:
        """How many are known."""
        return len(self._all)

    def add(self, service: str, name: str, user: str, at: float, *, failed: int = 0, succeeded: int = 0) -> Source:
        """Some attempts; gives back whose they are."""
        source = self._all.get((service, name))
        if source is None:
            if len(self._all) >= self._most:
                self._give_up()
            source = self._all[service, name] = Source(service, name, at)
        self._all.move_to_end((service, name))
        self._less(source)
        counted = source.add(user, at, failed=failed, succeeded=succeeded)
        self._more(source)
        if counted and user and failed:
            names = self._names.setdefault(int(at // _SLOT_S), {})
            if user in names or len(names) < _NAMES_A_SLOT:
                names[user] = names.get(user, 0) + failed
        return source

    def sweep(self, at: float) -> bool:
        """Forget what is older than the window, of some at a time; whether anything changed."""
        turn = int(at // _SLOT_S)
        changed = False
        while self._names and (oldest := min(self._names)) <= turn - _SLOTS:
            del self._names[oldest]
            changed = True
        if self._swept == turn:
            return changed
        stale = [key for key, source in self._all.items() if source._turn < turn]  # noqa: SLF001  its own kind
        for key in stale[:_ROLLED]:
            source = self._all[key]
            self._less(source)
            source.roll(turn)
            self._more(source)
            if not source.failed and not source.succeeded:
                del self._all[key]
        if len(stale) <= _ROLLED:
            self._swept = turn
        return changed or bool(stale)

    def top(self, most: int) -> list[Source]:
        """Those of the most failures, breaches before all."""
        breached = [source for source in self._all.values() if source.breached][:most]
        return breached + [source for source in nlargest(most, self._all.values(), attrgetter("failed")) if not source.breached]

    def names(self, most: int) -> tuple[tuple[str, int], ...]:
        """The names most often tried, with how often it failed."""
        summed: dict[str, int] = {}
        for names in self._names.values():
            for name, count in names.items():
                summed[name] = summed.get(name, 0) + count
        return tuple(nlargest(most, summed.items(), key=lambda pair: pair[1]))

    def _give_up(self) -> None:
        """Sum up one of those that were quiet for longest: that of the fewest failures, since many failures may yet end in a success."""
        quiet = []
        for key, source in self._all.items():
            if key[1] != REST and not source.breached:
                quiet.append((source.failed, key))
            if len(quiet) == _LOOKED_AT:
                break
        key = min(quiet)[1] if quiet else next(iter(self._all))
        given_up = self._all.pop(key)
        rest = self._all.get((key[0], REST))
        if rest is None:
            rest = self._all[key[0], REST] = Source(key[0], REST, given_up.first)
        self._less(given_up)
        self._less(rest)
        rest.join(given_up)
        self._more(rest)
        self.overflowed = True

    def _less(self, source: Source) -> None:
        self.failed -= source.failed
        self.succeeded -= source.succeeded

    def _more(self, source: Source) -> None:
        self.failed += source.failed
        self.succeeded += source.succeeded
