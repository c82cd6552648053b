"""``perfconsole alerts list|silence|unsilence|ack``: at the engine that evaluates alerts here, or, while none does, at what it kept."""

import asyncio
import os
import re
import time
from argparse import Namespace
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from perfconsole.cli import engines
from perfconsole.cli.dispatch import UNMEASURED, notice, put
from perfconsole.cli.settings import settle
from perfconsole.config.abilities import abilities
from perfconsole.config.load import Loaded
from perfconsole.config.rules import rules
from perfconsole.core import alert_words
from perfconsole.core.alert_order import rank
from perfconsole.core.alert_requests import AckArgs, SilenceArgs, UnsilenceArgs
from perfconsole.core.errors import ConfigError, PerfconsoleError, RequestError
from perfconsole.core.notices import Saved
from perfconsole.core.requests import ALERT_ACK, ALERT_SILENCE, ALERT_UNSILENCE, Done, Spec
from perfconsole.core.text import safe
from perfconsole.core.units import parse_duration
from perfconsole.engine.actor import actor
from perfconsole.outputs.alerts import Known, in_json, silenced_now, text, unknown_labels
from perfconsole.outputs.paper import Paper

if TYPE_CHECKING:
    from perfconsole.history.events import EventFile


def run(args: Namespace) -> int:
    """Run one of the four. ``list`` gives the severity of what fires unmuted; the others 0 when it was done, 3 when not all of it was.

    Raises:
        RequestError: When it was refused.
        PerfconsoleError: When nobody could be asked, or it could not be kept.
    """
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    if args.verb == "list":
        return _list(loaded, as_json=args.json)
    return {"silence": _silence, "unsilence": _unsilence, "ack": _acknowledge}[args.verb](loaded, args)


def _list(loaded: Loaded, *, as_json: bool) -> int:
    known = _known(loaded)
    if as_json:
        from perfconsole.outputs.snapshot import encode

        put(encode(in_json(known)))
    else:
        ascii_only = abilities(os.environ, ascii_only=loaded.config.console.ascii).ascii
        print(text(known, Paper(ascii=ascii_only)), end="")
    return max((rank(alert.severity) for alert in known.alerts if alert_words.counts(alert)), default=0)


def _known(loaded: Loaded) -> Known:
    directory = engines.state_directory(loaded)
    found = next(engines.engines(directory))
    if found:
        with engines.told(*found) as state:
            began = state.stream.began if state.stream else state.at
            in_force = {rule.name: rule for rule in (state.stream.rules if state.stream else ())}
            alerts = [alert for alert in state.alerts.values() if not alert.colour]
            host = state.stream.host if state.stream else ""
            return Known(state.at, host, True, alerts, state.silences, in_force, began, _runbooks(loaded))
    from perfconsole.history.events import read

    now = time.time()
    saved = read(directory, now)
    in_force = {rule.name: rule for rule in rules(loaded.config, loaded.rule_places)}
    standing = [standing.alert for standing in saved.standings if standing.alert.state != "inactive"]
    alerts = silenced_now([*standing, *saved.told], saved.silences)
    return Known(now, safe(os.uname().nodename), False, alerts, saved.silences, in_force, runbooks=_runbooks(loaded))


def _runbooks(loaded: Loaded) -> dict[str, str]:
    """Runbooks of endpoints, by name, as they are configured here."""
    config = loaded.config
    if not any(one.runbook for one in (*config.http, *config.tcp, *config.tls, *config.dns)):
        return {}
    from perfconsole.config.endpoints import checks

    return {check.name: check.runbook for check in checks(config) if check.runbook}


# What changes something ---------------------------------------------------------------------------------------------------------------


def _silence(loaded: Loaded, args: Namespace) -> int:
    try:
        match = _matcher(args.match)
    except ValueError as error:
        raise ConfigError(str(error), "e.g. rule=service-down-critical endpoint=shop-*") from error
    try:
        for_s = parse_duration(args.duration)
    except ValueError as error:
        raise ConfigError(f"--for: {error}", "e.g. 30m 4h 2d") from error
    amiss = unknown_labels(match, _known(loaded))
    print(_ask(loaded, ALERT_SILENCE, SilenceArgs(match, for_s, _by(args), args.reason)))
    if amiss:
        print(safe(amiss, 1000))
    return 0


def _matcher(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Label and glob of each word. What the shell took as one word is one: no quote, comma or space in it means anything.

    Raises:
        ValueError: Says what is accepted.
    """
    for word in words:
        if not all(word.partition("=")):
            raise ValueError(f"{word!r} is no label=glob (such as endpoint=shop-*)")
    alert_words.read_matcher(" ".join(re.sub('[ ,"]', "?", word) for word in words))  # for what it refuses: none of that makes a difference
    return tuple((name, glob) for name, _, glob in (word.partition("=") for word in words))


def _unsilence(loaded: Loaded, args: Namespace) -> int:
    print(_ask(loaded, ALERT_UNSILENCE, UnsilenceArgs(args.id, _by(args))))
    return 0


def _acknowledge(loaded: Loaded, args: Namespace) -> int:
    """Each by itself: one that ended meanwhile leaves the others to be taken on."""
    standing = [alert for alert in _known(loaded).alerts if alert.state in {"firing", "pending"}]
    meant = [alert for alert in standing if args.alert in {alert.id, alert.rule} or fnmatchcase(alert.id, args.alert)]
    if not meant:
        names = ", ".join(alert.id for alert in standing) or "none"
        raise RequestError(f"no alert that pends or fires is called {safe(args.alert, 200)}", f"there are: {names}")
    by, code = "" if args.give_back else _by(args), 0
    for alert in meant:
        try:
            print(f"{alert.id}: {_ask(loaded, ALERT_ACK, AckArgs(alert.id, alert.since, by, args.text))}")
        except RequestError as error:
            told, code = str(error), UNMEASURED
            notice(told if told.startswith(alert.id) else f"{alert.id}: {told}")
    return code


def _by(args: Namespace) -> str:
    return args.by or actor()


def _ask(loaded: Loaded, spec: Spec, args: Struct) -> str:
    """Have it done; see `engines.ask`."""

    def write(directory: Path) -> str:
        """Do it as an engine would that has what the last one left."""
        from perfconsole.history.events import EventFile

        store = EventFile(directory)
        try:
            saved = store.load()
            if store.error:
                raise PerfconsoleError(f"it could not be kept: {store.error}")
            return engines.audited(directory, spec.name, args, lambda: _kept(loaded, store, saved, spec, args))
        finally:
            store.close()

    return engines.ask(engines.state_directory(loaded), spec.name, args, write)


def _kept(loaded: Loaded, store: "EventFile", saved: Saved, spec: Spec, args: Struct) -> str:
    """Have the store keep what comes of it."""
    from perfconsole.engine.alerting import Alerting
    from perfconsole.engine.clock import Clock

    done, changes = asyncio.run(Alerting(rules(loaded.config), "", Clock()).change(saved, spec, args))
    store.put(changes)
    store.close()
    if store.error:
        raise PerfconsoleError(f"it could not be kept: {store.error}")
    return done.text if isinstance(done, Done) else ""
