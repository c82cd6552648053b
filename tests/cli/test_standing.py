"""`alerts list|silence|unsilence|ack`: at an engine that runs, and in what the last one left."""

import json
import os
import re
import time

import pytest

from perfconsole.core.notices import Changes, Standing
from perfconsole.core.ports import Measured, Result
from perfconsole.core.tick import Ack, Alert, Rule, SeriesDef, Silence, Stream
from perfconsole.engine.engine import Engine
from perfconsole.engine.listen import Listener
from perfconsole.history.audit import AuditFile
from perfconsole.history.events import EventFile
from perfconsole.history.lease import Holder, Lease

CPU = "system.cpu.utilization"
RULES = (
    Rule("hot", "critical", CPU, 0.9, colour=False, keep_s=1.0, respond_s=0.5, runbook="https://wiki.example/hot"),
    Rule("warm", "warning", CPU, 0.5, for_s=3600.0, colour=False),
    Rule("colour", "critical", CPU, 0.1),
)


class Busy:
    """A collector: 95 % of the CPU, always."""

    name, interval_s, first_after_s, targets, operations = "busy", 0.5, 0.0, ("host",), ()

    async def run(self, target, slot, views):
        return Result([Measured(target, (SeriesDef(CPU),), [0.95])])

    async def look(self, views):
        return []

    def close(self):
        pass


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state" / "perfconsole"


@pytest.fixture
def running(state_dir):
    """An engine that holds the lease of the state directory, and listens there."""
    lease = Lease.take(state_dir, Holder(os.getpid(), "here", time.time(), "digest", str(state_dir / "engine.sock")))
    engine = Engine([Busy()], Stream("testhost", "s1", "boot", "0"), rules=RULES, audit=AuditFile(state_dir / "audit.log"))
    engine.start()
    listener = Listener(engine, state_dir / "engine.sock")
    until(lambda: "hot{}" in engine.state.alerts)
    yield engine
    listener.close()
    engine.stop()
    lease.release()


def until(true):
    patience = time.monotonic() + 10
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.01)


def listed(perfconsole):
    ran = perfconsole("alerts", "list", "--json")
    return ran.code, json.loads(ran.out)


# At an engine that runs -----------------------------------------------------------------------------------------------------------------


def test_what_fires_and_pends_is_listed_with_its_severity(running, perfconsole):
    until(lambda: running.state.alerts["hot{}"].fired_at < running.state.at - 0.6)
    ran = perfconsole("alerts", "list")
    assert ran.code == 2, ran
    hot, warm = ran.out.splitlines()
    assert hot.startswith("CRIT  firing    CPU 95% > 90%  ")
    assert hot.endswith("overdue  https://wiki.example/hot  [hot{}]")
    assert warm.startswith("WARN  pending   CPU 95% > 50%  fires in 59m")
    code, found = listed(perfconsole)
    assert (code, found["schema"], found["live"], found["host"]) == (2, "perfconsole.alerts/1", True, "testhost")
    assert [(alert["id"], alert["state"], alert["n"], alert["muted"]) for alert in found["alerts"]] == [
        ("hot{}", "firing", 1, None), ("warm{}", "pending", 1, "inhibited by hot"),
    ]  # fmt: skip
    assert found["silences"] == []


