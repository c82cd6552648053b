"""``perfconsole alerts rules|backtest``: the rules that are in force, and what they would have made of samples that somebody kept."""

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from io import BufferedReader
from typing import TYPE_CHECKING, Final

from perfconsole.cli.dispatch import notice, put
from perfconsole.cli.settings import settle
from perfconsole.config import wording
from perfconsole.config.abilities import abilities
from perfconsole.config.load import Loaded
from perfconsole.config.rules import rules
from perfconsole.core.backtest import Backtest
from perfconsole.core.errors import ConfigError, PerfconsoleError
from perfconsole.core.text import safe
from perfconsole.core.tick import Rule
from perfconsole.outputs.paper import Paper

if TYPE_CHECKING:
    from perfconsole.core.alert_requests import Watching

_STANDING: Final = ("list", "silence", "unsilence", "ack")


def run(args: Namespace) -> int:
    """Run one of them; of these two 0 when it ran, whatever it found: what fired in the past is no severity of now."""
    if args.verb in _STANDING:
        from perfconsole.cli.standing import run as run_standing

        return run_standing(args)
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    if args.verb == "rules":
        _list(loaded, as_json=args.json)
    else:
        _backtest(loaded, args)
    return 0


def _list(loaded: Loaded, *, as_json: bool) -> None:
    from perfconsole.outputs.rules import rules as in_json
    from perfconsole.outputs.rules import text

    found, watching = _in_force(loaded), _watching(loaded)
    if as_json:
        from perfconsole.outputs.snapshot import encode

        put(encode(in_json(found, time.time(), _host(), watching)))
    else:
        print(text(found, watching), end="")


def _watching(loaded: Loaded) -> "Watching | None":
    """What the rules watch at the engine that runs here; None where none does, or it cannot be asked: the rules are told all the same."""
    from perfconsole.cli import engines
    from perfconsole.core.alert_requests import Watching
    from perfconsole.core.requests import ALERT_WATCHING, Nothing

    try:
        found = next(engines.engines(engines.state_directory(loaded)))
        told = engines.request(found[1], ALERT_WATCHING.name, Nothing()) if found else None
    except PerfconsoleError:
        return None
    return told if isinstance(told, Watching) else None


def _in_force(loaded: Loaded) -> tuple[Rule, ...]:
    return rules(loaded.config, loaded.rule_places)


def _backtest(loaded: Loaded, args: Namespace) -> None:
    from perfconsole.outputs.backtest import Tried, in_json, in_text, warnings
    from perfconsole.sources.sample_files import open_samples

    chosen = _chosen(loaded, args.rule or (), thresholds=args.thresholds)
    with closing(open_samples(args.samples, _standard_input(), lambda series: any(rule.covers(series) for rule in chosen))) as samples:
        backtest = Backtest(chosen)
        transitions = backtest.run(samples.ticks())

        def last() -> Iterator[Tried]:
            yield Tried(samples.shapes, samples.notes, samples.count)

        if args.json:
            _write(in_json(transitions, (warnings(backtest, tried) for tried in last()), time.time(), samples.host or _host()))
        else:
            ascii_only = abilities(os.environ, ascii_only=loaded.config.console.ascii).ascii
            for piece in in_text(backtest, transitions, last(), Paper(ascii=ascii_only)):
                print(piece, end="")


def _chosen(loaded: Loaded, names: Sequence[str], *, thresholds: bool) -> list[Rule]:
    """The rules to be tried: those that are named, else all alerts, and the thresholds where they are asked for.

    Raises:
        ConfigError: When a name is that of no rule in force.
    """
    found = _in_force(loaded)
    known = [rule.name for rule in found]
    for name in names:
        if name in known:
            continue
        if any(own.name == name for own in loaded.config.alert):
            raise ConfigError(f"--rule: {safe(name)} is not in force", "it says enabled = false")
        near = wording.suggestion(name, known)
        raise ConfigError(f"--rule: no rule is called {wording.shown(name)}", near or "`perfconsole alerts rules` lists them")
    return [rule for rule in found if rule.name in names] if names else [rule for rule in found if thresholds or not rule.colour]


def _write(pieces: Iterable[str]) -> None:
    """Print pieces of text that is UTF-8 whatever the locale: JSON."""
    if sys.stdout is None:
        return
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece.encode())


def _standard_input() -> BufferedReader | None:
    """The bytes of it; None where it is closed."""
    buffer = None if sys.stdin is None else sys.stdin.buffer
    return buffer if isinstance(buffer, BufferedReader) else None


def _host() -> str:
    return safe(os.uname().nodename)
