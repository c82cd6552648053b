"""Probes as text and JSON: what they amount to, where the time went, what is a lower bound; and nothing is known that is not."""

import json
import re
from math import isnan, nan

import pytest
from msgspec import structs

from perfconsole.core.checks import Assertion, Certificate, Hop, Outcome, Phases, TlsFacts
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import Rule
from perfconsole.outputs.paper import Paper
from perfconsole.outputs.probe import Probed, Spread, findings, latencies, of_phase, probe, severity
from perfconsole.outputs.probe_text import line, text
from perfconsole.outputs.snapshot import encode, rfc3339

AT = 1_800_000_000.0
DAY_S = 86_400.0
PAPER = Paper()


def up(total_s=0.02, **fields):
    phases = Phases(connect=total_s / 4, send=0.0, wait=total_s / 2, transfer=total_s / 4)
    return Outcome(**({"name": "a", "at": AT, "ok": True, "phases": phases, "total_s": total_s, "status": 200} | fields))


def down(cause, total_s=0.02, **fields):
    return up(total_s, **({"ok": False, "cause": cause, "error": f"{cause} in words"} | fields))


def refused():
    return down("connect", 0.0001, phases=Phases(connect=0.0001), status=0)


def hung(total_s=5.0):
    return down("timeout", total_s, phases=Phases(connect=0.001, send=0.0, wait=total_s - 0.001), at_least=True, status=0)


def ours():
    return Outcome("a", AT, ok=False, cause="unmeasured", error="no descriptors")


def probed(*outcomes, rules=SHIPPED):
    return Probed(AT, "box", "shop/x", "shop", "http://shop/x", outcomes, rules)


def certified(*days, **fields):
    chain = tuple(Certificate(f"CN=c{number}", "CN=root", ("shop",), AT - DAY_S, AT + day * DAY_S) for number, day in enumerate(days))
    return up(tls=TlsFacts(chain, verified=True, version="TLSv1.3", cipher="AES"), **fields)


def document(*outcomes, **how):
    return json.loads(encode(probe(probed(*outcomes, **how))))


def words(*outcomes, paper=PAPER, **how):
    return text(probed(*outcomes, **how), paper, len(outcomes)).splitlines()


# What they amount to --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        ([up()], "ok"), ([down("status")], "critical"), ([ours()], "unknown"),
        ([up(), up()], "ok"), ([down("status"), up()], "warning"), ([up(), down("status")], "critical"),
        ([up(), ours()], "unknown"), ([down("status"), ours()], "critical"), ([down("status"), up(), ours()], "warning"),
        ([ours(), down("status")], "critical"),
    ],
)  # fmt: skip
def test_severity_is_that_of_the_last_one_that_tells_something(outcomes, found):
    assert severity(probed(*outcomes)) == found


@pytest.mark.parametrize(
    ("days", "found"),
    [((90, 200), "ok"), ((14.01,), "ok"), ((13.9, 200), "warning"), ((200, 13.9), "warning"), ((2.9,), "critical"), ((-1,), "critical")],
)
def test_the_first_certificate_to_end_is_what_counts(days, found):
    assert severity(probed(certified(*days))) == found
    assert document(certified(*days))["up"] is True


def test_of_an_accepted_chain_what_has_ended_was_of_no_use_to_anybody():
    """The console and a probe say the same: an old cross-signed root beside the leaf."""
    crossed = certified(80, -100)
    assert (severity(probed(crossed)), findings(probed(crossed))) == ("ok", [])
    assert document(crossed)["tls"]["not_after"] == rfc3339(AT + 80 * DAY_S)
    refused = up(tls=structs.replace(crossed.tls, verified=False))
    assert severity(probed(refused)) == "critical"


def test_the_certificate_of_a_hop_counts_as_well():
    hops = (Hop("https://shop/", 301, 0.01, AT + 2 * DAY_S), Hop("https://www.shop/", 200, 0.01, AT + 80 * DAY_S))
    led = certified(80, hops=hops)
    assert [finding.severity for finding in findings(probed(led))] == ["critical"]
    found = document(led)
    assert [hop["not_after"] for hop in found["redirects"]] == [rfc3339(AT + 2 * DAY_S), rfc3339(AT + 80 * DAY_S)]
    assert found["tls"]["not_after"] == rfc3339(AT + 80 * DAY_S)
    (first,) = [row for row in words(led) if "https://shop/" in row]
    assert first.endswith("https://shop/  certificate ends in 2d0h")
    assert not any("www.shop/  certificate" in row for row in words(led))


