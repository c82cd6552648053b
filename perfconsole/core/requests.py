"""The operations a source may offer: their names, arguments, results, and whether they change something.

Both ends of a wire read this list, so that a request needs no second description. An operation on a thing carries the identity that was
captured when its dialog opened (pid and start time); whoever carries it out checks that it still holds.
"""

from math import nan
from typing import Final, NamedTuple

from msgspec import Struct

from perfconsole.core.alert_requests import AckArgs, AlertArgs, AlertHistory, RuleArgs, SilenceArgs, UnsilenceArgs, Watching
from perfconsole.core.change_requests import EventList, EventsArgs, MarkArgs, UnitArgs, UnitDetail
from perfconsole.core.checks import Outcome

MEASURED_S: Final = 20
"""A statement that is run to measure its plan may take so long; then the server cancels it."""

BY_HAND: Final = "give values by hand"
"""Stands in the fix of a plan's refusal that `ExplainArgs.values` would mend."""


class Spec(NamedTuple):
    """One operation. `changes` ones are refused for read-only peers and in the past, and are written to the audit file first.

    Attributes:
        at_once: How many of one peer may be under way: deploy scripts of one user do not wait for each other.
    """

    name: str
    args: type[Struct]
    result: type[Struct]
    changes: bool
    timeout_s: float = 5.0
    at_once: int = 1


class ProcessId(Struct, frozen=True, array_like=True):
    """A process: a pid, and the start time (clock ticks since boot) that tells it from a later one with that pid."""

    pid: int
    start: int


class SignalArgs(Struct, frozen=True, array_like=True):
    """Send `signal` (a number) to a process."""

    pid: int
    start: int
    signal: int


class ReniceArgs(Struct, frozen=True, array_like=True):
    """Set the nice value (-20 to 19) of a process."""

    pid: int
    start: int
    nice: int


class Done(Struct, frozen=True, array_like=True):
    """It was done; `text` says what, in words."""

    text: str


class OpenFile(Struct, frozen=True, array_like=True):
    """One descriptor; `kind` is file, socket, pipe, device or other; `text` its path or, of a socket, addresses and state."""

    fd: int
    kind: str
    text: str


class ProcessDetail(Struct, frozen=True, array_like=True):
    """What is read of one process on demand.

    Attributes:
        files: Open descriptors, at most a few thousand.
        limits: Name, soft limit, hard limit as proc(5) words them.
        memory: Name and bytes from ``smaps_rollup`` or ``status``.
        facts: Further name and text: working directory, executable, cgroup, namespaces.
        denied: What could not be read, and why.
    """

    files: list[OpenFile]
    limits: list[tuple[str, str, str]]
    memory: list[tuple[str, float]]
    facts: list[tuple[str, str]]
    denied: list[str]


class SessionArgs(Struct, frozen=True, array_like=True):
    """A session: a server, a backend's pid, and its start (microseconds since the epoch) that tells it from a later one with that pid."""

    server: str
    pid: int
    start_us: int


class ServerArgs(Struct, frozen=True, array_like=True):
    """A PostgreSQL server, by its configured name."""

    server: str


class StatementArgs(Struct, frozen=True, array_like=True):
    """A statement of pg_stat_statements: a server, and the identity of the row (`StatementRow.key`)."""

    server: str
    userid: int
    dbid: int
    queryid: int
    toplevel: bool


class Relation(Struct, frozen=True, array_like=True):
    """A table that a statement touches (pg_class, pg_stat_all_tables). NaN where it is not known.

    Attributes:
        size_bytes: Of the table with its TOAST; `index_bytes` of its indexes.
        rows: Live ones by the statistics; `dead` those to be vacuumed.
        seq_scans: Since the statistics were reset; `index_scans` likewise.
        vacuumed: Epoch seconds of the last vacuum, by hand or not; `analyzed` likewise.
        indexes: Their definitions, as ``pg_get_indexdef`` writes them.
    """

    schema: str
    name: str
    size_bytes: float
    index_bytes: float
    rows: float
    dead: float
    seq_scans: float
    index_scans: float
    vacuumed: float
    analyzed: float
    indexes: tuple[str, ...] = ()


