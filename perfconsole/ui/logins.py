"""Who tried to get in, in words: a line of it, and a section of facts. Observations, no intrusion detection. Pure."""

from collections.abc import Iterator, Sequence
from math import isnan
from time import localtime, strftime
from typing import Final

from perfconsole.core import units
from perfconsole.core.login_rows import LoginRow, LoginTable
from perfconsole.core.requests import Fact, FactSection
from perfconsole.core.tables import View

ACCESS: Final = "Access"
"""The title of the section."""

HONEST: Final = "observations, not intrusion detection: who gets in otherwise, or as root, is not seen here"
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_NAMES: Final = 3
_HELD: Final = 100

VIEW: Final = View("login", "", "failed", limit=_HELD)
"""What of the table is looked at, wherever it is shown."""


def visible(table: LoginTable) -> bool:
    """Whether it says anything of what happened: where nothing may be seen, nothing is claimed."""
    return bool(table.total or not table.notes)


def worst(rows: Sequence[LoginRow]) -> LoginRow | None:
    """The newest success after failures."""
    return max((row for row in rows if row.breached), key=lambda row: row.last, default=None)


def tried(row: LoginRow, most: int = _NAMES) -> str:
    """``root, admin +3``: whom it tried to be."""
    others = row.more + max(0, len(row.users) - most)
    return ", ".join(row.users[:most]) + (f" +{others}" if others else "")


def moment(at: float, now: float) -> str:
    """``14:02``, with the date where that was another day; local time."""
    return units.UNKNOWN if isnan(at) else strftime("%H:%M" if now - at < _DAY_S else "%d %b %H:%M", localtime(at))


# The line -------------------------------------------------------------------------------------------------------------------------


def parts(table: LoginTable) -> Iterator[tuple[str, str]]:
    """Texts of the line and their roles, the most telling first."""
    bad = worst(table.rows)
    if bad:
        yield f"login after {units.count(bad.failed)} failures from {bad.source} at {moment(bad.last, table.at)}", "critical"
    if not table.failed:
        yield f"no failed logins seen in {_span(table)}", "dim"
    else:
        yield _failed(table), "foreground"
        top = max(table.rows, key=lambda row: row.failed, default=None)
        if top and top.failed and top is not bad:
            yield f"top {top.source} ({tried(top, 2)})" if top.users else f"top {top.source}", "dim"
    last = _last_success(table.rows)
    if last:
        yield f"last success {tried(last, 1)} {moment(last.last, table.at)}", "dim"
    if table.sampled < 1:
        yield f"of {units.percent(table.sampled)} of the lines", "warning_bar"


def _failed(table: LoginTable) -> str:
    """``12 failed logins/h from 3 sources``; of less than an hour the number itself."""
    observed_s = _observed_s(table)
    number = table.failed * _HOUR_S / observed_s if observed_s >= _HOUR_S else table.failed
    word = "login" if round(number) == 1 else "logins"
    every = "/h" if observed_s >= _HOUR_S else f" in {_span(table)}"
    sources = sum(row.failed > 0 for row in table.rows)
    counted = f"{sources}+" if len(table.rows) < table.total else str(sources)
    return f"{units.count(round(number, 1 if number < 1 else 0))} failed {word}{every} from {counted} source{'s' * (counted != '1')}"


def _observed_s(table: LoginTable) -> float:
    """The time it is of, less what nobody looked at."""
    seen_s = table.at - table.since
    return table.span_s if isnan(seen_s) else max(0.0, min(table.span_s, seen_s))


def _span(table: LoginTable) -> str:
    return units.duration(_observed_s(table)).removesuffix("00s").removesuffix("00m")


def _last_success(rows: Sequence[LoginRow]) -> LoginRow | None:
    """The newest of the sources that only ever succeeded: of the others nobody can say which of their attempts was the last."""
    return max((row for row in rows if row.succeeded and not row.failed), key=lambda row: row.last, default=None)


# The section ----------------------------------------------------------------------------------------------------------------------


def section(table: LoginTable) -> FactSection:
    """A fact a source, what deserves a look first; what cannot be seen, with its fix."""
    since = f", looked at since {moment(table.since, table.at)}" if not isnan(table.since) else ""
    note = f"{HONEST}; of the last {_span(table)}{since}"
    return FactSection(ACCESS, [*_summary(table), *_sources(table), *_unseen(table)], note)


def _summary(table: LoginTable) -> Iterator[Fact]:
    if visible(table):
        yield Fact("failed", f"{table.failed} from {table.total} sources" if table.failed else "none seen")
        yield Fact("succeeded", str(table.succeeded) if table.succeeded else "none seen")
    if table.users:
        yield Fact("names tried", "  ".join(f"{name} {units.count(count)}" for name, count in table.users))


def _sources(table: LoginTable) -> Iterator[Fact]:
    rows = sorted(table.rows, key=lambda row: (not row.breached, -row.failed, -_known(row.last), row.source))
    for row in rows:
        times = f"{moment(row.first, table.at)} to {moment(row.last, table.at)}"
        text = f"{row.service:<10} {units.count(row.failed):>5} failed {units.count(row.succeeded):>5} in   {times}   {tried(row, 5)}"
        note = "a success after failures: ask whoever it was, before anything else" if row.breached else ""
        yield Fact(row.source, text.rstrip(), severity="critical" if row.breached else "", note=note)
    left = table.total - len(rows)
    if left > 0:
        yield Fact("others", f"{left} more sources, of fewer failures")


def _unseen(table: LoginTable) -> Iterator[Fact]:
    if table.sampled < 1:
        yield Fact("sampled", f"{units.percent(table.sampled)} of the lines were read: more came than may be looked at", "", "unknown")
    for note in table.notes:
        yield Fact("note", note, severity="unknown")


def _known(value: float) -> float:
    return 0.0 if isnan(value) else value
