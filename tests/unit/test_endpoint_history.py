"""An endpoint followed from outcome to outcome: its state, since when, and its statistics, against an oracle that goes through seconds."""

from datetime import UTC, datetime
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.checks import CLASSES, Assertion, Certificate, Check, Expect, Hop, Outcome, TlsFacts, Window, ending
from perfconsole.core.endpoint_history import CHANGES_HELD, Endpoint
from perfconsole.core.endpoint_samples import FAILED, MOST, OK, UNKNOWN, Counts, Samples, failure
from perfconsole.core.percentiles import percentiles

AT = 1_800_000_000.0


def check(**fields):
    return Check(**({"name": "shop", "kind": "http", "target": "http://shop/", "service": "s", "interval_s": 10.0} | fields))


def outcome(at, cause="", **fields):
    known = {"total_s": 0.02, "scheduled": at, "error": f"{cause} in words" if cause else ""}
    return Outcome("shop", at + 0.02, not cause, cause, **(known | fields))


class Run:
    """An endpoint and the outcomes given to it, ten seconds apart."""

    def __init__(self, **fields):
        self.endpoint = Endpoint(check(**fields))
        self.at = AT

    def take(self, *causes, blocked_by=""):
        """States after outcomes: a cause, or ``""`` for one that is well."""
        states = []
        for cause in causes:
            self.endpoint.take(outcome(self.at, cause), blocked_by if cause else "")
            states.append(self.endpoint.state)
            self.at += 10
        return states


# State ----------------------------------------------------------------------------------------------------------------------------


def test_unknown_before_the_first_outcome():
    endpoint = Endpoint(check())
    assert (endpoint.state, isnan(endpoint.since), isnan(endpoint.up), list(endpoint.changes)) == ("unknown", True, True, [])
    row = endpoint.row(AT, "http://shop/")
    assert (row.state, row.checks, row.n) == ("unknown", 0, 0)
    assert isnan(row.availability)


def test_one_failure_is_not_down_and_two_are():
    assert Run().take("", "connect", "connect", "connect", "") == ["up", "failing", "down", "down", "up"]
    assert Run().take("", "connect", "", "connect", "connect") == ["up", "failing", "up", "failing", "down"]
    assert Run(failures=1).take("connect", "") == ["down", "up"]


def test_it_takes_as_many_successes_to_be_up_again():
    run = Run(successes=3)
    assert run.take("", "status", "status") == ["up", "failing", "down"]
    assert run.take("", "", "status", "", "", "") == ["down"] * 5 + ["up"]


def test_since_is_when_the_first_failure_of_the_row_began():
    run = Run()
    run.take("", "", "connect", "connect", "connect")
    assert run.endpoint.since == AT + 20
    run.take("", "")
    assert run.endpoint.since == AT + 50


def test_what_is_unmeasured_is_unknown_and_counts_for_nothing():
    run = Run()
    assert run.take("", "connect", "unmeasured", "connect") == ["up", "failing", "unknown", "down"]
    assert run.endpoint.samples.counts() == Counts(3, 2)
    assert run.endpoint.measured_at == AT + 30.02


def test_raw_up_follows_each_check():
    run = Run(failures=5)
    ups = []
    for cause in ("", "tls", "", "unmeasured"):
        run.take(cause)
        ups.append(run.endpoint.up)
    assert ups[:3] == [1.0, 0.0, 1.0]
    assert isnan(ups[3])


def test_changes_are_told_once_and_kept():
    endpoint = Endpoint(check())
    told = [endpoint.take(outcome(AT + 10 * i, cause)) for i, cause in enumerate(["", "", "dns", "dns", "dns", ""])]
    assert [change.state if change else None for change in told] == [None, None, "failing", "down", None, "up"]
    assert [(change.state, change.text) for change in endpoint.changes] == [
        ("up", ""), ("failing", "dns: dns in words"), ("down", "dns: dns in words"), ("up", ""),
    ]  # fmt: skip


def test_that_it_is_down_when_it_is_first_looked_at_is_news():
    assert Endpoint(check(failures=1)).take(outcome(AT, "connect")).state == "down"


def test_changes_are_bounded():
    run = Run()
    run.take(*(["", "connect"] * 200))
    assert len(run.endpoint.changes) == CHANGES_HELD
    assert run.endpoint.changes[-1].state == "failing"