class StatementDetail(Struct, frozen=True, array_like=True):
    """What is read of one statement on demand.

    Attributes:
        query: The whole normalised text, safe.
        relations: The tables its plan touches, the largest first.
        notes: What could not be read, and what would mend it.
    """

    query: str
    relations: list[Relation]
    notes: tuple[str, ...] = ()


class ExplainArgs(Struct, frozen=True, array_like=True):
    """How the planner would run a statement.

    Attributes:
        how: ``generic`` for any values, ``live`` with those of a session that runs it now, ``analyze`` run it with those (SELECT only).
        values: Given by hand in place of live ones, as literals without quotes, one a parameter; ``NULL`` is none.
        index: Columns of a hypothetical index to try with hypopg, as ``schema.table (column, ...)``; empty for none.
        last_hash: The hash of the plan looked at before, to be told of a change; empty for none.
    """

    statement: StatementArgs
    how: str = "generic"
    values: tuple[str, ...] = ()
    index: str = ""
    last_hash: str = ""


class PlanNode(Struct, frozen=True, array_like=True):
    """One node of a plan, in the order of a walk from the root (EXPLAIN (FORMAT JSON)). NaN where it is not known.

    Attributes:
        depth: Steps below the root.
        name: What it does and to what: ``Index Scan using orders_pkey on orders o``.
        cost: Planner's units for it and all below it, a loop; `own_cost` without what is below, over all expected loops: these add up to
            the root's cost.
        rows: Planned, a loop; `actual_rows` the measured, likewise; `actual_s` and `own_s` over all loops.
        details: Title and text of its conditions and keys: ``Filter``, ``Index Cond``, ``Sort Key``.
        findings: What deserves a look, in words: ``costliest``, ``filter without an index``, ``estimate 120x too low``.
    """

    depth: int
    name: str
    cost: float
    own_cost: float
    rows: float
    width: float = nan
    actual_rows: float = nan
    actual_s: float = nan
    own_s: float = nan
    loops: float = nan
    details: tuple[tuple[str, str], ...] = ()
    findings: tuple[str, ...] = ()


class Plan(Struct, frozen=True, array_like=True):
    """A plan.

    Attributes:
        how: ``generic``, ``live`` or ``analyze``.
        hash: Of its shape (nodes, relations, indexes): two plans of one shape differ in numbers only.
        changed: Whether `ExplainArgs.last_hash`, where it was given, was another.
        types: Of the parameters, as the server inferred or was told them.
        planning_s: Time that planning took; `execution_s` likewise; NaN where nothing was run.
        index: What a tried index changed, in words; empty when none was tried.
        can_try: Whether hypopg is installed.
        notes: What to know of it, e.g. how a parameter's type was found.
        ddl: Would make the tried index for real; to be copied, never run from here.

    The conditions of a plan with values hold those values, which are the users' data: they are shown to who asked, and as the result of a
    request they are in no recording and no export.
    """

    how: str
    hash: str
    nodes: list[PlanNode]
    types: tuple[str, ...] = ()
    changed: bool = False
    planning_s: float = nan
    execution_s: float = nan
    index: str = ""
    can_try: bool = False
    notes: tuple[str, ...] = ()
    ddl: str = ""


class Fact(Struct, frozen=True, array_like=True):
    """One line of a section.

    Attributes:
        fix: What would mend it, ready to be copied; never executed.
        severity: ``critical``, ``warning``, ``unknown`` (it could not be read) or ``ok``; empty for a fact that is none of these.
        note: What to know before that is done.
    """

    name: str
    text: str
    fix: str = ""
    severity: str = ""
    note: str = ""


class FactSection(Struct, frozen=True, array_like=True):
    """Lines under one title; `note` says what limits them or how to read them."""

    title: str
    facts: list[Fact]
    note: str = ""


class SystemDetail(Struct, frozen=True, array_like=True):
    """What is read of this machine on demand: sockets by peer, listeners, who writes, deleted files that are still open, devices."""

    sections: list[FactSection]


class ServerDetail(Struct, frozen=True, array_like=True):
    """What is read of one PostgreSQL server on demand: sizes, maintenance under way, advice."""

    sections: list[FactSection]


class EndpointArgs(Struct, frozen=True, array_like=True):
    """An endpoint, by its configured name."""

    endpoint: str


