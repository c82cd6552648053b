"""The condition of what changes seldom: links, arrays and clock as series, and what changed between two looks as events."""

from collections.abc import Callable, Iterable, Mapping
from math import isnan, nan
from typing import Final, NamedTuple

from perfconsole.collectors.system import arrays, links
from perfconsole.collectors.system.arrays import Array
from perfconsole.collectors.system.clock import Discipline, read_clock
from perfconsole.collectors.system.files import read_once
from perfconsole.collectors.system.links import Link
from perfconsole.collectors.system.parts import define
from perfconsole.core.globs import Globs
from perfconsole.core.tick import Event, SeriesDef

_MOST_EVENTS: Final = 20
"""Of the links at one look: a switch that goes down takes a hundred along."""

_HOST: Final = "host"
_SOURCE: Final = "kernel"
_CLOCK: Final = (define("system.clock.synchronized"), define("system.clock.error"))
_LINK: Final = ("system.network.up", "system.network.carrier_changes")
_DEVICE: Final = ("system.network.speed", "system.network.full_duplex")
_ARRAY: Final = ("system.array.degraded", "system.array.failed", "system.array.sync")


class Condition(NamedTuple):
    """What was found at one time."""

    links: Mapping[str, Link]
    arrays: Mapping[str, Array]
    clock: Discipline

    @property
    def shape(self) -> tuple[tuple[tuple[str, bool], ...], tuple[str, ...]]:
        """What the series are of: while it is the same, so are they."""
        return tuple((name, link.device) for name, link in self.links.items()), tuple(self.arrays)


def read(proc: str, sys: str, networks: Globs, clock: Callable[[], Discipline] | None) -> Condition:
    """Look at all of it; meant for a thread. Where no interfaces can be listed there are none; without `clock` the kernel is asked."""
    try:
        found = links.read_links(sys, networks)
    except OSError:
        found = {}
    return Condition(found, arrays.parse(read_once(f"{proc}/mdstat")), (clock or read_clock)())


def series(found: Condition) -> tuple[SeriesDef, ...]:
    """The series, in the order of `values`."""
    out = list(_CLOCK)
    if found.links:
        out += map(define, _LINK)
        out += (define(metric, interface=name) for name in found.links for metric in _LINK)
    devices = [name for name, link in found.links.items() if link.device]
    if devices:
        out.append(define(_DEVICE[1]))  # a speed is a link's own: there is none of all of them
        out += (define(metric, interface=name) for name in devices for metric in _DEVICE)
    if found.arrays:
        out += map(define, _ARRAY)
        out += (define(metric, device=name) for name in found.arrays for metric in _ARRAY)
    return tuple(out)


def values(found: Condition, changes: float) -> list[float]:
    """The values; `changes` are how often the carriers of all links came and went."""
    out = [found.clock.synchronized, found.clock.error_s]
    each = found.links.values()
    if each:
        out += (max(_known(link.up for link in each), default=nan), changes)
        out += (value for link in each for value in (link.up, link.changes))
    devices = [link for link in each if link.device]
    if devices:
        out.append(min(_known(link.full_duplex for link in devices), default=nan))
        out += (value for link in devices for value in (link.speed, link.full_duplex))
    if found.arrays:
        rows = [(float(array.degraded), float(len(array.failed)), array.done) for array in found.arrays.values()]
        out += (max(row[0] for row in rows), sum(row[1] for row in rows), min(_known(row[2] for row in rows), default=nan))
        out += (value for row in rows for value in row)
    return out


def events(before: Condition, now: Condition, since: float, at: float) -> list[Event]:
    """What changed between two looks, at `since` and `at` (epoch seconds)."""
    told = [
        Event(since, at, "link", f"interface:{name}", text, _SOURCE, mild) for name, text, mild in links.changed(before.links, now.links)
    ]
    if len(told) > _MOST_EVENTS:
        more = len(told) - _MOST_EVENTS
        told[_MOST_EVENTS:] = [Event(since, at, "link", _HOST, f"{more} more links changed", _SOURCE, "warning")]
    told += [
        Event(since, at, "array", f"array:{name}", text, _SOURCE, grave) for name, text, grave in arrays.changed(before.arrays, now.arrays)
    ]
    was, is_now = before.clock.synchronized, now.clock.synchronized
    if was != is_now and not (isnan(was) or isnan(is_now)):
        text, severity = ("the clock is kept in step again", "info") if is_now else ("nothing keeps the clock in step any more", "warning")
        told.append(Event(since, at, "clock", _HOST, text, _SOURCE, severity))
    return told


def _known(numbers: Iterable[float]) -> list[float]:
    return [number for number in numbers if not isnan(number)]