def test_one_is_acknowledged_silenced_and_let_speak_again(running, perfconsole, state_dir):
    ran = perfconsole("alerts", "ack", "hot", "--by", "anna", "--text", "on it")
    assert (ran.code, ran.out) == (0, "hot{}: acknowledged by anna\n"), ran
    until(lambda: running.state.alerts["hot{}"].ack is not None)
    ran = perfconsole("alerts", "silence", "rule=hot", "severity=crit*", "--for", "1h", "--reason", "load test", "--by", "anna")
    assert ran.code == 0, ran
    silence_id = ran.out.split()[1].rstrip(":")
    assert ran.out == f"silence {silence_id}: 1 of the alerts that stand now, for 1h00m\n"
    until(lambda: running.state.alerts["hot{}"].silence)
    code, found = listed(perfconsole)
    assert code == 0  # what is muted wakes nobody
    assert (found["alerts"][0]["ack"]["by"], found["alerts"][0]["silence"]) == ("anna", silence_id)
    assert found["silences"][0]["match"] == {"rule": "hot", "severity": "crit*"}
    text = perfconsole("alerts", "list").out
    assert "acked by anna: on it" in text
    assert re.search(rf"silence {silence_id}  rule=hot severity=crit\*  ends in (59m|1h)\S+  covers 1  by anna: load test", text)
    assert perfconsole("alerts", "unsilence", silence_id).code == 0
    assert perfconsole("alerts", "ack", "hot{}", "--give-back").out == "hot{}: given back: nobody has taken it on\n"
    until(lambda: not running.state.silences and running.state.alerts["hot{}"].ack is None)
    ops = [json.loads(line)["op"] for line in (state_dir / "audit.log").read_text().splitlines()]
    assert ops == ["alert.ack"] * 2 + ["alert.silence"] * 2 + ["alert.unsilence"] * 2 + ["alert.ack"] * 2


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        (("ack", "cold"), 3, "no alert that pends or fires is called cold: there are: hot{}, warm{}"),
        (("unsilence", "12345678"), 3, "no silence is called 12345678: silences: there is none"),
        (("silence", "hot", "--for", "1h", "--reason", "x"), 64, "'hot' is no label=glob"),
        (("silence", "rule=hot", "--for", "soon", "--reason", "x"), 64, "--for: "),
        (("silence", "rule=hot", "--for", "90d", "--reason", "x"), 3, "a silence has to end"),
        (("silence", "rule=hot", "--for", "1h", "--reason", " "), 3, "a silence needs a reason"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(running, perfconsole, args, code, why):
    ran = perfconsole("alerts", *args)
    assert ran.code == code, ran
    assert why in ran.err
    assert ran.err.count("\n") == 1
    assert not running.state.silences


# While none runs ------------------------------------------------------------------------------------------------------------------------


def test_nothing_was_ever_kept(perfconsole):
    ran = perfconsole("alerts", "list")
    assert (ran.code, ran.out) == (0, "no console runs: as the last one left it\nno alert pends or fires\n"), ran


@pytest.fixture
def left(state_dir):
    """What an engine left that fired, an hour ago."""
    at = time.time() - 3600
    alert = Alert(
        "hot{}", "hot", CPU, (), "critical", "firing", "pending", at, at - 60, 0.95, 0.9, fired_at=at, ack=Ack("bert", at, "looking")
    )
    over = Alert("warm{}", "warm", CPU, (), "warning", "resolved", "firing", at - 600, at - 900, 0.4, 0.5, fired_at=at - 800)
    store = EventFile(state_dir)
    store.load()
    silence = Silence("0a1b2c3d", (("rule", "warm"),), at, at + 7200, "bert", "known")
    store.put(Changes([over, alert], [Standing(alert, "shape", "boot", at, 0.0, 60.0, float("inf"))], [silence]))
    store.close()


def test_what_the_last_one_left_is_told_as_that(left, perfconsole):
    ran = perfconsole("alerts", "list")
    assert ran.code == 2, ran
    first, hot, warm, silence = ran.out.splitlines()
    assert first == "no console runs: as the last one left it"
    assert hot.startswith("CRIT  firing    CPU 95% > 90%  for 1h01m")
    assert "acked by bert: looking" in hot
    assert warm.startswith("WARN  resolved  CPU 40% > 50%  over for 1h1")
    assert re.match("silence 0a1b2c3d  rule=warm  ends in (59m|1h)", silence)
    assert listed(perfconsole)[1]["live"] is False


def test_what_is_done_meanwhile_is_there_for_the_next_one(left, perfconsole, state_dir):
    ran = perfconsole("alerts", "silence", "rule=hot", "--for", "2h", "--reason", "night", "--by", "anna")
    assert (ran.code, ran.err) == (0, ""), ran
    ran = perfconsole("alerts", "ack", "hot", "--by", "anna")
    assert (ran.code, ran.out) == (0, "hot{}: acknowledged by anna\n"), ran
    ran = perfconsole("alerts", "unsilence", "0a1b2c3d")
    assert (ran.code, ran.out) == (0, "silence 0a1b2c3d is over\n"), ran
    store = EventFile(state_dir)
    saved = store.load()
    store.close()
    assert [(silence.by, silence.reason) for silence in saved.silences] == [("anna", "night")]
    assert [standing.alert.ack.by for standing in saved.standings] == ["anna"]
    assert (state_dir / "audit.log").read_text().count('"outcome":"done"') == 3


def test_an_engine_that_does_not_answer_is_an_error_and_nothing_is_written_past_it(state_dir, perfconsole):
    lease = Lease.take(state_dir, Holder(os.getpid(), "here", time.time(), "", str(state_dir / "gone.sock")))
    ran = perfconsole("alerts", "silence", "rule=x", "--for", "1h", "--reason", "x")
    lease.release()
    assert ran.code == 3
    assert "gone.sock" in ran.err
    assert not (state_dir / "events.db").exists()
