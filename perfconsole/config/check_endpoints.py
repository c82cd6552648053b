"""What is wrong with an endpoint, or with several together, that no key shows by itself: names, secrets, dependencies, contradictions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, NamedTuple

from perfconsole.config import check_kinds, secrets, urls
from perfconsole.config.endpoints import name_of
from perfconsole.config.lines import Path
from perfconsole.config.schema_checks import CHECKS, Checked, Dns, Http, Maintenance, Tls, TlsCheck
from perfconsole.config.wording import shown, suggestion

Note = Callable[[Path, str, str], None]
"""Notes a fault: where, what was found, what to do."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SUGGESTED: Final = 10
"""Faults of a kind that are told with the nearest name: finding that takes 7 ms among a thousand, and a thousand may be misspelt."""

_DEPENDS: Final = "host, http:NAME of any endpoint, or postgres:NAME"


class Circumstances(NamedTuple):
    """How the file is held: `shared`, others can read it; `found_here`, it was found in the working directory."""

    shared: bool
    found_here: bool


def alone(note: Note, at: Path, check: Checked, held: Circumstances) -> None:
    """Note what is wrong with one endpoint, its keys being good each for itself."""
    for place, found, fix in _faults(check, held):
        note((*at, *place), found, fix)


def _faults(check: Checked, held: Circumstances) -> Iterator[tuple[Path, str, str]]:
    if isinstance(check, Http):
        yield from _secrets(check, held)
        yield from _contradictions(check)
    if isinstance(check, Http | TlsCheck):
        yield from _of_tls(check.tls)
    yield from _of_limits(check)
    if isinstance(check, Dns):
        yield from _of_dns(check)
    if not isinstance(check, Dns):
        yield from _of_family(check)
    for number, window in enumerate(check.maintenance):
        for key, found, fix in _of_window(window):
            yield ("maintenance", number, key), found, fix


def _of_tls(tls: Tls) -> Iterator[tuple[Path, str, str]]:
    if tls.key and not tls.cert:
        yield ("tls", "key"), "a key without a certificate", "cert = ... beside it"
    if tls.insecure and tls.ca:
        yield ("tls", "insecure"), "both ca, and insecure, which takes any certificate whoever signed it", "accepted: one of them"


def _of_limits(check: Checked) -> Iterator[tuple[Path, str, str]]:
    """Limits that nothing would ever come to."""
    limit_s = check.expect.max_latency_s
    if limit_s is not None and limit_s >= check.timeout_s:
        yield ("expect", "max_latency"), "not under the timeout: it could never be exceeded", "a shorter one, or a longer timeout"
    for field in check.limits.__struct_fields__:
        longest_s = getattr(check.limits, field)
        if longest_s is not None and longest_s > check.timeout_s:
            phase = field.removesuffix("_s")
            yield ("timeouts", phase), "longer than the timeout of the whole, which ends it before", "a shorter one, or a longer timeout"


def _of_dns(check: Dns) -> Iterator[tuple[Path, str, str]]:
    if not check.server and check.record not in {"A", "AAAA"}:
        yield ("record",), f"found {check.record}, but this machine's own resolver is asked for A and AAAA alone", 'server = "192.0.2.53"'
    if check.expect.answers and check.record == "SOA":
        yield ("expect", "answers"), "an SOA record has no such answer", "leave it out, or ask for another record"
    family = {"A": 4, "AAAA": 6}.get(check.record, 0)
    for number, answer in enumerate(check.expect.answers):
        if family and urls.address_family(answer) != family:
            yield (
                ("expect", "answers", number),
                f"found {shown(answer)}",
                f"accepted: an IPv{family} address, as {check.record} records have",
            )


def _of_family(check: Any) -> Iterator[tuple[Path, str, str]]:
    """An address of one family, and another one that is asked for."""
    found = urls.address_family(urls.host_of(check.url if isinstance(check, Http) else check.address))
    if check.family and found not in {0, check.family}:
        yield ("family",), f"found {check.family}, but the host is an IPv{found} address", f"family = {found}, or none"


# Secrets --------------------------------------------------------------------------------------------------------------------------


