"""Where what changed stands on a time axis: one tick a column, and labels that make room for it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from math import isnan
from typing import Final, NamedTuple

from perfconsole.core.changes import KINDS, PEOPLES, SECURITY, rank
from perfconsole.core.tick import Event
from perfconsole.ui.line import Line
from perfconsole.ui.look import Look

Ticks = tuple[tuple[int, Event], ...]
"""Columns, and the event that each of them shows; by column."""

HOST: Final = "host"
_TOLD: Final = frozenset({"warning", "critical"})
_ELSEWHERE: Final = frozenset({"endpoint", "certificate", "checker", "postgres", "schema"})
"""Kinds that are about an endpoint or a server, whichever that is."""

_FAR: Final = frozenset({"package", "process", "file", "boot", "suspend", "clock"})
"""Of this machine, what may have changed how everything runs that depends on it: traces of a deploy, and time that is missing."""

_UNITS: Final = (".service", ".scope", ".slice", ".socket", ".mount", ".timer")

_LEAST_RANK: Final = 3
"""Timers, logins and the like come about all the time: on a chart they would hide the rest."""


class About(NamedTuple):
    """What a chart is about.

    Attributes:
        scopes: Scopes of events that are its own.
        machine: Whether it is about this machine, or something that runs on it.
    """

    scopes: frozenset[str]
    machine: bool = False

    def concerns(self, event: Event) -> bool:
        """Whether an event belongs on its axis: its own, what people say, and of the machine what may have to do with it."""
        if event.kind in PEOPLES or event.scope in self.scopes:
            return True
        if not _of_machine(event):
            return False
        told = event.severity in _TOLD
        if self.machine:
            return told or (event.kind in KINDS and KINDS[event.kind].rank >= _LEAST_RANK)
        return event.kind in _FAR or (told and event.kind not in SECURITY and event.kind != "alert")


MACHINE: Final = About(frozenset(), machine=True)


def of_endpoint(name: str, unit: str = "", database: str = "") -> About:
    """What is about an endpoint, the unit that serves it, and the PostgreSQL server that it works with; empty for none that is known."""
    units = {unit, unit if "." in unit else f"{unit}.service"} if unit else set()  # as systemctl takes it
    return About(frozenset({name, *units, *({f"postgres:{database}"} if database else ())}))


def of_server(name: str) -> About:
    """What is about a PostgreSQL server."""
    return About(frozenset({f"postgres:{name}"}))


def of_labels(labels: dict[str, str]) -> About:
    """What is about a series, by its labels."""
    if labels.get("server"):
        return of_server(labels["server"])
    if labels.get("endpoint"):
        return of_endpoint(labels["endpoint"])
    if labels.get("service"):
        return About(frozenset({labels["service"]}))
    return About(frozenset(labels.values()), machine=True)


def _of_machine(event: Event) -> bool:
    if event.kind in _ELSEWHERE or event.scope.startswith("postgres:"):
        return False
    return event.kind != "alert" or event.scope in {"", HOST} or event.scope.startswith("/") or event.scope.endswith(_UNITS)


def ticks(events: Iterable[Event], about: About, edge: float, cells: int, width_s: float, parts: int = 1) -> Ticks:
    """The ticks of a time axis: of several in a column a mark, else that of the highest severity and rank, of equals the newest.

    Args:
        events: What changed, in any order.
        about: What the chart is about.
        edge: The moment that its last column contains, epoch seconds.
        cells: Columns.
        width_s: Seconds of a bucket of its values, which are aligned to the clock as `ui.spark.Track` does it.
        parts: Buckets in a column.

    Returns:
        By column. An event stands where it was over at the latest.
    """
    if isnan(edge) or cells < 1 or width_s <= 0:
        return ()
    first = int(edge // width_s) - cells * parts + 1
    found: dict[int, Event] = {}
    for event in events:
        if not first * width_s <= event.time_hi <= edge or not about.concerns(event):
            continue
        column = (int(event.time_hi // width_s) - first) // parts
        other = found.get(column)
        if other is None or _first(event) >= _first(other):
            found[column] = event
    return tuple(sorted(found.items()))


def _first(event: Event) -> tuple[object, ...]:
    """What a column shows first: what people did and found before what came of it, which the chart itself shows."""
    return event.kind in PEOPLES, *rank(event), event.time_hi


def tick(look: Look, event: Event, *, above: bool = False) -> tuple[str, str]:
    """The glyph of a tick and its role; ``above`` what it points to it points down."""
    if event.kind in PEOPLES:
        return look.glyphs.mark, "accent"
    return look.glyphs.tick_down if above else look.glyphs.tick, f"{event.severity}_bar" if event.severity else "foreground"


# Labels beside them ----------------------------------------------------------------------------------------------------------------


class Label(NamedTuple):
    """Words on an axis: where they begin, what they say, and how far they may be moved for a tick to be seen."""

    at: int
    text: str
    reach: int = 6


def spread(labels: Sequence[Label], taken: Collection[int], start: int, end: int) -> list[Label]:
    """The labels, moved aside as little as it takes to leave ticks free; one for which there is no room near keeps its place.

    Args:
        labels: Without any two that touch; those that come first choose first.
        taken: Cells with a tick.
        start: The first cell that may be used.
        end: The one after the last.
    """
    out: list[Label] = []
    for i, label in enumerate(labels):
        others = [*out, *labels[i + 1 :]]
        free = (at for at in _near(label) if _fits(at, label, taken, others, start, end))
        out.append(label._replace(at=next(free, label.at)))
    return out


def _near(label: Label) -> Iterator[int]:
    yield label.at
    for step in range(1, label.reach + 1):
        yield label.at + step
        yield label.at - step


def _fits(at: int, label: Label, taken: Collection[int], others: Iterable[Label], start: int, end: int) -> bool:
    stop = at + len(label.text)
    if at < start or stop > end or any(cell in taken for cell in range(at - 1, stop + 1)):
        return False
    return all(stop < other.at or other.at + len(other.text) < at for other in others)


def put_axis(line: Line, look: Look, marks: Iterable[tuple[int, Event]], labels: Iterable[Label], *, above: bool = False) -> Line:
    """Draw ticks and labels at their cells of a line; labels can always be read, whatever lies below them."""
    kept = list(labels)
    under = {cell for label in kept for cell in range(label.at, label.at + len(label.text))}
    parts = [(at, *tick(look, event, above=above)) for at, event in marks if at not in under]
    for at, text, role in sorted([*parts, *((label.at, label.text, "dim") for label in kept)]):
        line.to(at).put(text, role)
    return line