def test_only_a_rule_about_this_endpoint_counts_and_the_worst_of_several():
    def rule(name, level, endpoint):
        return Rule(name, level, "httpcheck.tls.expiry", 30 * DAY_S, above=False, match=(("endpoint", endpoint), ("service", "*")))

    assert findings(probed(certified(20), rules=[rule("other", "critical", "other")])) == []
    (found,) = findings(probed(certified(20), rules=[rule("mild", "warning", "shop*"), rule("grave", "critical", "*")]))
    assert (found.severity, found.words) == ("critical", "a certificate ends in 20d (grave: under 30d)")


def test_slowness_alone_is_no_severity():
    assert severity(probed(up(30.0))) == "ok"  # thresholds of the response are over 0.5 s and 1 s


def test_a_certificate_that_is_why_it_is_down_is_not_told_twice():
    broken = certified(-3, ok=False, cause="tls", error="certificate not accepted: expired")
    assert findings(probed(broken)) == []
    assert severity(probed(broken)) == "critical"


# JSON -----------------------------------------------------------------------------------------------------------------------------


def test_what_is_unknown_is_null():
    found = document(ours())
    assert found["phases"] == dict.fromkeys(["dns_s", "connect_s", "tls_s", "send_s", "wait_s", "transfer_s"])
    unknown = ("up", "status", "total_s", "address", "http_version", "bytes", "tls", "body")
    assert {name: found[name] for name in unknown} == dict.fromkeys(unknown)
    assert found["latency"] == {"n": 0} | dict.fromkeys(["min_s", "p50_s", "p90_s", "p95_s", "p99_s", "max_s", "bound_s"])
    assert (found["class"], found["severity"], found["generated_at"]) == ("unmeasured", "unknown", "2027-01-15T08:00:00.000Z")


def test_what_is_the_consoles_own_is_told_of_each_attempt():
    (attempt,) = document(up(doubt_s=0.002, slot_wait_s=0.1, late_s=0.03))["attempts"]
    assert (attempt["doubt_s"], attempt["slot_wait_s"], attempt["late_s"]) == (0.002, 0.1, 0.03)


def test_from_where_on_percentiles_are_lower_bounds_is_told():
    assert document(*[up(0.1)] * 5, hung(5.0), hung(2.0))["latency"]["bound_s"] == 2.0
    assert document(up(0.1))["latency"]["bound_s"] is None


def test_what_stands_beside_the_attempts_is_that_of_the_last_one_that_tells_something():
    found = document(up(0.01), up(0.02, status=204), ours())
    assert (found["total_s"], found["status"], found["up"]) == (0.02, 204, True)
    assert [attempt["up"] for attempt in found["attempts"]] == [True, True, None]


def test_a_certificate_without_a_readable_date_is_unknown_not_ended():
    found = document(up(tls=TlsFacts((Certificate("(not readable)", "", (), nan, nan),), verified=False, error="odd")))
    assert found["tls"]["not_after"] is None
    assert found["tls"]["chain"][0]["not_after"] is None
    assert found["severity"] == "ok"


# Spreads --------------------------------------------------------------------------------------------------------------------------


def test_a_timeout_counts_as_at_least_what_it_lasted_and_a_quick_failure_not_at_all():
    found = latencies([up(0.01), up(0.03), hung(5.0), refused(), ours()])
    assert (found.least, found.most, found.percentiles.n, found.percentiles.p50, found.bound) == (0.01, 5.0, 3, 0.03, 5.0)
    assert isnan(found.percentiles.p90)


def test_nothing_known_has_no_spread():
    found = latencies([refused(), ours()])
    assert found.percentiles.n == 0
    assert all(isnan(value) for value in (found.least, found.most, found.bound))
    assert isinstance(found, Spread)