def _secrets(check: Http, held: Circumstances) -> Iterator[tuple[Path, str, str]]:
    for place, text, literal in _texts(check):
        if literal and held.shared:
            yield place, "a secret stands in it, and others can read this file", f"chmod 600, or {urls.INSTEAD}"
        if held.found_here and secrets.is_file(text):
            yield place, "file: in a configuration that was found in the working directory", "name it with --config"
    if not held.found_here:
        return
    if check.connect_to.startswith(urls.UNIX):
        yield ("connect_to",), "a socket in a configuration that was found in the working directory", "name it with --config"
    for key in ("cert", "key"):
        if getattr(check.tls, key):
            yield ("tls", key), "a key in a configuration that was found in the working directory", "name it with --config"


def _texts(check: Http) -> Iterator[tuple[Path, str, bool]]:
    """What is looked up when it is sent: the key, its text, and whether a secret stands in it that is no reference."""
    yield ("url",), check.url, urls.holds_secret(check.url)
    yield ("proxy",), check.proxy, urls.holds_secret(check.proxy)
    yield ("body",), check.body, urls.holds_secret(check.body)
    for name, text in check.headers.items():
        yield ("headers", name), text, check_kinds.header_is_secret(name, text)
    yield ("host",), check.host, False
    auth = check.auth
    yield ("auth", "user"), auth.user, False
    yield ("auth", "password"), auth.password, check_kinds.is_literal(auth.password)
    yield ("auth", "bearer"), auth.bearer, check_kinds.is_literal(auth.bearer)


# Contradictions -------------------------------------------------------------------------------------------------------------------


def _contradictions(check: Http) -> Iterator[tuple[Path, str, str]]:
    auth, expect = check.auth, check.expect
    if auth.bearer and (auth.user or auth.password):
        yield ("auth", "bearer"), "both bearer and user or password", "accepted: one of them"
    elif auth.password and not auth.user:
        yield ("auth",), "a password without a user", "accepted: a user, with or without a password; or bearer"
    elif auth.user and not auth.password and check_kinds.is_literal(auth.user):  # a key, as often as not
        yield ("auth", "user"), "a user without a password", 'accepted: one by reference, such as "${KEY}"; or a password beside it'
    if check.redirects and expect.status and all(low == high and low in _REDIRECTS for low, high in expect.status):
        yield ("expect", "status"), "a redirect is expected, but they are followed", "redirects = false"
    if check.method == "HEAD":
        for key in ("body", "not_body", "regex", "json"):
            if getattr(expect, key):
                yield ("expect", key), "expected of an answer to HEAD, which has no body", 'method = "GET"'
    if check.proxy and check.connect_to:
        yield ("connect_to",), "both proxy and connect_to", "accepted: one of them"
    yield from _of_headers(check)


def _of_headers(check: Http) -> Iterator[tuple[Path, str, str]]:
    """Headers that are made from other keys."""
    names = {name.lower() for name in check.headers}
    if check.host and "host" in names:
        yield ("host",), "host, and a header Host as well", "accepted: one of them"
    if (check.auth.user or check.auth.bearer) and "authorization" in names:
        yield ("auth",), "auth, and a header Authorization as well", "accepted: one of them"
    for name in sorted(names & {"content-length", "transfer-encoding"}):
        yield ("headers",), f"found {name}, which follows from the body", "leave it out"


def _of_window(window: Maintenance) -> Iterator[tuple[str, str, str]]:
    wants = "an hour of those days, such as 22:00" if window.days else "a date and an hour, such as 2026-12-24T22:00, or days beside it"
    wrong = [key for key in ("begin", "end") if ("T" in getattr(window, key)) == bool(window.days)]
    for key in wrong:
        yield key, f"found {shown(getattr(window, key))}", f"accepted: {wants}"
    if not wrong and not window.days and datetime.fromisoformat(window.end) <= datetime.fromisoformat(window.begin):
        yield "end", f"found {shown(window.end)}, which is not after its beginning", "accepted: a later one"


# Together -------------------------------------------------------------------------------------------------------------------------


