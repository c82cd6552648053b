"""An endpoint and an outcome in words, for who asks for one of them: how it is checked, and what came of it."""

from collections.abc import Iterator
from math import isnan

from perfconsole.collectors.http.following.followed import shown
from perfconsole.core.checks import Check, Outcome, Timeouts
from perfconsole.core.redact import MASK, redact
from perfconsole.core.text import safe
from perfconsole.core.units import latency

_REFERENCES = ("${", "file:")


def facts(check: Check) -> list[tuple[str, str]]:
    """How an endpoint is checked, name and text, as it is configured; secrets as references only."""
    return [(name, safe(text, 500)) for name, text in _facts(check) if text]


def _facts(check: Check) -> Iterator[tuple[str, str]]:
    yield {"http": "url", "dns": "query"}.get(check.kind, "address"), shown(check)
    if check.kind == "http":
        yield from _request(check)
    if check.kind == "dns":
        yield "record", check.record
        yield "server", check.server or "the machine's own resolver"
    yield "interval", f"{_seconds(check.interval_s)}, {_seconds(check.failing_s)} while it fails"
    yield "timeout", _seconds(check.timeout_s) + _phases(check.timeouts)
    yield "expect", "; ".join(_expected(check))
    yield "tls", "; ".join(_tls(check))
    yield "connect to", check.connect_to
    yield "family", f"IPv{check.family}" if check.family else ""
    yield "down after", f"{check.failures} failures, up again after {check.successes}"
    yield "depends on", " ".join(check.depends_on)
    yield from (("maintenance", _window(window.begin, window.end, window.days, window.zone)) for window in check.maintenance)
    yield "group", check.group
    yield "service", check.service
    yield "labels", " ".join(f"{name}={value}" for name, value in check.labels)
    yield "unit", check.unit
    yield "database", check.database
    yield "runbook", check.runbook


def _request(check: Check) -> Iterator[tuple[str, str]]:
    yield "method", check.method
    yield from ((f"header {name}", _reference(value)) for name, value in check.headers)
    yield "host", check.host
    # What is no reference is named, and no more: a body may hold a password under any name.
    yield "body", f"{len(check.body)} characters" if check.body else ""
    yield "auth", " ".join([check.auth[0], *map(_reference, check.auth[1:])]) if check.auth else ""
    yield "redirects", str(check.redirects) if check.redirects else "never followed"
    yield "proxy", redact(check.proxy)


def _reference(text: str) -> str:
    return text if text.startswith(_REFERENCES) else MASK


def _phases(limits: Timeouts) -> str:
    named = [(name, getattr(limits, name)) for name in limits.__struct_fields__]
    told = [f"{name} {_seconds(seconds)}" for name, seconds in named if not isnan(seconds)]
    return f" ({', '.join(told)})" if told else ""


def _expected(check: Check) -> Iterator[str]:
    expect = check.expect
    if check.kind == "http":
        ranges = expect.status or ((200, 399),)
        yield "status " + ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in ranges)
    for name, text in (("body has", expect.body), ("body has no", expect.not_body), ("body ~", expect.regex)):
        if text:
            yield f"{name} {text!r}"
    yield from (f"header {name} ~ {pattern}" for name, pattern in expect.header)
    yield from (f"{test.path} {test.operator} {test.value!r}" for test in expect.json)
    if expect.answers:
        yield "answers with one of " + ", ".join(expect.answers)
    if not isnan(expect.max_latency_s):
        yield f"within {latency(expect.max_latency_s)}"


def _tls(check: Check) -> Iterator[str]:
    tls = check.tls
    for name, text in (("trusts", tls.ca), ("shows", tls.cert), ("asks for", tls.server_name)):
        if text:
            yield f"{name} {text}"
    if tls.insecure:
        yield "takes any certificate"


def _window(begin: str, end: str, days: tuple[str, ...], zone: str) -> str:
    return f"{' '.join(days)} {begin} to {end} {zone}".strip()


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s"


def said(outcome: Outcome) -> str:
    """An outcome in one line: ``checkout: up, 200 in 88ms``."""
    if outcome.unmeasured:
        return f"{outcome.name}: not measured: {outcome.error}"
    if not outcome.ok:
        return f"{outcome.name}: failed, {outcome.cause}: {outcome.error}"
    status = f"{outcome.status} " if outcome.status else ""
    return f"{outcome.name}: up, {status}in {latency(outcome.total_s)}"