# Dependence -----------------------------------------------------------------------------------------------------------------------


def test_a_failure_while_its_parent_is_down_is_not_its_own():
    run = Run(depends_on=("http:gateway",))
    assert run.take("") == ["up"]
    assert run.take("status", "status", "status", blocked_by="http:gateway") == ["suppressed"] * 3
    assert (run.endpoint.blocked_by, isnan(run.endpoint.up)) == ("http:gateway", True)
    assert run.endpoint.samples.counts() == Counts(1, 0)
    assert run.endpoint.changes[-1].text == "http:gateway is down"
    assert run.take("status") == ["failing"]  # the parent is well again, and this still fails
    assert run.endpoint.blocked_by == ""


def test_what_works_while_its_parent_is_down_is_up():
    run = Run()
    assert run.take("status", blocked_by="host") == ["suppressed"]
    run.endpoint.take(outcome(run.at), "host")
    assert (run.endpoint.state, run.endpoint.up) == ("up", 1.0)


@pytest.mark.parametrize("before", [("", "status"), ("status", "status")], ids=["failing", "down"])
def test_a_parent_that_is_found_down_afterwards_takes_the_blame(before):
    run = Run()
    run.take(*before)
    change = run.endpoint.settle(run.at, "http:gateway")
    assert (change.state, run.endpoint.blocked_by) == ("suppressed", "http:gateway")
    assert isnan(run.endpoint.up)
    assert run.endpoint.settle(run.at + 1, "http:gateway") is None


def test_when_the_parent_is_well_the_next_check_decides():
    run = Run()
    run.take("status", blocked_by="host")
    assert not run.endpoint.over(run.at, "host")
    assert run.endpoint.settle(run.at, "") is None
    assert (run.endpoint.state, run.endpoint.over(run.at, "")) == ("suppressed", True)


def test_one_that_was_down_before_is_still_down_after_its_parent():
    run = Run()
    run.take("status", "status")
    since = run.endpoint.since
    run.take("status", blocked_by="host")
    assert run.take("status") == ["down"]
    assert run.endpoint.since == since


# Maintenance ----------------------------------------------------------------------------------------------------------------------


def iso(at):
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def test_in_maintenance_failures_count_for_nothing():
    run = Run(maintenance=(Window(iso(AT + 20), iso(AT + 60)),))
    assert run.take("", "", "connect", "connect", "", "connect") == ["up", "up"] + ["maintenance"] * 4
    assert run.endpoint.samples.counts() == Counts(2, 0)
    assert isnan(run.endpoint.up)
    assert run.take("connect", "connect") == ["failing", "down"]
    assert run.endpoint.since == AT + 60


def test_a_row_says_until_when_maintenance_lasts():
    run = Run(maintenance=(Window(iso(AT), iso(AT + 60)), Window(iso(AT + 50), iso(AT + 90))))
    run.take("connect")
    assert run.endpoint.row(AT + 5, "").until == AT + 90  # where one ends the other has begun
    run.at = AT + 95
    run.take("")
    assert isnan(run.endpoint.row(AT + 95, "").until)


@pytest.mark.parametrize(("days", "end"), [("fri sat sun mon tue", "2027-01-20T00:00+00:00"), ("mon tue wed thu fri sat sun", None)])
def test_windows_that_follow_on_one_another_end_with_the_last_of_them(days, end):
    friday = 1_800_000_000.0  # 08:00 UTC
    run = Run(maintenance=(Window("00:00", "00:00", tuple(days.split())),))
    run.take("connect")
    until = run.endpoint.row(friday, "").until
    assert until == datetime.fromisoformat(end).timestamp() if end else isnan(until)


def test_maintenance_begins_by_the_clock_and_ends_with_a_check():
    run = Run(maintenance=(Window(iso(AT + 15), iso(AT + 25)),))
    run.take("", "")
    assert run.endpoint.settle(AT + 14.9, "") is None
    assert run.endpoint.settle(AT + 15, "").state == "maintenance"
    assert not run.endpoint.over(AT + 24, "")
    assert run.endpoint.over(AT + 25, "")
    assert run.endpoint.state == "maintenance"  # nobody has looked yet
    run.at = AT + 26
    assert run.take("") == ["up"]


