"""Alerts while everything else goes wrong: exactly stamped, and told within a beat of when they are due."""

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from perfconsole import assembly
from perfconsole.config.load import parse_text
from perfconsole.engine.local import LocalSource

pytestmark = pytest.mark.slow

ENDPOINTS = 1000
FOR_S = 6.0
RULES = 20
PATIENCE_S = 60.0
ROUNDED_S = 1e-6
"""Four roundings of epoch seconds as floats, which are 2.4e-7 s apart."""


class Told:
    """A sink: when which alert was told, by the wall clock."""

    wants_keyframe, error = False, ""

    def __init__(self):
        self.fired, self.all = {}, threading.Event()

    def __call__(self, tick):
        for alert in tick.alerts:
            if alert.state == "firing" != alert.before and alert.rule.startswith("late"):
                self.fired[alert.rule] = (alert, time.time())
        if len(self.fired) == RULES:
            self.all.set()

    def close(self):
        pass


@pytest.fixture
def answering(tmp_path):
    """A server that answers at once; its port."""
    argv = [sys.executable, str(Path(__file__).with_name("answering.py")), str(tmp_path / "served.json")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        yield json.loads(server.stdout.readline())["http"]
        server.stdin.close()
        server.wait(10)


@pytest.fixture
def silent():
    """A server that takes every connection and never says anything; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def unslewed(monkeypatch):
    """A wall clock that nobody slews. What is told of a breach and of its deadline is counted by CLOCK_BOOTTIME, and has the wall clock of
    the tick that tells it: NTP may move that by 500 ppm in between, with which no difference of the two would be exact.
    """
    monkeypatch.setattr("perfconsole.engine.clock.Clock.follow", lambda _: 0.0)


@pytest.mark.usefixtures("unslewed")
def test_they_fire_in_time_with_a_thousand_endpoints_a_database_that_hangs_and_a_screen_that_is_stuck(answering, silent, tell):
    rules = "".join(
        f"[[alert]]\nname = 'late-{i}'\nseverity = 'critical'\nmetric = 'system.uptime'\nabove = 0\nfor = '{FOR_S + i * 0.37:g}s'\n"
        for i in range(RULES)
    )
    endpoints = "".join(f"[[http]]\nname = 'e{i}'\nurl = 'http://127.0.0.1:{answering}/{i}'\n" for i in range(ENDPOINTS))
    database = f"[[postgres]]\nname = 'hangs'\ndsn = 'postgresql://nobody@127.0.0.1:{silent}/x'\n"
    engine, told = assembly.build_engine(parse_text(rules + endpoints + database, env={})), Told()
    engine.start()
    stuck = LocalSource(engine)
    stuck.subscribe(lambda: None)  # woken, and never drained
    try:
        engine.add_sink("told", told)
        assert told.all.wait(PATIENCE_S), sorted(told.fired)
        checked = _all_checked(engine)
    finally:
        stuck.close()
        engine.stop()
    late_s = []
    for alert, at in told.fired.values():
        for_s = FOR_S + int(alert.rule.removeprefix("late-")) * 0.37
        assert alert.at == pytest.approx(alert.since + for_s, abs=ROUNDED_S)
        late_s.append(at - alert.at)
    assert checked >= ENDPOINTS
    tell("alerts: told after they were due, at most", f"{max(late_s) * 1e3:.0f} ms", "", "500 ms, a beat")


def _all_checked(engine):
    """How many endpoints were found up, once it is all of them: on a busy machine one may have its first check late, or a bad one."""
    end = time.monotonic() + PATIENCE_S
    while (found := sum(series.value == 1.0 for series in engine.state.every("httpcheck.up"))) < ENDPOINTS and time.monotonic() < end:
        time.sleep(0.1)
    return found
