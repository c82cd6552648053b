"""Outcomes that nobody takes: none is lost for as long as there is room, then what repeats, and never a change; nor does memory grow."""

import asyncio
import socket
import tracemalloc
from collections import defaultdict

import msgspec
import pytest
from laps import EPOCH, check, outcome

from perfconsole.collectors.http.apart import pipe
from perfconsole.collectors.http.apart.backlog import Backlog
from perfconsole.collectors.http.apart.worker import Worker
from perfconsole.core.checks import Certificate, TlsFacts

DETAILS = {
    "headers": (("Content-Type", "text/html"),),
    "body": "x" * 2000,
    "tls": TlsFacts((Certificate("CN=a", "CN=b", ("a.example",), EPOCH, EPOCH + 1e6),), verified=True),
}


def told(raw):
    return [msgspec.msgpack.decode(one, type=pipe.Told) for one in raw]


def all_of(backlog):
    found = []
    while len(backlog):
        found += told(backlog.take(10_000))
    return found


def test_what_was_put_is_taken_in_order():
    backlog = Backlog()
    put = [outcome(check(f"e{i % 7}"), EPOCH + i, cause="connect" if i % 3 else "", **DETAILS) for i in range(500)]
    for number, one in enumerate(put):
        backlog.put(one, number // 100, [number] if number % 50 == 0 else ())
    found = all_of(backlog)
    assert [msgspec.msgpack.encode(one.outcome) for one in found] == [msgspec.msgpack.encode(one) for one in put]
    assert [one.serial for one in found] == [number // 100 for number in range(500)]
    assert [one.ids for one in found if one.ids] == [(number,) for number in range(0, 500, 50)]
    assert (backlog.held_bytes, backlog.note()) == (0, "")


def test_a_piece_is_about_as_long_as_it_may_be():
    backlog = Backlog()
    for i in range(1_000):
        backlog.put(outcome(check(f"e{i}"), EPOCH), 1)
    assert 10_000 < sum(map(len, backlog.take(10_000))) < 10_500
    backlog = Backlog()
    backlog.put(outcome(check("big"), EPOCH, body="x" * 50_000), 1)
    assert len(backlog.take(10_000)) == 1  # what is longer goes alone


def minutes(backlog, minutes, *, endpoints=1_000, cause=""):
    """A thousand endpoints for so long, nobody taking anything; what was put."""
    interval_s, extra = (5, DETAILS) if cause else (10, {})
    put = []
    for start in range(0, int(minutes * 60), interval_s):
        for i in range(endpoints):
            put.append(outcome(check(f"endpoint-{i:04}"), EPOCH + start + i / endpoints, cause=cause, address="192.0.2.7:443", **extra))
            backlog.put(put[-1], 1)
    return put


@pytest.mark.parametrize("cause", ["", "connect"], ids=["all well", "none well"])
def test_a_minute_of_a_thousand_endpoints_loses_no_outcome(cause):
    backlog = Backlog()
    put = minutes(backlog, 1, cause=cause)
    found = [one.outcome for one in all_of(backlog)]
    assert [(one.name, one.at, one.ok, one.cause, one.total_s) for one in found] == [
        (one.name, one.at, one.ok, one.cause, one.total_s) for one in put
    ]
    assert backlog.note() == ""
    newest = {one.name: one for one in found}
    assert all(one.body == DETAILS["body"] for one in newest.values() if cause)  # the last failure with all that is known of it
    assert len({len(one.body) for one in found}) == (2 if cause else 1)  # of the others what counts


def test_the_last_failure_keeps_its_details_after_it_is_over():
    backlog = Backlog(1_000_000)
    minutes(backlog, 1, endpoints=100, cause="connect")
    assert backlog.held_bytes > 500_000
    for i in range(300):
        backlog.put(outcome(check("endpoint-0000"), EPOCH + 100 + i, **({} if i else DETAILS)), 1)
    found = [one.outcome for one in all_of(backlog) if one.outcome.name == "endpoint-0000"]
    assert [bool(one.body) for one in found if not one.ok][-1]
    assert not any(one.body for one in found if one.ok)


@pytest.mark.parametrize("cause", ["", "connect"], ids=["all well", "none well"])
def test_memory_is_bounded_however_long_it_takes(cause):
    tracemalloc.start()
    try:
        backlog = Backlog(2**20)
        for i in range(2_000):  # the same endpoints, again and again
            for number in range(20):
                backlog.put(outcome(check(f"e{number}"), EPOCH + i, cause=cause, **DETAILS), 1)
            if i == 400:
                early = tracemalloc.get_traced_memory()[0]
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1.1 * early
    assert held < 2 * 2**20
    assert backlog.held_bytes < 1.1 * 2**20
    assert "that said nothing new" in backlog.note()
    assert backlog.note() == ""


def test_of_what_repeats_the_first_and_the_last_stay_and_every_change():
    backlog = Backlog(4_000)  # room for ten
    verdicts = [""] * 100 + ["connect"] * 300 + [""] * 50 + ["status"] + ["connect"] * 200
    for i, cause in enumerate(verdicts):
        backlog.put(outcome(check("a"), EPOCH + i, cause=cause), 1)
    found = [(one.outcome.at - EPOCH, one.outcome.cause) for one in all_of(backlog)]
    assert found == sorted(found)
    for first, last, cause in ((100, 399, "connect"), (400, 449, ""), (450, 450, "status"), (451, 650, "connect")):
        assert (first, cause) in found
        assert (last, cause) in found
    assert found[0] == (0, "")
    assert len(found) < 30


def test_no_question_is_forgotten_with_the_outcome_that_answered_it():
    backlog = Backlog(4_000)
    for i in range(300):
        backlog.put(outcome(check("a"), EPOCH + i), 1, [i] if i % 60 == 59 else ())
    assert sorted(id_ for one in all_of(backlog) for id_ in one.ids) == [59, 119, 179, 239, 299]


def test_even_what_changes_all_the_time_stays_bounded():
    backlog = Backlog(100_000)
    for i in range(5_000):
        backlog.put(outcome(check(f"e{i % 10}"), EPOCH + i, cause="connect" if i // 10 % 2 else "", **DETAILS), 1)
    assert backlog.held_bytes < 2.2 * 100_000
    newest = {one.outcome.name: one.outcome.at for one in all_of(backlog)}
    assert newest == {f"e{i}": EPOCH + 4_990 + i for i in range(10)}


def test_an_outcome_of_another_configuration_repeats_nothing():
    backlog = Backlog(1)
    for serial in (1, 1, 2, 2, 3, 3):
        backlog.put(outcome(check("a"), EPOCH + serial), serial)
    assert backlog.held_bytes < 3_000
    kept = Backlog(100_000)
    for serial in range(200):
        kept.put(outcome(check("a"), EPOCH + serial), serial)
    assert [one.serial for one in all_of(kept)] == list(range(200))


# The process's end ----------------------------------------------------------------------------------------------------------------


async def test_a_console_that_reads_nothing_for_a_minute_gets_everything_afterwards():
    """A minute of a thousand endpoints is 6,000 outcomes: more than the socket holds, and the process goes on meanwhile."""
    theirs, ours = socket.socketpair()
    theirs.setblocking(False)
    ours.setblocking(False)
    worker = Worker(*await asyncio.open_connection(sock=theirs))
    running = asyncio.ensure_future(worker.run())
    await asyncio.sleep(0.05)
    put = [outcome(check(f"endpoint-{i % 1000:04}"), EPOCH + i / 100, address="192.0.2.7:443") for i in range(6_000)]
    for i in range(0, 6_000, 50):
        for one in put[i : i + 50]:
            worker._take(one)
        await asyncio.sleep(0.002)
    assert len(worker._backlog) > 2_000  # it waits here, not in a buffer without a bound
    assert worker._writer.transport.get_write_buffer_size() < 200_000
    found, splitter = [], pipe.Splitter()
    async with asyncio.timeout(20):
        while len(found) < 6_000:
            for body in splitter.feed(await asyncio.get_running_loop().sock_recv(ours, 65_536)):
                report = pipe.report_of(body)
                found += report.told if isinstance(report, pipe.Batch) else ()
    assert [(one.outcome.name, one.outcome.at) for one in found] == [(one.name, one.at) for one in put]
    ours.close()
    async with asyncio.timeout(5):
        await running
    worker._writer.close()
    by_name = defaultdict(int)
    for one in found:
        by_name[one.outcome.name] += 1
    assert set(by_name.values()) == {6}