def test_a_check_that_was_under_way_when_maintenance_began_is_excused():
    endpoint = Endpoint(check(failures=1, maintenance=(Window(iso(AT + 2), iso(AT + 60)),)))
    endpoint.take(outcome(AT, "timeout", at_least=True, total_s=5.0))
    assert endpoint.state == "down"  # it ended before
    late = Outcome("shop", AT + 5, ok=False, cause="timeout", at_least=True, total_s=5.0, scheduled=AT)
    endpoint = Endpoint(endpoint.check)
    endpoint.take(late)
    assert endpoint.state == "maintenance"


def test_a_window_is_looked_at_again_when_it_was_configured_anew():
    run = Run(maintenance=(Window(iso(AT - 600), iso(AT - 300)),))
    assert run.take("") == ["up"]  # which is so for good: it does not come again
    run.endpoint.configure(check(maintenance=(Window(iso(AT), iso(AT + 600)),)))
    assert run.endpoint.settle(run.at, "").state == "maintenance"


def test_a_window_is_looked_at_again_when_the_clock_was_set_back():
    run = Run(maintenance=(Window(iso(AT), iso(AT + 60)),))
    run.at = AT + 100
    assert run.take("") == ["up"]  # for good, as it seems
    run.at = AT + 30
    assert run.take("connect") == ["maintenance"]


def test_who_else_is_down_takes_the_blame():
    run = Run(depends_on=("http:one", "http:other"))
    run.take("", "connect", blocked_by="http:one")
    assert run.endpoint.settle(run.at, "http:other") is None
    assert (run.endpoint.state, run.endpoint.blocked_by) == ("suppressed", "http:other")


# Statistics -----------------------------------------------------------------------------------------------------------------------


results = st.lists(st.tuples(st.integers(1, 40), st.sampled_from([OK, FAILED, UNKNOWN])), min_size=1, max_size=60)


@given(results, st.integers(0, 50))
def test_availability_is_the_share_of_the_seconds_observed(steps, beyond):
    samples = Samples(well_s=11, failing_s=6)
    starts, at = [], AT
    for gap, verdict in steps:
        at += gap
        samples.append(at, verdict, 0.01)
        starts.append((at, verdict))
    now = at + beyond
    seen = {OK: 0, FAILED: 0}
    for second in range(int(starts[0][0]), int(now)):
        began, verdict = [start for start in starts if start[0] <= second][-1]
        if verdict in seen and second - began < (11 if verdict == OK else 6):
            seen[verdict] += 1
    whole = seen[OK] + seen[FAILED]
    found = samples.availability(now)
    assert isnan(found) if not whole else found == pytest.approx(seen[OK] / whole)
    assert samples.counts() == Counts(sum(verdict != UNKNOWN for _, verdict in steps), sum(verdict == FAILED for _, verdict in steps))


def test_half_an_hour_is_held():
    samples = Samples(11, 6)
    for i in range(1_000):
        samples.append(AT + 10 * i, OK if i % 2 else FAILED, float(i))
    assert len(samples) == 181
    assert list(samples.latencies) == [float(i) for i in range(819, 1_000)]
    assert samples.held_s(AT + 9_990) == 1_800
    assert samples.counts() == Counts(181, 90)
    assert samples.last_minute(AT + 9_990) == Counts(7, 3)


def test_of_rare_checks_a_hundred_are_held():
    run = Run(interval_s=3_600.0)
    for i in range(150):
        run.endpoint.take(outcome(AT + 3_600 * i, total_s=float(i)))
    row = run.endpoint.row(AT + 3_600 * 149, "")
    assert (row.n, row.held_s) == (101, 360_000)
    assert (row.p50_s, row.p95_s, row.p99_s) == tuple(percentiles([float(i) for i in range(49, 150)])[i] for i in (1, 3, 4))


def test_what_was_before_a_long_silence_is_held_no_longer_than_else():
    run = Run()
    run.take(*[""] * 120)
    run.at += 8 * 3_600
    run.take("", "")
    assert len(run.endpoint.samples) == 2


def test_of_frequent_checks_a_bounded_number_is_held():
    samples = Samples(1, 1)
    for i in range(MOST + 5_000):
        samples.append(AT + i / 10, OK, 0.01)
    assert len(samples) == MOST
    assert samples.held_s(AT + (MOST + 4_999) / 10) == pytest.approx((MOST - 1) / 10)


