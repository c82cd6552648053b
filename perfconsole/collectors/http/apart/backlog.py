"""Outcomes that wait until the console takes them, packed: a console that stands still for a while misses none, and costs bounded memory.

Checks go on meanwhile. When too much waits, what is given up is what repeats: of an endpoint that fails for an hour its first failure and
its last are kept, so that no change is lost and every "since" stays true. What lies between is a gap, and is drawn as one.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import Final

from msgspec import Raw
from msgspec.msgpack import decode
from msgspec.structs import replace

from perfconsole.collectors.http.apart.pipe import encode
from perfconsole.core.checks import Outcome

MOST_BYTES: Final = 12 * 2**20
"""1,000 endpoints that are well fill it in 3 minutes; if all fail, every 5 s, with 3 KB of headers and body, in a little more than one."""

_OWN_BYTES: Final = 400
"""What an entry takes beside its packed outcome."""


class _Entry:
    """An outcome that waits; `first` says whether the one before it, of the same endpoint, said something else."""

    __slots__ = ("first", "ids", "name", "number", "packed", "serial", "verdict")

    def __init__(self, number: int, outcome: Outcome, serial: int, ids: Sequence[int], *, first: bool) -> None:
        self.number, self.name, self.packed = number, outcome.name, encode(outcome)
        self.serial, self.ids, self.first, self.verdict = serial, tuple(ids), first, _verdict(outcome)

    @property
    def held_bytes(self) -> int:
        return len(self.packed) + _OWN_BYTES


class Backlog:
    """The queue.

    Args:
        most_bytes: Beyond half of it, details are kept of the newest outcome and the last failure alone; beyond all of it, what
            repeats is given up; beyond twice as much, of each endpoint all but what waits already and the newest.

    Attributes:
        held_bytes: What it takes.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._numbers = count()
        self._waiting: OrderedDict[int, _Entry] = OrderedDict()
        self._newest: dict[str, _Entry] = {}
        self._given_up = 0
        self._since = self._until = 0.0
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, outcome: Outcome, serial: int, ids: Sequence[int] = ()) -> None:
        """Take an outcome.

        Args:
            outcome: What is to be told.
            serial: Of the configuration whose check it was.
            ids: The questions that it answers.
        """
        before = self._newest.get(outcome.name)
        # Of another configuration it may be of another target: that says nothing about this one.
        first = before is None or before.serial != serial or before.verdict != _verdict(outcome)
        if before is not None:
            repeats = not (first or before.first)
            if self.held_bytes > self._most_bytes * (1 if repeats else 2):
                self._give_up(before)
                ids = (*before.ids, *ids)
                first = first or before.first
            elif self.held_bytes > self._most_bytes / 2 and (before.verdict[0] or not outcome.ok):
                self._thin(before)
        entry = self._newest[outcome.name] = _Entry(next(self._numbers), outcome, serial, ids, first=first)
        self._waiting[entry.number] = entry
        self.held_bytes += entry.held_bytes

    def _give_up(self, entry: _Entry) -> None:
        self._until = decode(entry.packed, type=Outcome).at
        self._since = self._since if self._given_up else self._until
        self._given_up += 1
        self._remove(entry)

    def _remove(self, entry: _Entry) -> None:
        del self._waiting[entry.number]
        self.held_bytes -= entry.held_bytes

    def _thin(self, entry: _Entry) -> None:
        outcome = decode(entry.packed, type=Outcome)
        self.held_bytes -= entry.held_bytes
        entry.packed = encode(replace(outcome, headers=(), body="", hops=(), tls=None, assertions=()))
        self.held_bytes += entry.held_bytes

    def take(self, most_bytes: int) -> list[Raw]:
        """The oldest, each encoded as a `pipe.Told`: so many that together they are about so long."""
        taken: list[Raw] = []
        size = 0
        while self._waiting and size < most_bytes:
            entry = next(iter(self._waiting.values()))
            self._remove(entry)
            if self._newest[entry.name] is entry:
                del self._newest[entry.name]
            size += len(entry.packed)
            taken.append(Raw(encode([Raw(entry.packed), entry.serial, entry.ids])))
        return taken

    def note(self) -> str:
        """What was given up since this was last asked, in words; empty for nothing."""
        if not self._given_up:
            return ""
        number, self._given_up = self._given_up, 0
        began, ended = (time.strftime("%H:%M:%S", time.localtime(at)) for at in (self._since, self._until))
        return f"the console took no outcomes for long: {number} that said nothing new, of {began} to {ended}, were given up"


def _verdict(outcome: Outcome) -> tuple[bool, str]:
    return outcome.ok, outcome.cause
