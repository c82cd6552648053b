"""Rows and the pure `select`. Tables carry what is too many or too fleeting to be series: alert rules never read them.

The same `select` runs in the screen (always), before the wire and before the recorder (to send or keep less): it is idempotent.
"""

from collections.abc import Iterable, Sequence
from math import isnan, nan
from typing import Any, ClassVar, Final, TypeVar

from msgspec import Struct, structs

from perfconsole.core.endpoints import EndpointRow, EndpointTable
from perfconsole.core.login_rows import LoginRow, LoginTable
from perfconsole.core.ordering import ordered
from perfconsole.core.unit_rows import UnitRow, UnitTable

Key = tuple[int, ...]
"""Identity of a row: of a process (pid, start time in clock ticks since boot), because a pid alone is reused; of a statement (userid, dbid,
queryid, toplevel); of a session (pid, backend start in microseconds of the epoch); of an endpoint what its name hashes to."""


class View(Struct, frozen=True, array_like=True):
    """What of a table is looked at.

    Attributes:
        table: Kind of table, e.g. ``process``.
        target: The target it belongs to; empty for every one.
        sort: Field to sort by; descending for numbers, ascending for text.
        reverse: Turns that order round.
        match: Text to look for, any case, in any of the row's texts; words are all required. ``user:app`` looks in that text alone.
        limit: Rows kept.
        keys: Identities of the rows on the screen: kept whatever the limit, and the only ones whose expensive columns are read.
        columns: The expensive columns that are shown.
        window: What rates are taken over, one of `WINDOWS`; empty where a table has one only, and for who takes what there is.
    """

    table: str
    target: str = "host"
    sort: str = "cpu"
    reverse: bool = False
    match: str = ""
    limit: int = 200
    keys: tuple[Key, ...] = ()
    columns: tuple[str, ...] = ()
    window: str = ""


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

    TEXTS: ClassVar[frozenset[str]] = frozenset({"name", "user", "unit", "command", "state"})
    DERIVED: ClassVar[frozenset[str]] = frozenset()
    ASCENDING: ClassVar[frozenset[str]] = frozenset({"pid", "ppid", "start", "started", "nice"})
    FIRST: ClassVar[str] = "cpu"
    TIES: ClassVar[str] = "memory_bytes"

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

    window: ClassVar[str] = ""

    target: str
    at: float
    total: int
    rows: list[ProcessRow]
    hidden: bool = False


class StatementRow(Struct, frozen=True, array_like=True, gc=False):
    """One statement of pg_stat_statements over a window. NaN where the server does not say, or there is no interval yet.

    Attributes:
        queryid: Signed 64-bit, as SQL shows it.
        toplevel: False for one run inside a function.
        calls, exec_s, plan_s, rows, ...: Increments within the window.
        load: Average active sessions: execution and planning time a second, calls that run now included; of none more than the window.
        share: Of the load of all statements, hidden ones left out.
        mean_s: Execution time a call within the window; `baseline_s` what it used to be, NaN until that is known.
        max_s: The longest call since `max_since` (epoch seconds): never of the window.
        in_flight: Sessions that run it now; `longest_s` for how long the longest.
        new: Not known before this window.
        query: The normalised text, one safe line or more; empty until it was asked for.
        stddev_s: Standard deviation of the execution time within the window.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"user", "database", "query"})
    DERIVED: ClassVar[frozenset[str]] = frozenset({"change", "rows_per_call", "hit_ratio", "io_ratio"})
    ASCENDING: ClassVar[frozenset[str]] = frozenset()
    FIRST: ClassVar[str] = "load"
    TIES: ClassVar[str] = "calls"

    userid: int
    dbid: int
    queryid: int
    toplevel: bool
    user: str
    database: str
    calls: float
    exec_s: float
    load: float
    share: float
    mean_s: float
    plan_s: float = nan
    baseline_s: float = nan
    max_s: float = nan
    max_since: float = nan
    rows: float = nan
    shared_hit: float = nan
    shared_read: float = nan
    io_s: float = nan
    temp_written: float = nan
    wal_bytes: float = nan
    in_flight: int = 0
    longest_s: float = nan
    new: bool = False
    query: str = ""
    stddev_s: float = nan

    @property
    def key(self) -> Key:
        """Identity."""
        return (self.userid, self.dbid, self.queryid, int(self.toplevel))

    @property
    def change(self) -> float:
        """How many times its own past mean; NaN until it has one."""
        return _ratio(self.mean_s, self.baseline_s)

    @property
    def rows_per_call(self) -> float:
        """Rows returned or touched by a call."""
        return _ratio(self.rows, self.calls)

    @property
    def hit_ratio(self) -> float:
        """Share of blocks found in the server's buffers; of a hundred or fewer it says nothing."""
        blocks = self.shared_hit + self.shared_read
        return self.shared_hit / blocks if blocks > _FEW_BLOCKS else nan

    @property
    def io_ratio(self) -> float:
        """Share of the execution time that was spent reading and writing blocks."""
        return _ratio(self.io_s, self.exec_s)

    def text(self) -> str:
        """Everything a filter looks at."""
        return f"{self.queryid} {self.user} {self.database} {self.query}"


