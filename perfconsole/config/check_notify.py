"""What is wrong with a notification channel that no key shows by itself: secrets, hooks, contradictions; and names that no channel has."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from perfconsole.config import check_kinds, notify_kinds, secrets, urls
from perfconsole.config.check_endpoints import Circumstances, Note
from perfconsole.config.lines import Path
from perfconsole.config.schema import Config
from perfconsole.config.schema_notify import CHANNELS, AlertsApi, Apprise, ByHttp, Email, Hook, Notify, PagerDuty, Slack, Webhook
from perfconsole.config.wording import shown, suggestion
from perfconsole.core.tick import Rule

_FOUND_HERE: Final = "in a configuration that was found in the working directory"
_INSTEAD: Final = f'chmod 600, or {urls.INSTEAD} or "file:/run/secrets/x"'
_OURS: Final = frozenset({"content-length", "content-type", "host", "idempotency-key", "transfer-encoding"})
_ROUTING_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")
_LOOPBACK: Final = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")

_Fault = tuple[Path, str, str]


def type_of(note: Note, at: Path, item: Mapping[str, Any]) -> type[Notify] | None:
    """The table that a channel's type has; None where it has none, which is noted."""
    found = item.get("type")
    table = CHANNELS.get(found) if isinstance(found, str) else None
    if table is None:
        near = suggestion(found, list(CHANNELS)) if isinstance(found, str) else ""
        what = f"found {shown(found)}" if "type" in item else "no type"
        note((*at, "type") if "type" in item else at, what, f"{near + ' ' if near else ''}(types: {' '.join(CHANNELS)})")
    return table


def alone(note: Note, at: Path, channel: Notify, held: Circumstances) -> None:
    """Note what is wrong with one channel, its keys being good each for itself."""
    for place, found, fix in (*_secrets(channel, held), *_contradictions(channel)):
        note((*at, *place), found, fix)


def names(note: Note, document: Mapping[str, Any]) -> None:
    """Note names in ``[alerts] notify`` and ``[[alert]] notify`` that no channel has.

    Args:
        note: As that of `alone`.
        document: What the file says.
    """
    known = [item["name"] for item in _tables(document.get("notify")) if isinstance(item.get("name"), str)]
    for at, found in _named(document):
        if isinstance(found, str) and found not in known:
            near = suggestion(found, known)
            there = f"there are: {' '.join(known)}" if known else "there are none: [[notify]] makes one"
            note(at, f"found {shown(found)}, which no [[notify]] is called", near or there)


def unnamed(config: Config) -> list[str]:
    """Of each channel that is never told anything that it is not, and what would have it told; no fault: it may be there to be tried.

    Args:
        config: All of it, checked.
    """
    if not config.notify:
        return []
    from perfconsole.config.rules import rules  # noqa: PLC0415  only where there are channels

    told = [rule for rule in rules(config) if not rule.colour]
    return [text for channel in config.notify if (text := _untold(channel, [rule for rule in told if channel.name in rule.notify]))]


def _untold(channel: Notify, told: Sequence[Rule]) -> str:
    who = f"[[notify]] {shown(channel.name)} is told of nothing"
    if not told:
        return f"{who}: neither [alerts] notify nor an [[alert]] names it"
    if not any(rule.severity in channel.severities for rule in told):
        return f"{who}: its severities are {' '.join(channel.severities)}, and no rule that names it has one of them"
    return ""


