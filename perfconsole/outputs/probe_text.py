"""Probes of one target for a person: what it is, where the time went, what was expected and what was found. Pure: outcomes in, text out."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.checks import PHASES, Certificate, Outcome, TlsFacts
from perfconsole.outputs.paper import WORDS, Paper
from perfconsole.outputs.probe import Probed, Spread, ends, entered, findings, latencies, of_phase, severity

_LABEL: Final = 11
_INDENT: Final = 2
_TIME: Final = 8
_NOTICED_S: Final = 0.01
_NOTICED_RATIO: Final = 0.1
"""Of a latency: what may be the console's own is told from there on, or from `_NOTICED_S`."""

_COLUMNS: Final = ("min", "p50", "p90", "p95", "p99", "max")
_FIRST_TO_GO: Final = frozenset({"min", "p90"})
_WIDE: Final = 78
"""Columns that all of them take."""


def text(probed: Probed, paper: Paper, asked: int = 1) -> str:
    """One probe; of several the counts, the last failure or else the last probe, percentiles, and a chart.

    Args:
        probed: What is known.
        paper: What it is printed on.
        asked: How many probes there were to be; fewer were interrupted.
    """
    if asked == 1:
        blocks = list(_told(probed, probed.last, paper))
    else:
        from perfconsole.outputs.chart import chart  # noqa: PLC0415  # plotext takes 40 ms, which one probe has no use for

        outcomes = probed.outcomes
        blocks = [_counted(probed, paper, asked), *_one_of(probed, paper), _table(outcomes, paper), chart(outcomes, paper)]
    return paper.printable("\n\n".join("\n".join(lines) for block in blocks if (lines := [line.rstrip() for line in block])) + "\n")


def heading(url: str, count: int, paper: Paper) -> str:
    """What several probes begin with, before the first is done."""
    return paper.printable(f"{url}  {count} probes, a second apart")


def line(number: int, outcome: Outcome, paper: Paper) -> str:
    """One probe of several, in one line."""
    sign = _sign(outcome)
    word = f"{paper.glyph(sign)} {'up' if outcome.ok else 'unknown' if outcome.unmeasured else 'down':<7}"
    facts = f" {_code(outcome):<9} {_seconds(outcome.total_s, bound=outcome.at_least):>8}"
    why = paper.cut(f"  {outcome.error}", paper.width - 6 - len(word + facts)) if outcome.error else ""
    return paper.printable(f"{number:>4}  {paper.ink(word, sign)}{facts}{why}").rstrip()


# One probe ------------------------------------------------------------------------------------------------------------------------


def _told(probed: Probed, outcome: Outcome, paper: Paper) -> Iterator[Iterator[str]]:
    """One outcome in full, in blocks that blank lines part."""
    yield _state(probed, outcome, paper)
    yield _way(outcome, paper)
    yield _phases(outcome, paper)
    yield _hops(outcome, paper)
    if outcome.tls:
        yield _tls(outcome.tls, outcome, paper)
    yield _assertions(outcome, paper)
    yield _headers(outcome, paper)
    yield _body(outcome, paper)


def _state(probed: Probed, outcome: Outcome, paper: Paper) -> Iterator[str]:
    sign = _sign(outcome)
    word = "UP" if outcome.ok else "NOT MEASURED" if outcome.unmeasured else "DOWN"
    took = f"{'at least ' if outcome.at_least else ''}{units.latency(outcome.total_s)}"
    facts = () if outcome.unmeasured else (outcome.cause, str(outcome.status or ""), took)
    yield "  ".join(filter(None, (paper.ink(f"{paper.glyph(sign)} {word}", sign), *facts)))
    for finding in findings(probed) if outcome is probed.last else ():
        yield paper.ink(f"{paper.glyph(finding.severity)} {WORDS[finding.severity]}", finding.severity) + f"  {finding.words}"
    own = f"://{probed.name}" not in probed.url and probed.name != probed.url  # else it is called by its host and path
    name = f"{probed.name}  " if own else ""
    yield from (f"{'':{_INDENT}}{part}" for part in paper.wrapped(f"{name}{probed.url}", _INDENT))
    if outcome.error:
        yield from (f"{'':{_INDENT}}{paper.ink(part, sign)}" for part in paper.wrapped(outcome.error, _INDENT))


