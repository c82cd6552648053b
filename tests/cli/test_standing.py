"""`alerts list|silence|unsilence|ack`: at an engine that runs, and in what the last one left."""

import json
import os
import re
import subprocess
import sys
import threading
import time

import pytest
from msgspec.structs import replace

from perfconsole.cli import engines, standing
from perfconsole.cli.dispatch import dispatch
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
    Rule("slow-to-know", "warning", CPU, 0.99, stat="avg", over_s=900.0, for_s=60.0, min_samples=1000, colour=False),
    Rule("nothing", "info", "system.fd.utilization", 0.9, for_s=60.0, colour=False),
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
    patience = time.monotonic() + 60
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
    assert warm.endswith("  inhibited by hot  [warm{}]")
    code, found = listed(perfconsole)
    assert (code, found["schema"], found["live"], found["host"]) == (2, "perfconsole.alerts/1", True, "testhost")
    assert [(alert["id"], alert["state"], alert["n"], alert["muted"]) for alert in found["alerts"]] == [
        ("hot{}", "firing", 1, None), ("warm{}", "pending", 1, "inhibited by hot"),
    ]  # fmt: skip
    assert found["silences"] == []


def test_the_rules_say_what_they_watch_and_what_they_cannot_judge_yet(running, perfconsole, config_file):
    until(lambda: len(running.state.find(CPU).points()[0]) > 1)
    config_file("[[alert]]\nname = 'nobody'\nseverity = 'info'\nmetric = 'system.fd.utilization'\nabove = '90%'\nfor = '1m'\n")
    text = perfconsole("alerts", "rules").out
    waits = re.search(r"\nslow-to-know cannot judge yet: (\d+) of 1000 samples, about (\d+)m\d\ds to go\n", text)
    assert waits, text
    assert 1 <= int(waits[1]) < 1000
    assert int(waits[2]) in {7, 8}
    assert "watches 0 series" not in text  # that engine has no such rule: nothing is known of it
    watching = json.loads(perfconsole("alerts", "rules", "--json").out)["watching"]
    assert watching["series"] == {"hot": 1, "warm": 1, "colour": 1, "slow-to-know": 1, "nothing": 0}
    assert [(one["rule"], one["labels"], one["needed"]) for one in watching["waiting"]] == [("slow-to-know", {}, 1000)]
    config_file("[[alert]]\nname = 'nothing'\nseverity = 'info'\nmetric = 'system.fd.utilization'\nabove = '90%'\nfor = '1m'\n")
    assert "\nwatches 0 series now: nothing\n" in perfconsole("alerts", "rules").out


