"""``perfconsole alerts list|silence|unsilence|ack``: at the engine that evaluates alerts here, or, while none does, at what it kept."""

import asyncio
import os
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from perfconsole.cli.dispatch import notice, put
from perfconsole.cli.settings import settle
from perfconsole.config import places
from perfconsole.config.abilities import abilities
from perfconsole.config.load import Loaded
from perfconsole.config.rules import rules
from perfconsole.core import alert_words
from perfconsole.core.alert_requests import AckArgs, SilenceArgs, UnsilenceArgs
from perfconsole.core.alerts import rank
from perfconsole.core.errors import ConfigError, RequestError
from perfconsole.core.notices import Saved
from perfconsole.core.ports import Source
from perfconsole.core.requests import ALERT_ACK, ALERT_SILENCE, ALERT_UNSILENCE, Done, Spec
from perfconsole.core.state import State
from perfconsole.core.text import safe
from perfconsole.core.units import parse_duration
from perfconsole.engine.local import actor
from perfconsole.history.lease import Holder, Lease, holder
from perfconsole.outputs.alerts import Known, in_json, text
from perfconsole.outputs.paper import Paper

_KEYFRAME_S: Final = 3.0
_TRIES: Final = 3

T = TypeVar("T", bound=Struct)


def run(args: Namespace) -> int:
    """Run one of the four. ``list`` gives the severity of what fires and is not muted; the others 0 when it was done.

    Raises:
        RequestError: When it was refused, or nobody could be asked.
    """
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    if args.verb == "list":
        return _list(loaded, as_json=args.json)
    done = {"silence": _silence, "unsilence": _unsilence, "ack": _acknowledge}[args.verb](loaded, args)
    print(done)
    return 0


def _list(loaded: Loaded, *, as_json: bool) -> int:
    known = _known(loaded)
    if as_json:
        from perfconsole.outputs.snapshot import encode

        put(encode(in_json(known)))
    else:
        ascii_only = abilities(os.environ, ascii_only=loaded.config.console.ascii).ascii
        print(text(known, Paper(ascii=ascii_only)), end="")
    firing = (alert for alert in known.alerts if alert.state == "firing" and not alert.muted)
    return max((rank(alert.severity) for alert in firing), default=0)


def _known(loaded: Loaded) -> Known:
    found = holder(_directory(loaded))
    if found:
        with _engine(found) as (state, _):
            began = state.stream.began if state.stream else state.at
            in_force = {rule.name: rule for rule in (state.stream.rules if state.stream else ())}
            alerts = [alert for alert in state.alerts.values() if not alert.colour]
            return Known(state.at, state.stream.host if state.stream else "", True, alerts, state.silences, in_force, began)
    saved = _saved(loaded)
    in_force = {rule.name: rule for rule in rules(loaded.config, loaded.rule_places)}
    alerts = [*(standing.alert for standing in saved.standings), *saved.told]
    return Known(time.time(), safe(os.uname().nodename), False, alerts, saved.silences, in_force)


# What changes something ---------------------------------------------------------------------------------------------------------------


def _silence(loaded: Loaded, args: Namespace) -> str:
    try:
        match = alert_words.read_matcher(" ".join(f'"{word}"' if " " in word else word for word in args.match))
    except ValueError as error:
        raise ConfigError(str(error), "e.g. rule=service-down-critical endpoint=shop-*") from error
    try:
        for_s = parse_duration(args.duration)
    except ValueError as error:
        raise ConfigError(f"--for: {error}", "e.g. 30m 4h 2d") from error
    return _ask(loaded, ALERT_SILENCE, SilenceArgs(match, for_s, _by(args), args.reason))


def _unsilence(loaded: Loaded, args: Namespace) -> str:
    return _ask(loaded, ALERT_UNSILENCE, UnsilenceArgs(args.id, _by(args)))


def _acknowledge(loaded: Loaded, args: Namespace) -> str:
    standing = [alert for alert in _known(loaded).alerts if alert.state in {"firing", "pending"}]
    meant = [alert for alert in standing if args.alert in {alert.id, alert.rule} or fnmatchcase(alert.id, args.alert)]
    if not meant:
        names = ", ".join(alert.id for alert in standing) or "none"
        raise RequestError(f"no alert that pends or fires is called {safe(args.alert, 200)}", f"there are: {names}")
    by = "" if args.give_back else _by(args)
    return "\n".join(f"{alert.id}: {_ask(loaded, ALERT_ACK, AckArgs(alert.id, alert.since, by, args.text))}" for alert in meant)


def _by(args: Namespace) -> str:
    return args.by or actor()


def _ask(loaded: Loaded, spec: Spec, args: Struct) -> str:
    """Have it done by the engine that evaluates alerts, or, as long as there is none, in what it left.

    Raises:
        RequestError: When it was refused.
    """
    directory = _directory(loaded)
    for _ in range(_TRIES):
        found = holder(directory)
        if found:
            with _engine(found) as (_, source):
                done = asyncio.run(source.request(spec.name, args))
                return done.text if isinstance(done, Done) else ""
        lease = Lease.take(directory, Holder(os.getpid(), os.uname().nodename, time.time()))
        if lease:
            try:
                return _write(loaded, directory, spec, args)
            finally:
                lease.release()
    raise RequestError("an engine began or ended just now", "try again")


def _write(loaded: Loaded, directory: Path, spec: Spec, args: Struct) -> str:
    """Do it as an engine would that has what the last one left."""
    from perfconsole.engine.alerting import Alerting
    from perfconsole.engine.clock import Clock
    from perfconsole.history.audit import AuditFile
    from perfconsole.history.events import EventFile

    store = EventFile(directory)
    try:
        saved = store.load()
        if store.error:
            raise RequestError(f"it could not be kept: {store.error}")
        audit, peer = AuditFile(directory / "audit.log"), actor()
        audit(peer, spec.name, args, "")
        alerting = Alerting(rules(loaded.config), "", Clock())
        done, changes = asyncio.run(alerting.change(saved, spec, args))
        store.put(changes)
    finally:
        store.close()
    if store.error:
        raise RequestError(f"it could not be kept: {store.error}")
    audit(peer, spec.name, args, "done")
    return done.text if isinstance(done, Done) else ""


# Whom to ask --------------------------------------------------------------------------------------------------------------------------


@contextmanager
def _engine(found: Holder) -> Iterator[tuple[State, Source]]:
    """The engine that holds the lease: what it knows now, and where it can be asked.

    Raises:
        ConnectError: When it does not answer.
        RequestError: When it tells nothing.
    """
    from perfconsole.sources.connect import connect

    source, state, told = connect(Path(found.socket)), State(), threading.Event()
    source.subscribe(told.set)
    try:
        deadline = time.monotonic() + _KEYFRAME_S
        while state.seq < 0 and time.monotonic() < deadline:
            told.wait(deadline - time.monotonic())
            told.clear()
            for tick in source.drain():
                state.apply(tick)
        if state.seq < 0:
            raise RequestError(f"the engine (PID {found.pid}) tells nothing", "end it, and start it again")
        yield state, source
    finally:
        source.close()


def _saved(loaded: Loaded) -> Saved:
    from perfconsole.history.events import read

    return read(_directory(loaded))


def _directory(loaded: Loaded) -> Path:
    return places.state_dir(os.environ, loaded.config.history.dir)