def test_only_the_phase_in_which_it_was_given_up_is_a_lower_bound():
    outcomes = [up(0.04), hung(5.0)]
    assert of_phase(outcomes, "wait").bound == pytest.approx(4.999)
    assert isnan(of_phase(outcomes, "connect").bound)
    assert of_phase(outcomes, "transfer").percentiles.n == 1
    assert of_phase(outcomes, "tls").percentiles.n == 0


def test_the_table_says_how_many_and_which_are_lower_bounds():
    lines = words(*[up(0.01)] * 8, up(0.4), hung(2.0), refused())
    at = next(number for number, text in enumerate(lines) if text.startswith("probe percentiles"))
    rows = {line.split()[0]: line.split()[1:] for line in lines[at + 1 :] if line.startswith("  ")}
    assert rows["total"] == ["10", "10ms", "10ms", "400ms", "-", "-", ">=2.0s"]
    assert rows["connect"] == ["10", "1.0ms", "2.5ms", "2.5ms", "-", "-", "100ms"]
    assert rows["transfer"][0] == "9"
    assert "tls" not in rows


def test_where_there_is_no_room_for_all_columns_the_least_telling_go():
    lines = words(up(), up(), up(), paper=Paper(60))
    assert next(line for line in lines if line.startswith("probe")).split() == ["probe", "percentiles", "n", "p50", "p95", "p99", "max"]
    assert next(line for line in lines if line.startswith("  total    ") and "3" in line.split()).split()[1:] == [
        "3",
        "20ms",
        "-",
        "-",
        "20ms",
    ]


# Text -----------------------------------------------------------------------------------------------------------------------------


def rows_of_phases(lines):
    begin = lines.index("phases") + 1
    return {line.split()[0]: line for line in lines[begin : begin + 7]}


def test_bars_stand_one_after_the_other_and_what_was_not_entered_leaves_a_gap():
    rows = rows_of_phases(words(up(phases=Phases(connect=0.010, send=0.0, wait=0.029, transfer=0.001), total_s=0.04)))
    bars = {phase: (row[23:].count(" "), row[23:].count("█")) for phase, row in rows.items()}
    # 57 cells for 40 ms
    assert bars == {
        "dns": (0, 0),
        "connect": (0, 14),
        "tls": (0, 0),
        "send": (14, 1),
        "wait": (14, 42),
        "transfer": (56, 1),
        "total": (0, 0),
    }
    assert {phase: row[13:21].strip() for phase, row in rows.items()} == {
        "dns": "-", "connect": "10ms", "tls": "-", "send": "0us", "wait": "29ms", "transfer": "1.0ms", "total": "40ms",
    }  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_longer_than_the_paper(width):
    long = "x" * 300
    failed = down(
        "status", error=f"a very long reason {long}", headers=(("X-Long", long),), body=f"{long}\n{'y ' * 200}",
        assertions=(Assertion(f"body contains {long}", ok=False, found=long),), hops=(Hop(f"http://shop/{long}", 302, 0.1),),
        tls=TlsFacts((Certificate(f"CN={long}", f"CN={long}", (long, "shop"), 0.0, AT),), error=long),
    )  # fmt: skip
    lines = words(failed, up(), up(), paper=Paper(width))
    assert max(map(len, lines)) == width
    assert len(line(1000, failed, Paper(width))) == width
    whole = "".join(part.strip() for part in lines)
    assert whole.count("x") >= 300 * 9  # nothing is left out


def test_a_failure_that_was_answered_is_shown_as_it_was_sent():
    lines = words(down("status", status=500, headers=(("Server", "a  b"),), body="one\n\n  two"))
    begin = lines.index("response headers")
    assert lines[begin : begin + 7] == ["response headers", "  Server: a  b", "", "start of the body", "  one", "", "    two"]


def test_what_may_be_the_consoles_own_is_told_where_anybody_would_notice():
    assert not any("doubt" in line for line in words(up(0.02, doubt_s=0.001)))
    assert "  doubt      up to 3.0ms of the latency may be this machine's own" in words(up(0.02, doubt_s=0.003))
    assert not any("doubt" in line for line in words(up(0.0, doubt_s=0.0)))


