"""Rows and the pure `select`. Tables carry what is too many or too fleeting to be series: alert rules never read them.

The same `select` runs in the screen (always), before the wire and before the recorder (to send or keep less): it is idempotent.
"""

from collections.abc import Iterable
from math import isnan, nan
from operator import attrgetter

from msgspec import Struct, structs

Key = tuple[int, ...]
"""Identity of a row; of a process (pid, start time in clock ticks since boot), because a pid alone is reused."""


class View(Struct, frozen=True, array_like=True):
    """What of a table is looked at.

    Attributes:
        table: Kind of table, e.g. ``process``.
        target: The target it belongs to.
        sort: Field to sort by; descending for numbers, ascending for text.
        reverse: Turns that order round.
        match: Text to look for, any case, in any of the row's texts; words are all required.
        limit: Rows kept.
        keys: Identities of the rows on the screen: kept whatever the limit, and the only ones whose expensive columns are read.
        columns: The expensive columns that are shown.
    """

    table: str
    target: str = "host"
    sort: str = "cpu"
    reverse: bool = False
    match: str = ""
    limit: int = 200
    keys: tuple[Key, ...] = ()
    columns: tuple[str, ...] = ()


class ProcessRow(Struct, frozen=True, array_like=True, gc=False):
    """One process (proc(5)). NaN where it was not read, or may not be.

    Attributes:
        start: Start time in clock ticks since boot: with the pid, its identity.
        started: The same as wall-clock time, epoch seconds.
        state: The letter of ``/proc/PID/stat``: R S D T t Z I.
        cpu: Ratio of one core over the last interval; NaN until there are two scans.
        cpu_s: User and system time since it started.
        memory_bytes: Resident set size.
        pss_bytes: Proportional set size; read on demand.
        read_bytes_s: Storage bytes read a second, likewise on demand.
        unit: The systemd unit or container that it belongs to; empty when unknown.
        kernel: A kernel thread.
    """

    pid: int
    start: int
    ppid: int
    name: str
    user: str
    state: str
    cpu: float
    cpu_s: float
    memory_bytes: float
    threads: int
    nice: int
    started: float
    unit: str = ""
    command: str = ""
    kernel: bool = False
    read_bytes_s: float = nan
    write_bytes_s: float = nan
    pss_bytes: float = nan
    fds: float = nan

    @property
    def key(self) -> Key:
        """Identity."""
        return (self.pid, self.start)

    def text(self) -> str:
        """Everything a filter looks at."""
        return f"{self.pid} {self.name} {self.user} {self.unit} {self.command}"


class ProcessTable(Struct, frozen=True, array_like=True, tag="process"):
    """The processes at one moment. `total` counts those that exist, of which `rows` may be a selection; `hidden` are not ours to see."""

    target: str
    at: float
    total: int
    rows: list[ProcessRow]
    hidden: bool = False


Table = ProcessTable
"""The union of all tables; each is a tagged struct, so that another one joins without a new wire format."""

EXPENSIVE: frozenset[str] = frozenset({"read_bytes_s", "write_bytes_s", "pss_bytes", "fds"})
"""Process columns that cost a file of their own per process: read for the rows on the screen only, unless sorted by."""

_TEXTS = frozenset({"name", "user", "unit", "command", "state"})
_ASCENDING = frozenset({"pid", "ppid", "start", "started", "nice"})


def select(rows: Iterable[ProcessRow], view: View) -> list[ProcessRow]:
    """Filter, sort and limit rows as a view asks.

    Args:
        rows: Rows in pid order, or as an earlier `select` left them; not changed.
        view: What is looked at; an unknown sort field sorts by CPU.

    Returns:
        At most `view.limit` rows in order, and after them those of `view.keys` that fell beyond it. Numbers run from the biggest, texts
        from A, unless reversed; unknown values come last either way; ties are ordered by memory, then pid.
    """
    words = view.match.lower().split()
    kept = [row for row in rows if all(word in row.text().lower() for word in words)] if words else list(rows)
    ordered = _ordered(kept, view.sort if view.sort in ProcessRow.__struct_fields__ else "cpu", reverse=view.reverse)
    top = ordered[: view.limit]
    if view.keys and view.limit < len(ordered):
        wanted = set(view.keys)
        top += [row for row in ordered[view.limit :] if row.key in wanted]
    return top


def cut(table: Table, views: Iterable[View]) -> ProcessTable | None:
    """A table with the rows that any of these views shows, in pid order; None when none looks at it."""
    wanted = [view for view in views if view.table == "process" and view.target == table.target]
    if not wanted:
        return None
    kept = {row.key: row for view in wanted for row in select(table.rows, view)}
    # In pid order, as `select` wants them, and because rows that stay where they were compress to half.
    return structs.replace(table, rows=sorted(kept.values(), key=lambda row: row.pid))


def _ordered(rows: list[ProcessRow], field: str, *, reverse: bool) -> list[ProcessRow]:
    # Stable sorts one after the other, each by a single value that is compared in C: 0.5 ms for 2,000 rows, where a key function
    # written in Python takes 3. NaN has no order, so that rows with one are taken out before each.
    rows = _descending(rows, "memory_bytes")
    if field in _TEXTS:
        known = [row for row in rows if getattr(row, field)]
        unknown = [row for row in rows if not getattr(row, field)]
        return sorted(known, key=lambda row: str(getattr(row, field)).lower(), reverse=reverse) + unknown
    return _descending(rows, field, reverse=(field in _ASCENDING) == reverse)


def _descending(rows: list[ProcessRow], field: str, *, reverse: bool = True) -> list[ProcessRow]:
    value = attrgetter(field)
    known = [row for row in rows if not isnan(value(row))]
    unknown = [row for row in rows if isnan(value(row))] if len(known) < len(rows) else []
    known.sort(key=value, reverse=reverse)
    return known + unknown