def test_the_last_minute_has_sixty_seconds():
    samples = Samples(11, 6)
    for ago in (63, 61, 60, 59, 1):
        samples.append(AT - ago, FAILED, nan)
    assert samples.last_minute(AT) == Counts(3, 3)


def test_a_result_holds_while_the_next_check_hangs():
    """30 s of timeout at an interval of 5: the time in which nothing came back was observed all the same."""
    run = Run(interval_s=5.0, failing_s=5.0, timeout_s=30.0)
    run.endpoint.take(outcome(AT, "timeout", at_least=True, total_s=30.0))
    run.endpoint.take(outcome(AT + 30))
    assert run.endpoint.samples.availability(AT + 40) == 10 / 40
    assert run.endpoint.samples.availability(AT + 90) == pytest.approx(31 / 61)  # a timeout, and a moment


def test_the_last_minute_of_what_is_checked_once_an_hour_is_its_last_check():
    samples = Samples(4_000, 4_000)
    samples.append(AT, FAILED, nan)
    assert samples.last_minute(AT + 300) == Counts(1, 1)


def test_a_clock_that_was_set_back_loses_what_was_never_the_time():
    samples = Samples(11, 6)
    for i in range(20):
        samples.append(AT + 10 * i, FAILED, 0.01)
    samples.append(AT + 55, OK, 0.01)
    assert samples.counts() == Counts(7, 6)
    assert samples.availability(AT + 60) == pytest.approx(5 / (5 * 6 + 5 + 5))


def test_quick_failures_are_no_fast_answers_and_timeouts_are_slow_ones():
    run = Run(failures=99)
    for i in range(30):
        run.endpoint.take(outcome(AT + 10 * i, total_s=0.2))
    run.endpoint.take(outcome(AT + 300, "connect", total_s=0.0001))
    run.endpoint.take(outcome(AT + 310, "timeout", total_s=5.0, at_least=True))
    row = run.endpoint.row(AT + 320, "")
    expected = percentiles([0.2] * 30 + [5.0])
    assert (row.n, row.p50_s, row.p95_s) == (31, expected.p50, expected.p95)
    assert isnan(row.p99_s)
    assert (row.last_s, row.at_least, row.checks, row.failed) == (5.0, True, 32, 2)
    assert row.error_ratio == 2 / 32


def test_an_error_page_in_no_time_is_no_fast_answer():
    """A slow service whose proxy answers 503 in its place gets no faster."""
    run = Run(failures=999)
    for i in range(90):
        run.endpoint.take(outcome(AT + 10 * i, total_s=0.8))
    for i in range(90, 190):
        run.endpoint.take(outcome(AT + 10 * i, "status", status=503, total_s=0.001))
    row = run.endpoint.row(AT + 1_900, "")
    assert (row.n, row.p50_s, row.checks, row.failed) == (81, 0.8, 181, 100)
    assert isnan(row.last_s)


SLOW = (Assertion("status 200-399", ok=False, found="status 504"), Assertion("latency at most 500ms", ok=False, found="latency 30s"))


@pytest.mark.parametrize(("assertions", "counted"), [(SLOW, True), (SLOW[:1], False)], ids=["expected to be quick", "no matter"])
def test_a_slow_error_is_a_slow_answer_where_a_latency_is_expected(assertions, counted):
    run = Run()
    run.endpoint.take(outcome(AT, "status", status=504, total_s=30.0, assertions=assertions))
    assert (run.endpoint.row(AT + 40, "").last_s == 30.0) is counted
    assert len([one for one in run.endpoint.samples.latencies if not isnan(one)]) == counted


def test_a_percentile_with_a_timeout_in_it_is_a_lower_bound():
    run = Run(failures=99)
    for i in range(30):
        run.endpoint.take(outcome(AT + 10 * i, total_s=0.2))
    assert isnan(run.endpoint.row(AT + 300, "").cut_s)
    for i, timeout_s in enumerate((5.0, 2.0, 3.0)):
        run.endpoint.take(outcome(AT + 300 + 10 * i, "timeout", total_s=timeout_s, at_least=True))
    run.endpoint.take(outcome(AT + 330, "timeout", total_s=1.0))  # it is not known how long
    row = run.endpoint.row(AT + 340, "")
    assert (row.cut_s, row.p95_s, row.p50_s) == (2.0, 3.0, 0.2)


