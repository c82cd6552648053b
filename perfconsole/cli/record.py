"""``perfconsole record``: an engine without a screen, told to a file until it is time or somebody interrupts."""

import os
import signal
import threading
import time
from argparse import Namespace
from pathlib import Path

from perfconsole.cli.dispatch import UNMEASURED, notice
from perfconsole.cli.settings import settle
from perfconsole.core import units
from perfconsole.core.errors import ConfigError, RecordingError
from perfconsole.engine.engine import Engine

_LOOK_S = 1.0
"""Between two looks at whether the recording is in trouble."""


def run(args: Namespace) -> int:
    """Record to a file; 0 when all of it was written, 3 when some of it could not be."""
    from perfconsole import assembly

    duration_s = _duration_s(args.duration)
    if os.path.lexists(args.file):
        raise ConfigError(f"{args.file} exists already", "name a new file: a recording is not overwritten")
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    stopped = _on_signals()
    engine = assembly.build_engine(loaded.config, own=[loaded.path] if loaded.path else [])
    engine.start()
    engine.complete()
    try:
        assembly.record(engine, loaded.config, args.file)
        until = f"for {args.duration}" if args.duration else "until interrupted (Ctrl-C)"
        notice(f"recording {engine.stream.host} to {args.file} {until}")
        began = time.monotonic()
        sound = _wait(engine, stopped, began + duration_s if duration_s else None)
    finally:
        unfinished = engine.stop()
    for line in unfinished:
        notice(line)
    told_s = time.monotonic() - began
    try:
        written = Path(args.file).stat().st_size
    except OSError as error:
        raise RecordingError(f"{args.file} is lost: {error.strerror}", "somebody removed it meanwhile") from error
    notice(f"recorded {units.duration(told_s)} to {args.file} ({units.size(written)}); look at it with: perfconsole replay {args.file}")
    return 0 if sound and not unfinished else UNMEASURED


def _duration_s(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = units.parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--for: {error}") from error
    if not seconds:
        raise ConfigError("--for: found no time at all", "accepted: 30s 10m 8h and the like")
    return seconds


def _on_signals() -> threading.Event:
    """Set by whatever asks the program to end: the recording is then finished first. What nohup ignores stays ignored."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stopped.set())
    return stopped


def _wait(engine: Engine, stopped: threading.Event, deadline: float | None) -> bool:
    """Wait for the end, and say when the recording gets into trouble and out of it; whether it never was."""
    error, sound = "", True
    while not stopped.is_set() and (deadline is None or time.monotonic() < deadline):
        left_s = _LOOK_S if deadline is None else min(_LOOK_S, max(0.0, deadline - time.monotonic()))
        stopped.wait(left_s)
        health = engine.state.health.get(("recording", "host"))
        now = health.error if health else ""
        if now != error:
            notice(now or "recording again")
            error, sound = now, False
    return sound