def _way(outcome: Outcome, paper: Paper) -> Iterator[str]:
    size = "" if isnan(outcome.size_bytes) else units.size(outcome.size_bytes)
    facts = "  ".join(filter(None, (outcome.address, outcome.protocol, size)))
    if facts:
        yield from _row("address", facts, paper)
    if outcome.doubt_s and outcome.doubt_s >= min(_NOTICED_S, _NOTICED_RATIO * outcome.total_s):
        yield from _row("doubt", f"up to {units.latency(outcome.doubt_s)} of the latency may be this machine's own", paper)


def _phases(outcome: Outcome, paper: Paper) -> Iterator[str]:
    """A row a phase, each bar where those before it end: what was not entered leaves its row empty."""
    known = entered(outcome)
    if not known:
        return
    yield _title("phases", paper)
    times = [0.0 if isnan(seconds := getattr(outcome.phases, phase)) else seconds for phase in PHASES]
    cells = paper.width - _INDENT - _LABEL - _TIME - 2
    total_s = sum(times)
    for phase, end_s, seconds in zip(PHASES, accumulate(times), times, strict=True):
        if phase not in known:
            yield f"{'':{_INDENT}}{phase:<{_LABEL}}{units.UNKNOWN:>{_TIME}}"
            continue
        time = _seconds(seconds, bound=outcome.at_least and phase == known[-1])
        yield f"{'':{_INDENT}}{phase:<{_LABEL}}{time:>{_TIME}}  {_bar(end_s - seconds, end_s, total_s, cells, paper)}"
    yield f"{'':{_INDENT}}{'total':<{_LABEL}}{_seconds(outcome.total_s, bound=outcome.at_least):>{_TIME}}"


def _bar(begin_s: float, end_s: float, total_s: float, cells: int, paper: Paper) -> str:
    """From a moment to another on a scale of which all takes all cells; a cell at least."""
    if not total_s > 0:
        return ""
    begin = min(round(begin_s / total_s * cells), cells - 1)
    end = max(begin + 1, round(end_s / total_s * cells))
    return " " * begin + paper.ink(paper.char("█", "#") * (end - begin), "bar")


def _hops(outcome: Outcome, paper: Paper) -> Iterator[str]:
    if outcome.hops:
        yield _title("redirects", paper)
    for hop in outcome.hops:
        certificate = "" if isnan(hop.expires) or hop is outcome.hops[-1] else f"  certificate {ends(hop.expires - outcome.at)}"
        label = f"{hop.status or units.UNKNOWN:>3}{units.latency(hop.seconds):>8}"
        yield from _row(label, f"{hop.url}{certificate}", paper, columns=_LABEL + 2)


def _tls(tls: TlsFacts, outcome: Outcome, paper: Paper) -> Iterator[str]:
    yield _title("TLS", paper)
    spoken = " ".join(filter(None, (tls.version, tls.cipher)))
    if spoken:
        yield from _row("spoken", spoken, paper)
    why = "" if tls.error and tls.error == outcome.error else f": {tls.error or 'nobody asked for it (insecure)'}"
    yield from _row("verdict", "verified" if tls.verified else f"not verified{why}", paper, sign="critical" if tls.error else "")
    for certificate in tls.chain:
        yield from _certificate(certificate, outcome.at, paper)


def _certificate(certificate: Certificate, at: float, paper: Paper) -> Iterator[str]:
    left_s = certificate.not_after - at
    when = "when it ends is not known" if isnan(left_s) else ends(left_s)
    begins = f", begins in {units.duration(certificate.not_before - at)}" if certificate.not_before > at else ""
    yield from _row("", f"{certificate.subject or '(no name)'}  {when}{begins}", paper)
    names = f"for {', '.join(certificate.names)}  " if certificate.names else ""
    yield from _row("", f"  {names}by {certificate.issuer or '(nobody)'}", paper, sign="dim")


def _assertions(outcome: Outcome, paper: Paper) -> Iterator[str]:
    if outcome.assertions:
        yield _title("expected", paper)
    for one in outcome.assertions:
        sign, word = ("ok", "ok") if one.ok else ("critical", "failed")
        found = f"  found: {one.found}" if one.found else ""
        yield from _row(f"{paper.glyph(sign)} {word}", f"{one.expected}{found}", paper, sign="" if one.ok else sign)