def test_certificates_that_have_ended_or_not_begun_say_so():
    chain = (Certificate("CN=old", "CN=root", (), AT - 9 * DAY_S, AT - 2 * DAY_S), Certificate("", "", (), AT + DAY_S, AT + 90 * DAY_S))
    lines = words(down("tls", error="not accepted", tls=TlsFacts(chain, error="not accepted")))
    begin = lines.index("TLS")
    assert lines[begin + 1 : begin + 6] == [
        "  verdict    not verified", "             CN=old  ended 2d0h ago", "               by CN=root",
        "             (no name)  ends in 90d, begins in 1d0h", "               by (nobody)",
    ]  # fmt: skip
    taken = words(up(tls=TlsFacts((), verified=False)))
    assert "  verdict    not verified: nobody asked for it (insecure)" in taken


def test_several_tell_the_last_that_failed():
    lines = words(up(), down("status", status=503), up())
    assert lines[0] == "▲ WARN  3 probes: 2 up, 1 down"
    assert lines[2:4] == ["the last that failed, number 2", "■ DOWN  status  503  20ms"]


def test_an_interruption_is_told():
    assert text(probed(up(), ours()), PAPER, 9).splitlines()[0] == "? UNKNOWN  interrupted after 2 of 9 probes: 1 up, 1 not measured"


def test_a_line_of_several_says_why():
    assert line(7, up(0.0011), PAPER) == "   7  ● up      200          1.1ms"
    assert line(12, hung(), PAPER) == "  12  ■ down    timeout     >=5.0s  timeout in words"
    assert line(3, ours(), PAPER) == "   3  ? unknown                  -  no descriptors"


def test_colour_marks_but_says_nothing_of_its_own():
    outcomes = (up(), down("status", status=503, assertions=(Assertion("status 200", ok=False, found="status 503"),)), hung())
    coloured, plain = words(*outcomes, paper=Paper(coloured=True)), words(*outcomes)
    assert "\x1b[1;31m■ DOWN\x1b[0m  timeout  at least 5.0s" in coloured
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in coloured] == plain


# The chart ------------------------------------------------------------------------------------------------------------------------


def drawn(*outcomes, paper=PAPER):
    lines = words(*outcomes, paper=paper)
    begin = next((number for number, line in enumerate(lines) if line.startswith("latency")), None)
    return [] if begin is None else lines[begin:]


def test_each_probe_is_a_point_and_each_failure_is_marked_where_it_belongs():
    chart = drawn(up(0.01), hung(5.0), refused(), down("status", 0.02), ours(), up(0.04))
    assert chart[0] == "latency   × failed"
    body = chart[1:-2]  # without the axis and its numbers
    assert sum(row.count("●") for row in body) == 2
    assert sum(row.count("×") for row in body) == 3
    assert body[0].startswith("40ms┤")
    assert body[0].count("×") == 1  # given up: longer than anybody knows
    assert body[-1].startswith("   0┤")
    assert body[-1].count("×") == 2  # refused, and answered with what nobody wants: no latency at all
    assert chart[-1].split() == ["1", "3", "6"]


def test_fewer_than_three_are_no_picture_nor_are_only_quick_failures():
    assert drawn(up(), up()) == []
    assert drawn(up(), up(), ours()) == []
    assert drawn(refused(), refused(), refused()) == []
    assert drawn(hung(), hung(), hung())[0] == "latency   × failed"


def test_more_points_than_columns_share_cells():
    chart = drawn(*[up(0.001 * (number % 40 + 1)) for number in range(300)])
    marks = {char for row in chart for char in row}
    assert any(0x2800 < ord(char) < 0x2900 for char in marks)
    assert "●" not in marks
    assert max(map(len, chart)) <= 80


def test_in_ascii_there_is_nothing_else():
    lines = words(up(), refused(), up(), down("status", body="naïve …"), paper=Paper(ascii=True))
    assert all(line.isascii() for line in lines)
    assert "X CRIT  4 probes: 2 up, 2 down" in lines
    assert "  na?ve ~" in lines
    assert sum(row.count("*") for row in lines[lines.index("latency   x failed") + 1 :]) == 2