def _tables(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _named(document: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    alerts, rules = document.get("alerts"), document.get("alert")
    holders: list[tuple[Path, Any]] = [(("alerts",), alerts)]
    holders += [(("alert", number), rule) for number, rule in enumerate(rules if isinstance(rules, list) else [])]
    for at, holder in holders:
        found = holder.get("notify") if isinstance(holder, dict) else None
        for number, name in enumerate(found if isinstance(found, list) else []):
            yield (*at, "notify", number), name


# Secrets --------------------------------------------------------------------------------------------------------------------------


def _secrets(channel: Notify, held: Circumstances) -> Iterator[_Fault]:
    for place, text, literal in _texts(channel):
        if literal and held.shared:
            yield place, "a secret stands in it, and others can read this file", _INSTEAD
        if held.found_here and secrets.is_file(text):
            yield place, f"file: {_FOUND_HERE}", "name it with --config"
    if isinstance(channel, Hook):
        if held.shared and notify_kinds.command_holds_secret(channel.command):
            yield ("command",), "a secret stands in it, and others can read this file", "have the command read it from a file of its own"
        if held.found_here:
            yield ("command",), f"a hook {_FOUND_HERE}", "name it with --config"


def _texts(channel: Notify) -> Iterator[tuple[Path, str, bool]]:
    """What is looked up when it is sent: the key, its text, and whether a secret stands in it that is no reference."""
    if isinstance(channel, Webhook | AlertsApi | PagerDuty):
        yield ("url",), channel.url, notify_kinds.holds_token(channel.url)
    if isinstance(channel, Slack):
        yield ("url",), channel.url, check_kinds.is_literal(channel.url)
    if isinstance(channel, ByHttp):
        yield ("proxy",), channel.proxy, urls.holds_secret(channel.proxy)
    if isinstance(channel, Webhook | AlertsApi):
        for name, text in channel.headers.items():
            yield ("headers", name), text, check_kinds.header_is_secret(name, text)
    for key in _WHOLLY_SECRET.get(type(channel), ()):
        text = getattr(channel, key)
        yield (key,), text, check_kinds.is_literal(text)
    if isinstance(channel, Email):
        yield ("user",), channel.user, False
    if isinstance(channel, Apprise):
        for number, url in enumerate(channel.urls):
            yield ("urls", number), url, check_kinds.is_literal(url)


_WHOLLY_SECRET: Final[dict[type[Notify], tuple[str, ...]]] = {Webhook: ("secret",), PagerDuty: ("routing_key",), Email: ("password",)}


# Contradictions -------------------------------------------------------------------------------------------------------------------


def _contradictions(channel: Notify) -> Sequence[_Fault]:
    if not channel.severities:
        return [(("severities",), "found [], which is nobody's alert", "accepted: one at least; without the key: critical and warning")]
    check = _CHECKS.get(type(channel))
    return list(check(channel)) if check else []


def _of_headers(channel: Any) -> Iterator[_Fault]:
    for name in channel.headers:
        if name.lower() in _OURS:
            yield ("headers", name), "found a header that follows from the message", "leave it out"
        elif name.lower() == "x-perfconsole-signature" and getattr(channel, "secret", ""):
            yield ("headers", name), "found a signature, and secret as well", "accepted: one of them"


def _of_alertmanager(channel: Any) -> Iterator[_Fault]:
    yield from _of_headers(channel)
    if "/api/" in channel.url:
        yield ("url",), "found the address of an API", "accepted: where Alertmanager is, up to /api: http://alertmanager.example:9093"


def _of_pagerduty(channel: Any) -> Iterator[_Fault]:
    key = channel.routing_key
    if not secrets.is_file(key) and "${" not in key and not _ROUTING_KEY.fullmatch(key):
        yield ("routing_key",), "found what is no integration key", "accepted: 32 letters and digits, by reference"


def _of_email(channel: Any) -> Iterator[_Fault]:
    if bool(channel.user) != bool(channel.password):
        given, missing = ("password", "user") if channel.password else ("user", "password")
        yield (given,), f"a {given} without a {missing}", "accepted: both, or neither"
    host = channel.host[1:].partition("]")[0] if channel.host.startswith("[") else channel.host.partition(":")[0]
    if channel.tls == "none" and channel.password and not _LOOPBACK.fullmatch(host):
        yield ("tls",), "a password over a connection that everybody on the way can read", 'tls = "starttls" or "tls"'


_CHECKS: Final[dict[type[Notify], Callable[[Any], Iterator[_Fault]]]] = {
    Webhook: _of_headers, AlertsApi: _of_alertmanager, PagerDuty: _of_pagerduty, Email: _of_email,
}  # fmt: skip