def together(note: Note, document: Mapping[str, Any], line_of: Callable[[Path], int]) -> None:
    """Note what is wrong with the endpoints of a file as a whole; what a key says is judged elsewhere.

    Args:
        note: As that of `alone`.
        document: What the file says.
        line_of: The line of a key path.
    """
    named = _named(note, document, line_of)
    _services(note, document, named)
    servers = [item.get("name") for _, item in _items(document, "postgres")]
    _databases(note, document, named, [name for name in servers if isinstance(name, str)])
    known = ["host", *(f"http:{name}" for name in named), *(f"postgres:{name}" for name in servers if isinstance(name, str))]
    edges: dict[str, list[str]] = {}
    there, misspelt = frozenset(known), 0
    for name, at in named.items():
        parents = document[str(at[0])][at[1]].get("depends_on")
        for number, parent in enumerate(parents if isinstance(parents, list) else []):
            if isinstance(parent, str):
                if parent not in there:
                    misspelt += 1
                    depends(note, (*at, "depends_on", number), parent, known if misspelt <= _SUGGESTED else [])
                edges.setdefault(f"http:{name}", []).append(parent)
    if circle := _circle(edges):
        at = named[circle[0].removeprefix("http:")]
        note((*at, "depends_on"), f"goes round in a circle: {' -> '.join([*circle, circle[0]])}", "leave one of these out")


def _items(document: Mapping[str, Any], table: str) -> Iterator[tuple[int, dict[str, Any]]]:
    found = document.get(table)
    for number, item in enumerate(found if isinstance(found, list) else []):
        if isinstance(item, dict):
            yield number, item


def _named(note: Note, document: Mapping[str, Any], line_of: Callable[[Path], int]) -> dict[str, Path]:
    """Where each endpoint stands, by its name."""
    found: dict[str, Path] = {}
    for table in CHECKS:
        for number, item in _items(document, table):
            name = name_of(table, item)
            if name in found:
                at: Path = (table, number, "name") if "name" in item else (table, number)
                note(at, f"found {shown(name)}, which the {found[name][0]} on line {line_of(found[name])} is called",
                     "give it a name of its own")  # fmt: skip
            elif name:
                found[name] = (table, number)
    return found


def _services(note: Note, document: Mapping[str, Any], named: Mapping[str, Path]) -> None:
    owners: dict[str, str] = {}
    misspelt = 0
    for number, item in _items(document, "service"):
        names = item.get("endpoints")
        for index, name in enumerate(names if isinstance(names, list) else []):
            at = ("service", number, "endpoints", index)
            if isinstance(name, str) and name not in named:
                misspelt += 1
                near = suggestion(name, list(named)) if misspelt <= _SUGGESTED else ""
                note(at, f"found {shown(name)}, which no endpoint is called", near or _there_are(list(named)))
            elif isinstance(name, str) and name in owners:
                note(at, f"found {shown(name)}, which already belongs to {owners[name]}", "an endpoint belongs to one service")
            elif isinstance(name, str):
                owners[name] = str(item.get("name"))


def _databases(note: Note, document: Mapping[str, Any], named: Mapping[str, Path], servers: Sequence[str]) -> None:
    misspelt = 0
    for at in named.values():
        name = document[str(at[0])][at[1]].get("database")
        if isinstance(name, str) and name and servers and name not in servers:  # else one that was found, or --dsn names
            misspelt += 1
            near = suggestion(name, servers) if misspelt <= _SUGGESTED else ""
            note((*at, "database"), f"found {shown(name)}, which no [[postgres]] is called", near or _there_are(servers))


def depends(note: Note, at: Path, parent: str, known: Sequence[str]) -> None:
    """Note of something to depend on that there is no such thing, with the nearest that there is.

    Args:
        note: As that of `alone`.
        at: Where it stands.
        parent: What was found.
        known: What there is: ``host``, ``http:NAME`` and ``postgres:NAME``; empty where a nearest is not to be looked for.
    """
    kind, _, name = parent.partition(":")
    if kind not in {"http", "postgres"}:
        near = suggestion(f"http:{parent}", known) if f"http:{parent}" in known else ""
        note(at, f"found {shown(parent)}", f"accepted: {_DEPENDS}{'; ' + near if near else ''}")
        return
    # Compared without what they all begin with, which would make any two of them near.
    names = {one.partition(":")[2]: one for one in known if one.startswith(f"{kind}:")}
    if known and not names:
        return  # what the file says nothing of is found on this machine, or named by the command line or the environment
    near = suggestion(name, list(names)).replace('"', f'"{kind}:', 1)
    note(at, f"found {shown(parent)}, which there is not", near or _there_are(known))


def _there_are(names: Sequence[str]) -> str:
    return f"there are: {' '.join(names[:20]) or 'none'}"


def _circle(edges: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle, from the first of its members in the file, each depending on the next; empty when there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        members = error.args[1][:0:-1]  # as it is told each is what the next depends on, and the first stands at both ends
        first = members.index(next(name for name in edges if name in members))
        return [*members[first:], *members[:first]]
    return []
