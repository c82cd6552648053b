"""Whom a command asks about this machine's consoles: the engine that holds the lease of the state directory.

While there is none it is what the last one left, with the lease taken for as long as something is written there.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from perfconsole.config import places
from perfconsole.config.load import Loaded
from perfconsole.history.lease import NAME as LEASE
from perfconsole.history.lease import Holder, Lease, holder

if TYPE_CHECKING:
    from perfconsole.core.state import State
    from perfconsole.sources.remote import RemoteSource

_KEYFRAME_S: Final = 3.0

PATIENCE_S: Final = 3.0
"""How long is waited for a lease: of another command that just writes, and of a console that has it and does not listen yet."""

_PAUSE_S: Final = 0.1
_FIRST_PAUSE_S: Final = 0.01
"""Another command writes for a few milliseconds."""


def state_directory(loaded: Loaded) -> Path:
    """Where engines of this user and configuration keep what they keep."""
    return places.state_dir(os.environ, loaded.config.history.dir)


def ask(directory: Path, op: str, args: Struct, write: Callable[[Path], str]) -> str:
    """Have something done by the engine that holds the lease, or, as long as there is none, in what it left.

    Args:
        directory: The state directory.
        op: The operation, by its name: what all of them are takes 15 ms to import, which only an engine needs.
        args: Its arguments.
        write: Does it where there is no engine, under the lease, and says what was done.

    Returns:
        What was done, in words.

    Raises:
        RequestError: When it was refused.
        PerfconsoleError: When nobody could be asked, or it could not be kept.
    """
    for found in engines(directory):
        if found:
            return str(getattr(request(found[1], op, args), "text", ""))
        lease = Lease.take(directory, Holder(os.getpid(), os.uname().nodename, time.time()))
        if lease:
            try:
                return write(directory)
            finally:
                lease.release()
    raise AssertionError  # whoever waits for too long is told so there


def request(source: "RemoteSource", op: str, args: Struct) -> Struct:
    """What an engine answers. The connection is closed behind.

    Raises:
        RequestError: When it refuses, or does not answer.
    """
    import asyncio

    source.subscribe(lambda: None)
    try:
        return asyncio.run(source.request(op, args))
    finally:
        source.close()


def audited(directory: Path, op: str, args: Struct, act: Callable[[], str]) -> str:
    """Do something where there is no engine: written down before, and what came of it after.

    Raises:
        RequestError: When it cannot be written down: then it is not done.
    """
    from perfconsole.engine.actor import actor
    from perfconsole.history.audit import AuditFile

    audit, peer = AuditFile(directory / "audit.log"), actor()
    audit(peer, op, args, "")
    done = act()
    audit(peer, op, args, "done")
    return done


def engines(directory: Path) -> Iterator["tuple[Holder, RemoteSource] | None"]:
    """Who holds the lease of a state directory, connected; None when nobody does. Again and again, as long as is to be waited.

    Raises:
        ConnectError: When the holder cannot be asked.
    """
    deadline, pause_s = time.monotonic() + PATIENCE_S, _FIRST_PAUSE_S
    while True:
        found, why = holder(directory), "it does not listen"
        if found is None:
            yield None
        elif found.socket:
            from perfconsole.sources.connect import ConnectError, connect

            try:
                source = connect(Path(found.socket))
            except ConnectError as error:
                if not error.passing:
                    raise
                why = error.message
            else:
                yield found, source
        if time.monotonic() >= deadline:
            from perfconsole.sources.connect import ConnectError

            who = f"PID {found.pid}{_where(found)}" if found and found.pid else "another process"
            raise ConnectError(f"{who} holds {directory / LEASE}, and cannot be asked: {why}", "try again; if it stays so, end it")
        time.sleep(pause_s)
        pause_s = min(_PAUSE_S, 2 * pause_s)


@contextmanager
def told(found: Holder, source: "RemoteSource") -> Iterator["State"]:
    """What the engine that holds the lease knows now. Its connection is closed behind.

    Raises:
        ConnectError: When it tells nothing.
    """
    from perfconsole.core.state import State
    from perfconsole.sources.connect import ConnectError

    state, bell = State(), threading.Event()
    source.subscribe(bell.set)
    try:
        deadline = time.monotonic() + _KEYFRAME_S
        while state.seq < 0 and time.monotonic() < deadline:
            bell.wait(deadline - time.monotonic())
            bell.clear()
            for tick in source.drain():
                state.apply(tick)
        if state.seq < 0:
            raise ConnectError(f"the engine (PID {found.pid}{_where(found)}) tells nothing", "end it, and start it again")
        yield state
    finally:
        source.close()


def _where(found: Holder) -> str:
    """A PID of another host, or another container, is none here."""
    return f" on {found.host}" if found.host not in {"", os.uname().nodename} else ""