def _headers(outcome: Outcome, paper: Paper) -> Iterator[str]:
    """As they were sent; of a failure alone they are kept, and likewise the body."""
    if outcome.headers:
        yield _title("response headers", paper)
    for name, value in outcome.headers:
        yield from (f"{'':{_INDENT}}{part}" for part in paper.chopped(f"{name}: {value}", _INDENT))


def _body(outcome: Outcome, paper: Paper) -> Iterator[str]:
    if outcome.body:
        yield _title("start of the body", paper)
        yield from (f"{'':{_INDENT}}{part}" for part in paper.chopped(outcome.body, _INDENT))


# Several ---------------------------------------------------------------------------------------------------------------------------


def _counted(probed: Probed, paper: Paper, asked: int) -> Iterator[str]:
    outcomes, sign = probed.outcomes, severity(probed)
    counts = (("up", sum(one.ok for one in outcomes)), ("not measured", sum(one.unmeasured for one in outcomes)))
    down = len(outcomes) - sum(count for _, count in counts)
    parts = [f"{count} {word}" for word, count in (counts[0], ("down", down), counts[1]) if count]
    done = f"{len(outcomes)} probes" if len(outcomes) == asked else f"interrupted after {len(outcomes)} of {asked} probes"
    yield f"{paper.ink(f'{paper.glyph(sign)} {WORDS[sign]}', sign)}  {done}: {', '.join(parts)}"


def _one_of(probed: Probed, paper: Paper) -> Iterator[Iterator[str]]:
    """The last failure in full, or else the last probe."""
    outcomes = probed.outcomes
    failures = [at for at, outcome in enumerate(outcomes) if not outcome.ok]
    at = failures[-1] if failures else len(outcomes) - 1
    first, *others = _told(probed, outcomes[at], paper)
    yield chain([_title(f"{'the last that failed' if failures else 'the last'}, number {at + 1}", paper)], first)
    yield from others


def _table(outcomes: Sequence[Outcome], paper: Paper) -> Iterator[str]:
    whole = latencies(outcomes)
    if not whole.percentiles.n:
        return
    columns = _COLUMNS if paper.width >= _WIDE else tuple(name for name in _COLUMNS if name not in _FIRST_TO_GO)
    yield _title(f"{'probe percentiles':<19}{'n':>5}", paper) + "".join(f"{name:>9}" for name in columns)
    for name, spread in (("total", whole), *((phase, of_phase(outcomes, phase)) for phase in PHASES)):
        if spread.percentiles.n:
            cells = _cells(spread)
            yield f"{'':{_INDENT}}{name:<17}{spread.percentiles.n:>5}" + "".join(f"{cells[column]:>9}" for column in columns)


def _cells(spread: Spread) -> dict[str, str]:
    _, *found = spread.percentiles
    values = zip(_COLUMNS, (spread.least, *found, spread.most), strict=True)
    return {name: _seconds(value, bound=value >= spread.bound) for name, value in values}


# Words ----------------------------------------------------------------------------------------------------------------------------


def _sign(outcome: Outcome) -> str:
    return "ok" if outcome.ok else "unknown" if outcome.unmeasured else "critical"


def _code(outcome: Outcome) -> str:
    """The status where that decided; else why it failed."""
    if outcome.ok or outcome.cause == "status":
        return str(outcome.status or "")
    return "" if outcome.unmeasured else outcome.cause


def _seconds(seconds: float, *, bound: bool) -> str:
    """A time; where it is a lower bound, so marked."""
    return f"{'>=' if bound else ''}{units.latency(seconds)}"


def _title(words: str, paper: Paper) -> str:
    return paper.ink(words, "title")


def _row(label: str, words: str, paper: Paper, *, sign: str = "", columns: int = _LABEL) -> Iterator[str]:
    for at, part in enumerate(paper.wrapped(words, _INDENT + columns)):
        yield f"{'':{_INDENT}}{'' if at else label:<{columns}}{paper.ink(part, sign) if sign else part}"