class EndpointChange(Struct, frozen=True, array_like=True):
    """A change of an endpoint's state (`endpoints.STATES`) at a time (epoch seconds), and why, in words."""

    at: float
    state: str
    text: str = ""


class EndpointDetail(Struct, frozen=True, array_like=True):
    """What is read of one endpoint on demand.

    Attributes:
        facts: How it is checked, as it is configured: name and text, secrets as references.
        last: Its last check; `failure` the last that failed, with headers and the start of the body.
        changes: Of its state, oldest first.
    """

    facts: list[tuple[str, str]]
    last: Outcome | None = None
    failure: Outcome | None = None
    changes: tuple[EndpointChange, ...] = ()


class Nothing(Struct, frozen=True, array_like=True):
    """For what needs no arguments."""


ALERT_ACK: Final = Spec("alert.ack", AckArgs, Done, changes=True)
ALERT_SILENCE: Final = Spec("alert.silence", SilenceArgs, Done, changes=True)
ALERT_UNSILENCE: Final = Spec("alert.unsilence", UnsilenceArgs, Done, changes=True)
ALERT_HISTORY: Final = Spec("alert.history", AlertArgs, AlertHistory, changes=False)
ALERT_WATCHING: Final = Spec("alert.watching", Nothing, Watching, changes=False)
RULE_EDIT: Final = Spec("rule.edit", RuleArgs, Done, changes=True, timeout_s=10.0)
EVENT_MARK: Final = Spec("event.mark", MarkArgs, Done, changes=True, at_once=16)
EVENT_LIST: Final = Spec("event.list", EventsArgs, EventList, changes=False, at_once=4)
UNIT_DETAIL: Final = Spec("unit.detail", UnitArgs, UnitDetail, changes=False)
SYSTEM_DETAIL: Final = Spec("system.detail", Nothing, SystemDetail, changes=False, timeout_s=10.0)
PROCESS_DETAIL: Final = Spec("process.detail", ProcessId, ProcessDetail, changes=False)
PROCESS_SIGNAL: Final = Spec("process.signal", SignalArgs, Done, changes=True)
PROCESS_RENICE: Final = Spec("process.renice", ReniceArgs, Done, changes=True)
POSTGRES_CANCEL: Final = Spec("postgres.cancel", SessionArgs, Done, changes=True)
POSTGRES_TERMINATE: Final = Spec("postgres.terminate", SessionArgs, Done, changes=True)
POSTGRES_STATEMENT: Final = Spec("postgres.statement", StatementArgs, StatementDetail, changes=False)
POSTGRES_EXPLAIN: Final = Spec("postgres.explain", ExplainArgs, Plan, changes=False, timeout_s=30.0)
POSTGRES_DETAIL: Final = Spec("postgres.detail", ServerArgs, ServerDetail, changes=False, timeout_s=20.0)
POSTGRES_MARK: Final = Spec("postgres.mark", ServerArgs, Done, changes=False)
POSTGRES_CONNECT: Final = Spec("postgres.connect", ServerArgs, Done, changes=False, timeout_s=10.0)
HTTP_DETAIL: Final = Spec("http.detail", EndpointArgs, EndpointDetail, changes=False)
HTTP_CHECK: Final = Spec("http.check", EndpointArgs, Done, changes=False, timeout_s=65.0)
CONFIG_RELOAD: Final = Spec("config.reload", Nothing, Done, changes=False)

SPECS: Final = {
    spec.name: spec
    for spec in (
        ALERT_ACK, ALERT_SILENCE, ALERT_UNSILENCE, ALERT_HISTORY, ALERT_WATCHING, RULE_EDIT, EVENT_MARK, EVENT_LIST,
        UNIT_DETAIL, SYSTEM_DETAIL,
        PROCESS_DETAIL, PROCESS_SIGNAL, PROCESS_RENICE, POSTGRES_CANCEL, POSTGRES_TERMINATE, POSTGRES_STATEMENT, POSTGRES_EXPLAIN,
        POSTGRES_DETAIL, POSTGRES_MARK, POSTGRES_CONNECT, HTTP_DETAIL, HTTP_CHECK, CONFIG_RELOAD,
    )
}  # fmt: skip
