"""Probes of one target: what they amount to, and the JSON object ``perfconsole.probe/1``. Pure: outcomes in, plain values out."""

from collections.abc import Iterable, Sequence
from math import isfinite, isnan, nan
from typing import Any, Final, NamedTuple

from perfconsole.core import units
from perfconsole.core.alert_order import rank
from perfconsole.core.checks import PHASES, Assertion, Certificate, Hop, Outcome, TlsFacts, ending, expiry
from perfconsole.core.percentiles import Percentiles, percentiles
from perfconsole.core.tick import Rule, SeriesDef
from perfconsole.outputs.snapshot import heading, rfc3339

SCHEMA: Final = "perfconsole.probe/1"
_EXPIRY: Final = "httpcheck.tls.expiry"


class Probed(NamedTuple):
    """What is known of one target.

    Attributes:
        at: When, epoch seconds; `host` from where.
        name: What the endpoint is called, and the `service` it belongs to.
        url: What was probed, without secrets.
        outcomes: One a probe, in order; one at least.
        rules: The thresholds in force.
    """

    at: float
    host: str
    name: str
    service: str
    url: str
    outcomes: Sequence[Outcome]
    rules: Sequence[Rule] = ()

    @property
    def last(self) -> Outcome:
        """The outcome that speaks for the target: the last one that tells something of it, if any does."""
        return next((outcome for outcome in reversed(self.outcomes) if not outcome.unmeasured), self.outcomes[-1])


class Finding(NamedTuple):
    """Something to be looked at, though the target may be up."""

    severity: str
    words: str


class Spread(NamedTuple):
    """How values spread, in their unit; NaN where there are too few. Those from `bound` on are lower bounds: checks were given up there."""

    least: float
    percentiles: Percentiles
    most: float
    bound: float = nan


def severity(probed: Probed) -> str:
    """What a script should take the target for: ``critical`` when it is down; ``warning`` when it is up but was not each time.

    A certificate that is about to end is as severe as the threshold in force says. Others of them do not count here, since one slow probe
    is no verdict; but nothing about the end of a certificate would become clearer with time. ``unknown`` when something could not be
    measured, and what was gives no reason to worry; else ``ok``.
    """
    told = [outcome for outcome in probed.outcomes if not outcome.unmeasured]
    found = [finding.severity for finding in findings(probed)]
    if told and not told[-1].ok:
        found.append("critical")
    elif not all(outcome.ok for outcome in told):
        found.append("warning")
    worst = max(found, key=rank, default="info")
    if worst != "info":
        return worst
    return "ok" if len(told) == len(probed.outcomes) else "unknown"


def findings(probed: Probed) -> list[Finding]:
    """The threshold that the end of its certificates has crossed, the most severe one; none where that is why it is down."""
    left_s = expiry(probed.last) - probed.last.at
    if isnan(left_s) or probed.last.cause == "tls":
        return []
    series = SeriesDef(_EXPIRY, (("endpoint", probed.name), ("service", probed.service)))
    broken = [rule for rule in probed.rules if rule.covers(series) and rule.breached(left_s)]
    if not broken:
        return []
    rule = max(broken, key=lambda rule: rank(rule.severity))
    limit = f"{'over' if rule.above else 'under'} {units.duration(rule.limit)}"
    return [Finding(rule.severity, f"a certificate {ends(left_s)} ({rule.name}: {limit})")]


def ends(left_s: float) -> str:
    """When a certificate ends: ``ends in 4d23h``, ``ended 2d0h ago``."""
    return f"ends in {units.duration(left_s)}" if left_s > 0 else f"ended {units.duration(-left_s)} ago"


def latencies(outcomes: Iterable[Outcome]) -> Spread:
    """How latencies spread: a timeout counts as at least what it lasted, another failure only where it is one of the latency."""
    return _spread([(outcome.latency_s, outcome.at_least) for outcome in outcomes])


