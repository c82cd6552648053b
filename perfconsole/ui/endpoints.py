"""Endpoints in words and signs: their state, what is the matter, what their checks measured, and their history in one line. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from math import floor, isnan, nan
from time import localtime, strftime
from typing import Final, NamedTuple

from msgspec import structs

from perfconsole.core import series, units
from perfconsole.core.alert_order import rank
from perfconsole.core.endpoints import CALM, TARGET, EndpointRow, EndpointTable
from perfconsole.core.requests import EndpointChange
from perfconsole.core.state import Series, State
from perfconsole.core.tick import Event, SeriesDef
from perfconsole.ui.line import Line
from perfconsole.ui.look import Look
from perfconsole.ui.spark import Limits, begun, bridged, put_cells, scale_top

FAILED: Final = -1.0
UNMEASURED: Final = -2.0
"""What stands in a history for a failed check, and for one that told nothing, among latencies."""

LEAST_S: Final = 0.05
"""The top of a history's scale at the least: below it a few milliseconds would draw mountains."""

NONE: Final = 'no endpoints: [[http]] url = "https://host/" in config.toml, or --url https://host/'

_DAY_S: Final = 86_400.0
_SEVERITIES: Final = {"down": "critical", "failing": "warning", "unknown": "unknown", "up": "ok", "stale": "stale"}
_UNREST: Final = {
    "down": 10.0, "failing": 9.0, "unknown": 8.0, "stale": 7.0, "critical": 5.0, "warning": 4.0, "suppressed": 2.0, "maintenance": 1.0,
}  # fmt: skip
"""Of states, and of alerts about what is up."""

_CODES: Final = {"assertion": "assert", "protocol": "garbled", "unmeasured": units.UNKNOWN}
_CAUSES: Final = {"unmeasured": "not measured"}


class Sign(NamedTuple):
    """How a state is shown: readable without its colour."""

    glyph: str
    word: str
    role: str


def overdue(row: EndpointRow, now: float) -> bool:
    """Whether its last check lies too far back to tell of the present; one that waits for an answer takes so much longer."""
    lasted_s = row.last_s if row.at_least else 0.0
    return row.state not in CALM and now - row.at > series.STALE * row.interval_s + lasted_s


def state_of(row: EndpointRow, now: float) -> str:
    """Its state now: one of `endpoints.STATES`, or ``stale``."""
    return "stale" if overdue(row, now) else row.state


def table(state: State) -> EndpointTable | None:
    """The table of all endpoints; of rows that would be overdue, whether they are is known to their series.

    The table is told every 2 s while somebody looks, in a recording every half minute; an endpoint may be checked twice a second.
    """
    found = state.table(EndpointTable, TARGET)
    if found is None or not any(overdue(row, state.at) for row in found.rows):
        return found
    return structs.replace(found, rows=[moved_on(state, row) for row in found.rows])


def moved_on(state: State, row: EndpointRow) -> EndpointRow:
    """The row, with time and latency of the last check as the series know it where that is a later one."""
    found = state.find("httpcheck.up", endpoint=row.name, service=row.service) if overdue(row, state.at) else None
    if found is None or not found.ring.last > row.at:
        return row
    last_s = state.value("httpcheck.duration", endpoint=row.name, service=row.service)
    return structs.replace(row, at=found.ring.last, last_s=last_s, at_least=row.at_least and found.value < 1)


def sign(look: Look, state: str) -> Sign:
    """Glyph, word and role of a state."""
    severity = _SEVERITIES.get(state)
    return Sign(look.glyph(severity), state, severity) if severity else Sign(look.glyphs.dot, state, "dim")


def why(row: EndpointRow, now: float) -> str:
    """What is the matter with it, in words; empty when nothing is."""
    if overdue(row, now):
        return f"no check for {lasting(now - row.at)}"
    failure = once(": ".join(filter(None, (_CAUSES.get(row.cause, row.cause), row.error))))
    if row.state == "suppressed":
        return f"by {row.blocked_by}" + (f"; {failure}" if failure else "")
    if row.state == "maintenance":
        planned = "planned" if isnan(row.until) else f"planned until {clocked(row.until, now)}"
        return f"{planned}; {failure}" if failure else f"{planned}: counts for nothing"
    return "not checked yet" if row.state == "unknown" and isnan(row.at) else failure


def clocked(at: float, now: float) -> str:
    """``04:00``; with the day where that is another one than today: ``Sun 08 Mar 04:00``."""
    return strftime("%H:%M" if localtime(at)[:3] == localtime(now)[:3] else "%a %d %b %H:%M", localtime(at))


