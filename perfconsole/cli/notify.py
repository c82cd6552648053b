"""``perfconsole notify list|test``: who is told of which alerts, and whether a channel works: the exact request, and what came back."""

import asyncio
import os
import socket
import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from math import nan
from typing import Any

from perfconsole.cli.dispatch import UNMEASURED, notice, put
from perfconsole.cli.settings import settle
from perfconsole.config import wording
from perfconsole.config.load import Loaded
from perfconsole.config.rules import rules
from perfconsole.core.errors import ConfigError
from perfconsole.core.notices import Notice
from perfconsole.core.text import safe
from perfconsole.core.tick import Alert, Rule
from perfconsole.notify.channel import Channel, Message, SendError
from perfconsole.notify.making import channels

_SCHEMA = "perfconsole.notify/1"


def run(args: Namespace) -> int:
    """Run one of the two; 0 when it was listed, sent or shown, 3 when it was not taken."""
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    if args.verb == "list":
        _list(loaded, as_json=args.json)
        return 0
    channel = _chosen(loaded, args.name)
    host = safe(socket.gethostname())
    return _try(channel, test_message(channel.name, host, time.time()), dry=args.dry_run, as_json=args.json)


# Who is told ----------------------------------------------------------------------------------------------------------------------


def _list(loaded: Loaded, *, as_json: bool) -> None:
    found = rules(loaded.config)
    told = [(channel, _told(channel.name, channel.severities, found)) for channel in loaded.config.notify]
    if as_json:
        _put(
            channels=[
                {"name": channel.name, "type": channel.type, "severities": list(channel.severities), "resolved": channel.resolved,
                 "timeout_s": channel.timeout_s, "rules": [rule.name for rule in served]}
                for channel, served in told
            ]
        )  # fmt: skip
        return
    if not told:
        print("nobody is told of alerts: [[notify]] makes a channel, [alerts] notify names those that are told")
        return
    rows = [("NAME", "TYPE", "SEVERITIES", "RESOLVED", "IS TOLD OF")]
    rows += [
        (safe(one.name), one.type, " ".join(one.severities), "yes" if one.resolved else "no", _in_words(served)) for one, served in told
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]))


def _told(name: str, severities: Sequence[str], found: Iterable[Rule]) -> list[Rule]:
    return [rule for rule in found if name in rule.notify and rule.severity in severities and not rule.colour]


def _in_words(served: Sequence[Rule]) -> str:
    if not served:
        return "nothing: neither [alerts] notify nor an [[alert]] names it"
    return f"{len(served)} rule{'s' * (len(served) > 1)}: {' '.join(safe(rule.name) for rule in served)}"


# Trying one -----------------------------------------------------------------------------------------------------------------------


def _chosen(loaded: Loaded, name: str) -> Channel:
    """The channel of a name.

    Raises:
        ConfigError: When there is none, or what it needs is not installed.
    """
    named = [one for one in loaded.config.notify if one.name == name]
    if not named:
        known = [one.name for one in loaded.config.notify]
        there = f"there are: {' '.join(known)}" if known else "there are none: [[notify]] makes one"
        raise ConfigError(f"no channel is called {wording.shown(name)}", wording.suggestion(name, known) or there)
    from msgspec.structs import replace

    (channel,) = channels(replace(loaded.config, notify=tuple(named)))
    return channel


def test_message(channel: str, host: str, at: float) -> Message:
    """A message that says it is a test, of an alert that there is not."""
    from perfconsole.notify.channels.words import TEST_RULE

    alert = Alert(
        f"{TEST_RULE}{{}}", TEST_RULE, "system.cpu.utilization", (), "warning", "firing", "pending", at, at, nan, nan, fired_at=at,
        text="this tries the channel, nothing is wrong",
    )  # fmt: skip
    key = f"{TEST_RULE}-{os.urandom(8).hex()}"
    return Message(key, (Notice(key, channel, "firing", alert, at),), host, at)


def _try(channel: Channel, message: Message, *, dry: bool, as_json: bool) -> int:
    request = channel.preview(message)
    if not as_json:
        print(request.rstrip(), end="\n\n", flush=True)
    answer, error = "", ""
    if not dry:
        try:
            answer = asyncio.run(_sent(channel, message))
        except SendError as failure:
            error = str(failure)
    if as_json:
        _put(channel=channel.name, request=request, sent=bool(answer), answer=answer or None, error=error or None)
    elif error:
        notice(f"{safe(channel.name)} was not told: {error}")
    else:
        print(f"taken: {answer}" if answer else "not sent: --dry-run")
    return UNMEASURED if error else 0


async def _sent(channel: Channel, message: Message) -> str:
    try:
        return await channel.send(message)
    finally:
        await channel.close()


def _put(**told: Any) -> None:
    from perfconsole.outputs.snapshot import encode, heading

    put(encode({**heading(_SCHEMA, time.time(), safe(socket.gethostname())), **told}))