def of_phase(outcomes: Iterable[Outcome], phase: str) -> Spread:
    """Likewise of one phase, of those probes that entered it."""
    timed = [outcome for outcome in outcomes if not isnan(outcome.latency_s)]
    return _spread([(getattr(outcome.phases, phase), outcome.at_least and entered(outcome)[-1:] == [phase]) for outcome in timed])


def entered(outcome: Outcome) -> list[str]:
    """The phases that it came to; it was given up in the last."""
    return [phase for phase in PHASES if not isnan(getattr(outcome.phases, phase))]


def _spread(values: Sequence[tuple[float, bool]]) -> Spread:
    known = [(value, bound) for value, bound in values if not isnan(value)]
    numbers = [value for value, _ in known]
    bound = min((value for value, bound in known if bound), default=nan)
    return Spread(min(numbers, default=nan), percentiles(numbers), max(numbers, default=nan), bound)


def probe(probed: Probed) -> dict[str, Any]:
    """What is known, for programs.

    Returns:
        Base units; None for what is unknown. What stands beside ``attempts`` is that of the last one that tells something. Of ``latency``
        what is not under ``bound_s`` is a lower bound: a probe was given up there.
    """
    last = probed.last
    return {
        **heading(SCHEMA, probed.at, probed.host),
        "name": probed.name,
        "url": probed.url,
        "severity": severity(probed),
        **_attempt(last),
        "tls": _tls(last.tls, last.at) if last.tls else None,
        "redirects": [_hop(hop) for hop in last.hops],
        "assertions": [_assertion(one) for one in last.assertions],
        "headers": [{"name": name, "value": value} for name, value in last.headers],
        "body": last.body or None,
        "warnings": [finding.words for finding in findings(probed)],
        "latency": _latency(latencies(probed.outcomes)),
        "attempts": [{"at": rfc3339(outcome.at), **_attempt(outcome)} for outcome in probed.outcomes],
    }


def _attempt(outcome: Outcome) -> dict[str, Any]:
    protocol = outcome.protocol
    return {
        "up": None if outcome.unmeasured else outcome.ok,
        "class": outcome.cause or None,
        "error": outcome.error or None,
        "status": outcome.status or None,
        "phases": {f"{phase}_s": _known(getattr(outcome.phases, phase)) for phase in PHASES},
        "total_s": _known(outcome.total_s),
        "at_least": outcome.at_least,
        "address": outcome.address or None,
        "http_version": protocol.removeprefix("HTTP/") if protocol.startswith("HTTP/") else None,
        "bytes": None if isnan(outcome.size_bytes) else int(outcome.size_bytes),
        "doubt_s": _known(outcome.doubt_s),
        "slot_wait_s": _known(outcome.slot_wait_s),
        "late_s": _known(outcome.late_s),
    }


def _hop(hop: Hop) -> dict[str, Any]:
    return {"url": hop.url, "status": hop.status or None, "total_s": _known(hop.seconds), "not_after": rfc3339(hop.expires)}


def _tls(tls: TlsFacts, at: float) -> dict[str, Any]:
    return {
        "not_after": rfc3339(ending(tls, at)),
        "verified": tls.verified,
        "error": tls.error or None,
        "version": tls.version or None,
        "cipher": tls.cipher or None,
        "chain": [_certificate(certificate) for certificate in tls.chain],
    }


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "names": list(certificate.names),
        "not_before": rfc3339(certificate.not_before),
        "not_after": rfc3339(certificate.not_after),
    }


def _assertion(one: Assertion) -> dict[str, Any]:
    return {"expected": one.expected, "ok": one.ok, "found": one.found or None}


def _latency(spread: Spread) -> dict[str, Any]:
    found = spread.percentiles
    return {
        "n": found.n,
        "min_s": _known(spread.least),
        "p50_s": _known(found.p50),
        "p90_s": _known(found.p90),
        "p95_s": _known(found.p95),
        "p99_s": _known(found.p99),
        "max_s": _known(spread.most),
        "bound_s": _known(spread.bound),
    }


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
