"""The operations a source may offer: their names, arguments, results, and whether they change something.

Both ends of a wire read this list, so that a request needs no second description. An operation on a thing carries the identity that was
captured when its dialog opened (pid and start time); whoever carries it out checks that it still holds.
"""

from typing import Final, NamedTuple

from msgspec import Struct


class Spec(NamedTuple):
    """One operation. `changes` ones are refused for read-only peers and in the past, and are written to the audit file first."""

    name: str
    args: type[Struct]
    result: type[Struct]
    changes: bool
    timeout_s: float = 5.0


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


PROCESS_DETAIL: Final = Spec("process.detail", ProcessId, ProcessDetail, changes=False)
PROCESS_SIGNAL: Final = Spec("process.signal", SignalArgs, Done, changes=True)
PROCESS_RENICE: Final = Spec("process.renice", ReniceArgs, Done, changes=True)
POSTGRES_CANCEL: Final = Spec("postgres.cancel", SessionArgs, Done, changes=True)
POSTGRES_TERMINATE: Final = Spec("postgres.terminate", SessionArgs, Done, changes=True)

SPECS: Final = {spec.name: spec for spec in (PROCESS_DETAIL, PROCESS_SIGNAL, PROCESS_RENICE, POSTGRES_CANCEL, POSTGRES_TERMINATE)}
