"""``perfconsole events``: what changed here, asked of the engine that runs, or read from what was kept, or from a recording."""

import os
import time
from argparse import Namespace
from math import inf
from pathlib import Path
from typing import Final

from perfconsole.cli import engines
from perfconsole.cli.dispatch import notice, put
from perfconsole.cli.settings import settle
from perfconsole.cli.times import moment
from perfconsole.config import wording
from perfconsole.config.abilities import abilities
from perfconsole.config.load import Loaded
from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.changes import KINDS
from perfconsole.core.errors import ConfigError, PerfconsoleError
from perfconsole.core.text import safe

_MOST: Final = 10_000
_RECENT_S: Final = 7200.0
"""How far back is told unless it is said; of a recording all of it."""


def run(args: Namespace) -> int:
    """Print them; 0 when they could be asked for, however many there are.

    Raises:
        ConfigError: When an option makes no sense.
        PerfconsoleError: When what was kept cannot be read.
    """
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    now, host = time.time(), safe(os.uname().nodename)
    if args.recording:
        from perfconsole.sources.recorded_events import RecordedEvents

        recorded = RecordedEvents(Path(args.recording))
        wanted = _wanted(args, recorded.ends_at())  # an hour ago, in a recording of last night, is before its end
        found, host = recorded.listed(wanted), ", ".join(recorded.hosts)
    else:
        wanted = _wanted(args, now)
        found = _known(loaded, wanted)
    if args.json:
        from perfconsole.outputs.events import in_json
        from perfconsole.outputs.snapshot import encode

        put(encode(in_json(found, now, host)))
    else:
        from perfconsole.outputs.events import text
        from perfconsole.outputs.paper import Paper

        ascii_only = abilities(os.environ, ascii_only=loaded.config.console.ascii).ascii
        print(text(found, wanted, now, Paper(ascii=ascii_only)), end="")
    return 0


def _wanted(args: Namespace, now: float) -> EventsArgs:
    if not 1 <= args.limit <= _MOST:
        raise ConfigError(f"--limit: found {args.limit}", f"accepted: 1 to {_MOST}")
    for kind in args.kind:
        if kind not in KINDS:
            near = wording.suggestion(kind, list(KINDS))
            raise ConfigError(
                f"--kind: nothing is of kind {wording.shown(kind)}", f"{near + ' ' if near else ''}(there are: {' '.join(KINDS)})"
            )
    since = _moment("--since", args.since, now) if args.since else 0.0 if args.recording else now - _RECENT_S
    # A mark may be a moment ahead: of another clock, or made just now.
    until = _moment("--until", args.until, now) if args.until else inf
    if until < since:
        raise ConfigError("--until is before --since", "say a later moment")
    return EventsArgs(since, until, args.limit, tuple(dict.fromkeys(args.kind)))


def _moment(option: str, text: str, now: float) -> float:
    try:
        return moment(text, now, ago=True)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error


def _known(loaded: Loaded, wanted: EventsArgs) -> EventList:
    """What the engine knows, else what was kept: that can be read beside an engine that does not answer, too."""
    from perfconsole.history.events import read_events

    directory = engines.state_directory(loaded)
    try:
        found = next(engines.engines(directory))
        if found:
            listed = engines.request(found[1], "event.list", wanted)
            if isinstance(listed, EventList):
                return listed
    except PerfconsoleError as error:
        notice(f"what was kept is told, for the engine was not to be asked: {error.message}")
        return read_events(directory, wanted, alone=False)
    return read_events(directory, wanted)