def once(text: str) -> str:
    """``status 503``, and not ``status: status 503``: an error may begin with its cause."""
    cause, _, error = text.partition(": ")
    return error if cause and error.startswith(cause) else text


def ails(row: EndpointRow, now: float) -> bool:
    """Whether somebody should look at it; not so where it was merely not checked yet."""
    return state_of(row, now) in {"down", "failing", "stale"} or row.cause == "unmeasured"


def lasting(seconds: float) -> str:
    """For how long, in minutes at the least: what stands still is not painted again every second."""
    if isnan(seconds):
        return ""
    return "<1m" if seconds < 60 else units.duration(seconds) if seconds >= 3600 else f"{seconds // 60:.0f}m"


# Cells ----------------------------------------------------------------------------------------------------------------------------


def code_text(row: EndpointRow) -> str:
    """The status, where there was one; else why there was none, in seven characters."""
    if row.cause and row.cause != "status":
        return _CODES.get(row.cause, row.cause)
    return str(row.status) if row.status else ""


def last_text(row: EndpointRow) -> str:
    """``312ms``; ``>=5.0s`` where it was given up."""
    return f">={units.latency(row.last_s)}" if row.at_least and not isnan(row.last_s) else units.latency(row.last_s)


def bound_text(value_s: float, cut_s: float) -> str:
    """A percentile; ``>=5.0s`` from where on checks were given up: it is at least so long."""
    return f">={units.latency(value_s)}" if value_s >= cut_s else units.latency(value_s)


def failures_text(row: EndpointRow) -> str:
    """Why checks failed, and how often: ``25x timeout, 5x 503``; empty where none did."""
    return ", ".join(f"{count}x {name}" for name, count in row.failures)


def error_text(ratio: float) -> str:
    """Percent that is only 0 where there is no error at all."""
    if isnan(ratio):
        return units.UNKNOWN
    return "<0.1" if 0 < ratio < 0.0005 else "100" if ratio >= 0.9995 else f"{ratio * 100:.1f}"


def availability_text(ratio: float) -> str:
    """Percent that is only 100 where it was never down."""
    return units.UNKNOWN if isnan(ratio) else "100" if ratio >= 1 else f"{floor(ratio * 1000 + 1e-9) / 10:.1f}"


def days_text(seconds: float) -> str:
    """Until a certificate ends: ``80d``, ``7h``, ``-2d`` since it did."""
    if isnan(seconds):
        return ""
    return f"{int(seconds / _DAY_S)}d" if abs(seconds) >= _DAY_S else f"{int(seconds / 3600)}h"


def numbers(row: EndpointRow, now: float) -> str:
    """What its checks measured, in brief: ``p95 141ms n 180  err 0.0%  cert 12d``."""
    parts = [
        f"p95 {bound_text(row.p95_s, row.cut_s)} n {units.count(row.n)}" if row.n else "",
        f"err {error_text(row.error_ratio)}%" if row.checks else "",
        f"cert {days_text(row.expires - now)}" if not isnan(row.expires) else "",
    ]
    return "  ".join(filter(None, parts))


def copied(row: EndpointRow, now: float) -> str:
    """Everything that its line tells, as text."""
    percentiles = ((50, row.p50_s), (95, row.p95_s), (99, row.p99_s))
    parts = [
        f"{row.name} {state_of(row, now)}" + (f" for {lasting(now - row.since)}" if not isnan(row.since) else ""),
        why(row, now),
        row.url,
        f"status {row.status}" if row.status else "",
        f"last {last_text(row)}",
        " ".join(["probe", *(f"p{p} {bound_text(value, row.cut_s)}" for p, value in percentiles), f"(n {row.n})"]),
        f"failed {failures_text(row)}" if row.failures else "",
        f"error {error_text(row.error_ratio)}%  availability {availability_text(row.availability)}%",
        f"certificate {days_text(row.expires - now)}" if not isnan(row.expires) else "",
    ]
    return "  ".join(filter(None, parts))


# Thresholds -----------------------------------------------------------------------------------------------------------------------


def _definition(row: EndpointRow, metric: str) -> SeriesDef:
    return SeriesDef(metric, (("endpoint", row.name), ("service", row.service)))


def limits(state: State, row: EndpointRow) -> Limits:
    """The thresholds of its latency, mildest first: those in force, and what is expected of it."""
    definition = _definition(row, "httpcheck.duration")
    rules = state.stream.rules if state.stream else ()
    found = [(rule.limit, rule.severity) for rule in rules if rule.colour and rule.above and rule.covers(definition)]
    return tuple(sorted([*found, *([] if isnan(row.limit_s) else [(row.limit_s, "warning")])]))