def test_failures_are_counted_by_why():
    run = Run(failures=99)
    run.take(*["timeout"] * 3, "", "dns", "unmeasured", "dns")
    for status in (502, 504, 502):
        run.endpoint.take(outcome(run.at, "status", status=status))
        run.at += 10
    run.take("status", "assertion", blocked_by="host")
    assert run.endpoint.row(run.at, "").failures == (("timeout", 3), ("502", 2), ("dns", 2), ("504", 1))
    assert run.endpoint.samples.counts() == Counts(9, 8)


@pytest.mark.parametrize(("cause", "status", "named"), [*[(cause, 0, cause) for cause in CLASSES[:-1]], ("status", 418, "418"),
                                                        ("status", 1, "status"), ("newer", 0, "other")])  # fmt: skip
def test_every_class_of_failure_has_a_name(cause, status, named):
    samples = Samples(11, 6)
    samples.append(AT, failure(cause, status), nan)
    assert (samples.failures(), samples.counts()) == (((named, 1),), Counts(1, 1))


def test_a_hop_of_which_the_certificate_ends_first_is_what_counts():
    good = TlsFacts((Certificate("CN=www", "CN=root", (), AT, AT + 90 * 86_400),), verified=True)
    hops = (Hop("https://shop/", 301, 0.01, AT + 5 * 86_400), Hop("https://www.shop/", 200, 0.01, AT + 90 * 86_400))
    endpoint = Endpoint(check())
    endpoint.take(outcome(AT, tls=good, hops=hops))
    assert endpoint.expires == AT + 5 * 86_400


def test_what_a_certificate_cannot_say_is_not_when_it_ends():
    chain = (Certificate("CN=odd", "CN=root", (), nan, nan), Certificate("CN=root", "CN=root", (), AT, AT + 9))
    assert (ending(TlsFacts(chain, verified=True), AT), isnan(ending(TlsFacts(chain[:1]), AT)), isnan(ending(None, AT))) == (
        AT + 9,
        True,
        True,
    )


def test_a_row_says_what_is_configured_and_what_was_found():
    leaf, root = (Certificate(name, "CN=root", (), AT, AT + days * 86_400) for name, days in (("CN=shop", 80), ("CN=root", 30)))
    endpoint = Endpoint(
        check(
            labels=(("team", "web"), ("tier", "1")),
            critical=True,
            group="eu",
            runbook="https://r",
            expect=Expect(max_latency_s=0.5),
            unit="shop.service",
            database="orders",
        )
    )
    endpoint.take(
        outcome(AT, status=200, address="192.0.2.1:443", protocol="HTTP/1.1", size_bytes=7.0, tls=TlsFacts((leaf, root), verified=True))
    )
    endpoint.take(outcome(AT + 10, "connect"))
    row = endpoint.row(AT + 12, "https://shop/")
    assert (row.url, row.labels, row.limit_s, row.critical, row.group, row.runbook) == (
        "https://shop/", "team=web tier=1", 0.5, True, "eu", "https://r",
    )  # fmt: skip
    assert (row.unit, row.database) == ("shop.service", "orders")
    assert (row.expires, row.verified) == (AT + 30 * 86_400, True)  # as last seen
    assert (row.status, row.cause, row.error) == (0, "connect", "connect in words")
    assert row.availability == pytest.approx(10 / 12)


def test_the_last_failure_is_kept_while_it_is_well():
    run = Run()
    run.take("", "status", "", "")
    assert run.endpoint.last.ok
    assert run.endpoint.failure.cause == "status"


# What is no part of a row ---------------------------------------------------------------------------------------------------------


def test_failures_around_a_time_in_which_nothing_counted_are_not_in_a_row():
    run = Run(maintenance=(Window(iso(AT + 20), iso(AT + 215)),))
    assert run.take("", "connect", *[""] * 20, "connect")[-1] == "failing"
    assert run.endpoint.since == AT + 220
    run = Run()
    run.take("", "connect", "unmeasured")
    run.at += 14 * 3600  # a laptop's lid
    assert run.take("connect", "connect") == ["failing", "down"]
    assert run.endpoint.since == AT + 14 * 3600 + 30


