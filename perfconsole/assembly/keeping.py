"""What an engine keeps and tells beyond its own life: alerts and whom to tell of them, events, the recording."""

import os
from functools import partial
from pathlib import Path

from perfconsole.assembly.telling import Telling, untold
from perfconsole.collectors.loop import ask
from perfconsole.config import places
from perfconsole.config.schema import Config
from perfconsole.core.errors import PerfconsoleError, RecordingError
from perfconsole.core.segment import VIEWS
from perfconsole.engine.engine import Engine


def keep_alerts(engine: Engine, config: Config) -> str:
    """Have an engine go on from where the last one's alerts stood, keep where its own stand, and tell the channels.

    For who holds the lease of the state directory. Waits for the disk, bounded.

    Args:
        engine: A running engine.
        config: Says where the state directory is, and who is told.

    Returns:
        What is wrong with it, in words; empty when all is well.
    """
    from perfconsole.history.events import EventFile

    store = EventFile(places.state_dir(os.environ, config.history.dir))
    saved = store.load()
    wrong, telling = "", Telling(engine, store, saved)
    try:
        telling.begin(config)
    except PerfconsoleError as error:
        wrong = f"nobody is told of alerts: {error}"
    history = lambda alert, limit: ask(partial(store.history, alert, limit), "alert-history")  # noqa: E731  a name for what is handed on
    listing = lambda wanted: ask(partial(store.events, wanted), "event-list")  # noqa: E731  likewise
    engine.keep_alerts(store, saved, history, telling, listing)
    return "; ".join(filter(None, (wrong, *untold(config), store.error, *store.said)))


def record(engine: Engine, config: Config, path: str | None = None) -> str:
    """Begin to record an engine's ticks.

    Args:
        engine: A running engine.
        config: Says where the state directory is, and how much is kept there.
        path: A file to record into instead.

    Returns:
        Why nothing is recorded, in words; empty when it is.

    Raises:
        RecordingError: When `path` cannot be recorded into: that was asked for.
    """
    from perfconsole.history.recording import FileRecordingSink, RecordingSink

    if path is not None:
        engine.add_sink("recording", FileRecordingSink(path), VIEWS, recorder=path)
        return ""
    if not config.console.recording_s:
        return ""
    place = recording_dir(config)
    try:
        sink = RecordingSink(place, config.console.recording_s, config.console.recording_size_bytes)
    except RecordingError as error:
        return str(error)
    engine.add_sink("recording", sink, VIEWS, recorder=str(place))
    return ""


def recording_dir(config: Config) -> Path:
    """Where this user's consoles record."""
    return places.state_dir(os.environ, config.history.dir) / "recording"
