"""``perfconsole probe``: check one endpoint now, as often as asked, and say where its time goes."""

import asyncio
import os
import re
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from perfconsole.cli.dispatch import UNMEASURED, notice, put
from perfconsole.config import urls
from perfconsole.config.abilities import abilities
from perfconsole.config.endpoints import check_of, checks
from perfconsole.config.kinds import duration
from perfconsole.config.load import load
from perfconsole.config.rules import rules
from perfconsole.config.schema import Config
from perfconsole.config.schema_checks import LONGEST_S
from perfconsole.config.wording import suggestion
from perfconsole.core.checks import Check, Outcome
from perfconsole.core.errors import ConfigError
from perfconsole.core.redact import MASK
from perfconsole.core.text import safe
from perfconsole.outputs.paper import Paper
from perfconsole.outputs.probe import Probed, severity

MOST: Final = 1000
APART_S: Final = 1.0
"""From the start of one probe to that of the next; one that takes longer is followed at once."""

_TIMEOUT: Final = duration(0.01, LONGEST_S)
_NEVER_S: Final = 1e9
_COLUMNS: Final = (60, 100)
"""The narrowest that is drawn for, and the widest: bars longer than that tell no more."""

_CODES: Final = {"ok": 0, "warning": 1, "critical": 2, "unknown": UNMEASURED}
_INTERRUPTED: Final = 130


def run(args: Namespace) -> int:
    """Print what came of it; 0 when the target is up, 1 when something is to be looked at, 2 when it is down, 3 when that is not known.

    Interrupted, it prints what is known by then, and is 130.
    """
    if not 1 <= args.count <= MOST:
        raise ConfigError(f"--count: found {args.count}", f"accepted: 1 to {MOST}")
    timeout_s = _timeout_s(args.timeout)
    loaded = load(args.config, env=os.environ)
    for line in loaded.notices:
        notice(line)
    check = chosen(args.target, loaded.config, timeout_s)
    paper = _paper(loaded.config)
    url = urls.shown_url(check.target) if check.kind == "http" else safe(check.target, 300)
    outcomes: list[Outcome] = []
    told = _teller(url, args.count, paper) if args.count > 1 and not args.json else None

    def take(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if told is not None:
            told(outcome)

    interrupted = False
    try:
        asyncio.run(repeat(check, args.count, take))
    except KeyboardInterrupt:
        interrupted = True
    if not outcomes:
        return _INTERRUPTED
    probed = Probed(time.time(), safe(os.uname().nodename), check.name, check.service, url, outcomes, rules(loaded.config))
    _print(probed, args, paper)
    return _INTERRUPTED if interrupted else _CODES[severity(probed)]


def _teller(url: str, count: int, paper: Paper) -> Callable[[Outcome], None]:
    """Prints what is probed, and then a line whenever one is done: whoever asks for a thousand sees how they go."""
    from perfconsole.outputs.probe_text import heading, line

    numbers = iter(range(1, count + 1))
    print(heading(url, count, paper), flush=True)
    return lambda outcome: print(line(next(numbers), outcome, paper), flush=True)


def _timeout_s(written: str | None) -> float | None:
    if written is None:
        return None
    try:
        return float(_TIMEOUT.read(written))
    except ValueError as error:
        raise ConfigError(f"--timeout: found {written!r}", f"accepted: {_TIMEOUT.accepts.replace(' in quotes', '')}") from error


def chosen(text: str, config: Config, timeout_s: float | None) -> Check:
    """The check that is meant: that of the endpoint that is called so, or has this URL, with all its settings; else a plain one.

    Args:
        text: The name of a configured endpoint, or a URL.
        config: A checked configuration.
        timeout_s: In place of the timeout that is configured, or the default one.

    Raises:
        ConfigError: When it is neither, or holds a secret.
    """
    known = checks(config)
    found: Sequence[Check] = [check for check in known if check.name == text]
    if not found:
        try:
            plain = check_of(text)
        except ConfigError as error:
            near = suggestion(text, [check.name for check in known]).replace("did you mean", " or the endpoint")
            raise ConfigError(_bare(f"URL: {error.message.removeprefix('--url: ')}"), _bare(f"{error.fix}{near}")) from None
        found = [check for check in known if check.kind == "http" and check.target == text] or [plain]
    if len(found) > 1:
        notice(f"{len(found)} endpoints have this URL: taken is {found[0].name}; probe another by its name")
    return found[0] if timeout_s is None else replace(found[0], timeout_s=timeout_s)


def _bare(words: str) -> str:
    """Without what stands before an @: of a mistyped URL (``https:/me:secret@host``) nobody can tell whether that is a password."""
    return re.sub(r'[^\s"]*@', f"{MASK}@", words)


async def repeat(check: Check, count: int, take: Callable[[Outcome], None], apart_s: float = APART_S) -> None:
    """Carry out a check as the console does, one probe after the other.

    Args:
        check: What is checked.
        count: How often.
        take: Called with each outcome, before the next probe begins.
        apart_s: Seconds from start to start.
    """
    from perfconsole.collectors.http.checking.checker import Checker

    def nobody(_: Outcome) -> None:
        """Whoever asked gets it."""

    # In no rhythm of its own: each is asked for.
    check = replace(check, interval_s=_NEVER_S, failing_s=_NEVER_S)
    checker, loop = Checker(nobody), asyncio.get_running_loop()
    checker.configure((check,))
    try:
        for left in range(count - 1, -1, -1):
            began = loop.time()
            take(await checker.now(check.name))
            if left:
                await asyncio.sleep(began + apart_s - loop.time())
    finally:
        checker.close()


def _paper(config: Config) -> Paper:
    """What standard output is: a terminal, or something that wants no colours."""
    can = abilities(os.environ, ascii_only=config.console.ascii)
    out = sys.stdout
    terminal = out is not None and out.isatty()
    utf8 = out is None or (out.encoding or "").lower().replace("-", "") == "utf8"
    least, most = _COLUMNS
    width = max(least, min(shutil.get_terminal_size((80, 24)).columns, most))
    return Paper(width, can.ascii or not utf8, terminal and can.colours > 0)


def _print(probed: Probed, args: Namespace, paper: Paper) -> None:
    if args.json:
        from perfconsole.outputs.probe import probe
        from perfconsole.outputs.snapshot import encode

        put(encode(probe(probed)))
    else:
        from perfconsole.outputs.probe_text import text

        if args.count > 1:
            print()
        print(text(probed, paper, args.count), end="")
