"""``perfconsole mark``: put on the timeline that something was done, at the engine that runs here or, without one, for the next one.

Made to be called from deploy scripts: it needs no terminal, no input, and imports next to nothing.
"""

import threading
import time
from argparse import Namespace
from math import nan
from pathlib import Path
from typing import Final

from perfconsole.cli import engines
from perfconsole.cli.dispatch import UNMEASURED, notice
from perfconsole.cli.settings import settle
from perfconsole.core.change_requests import NOT_KEPT, MarkArgs
from perfconsole.core.errors import ConfigError, PerfconsoleError
from perfconsole.core.marks import marked
from perfconsole.engine.actor import actor

_OP: Final = "event.mark"
"""`core.requests.EVENT_MARK`; importing it takes a tenth of all the time this may."""

_DISK_S: Final = 5.0


def run(args: Namespace) -> int:
    """Mark; 0 once it is kept, 3 when it could not be.

    Raises:
        ConfigError: When `--at` is no moment, or a note says nothing.
        RequestError: When it was refused.
        PerfconsoleError: When nobody could be asked, or it could not be kept.
    """
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    wanted = _wanted(args, time.time())
    done = engines.ask(engines.state_directory(loaded), _OP, wanted, lambda directory: _write(directory, wanted))
    print(done)
    return UNMEASURED if done.endswith(NOT_KEPT) else 0


def _wanted(args: Namespace, now: float) -> MarkArgs:
    at = nan
    if args.at is not None:
        from perfconsole.cli.times import moment

        try:
            at = moment(args.at, now)
        except ValueError as error:
            raise ConfigError(f"--at: {error}") from error
    wanted = MarkArgs(" ".join(args.text), "note" if args.note else "mark", args.by or actor(), at)
    try:
        event = marked(wanted, "", now)
    except PerfconsoleError as error:
        raise ConfigError(error.message, error.fix) from error
    # As it will stand there: what is no text travels nowhere.
    return MarkArgs(event.text, event.kind, event.source, at)


def _write(directory: Path, wanted: MarkArgs) -> str:
    """Keep it as an engine would; under the lease."""
    return engines.audited(directory, _OP, wanted, lambda: _kept(directory, wanted))


def _kept(directory: Path, wanted: MarkArgs) -> str:
    from perfconsole.core.notices import Changes
    from perfconsole.history.events import MEMORY_ONLY, EventFile

    event = marked(wanted, "", time.time())
    store, kept = EventFile(directory), threading.Event()
    try:
        store.put(Changes(events=(event,)), kept.set)
        if not kept.wait(_DISK_S):
            raise PerfconsoleError(f"the {event.kind} could not be kept: {directory} does not answer")
    finally:
        store.close()
    if store.error:
        raise PerfconsoleError(f"the {event.kind} could not be kept: {store.error.removeprefix(MEMORY_ONLY)}")
    return f"{event.kind}: {event.text}"