def certificate_severity(state: State, row: EndpointRow, now: float) -> str:
    """What the end of its certificate means; empty for nothing."""
    definition, left_s = _definition(row, "httpcheck.tls.expiry"), row.expires - now
    rules = state.stream.rules if state.stream else ()
    broken = [rule.severity for rule in rules if rule.covers(definition) and rule.breached(left_s)]
    if not row.verified:
        broken.append("critical" if row.cause == "tls" else "warning")
    return max(broken, key=rank, default="")


# Order, and what changed ----------------------------------------------------------------------------------------------------------


def unrest(row: EndpointRow, now: float, alerts: Mapping[str, str]) -> float:
    """How much it asks for a look: by its state, what is up by its alerts, and of two alike by which is configured to be critical.

    Args:
        row: The endpoint.
        now: Epoch seconds.
        alerts: See `endpoint_alerts.alerting`.
    """
    state = state_of(row, now)
    if state == "up":
        state = alerts.get(row.name, state)
    elif state == "unknown" and not row.cause:
        state = "maintenance"  # merely not checked yet
    return _UNREST.get(state, 0.0) + 0.5 * row.critical


def changes(state: State, names: Collection[str], most: int) -> list[Event]:
    """The last changes of some endpoints' states, the newest first."""
    found = (event for event in reversed(state.events) if event.kind == "endpoint" and event.scope in names)
    return list(islice(found, most))


def change(event: Event) -> EndpointChange:
    """What an event says of an endpoint's state: ``checkout: down, timeout: no first byte within 5.0s``."""
    state, _, why = event.text.removeprefix(f"{event.scope}: ").partition(", ")
    return EndpointChange(event.time_hi, state, once(why))


# History --------------------------------------------------------------------------------------------------------------------------


def history(state: State, row: EndpointRow, cells: int, window_s: float) -> list[float]:
    """One value a bucket of time, the last one containing now.

    Args:
        state: What is known.
        row: The endpoint.
        cells: Number of buckets.
        window_s: Seconds they cover together.

    Returns:
        The highest latency of a bucket in seconds, 0 where there is none; `FAILED` when any check in it did, `UNMEASURED` when none told
        anything; NaN where there was no check.
    """
    found = state.find("httpcheck.up", endpoint=row.name, service=row.service)
    took = state.find("httpcheck.duration", endpoint=row.name, service=row.service)
    if found is None or took is None or isnan(state.at) or cells < 1:
        return [nan] * cells
    width_s = max(window_s / cells, 1e-3)
    first = int(state.at // width_s) - cells + 1
    out = [nan] * cells
    for at, up, latency in _checks(found, took, (first - 3) * width_s):
        k = int(at // width_s) - first
        if 0 <= k < cells:
            out[k] = _worse(out[k], UNMEASURED if isnan(up) else FAILED if up < 1 else 0.0 if isnan(latency) else latency)
    ring = found.ring
    return bridged(out, width_s, ring.interval_s, begun=begun(ring.last, state.at, width_s, ring.interval_s))


def _checks(up: Series, took: Series, since: float) -> Iterable[tuple[float, float, float]]:
    (times, ups), (_, latencies) = up.points(since), took.points(since)  # of one group: they share a time axis
    return zip(times, ups, latencies, strict=True)


def _worse(known: float, value: float) -> float:
    if FAILED in {known, value}:
        return FAILED
    return value if isnan(known) or known == UNMEASURED else known if value == UNMEASURED else max(known, value)


def put_history(line: Line, look: Look, values: Sequence[float], over: Limits = ()) -> None:
    """Draw a history: bars by latency, a mark for what failed, a gap for what is not known.

    What lies before the first check is nothing that was missed, and stays empty.
    """
    bars = look.glyphs.bars
    top = scale_top([value for value in values if value >= 0], LEAST_S)
    cells: list[tuple[str, str]] = []
    begun = False
    for value in values:
        if isnan(value) or value == UNMEASURED:
            begun = begun or value == UNMEASURED
            cells.append((look.glyphs.gap if begun else " ", "border"))
            continue
        begun = True
        if value == FAILED:
            cells.append((look.glyphs.failed, "critical_bar"))
        else:
            role = next((f"{severity}_bar" for limit, severity in reversed(over) if value > limit), "chart")
            cells.append((bars[min(int(value / top * len(bars)), len(bars) - 1)], role))
    put_cells(line, cells)