def test_one_check_that_does_not_count_interrupts_no_row():
    run = Run()
    assert run.take("", "connect", "unmeasured", "connect") == ["up", "failing", "unknown", "down"]
    assert run.endpoint.since == AT + 10


# Certificates and clocks ----------------------------------------------------------------------------------------------------------


def chain(*ends, verified=True):
    return TlsFacts(
        tuple(Certificate("CN=x", "CN=y", (), 0.0, AT + days * 86400) for days in ends), verified, "" if verified else "expired"
    )


def test_a_certificate_that_was_of_no_use_does_not_count():
    endpoint = Endpoint(check())
    endpoint.take(outcome(AT, tls=chain(80, -1, 400)))
    assert endpoint.expires == AT + 80 * 86400
    endpoint.take(outcome(AT + 10, "tls", tls=chain(80, -1, verified=False)))
    assert endpoint.expires == AT - 86400
    endpoint.take(outcome(AT + 20, tls=chain(-2)))  # taken all the same: insecure, or a clock that is wrong
    assert endpoint.expires == AT - 2 * 86400


def test_a_clock_that_is_set_back_leaves_nothing_negative_and_nothing_in_the_future():
    run = Run()
    run.take("", "", "")
    row = run.endpoint.row(AT - 3600, "http://shop/")
    assert (row.held_s, isnan(row.availability) or 0 <= row.availability <= 1) == (0.0, True)
    run.at = AT - 3600
    run.take("")
    assert run.endpoint.since == AT - 3600


def test_a_time_before_the_last_check_was_not_less_than_nothing():
    samples = Samples(11, 6)
    for i in range(5):
        samples.append(AT + 10 * i, FAILED, nan)
    samples.append(AT + 50, OK, 0.1)
    assert samples.availability(AT + 30) == 0.0
    assert samples.held_s(AT - 30) == 0.0


def test_another_interval_changes_nothing_of_the_past():
    samples = Samples(11.0, 11.0)
    for number in range(10):
        samples.append(AT + 60 * number, OK if number else FAILED, 0.1)
    before = samples.availability(AT + 600)
    samples.configure(3600.0, 1.0)
    assert samples.availability(AT + 600) == before


def test_a_check_that_began_before_its_maintenance_does_not_move_that():
    run = Run(maintenance=(Window(iso(AT + 12), iso(AT + 60)),))
    run.take("")
    assert run.endpoint.settle(AT + 12.5, "").state == "maintenance"
    run.endpoint.take(Outcome("shop", AT + 15, ok=False, cause="timeout", total_s=5.0, scheduled=AT + 10))
    assert run.endpoint.since == AT + 12.5


def test_a_row_of_failures_that_follows_a_gap_has_a_beginning_of_its_own():
    run = Run()
    run.take("", "connect")
    run.at += 14 * 3600
    assert run.take("connect") == ["failing"]
    assert run.endpoint.since == AT + 14 * 3600 + 20
    assert run.take("connect") == ["down"]
    assert run.endpoint.since == AT + 14 * 3600 + 20


@pytest.mark.parametrize("seen", [True, False], ids=["checked in it", "not checked in it"])
def test_a_row_ends_with_the_shortest_maintenance(seen):
    """12 s: no longer than a result holds."""
    run = Run(maintenance=(Window(iso(AT + 15), iso(AT + 27)),))
    run.take("", "connect")
    run.endpoint.settle(AT + 15, "")
    if seen:
        run.take("connect")
    run.at = AT + 28
    assert run.take("connect") == ["failing"]
    assert run.endpoint.since == AT + 28


def test_what_is_seen_to_work_in_maintenance_is_not_down_after_it():
    window = (Window(iso(AT + 15), iso(AT + 45)),)
    run = Run(maintenance=window)
    assert run.take("connect", "connect", "", "", "", "connect", "connect") == [
        "failing", "down", "maintenance", "maintenance", "maintenance", "failing", "down",
    ]  # fmt: skip
    run = Run(maintenance=window)
    assert run.take("connect", "connect", "tls", "tls", "unmeasured", "connect")[-1] == "down"  # it never was anything else
    assert run.endpoint.since == AT + 50
    run = Run(maintenance=(Window(iso(AT + 15), iso(AT + 65)),), successes=3)
    assert run.take("connect", "connect", "", "", "connect", "", "", "connect")[-1] == "down"  # it takes three in a row