def test_where_no_engine_runs_the_rules_are_told_all_the_same(perfconsole, state_dir):
    ran = perfconsole("alerts", "rules", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["watching"] is None


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
        (("silence", "rule=hot", "", "--for", "1h", "--reason", "x"), 64, "'' is no label=glob"),
        (("silence", "rule=hot", "endpoint=", "--for", "1h", "--reason", "x"), 64, "'endpoint=' is no label=glob"),
        (("silence", "rule=hot", "rule=a,b", "--for", "1h", "--reason", "x"), 64, "rule stands there twice"),
        (("silence", "rule=*", "--for", "1h", "--reason", "x"), 64, "this would silence everything"),
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
    window = replace(alert, id="window of hot{}", state="inactive", before="inactive", ack=None)
    stand = [Standing(one, "shape", "boot", at, 0.0, 60.0, float("inf"), window=bytes(20)) for one in (alert, window)]
    store.put(Changes([over, alert], stand, [silence]))
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
    found = listed(perfconsole)[1]
    assert found["live"] is False
    assert [alert["id"] for alert in found["alerts"]] == ["hot{}", "warm{}"]


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
    assert [standing.alert.ack and standing.alert.ack.by for standing in saved.standings] == ["anna", None]
    assert [len(standing.window) for standing in saved.standings] == [20, 20]
    assert (state_dir / "audit.log").read_text().count('"outcome":"done"') == 3


def alert_at(endpoint, **more):
    """One that fires since ten minutes ago."""
    at = time.time() - 600
    labels = (("endpoint", endpoint), ("service", "web"))
    alert = Alert(f"down{{endpoint={endpoint}}}", "down", "httpcheck.up", labels, "critical", "firing", "pending", at, at, 0.0, 0.5)
    return replace(alert, fired_at=at, **more)


def leave(state_dir, *alerts, silences=()):
    store = EventFile(state_dir)
    store.load()
    infinity = float("inf")
    store.put(Changes(alerts, [Standing(alert, "shape", "boot", alert.at, 0.0, 60.0, infinity) for alert in alerts], list(silences)))
    store.close()
    assert not store.error


def silences_kept(state_dir):
    store = EventFile(state_dir)
    saved = store.load()
    store.close()
    return saved.silences


def test_a_silence_that_ended_since_silences_nothing_and_one_that_was_made_since_does(state_dir, perfconsole):
    hour = time.time() - 3600
    ended = Silence("0000000a", (("endpoint", "slow"),), hour - 3600, hour, "bob", "night")
    slow = alert_at("slow", muted="silenced by bob: night", silence="0000000a")
    behind = alert_at("behind", muted="http:gateway is down", silence="0000000a")
    leave(state_dir, slow, behind, silences=[ended])
    ran = perfconsole("alerts", "list")
    assert ran.code == 2, ran
    assert "bob" not in ran.out
    assert "http:gateway is down" in ran.out  # a reason of its own
    made = perfconsole("alerts", "silence", "endpoint=*", "--for", "1h", "--reason", "works", "--by", "anna")
    assert "2 of the alerts that stand now" in made.out, made
    code, found = listed(perfconsole)
    assert code == 0
    muted = {alert["id"]: (alert["muted"], alert["silence"]) for alert in found["alerts"]}
    silence_id = made.out.split()[1].rstrip(":")
    assert muted == {
        "down{endpoint=slow}": ("silenced by anna: works", silence_id), "down{endpoint=behind}": ("http:gateway is down", silence_id),
    }  # fmt: skip
    assert [silence["id"] for silence in found["silences"]] == [silence_id]
    perfconsole("alerts", "unsilence", silence_id)
    assert listed(perfconsole)[0] == 2


@pytest.mark.parametrize("glob", ["a b", "a,b", 'say "hi"', "x=y", '"', "it's [ab]*"])
def test_what_the_shell_took_as_one_word_is_one(state_dir, perfconsole, glob):
    ran = perfconsole("alerts", "silence", f"endpoint={glob}", "rule=down*", "--for", "1h", "--reason", "x")
    assert ran.code == 0, ran
    assert [silence.match for silence in silences_kept(state_dir)] == [(("endpoint", glob), ("rule", "down*"))]


def test_a_label_that_nobody_knows_is_told(state_dir, perfconsole):
    leave(state_dir, alert_at("shop"))
    told = "it covers none of the alerts that stand now: no rule or alert has a label enpoint (labels: "
    ran = perfconsole("alerts", "silence", "enpoint=shop", "--for", "1h", "--reason", "x")
    assert ran.code == 0, ran
    assert ran.out.splitlines()[1].startswith(told)
    for match in ("endpoint=shop", "endpoint=none-yet", "mountpoint=/none-yet"):
        assert perfconsole("alerts", "silence", match, "--for", "1h", "--reason", "x").out.count("\n") == 1


def test_one_that_ended_meanwhile_leaves_the_others_to_be_taken_on(state_dir, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(state_dir.parent))
    monkeypatch.chdir(state_dir.parent.parent)
    first, gone, last = alert_at("a"), alert_at("b"), alert_at("c")
    leave(state_dir, first, gone, last)
    asking = standing._ask

    def ended_meanwhile(loaded, spec, args):
        if args.id == gone.id:
            leave(state_dir, first, last)
        return asking(loaded, spec, args)

    monkeypatch.setattr(standing, "_ask", ended_meanwhile)
    assert dispatch(["alerts", "ack", "down", "--by", "anna"]) == 3
    told = capsys.readouterr()
    assert told.out == f"{first.id}: acknowledged by anna\n{last.id}: acknowledged by anna\n"
    assert told.err == f"perfconsole: {gone.id} does not stand any more, or is another occurrence\n"


# Whom to ask --------------------------------------------------------------------------------------------------------------------------


def test_several_at_once_wait_for_each_other(state_dir, tmp_path, environment):
    leave(state_dir, alert_at("shop"))
    command = [sys.executable, "-m", "perfconsole", "alerts"]
    verbs = [["silence", f"endpoint=e{number}", "--for", "1h", "--reason", "x"] for number in range(6)] + [["list"], ["ack", "down"]]
    ways = {"cwd": tmp_path, "env": environment, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [subprocess.Popen([*command, *verb], **ways) for verb in verbs]
    told = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 6 + [2, 0], told
    assert sorted(silence.match for silence in silences_kept(state_dir)) == [(("endpoint", f"e{number}"),) for number in range(6)]


def test_a_lease_that_is_let_go_is_waited_for(state_dir, perfconsole):
    leave(state_dir, alert_at("shop"))
    lease = Lease.take(state_dir, Holder(os.getpid(), os.uname().nodename, time.time()))
    later = threading.Timer(1.5, lease.release)
    later.start()
    ran = perfconsole("alerts", "list")
    assert not later.is_alive()  # it waited, and did not look past the one who wrote
    later.join()
    assert (ran.code, ran.err) == (2, ""), ran


def test_a_console_that_has_begun_and_does_not_listen_yet_is_waited_for(state_dir, perfconsole):
    lease = Lease.take(state_dir, Holder(os.getpid(), os.uname().nodename, time.time(), "", str(state_dir / "engine.sock")))
    engine = Engine([Busy()], Stream("testhost", "s1", "boot", "0"), rules=RULES)
    engine.start()
    listening = []
    later = threading.Timer(1.5, lambda: listening.append(Listener(engine, state_dir / "engine.sock")))
    later.start()
    ran = perfconsole("alerts", "list")
    later.join()
    listening[0].close()
    engine.stop()
    lease.release()
    assert (ran.code, ran.err) == (2, ""), ran
    assert "no console runs" not in ran.out


@pytest.mark.parametrize(("socket", "why"), [("", "it does not listen"), ("gone.sock", "gone.sock: No such file or directory")])
@pytest.mark.parametrize("args", [["list"], ["silence", "rule=x", "--for", "1h", "--reason", "x"]])
def test_a_holder_that_never_answers_is_named_and_nothing_is_written_past_it(state_dir, monkeypatch, capsys, socket, why, args):
    monkeypatch.setenv("XDG_STATE_HOME", str(state_dir.parent))
    monkeypatch.setattr(engines, "PATIENCE_S", 0.25)
    lease = Lease.take(state_dir, Holder(os.getpid(), os.uname().nodename, time.time(), "", socket and str(state_dir / socket)))
    monkeypatch.chdir(state_dir)
    code = dispatch(["alerts", *args])
    lease.release()
    told = capsys.readouterr()
    assert (code, told.out) == (3, "")
    assert told.err.startswith(f"perfconsole: PID {os.getpid()} holds {state_dir / 'lease'}, and cannot be asked: ")
    assert told.err.endswith(f"{why}: try again; if it stays so, end it\n")
    assert not (state_dir / "events.db").exists()


def test_a_holder_elsewhere_is_named_with_its_host(state_dir, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(state_dir.parent))
    monkeypatch.setattr(engines, "PATIENCE_S", 0.0)
    lease = Lease.take(state_dir, Holder(17, "elsewhere", time.time()))
    monkeypatch.chdir(state_dir)
    code = dispatch(["alerts", "list"])
    lease.release()
    assert (code, capsys.readouterr().err.split(" holds")[0]) == (3, "perfconsole: PID 17 on elsewhere")


@pytest.mark.parametrize("live", [False, True])
def test_the_runbook_of_an_endpoint_goes_before_that_of_its_rule(live, state_dir, perfconsole, config_file, request):
    config_file(
        '[[http]]\nname = "shop"\nurl = "http://127.0.0.1:9/"\nrunbook = "https://wiki.example/shop"\n'
        '[[http]]\nname = "cart"\nurl = "http://127.0.0.1:9/c"\n'
        '[[alert]]\nname = "down"\nseverity = "critical"\nmetric = "httpcheck.up"\nbelow = 0.5\nfor = "1m"\nmin_events = 2\n'
        'match = { endpoint = "*", service = "*" }\nrunbook = "https://wiki.example/down"\n'
    )
    if live:
        engine = request.getfixturevalue("running")
        told = [alert_at("shop", above=False), alert_at("cart", above=False)]
        engine.loop.call_soon_threadsafe(lambda: engine.state.tell(told, None))
        until(lambda: len(engine.state.alerts) >= 3)
    else:
        leave(state_dir, alert_at("shop", above=False), alert_at("cart", above=False))
    ran = perfconsole("alerts", "list")
    assert ran.code == 2, ran
    lines = ran.out.splitlines()
    (shop,), (cart,) = ([line for line in lines if name in line] for name in ("shop is down", "cart is down"))
    assert "https://wiki.example/shop" in shop
    assert "https://wiki.example/shop" not in cart
    assert live or "https://wiki.example/down" in cart