class StatementTable(Struct, frozen=True, array_like=True, tag="statement"):
    """The statements of one server over one window.

    Attributes:
        window: As a view names it.
        window_s: Seconds by the server's clock; NaN while there is only one sample.
        total: Entries in pg_stat_statements; `hidden` of them may not be seen.
        dealloc: Evictions within the window: with any, totals are a lower bound.
        block_bytes: Size of a block, for the columns counted in blocks.
        notes: What limits this table, in words, each with its fix.
        server_version: As the server names its version; `extension` that of pg_stat_statements.
        load: Of all statements together, those without a row included; NaN while there is no interval.
        since: When the window began, epoch seconds by the server's clock; NaN when that is not known.
    """

    target: str
    at: float
    window: str
    window_s: float
    total: int
    hidden: int
    dealloc: float
    block_bytes: int
    rows: list[StatementRow]
    notes: tuple[str, ...] = ()
    server_version: str = ""
    extension: str = ""
    load: float = nan
    since: float = nan


class SessionRow(Struct, frozen=True, array_like=True, gc=False):
    """One backend of pg_stat_activity. Times are epoch seconds by the server's clock, NaN where it has none.

    Attributes:
        pid: Below 0 it is no session, but a prepared transaction that sessions wait for: its transaction id, negated. What would end
            it stands in `query`; it was prepared at `xact_start`.
        blocked_by: Pids that hold what it waits for (pg_blocking_pids); 0 is a prepared transaction that is not known any more.
        depth: Steps to the root of its blocking tree; 0 for one that waits for nobody. `blocks` is how many wait for it, directly or not.
        query: Its last text, safe; its literals are the users' data.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset(
        {"database", "user", "application", "client", "state", "wait_type", "wait", "query", "kind"}
    )
    DERIVED: ClassVar[frozenset[str]] = frozenset({"urgency"})
    ASCENDING: ClassVar[frozenset[str]] = frozenset({"pid", "backend_start", "xact_start", "query_start", "state_change", "depth"})
    FIRST: ClassVar[str] = "query_start"
    TIES: ClassVar[str] = "blocks"

    pid: int
    backend_start: float
    kind: str
    database: str
    user: str
    application: str
    client: str
    state: str
    wait_type: str
    wait: str
    xact_start: float
    query_start: float
    state_change: float
    blocked_by: tuple[int, ...] = ()
    depth: int = 0
    blocks: int = 0
    queryid: int = 0
    leader: int = 0
    query: str = ""

    @property
    def key(self) -> Key:
        """Identity; of one whose start may not be seen only the pid."""
        return (self.pid, 0 if isnan(self.backend_start) else round(self.backend_start * 1e6))

    @property
    def prepared(self) -> bool:
        """Whether it is a prepared transaction."""
        return self.pid < 0

    @property
    def urgency(self) -> float:
        """What is kept first where not all is: a blocking tree as a whole, then open transactions that idle, then what works."""
        if self.blocks or self.blocked_by:
            return 3.0
        return 2.0 if self.state.startswith("idle in transaction") else 1.0 if self.state == "active" else 0.0

    def text(self) -> str:
        """Everything a filter looks at."""
        return f"{self.pid} {self.database} {self.user} {self.application} {self.client} {self.state} {self.wait} {self.query}"


class SessionTable(Struct, frozen=True, array_like=True, tag="session"):
    """The sessions of one server at one moment of its own clock (`server_at`, epoch seconds).

    Attributes:
        total: Sessions; prepared transactions among the rows are none.
        hidden: How many show no more than that they exist, because they are another role's.
        waits: What active sessions did over the last minute, by wait type (``CPU`` for none), the greatest share first: each was looked
            at once a second.
        notes: What limits this table, in words, each with its fix.
    """

    window: ClassVar[str] = ""

    target: str
    at: float
    server_at: float
    total: int
    rows: list[SessionRow]
    hidden: int = 0
    waits: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()


Table = ProcessTable | StatementTable | SessionTable | EndpointTable | UnitTable | LoginTable
"""The union of all tables; each is a tagged struct, so that another one joins without a new wire format."""

Row = ProcessRow | StatementRow | SessionRow | EndpointRow | UnitRow | LoginRow
R = TypeVar("R", ProcessRow, StatementRow, SessionRow, EndpointRow, UnitRow, LoginRow)

KINDS: dict[str, type[Table]] = {
    "process": ProcessTable, "statement": StatementTable, "session": SessionTable, "endpoint": EndpointTable, "unit": UnitTable,
    "login": LoginTable,
}  # fmt: skip
"""Tables by the name that a view calls them."""

EXPENSIVE: frozenset[str] = frozenset({"read_bytes_s", "write_bytes_s", "pss_bytes", "fds"})
"""Process columns that cost a file of their own per process: read for the rows on the screen only, unless sorted by."""

TICK: Final = "tick"
WINDOWS: Final = (TICK, "1m", "5m", "open", "mark", "reset")
"""What a table may be over, narrowest first; the first is told to whoever names none."""

_FEW_BLOCKS: Final = 100
_TEXT_NAMES: Final = {"db": "database", "app": "application", "text": "query"}
"""How people call them, beside their own names."""


def select(rows: Iterable[R], view: View) -> list[R]:
    """Filter, sort and limit rows as a view asks.

    Args:
        rows: Rows of one kind in the order of their keys, or as an earlier `select` left them; not changed.
        view: What is looked at; an unknown sort field sorts by the kind's first (CPU, load).

    Returns:
        At most `view.limit` rows in order, and after them those of `view.keys` that fell beyond it. Numbers run from the biggest, texts
        from A, unless reversed; unknown values come last either way; ties are ordered by the kind's second field (memory, calls), then key.
    """
    kept = _matching(rows, view.match) if view.match else list(rows)
    found = ordered(kept, view.sort, reverse=view.reverse)
    top = found[: view.limit]
    if view.keys and view.limit < len(found):
        wanted = set(view.keys)
        top += [row for row in found[view.limit :] if row.key in wanted]
    return top


def cut(table: Table, views: Sequence[View]) -> Table | None:
    """The rows of a table that any of these views keeps, in the order of their keys; None when no view is of this table."""
    wanted = [view for view in views if of(view, table)]
    if not wanted:
        return None
    rows: Sequence[Any] = table.rows  # all of one kind
    kept = {row.key: row for view in wanted for row in select(rows, view)}
    return structs.replace(table, rows=[kept[key] for key in sorted(kept)])


def discreet(table: Table) -> Table:
    """The table without what sessions say in their statements: those are the users' data, which no file and no picture carries away."""
    if not isinstance(table, SessionTable):
        return table
    from perfconsole.core.literals import hide  # noqa: PLC0415  its lexer takes 8 ms, which no start without a database waits for

    return structs.replace(table, rows=[structs.replace(row, query=hide(row.query)) for row in table.rows])


def of(view: View, table: Table) -> bool:
    """Whether a view looks at a table: at its kind, its target, and its window."""
    if KINDS.get(view.table) is not type(table) or view.target not in {"", table.target}:
        return False
    return (view.window or TICK) == table.window if table.window else True


def _matching(rows: Iterable[R], match: str) -> list[R]:
    words = match.lower().split()
    parted = [(_TEXT_NAMES.get(field, field), word) for field, _, word in (word.partition(":") for word in words)]

    def matches(row: R) -> bool:
        whole = row.text().lower()
        return all(
            word in str(getattr(row, field)).lower() if word and field in row.TEXTS else said in whole
            for said, (field, word) in zip(words, parted, strict=True)
        )

    return [row for row in rows if matches(row)]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else nan
