"""An outage, and a console that is killed twice in it: the alert fires when it is due, once, and everybody hears of it once."""

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from harness import environment

pytestmark = pytest.mark.slow

FOR_S = 8.0
APART_S = 0.001 + 500e-6 * 60
"""Milliseconds are told; and one console says since when, another when it fires: NTP may slew the wall clock by 500 ppm in between."""

CONFIG = """
[alerts]
defaults = false
notify = ["file"]

[[notify]]
name = "file"
type = "hook"
command = ["{python}", "-c", "import sys; open({told!r}, 'a').write(sys.stdin.read().replace(chr(10), ' ') + chr(10))"]

[[http]]
name = "shop"
url = "http://127.0.0.1:{port}/"
interval = "1s"
failing_interval = "1s"

[[alert]]
name = "down"
severity = "critical"
metric = "httpcheck.up"
match = {{ endpoint = "*", service = "*" }}
below = 0.5
for = "8s"
min_events = 2
max_gap = "60s"
keep_firing_for = "1s"
"""


RATE = """
[[alert]]
name = "rate"
severity = "critical"
metric = "httpcheck.up"
match = { endpoint = "*", service = "*" }
stat = "ratio"
above = "1%"
over = "30s"
for = "10s"
min_events = 4
max_gap = "10s"
"""
"""Its window holds the seconds before the kill: without them it would have to wait for four more checks, and would be over meanwhile."""


class Well(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def place(tmp_path):
    """A port at which nobody listens, and a configuration that has it checked; where it is told what was told."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = tmp_path / "told.jsonl"
    path = tmp_path / "config" / "perfconsole" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(CONFIG.format(python=sys.executable, told=str(told), port=port))
    path.chmod(0o600)
    return port, told


def listed(home):
    """What `alerts list` says."""
    argv = [sys.executable, "-m", "perfconsole", "alerts", "list", "--json"]
    done = subprocess.run(argv, env=environment(home), capture_output=True, check=False, timeout=30)
    return json.loads(done.stdout) if done.stdout else {"alerts": [], "live": None, "error": done.stderr}


def until(true, within_s=60.0):
    end = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def alert(home, state):
    return next((alert for alert in listed(home)["alerts"] if alert["state"] == state), None)


def kept(home):
    """Whether it is written down that something stands."""
    return _count(home, "standings")


def sent(home):
    """Whether it is written down that somebody was told."""
    return _count(home, "notices WHERE state = 'sent'")


def _count(home, rows):
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_database(home)) as database:
        return database.execute(f"SELECT count(*) FROM {rows}").fetchone()[0]
    return 0


def _database(home):
    return sqlite3.connect(f"file:{home}/state/perfconsole/events.db?mode=ro", uri=True)


def test_a_console_that_is_killed_twice_in_an_outage_fires_once_and_tells_once(spawn, tmp_path, place):
    port, told = place
    first = spawn()
    until(lambda: kept(tmp_path))
    pending = until(lambda: alert(tmp_path, "pending"))
    first.kill(signal.SIGKILL)
    left = listed(tmp_path)
    assert left["live"] is False
    assert left["alerts"][0]["since"] == pending["since"]
    second = spawn()
    firing = until(lambda: alert(tmp_path, "firing"))
    assert firing["since"] == pending["since"]
    assert _seconds(firing["fired_at"]) - _seconds(firing["since"]) == pytest.approx(FOR_S, abs=APART_S)
    until(lambda: told.exists() and told.read_text().count("\n"))
    until(lambda: sent(tmp_path))  # killed before that is written down, it would be sent again, under the same key
    second.kill(signal.SIGKILL)
    third = spawn()
    third.wait_text("shop")
    until(lambda: listed(tmp_path)["live"])
    assert until(lambda: alert(tmp_path, "firing"))["fired_at"] == firing["fired_at"]
    with HTTPServer(("127.0.0.1", port), Well) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        over = until(lambda: alert(tmp_path, "resolved"))
        server.shutdown()
        serving.join()
    assert over["fired_at"] == firing["fired_at"]
    messages = [json.loads(line) for line in told.read_text().splitlines()]
    fired = [one for message in messages for one in message["alerts"] if one["status"] == "firing"]
    assert len(fired) == 1, messages
    assert third.leave()[0] == 0


def test_an_error_rate_that_a_console_was_killed_over_fires_when_it_is_due(spawn, tmp_path, place):
    path = tmp_path / "config" / "perfconsole" / "config.toml"
    path.write_text(path.read_text().replace('notify = ["file"]', "notify = []") + RATE)
    first = spawn()
    pending = until(lambda: rate(tmp_path, "pending"))
    assert pending["n"] >= 4
    until(lambda: kept(tmp_path))
    first.kill(signal.SIGKILL)
    second = spawn()
    firing = until(lambda: rate(tmp_path, "firing"))
    assert firing["since"] == pending["since"]
    assert _seconds(firing["fired_at"]) - _seconds(firing["since"]) == pytest.approx(10.0, abs=0.002)
    assert firing["n"] > pending["n"]
    assert second.leave()[0] == 0


def rate(home, state):
    found = (alert for alert in listed(home)["alerts"] if alert["id"].startswith("rate{"))
    return next((alert for alert in found if alert["state"] == state), None)


def _seconds(text):
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
