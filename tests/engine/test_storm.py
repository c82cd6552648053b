"""A storm: five hundred endpoints fail behind one gateway. Whoever is told is told once, of all of them; and one line says it."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from perfconsole import assembly
from perfconsole.config.load import parse_text
from perfconsole.core import alert_words
from perfconsole.core.ports import Measured, Result
from perfconsole.core.tick import SeriesDef, Stream
from perfconsole.engine.engine import Engine
from perfconsole.notify import outbox_lane

pytestmark = pytest.mark.slow

ENDPOINTS = 500
SPREAD_S = 1.5
"""They are checked one after the other: their alerts come over so long."""


class Gateway:
    """A collector: all are well, then one after the other is down."""

    name, interval_s, first_after_s, targets, operations = "checks", 0.5, 0.0, ("checks",), ()

    def __init__(self):
        self.series = [(SeriesDef("httpcheck.up", (("endpoint", f"e{i}"), ("service", "shop"))),) for i in range(ENDPOINTS)]
        self.began = time.monotonic()

    async def run(self, target, slot, views):
        broken = (time.monotonic() - self.began - 1.0) / SPREAD_S * ENDPOINTS
        return Result([Measured(f"e{i}", series, [float(i > broken)], interval_s=10.0) for i, series in enumerate(self.series)])

    async def look(self, views):
        return []

    def close(self):
        pass


@pytest.fixture
def receiver():
    """A webhook that takes everything; what it was sent."""
    sent = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self):
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Take) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], sent
        server.shutdown()


def test_five_hundred_at_once_are_one_message_and_one_line(receiver, tmp_path, monkeypatch):
    monkeypatch.setattr(outbox_lane, "GATHER_S", 3.0)  # twice as long as they come, and six beats
    port, sent = receiver
    config = parse_text(
        f"[history]\ndir = '{tmp_path}'\n[alerts]\ndefaults = false\nnotify = ['ops']\n"
        f"[[notify]]\nname = 'ops'\ntype = 'webhook'\nurl = 'http://127.0.0.1:{port}/'\nmax_alerts = 1000\n"
        "[[alert]]\nname = 'service-down'\nseverity = 'critical'\nmetric = 'httpcheck.up'\nbelow = 0.5\nfor = '1s'\nmin_events = 2\n"
        "match = { endpoint = '*', service = '*' }\n",
        env={},
    )
    engine = Engine([Gateway()], Stream("box", "s", "b", "0"), rules=assembly.rules(config))
    engine.start()
    try:
        assert assembly.keep_alerts(engine, config) == ""
        until(lambda: sent, 120.0)
        firing = [alert for alert in engine.state.alerts.values() if alert.state == "firing"]
        shown = alert_words.gathered(alert_words.in_order(firing))
    finally:
        engine.stop()
    assert [len(message["alerts"]) for message in sent] == [ENDPOINTS]  # all of them are in the first: there is nothing left for a second
    assert {alert["status"] for alert in sent[0]["alerts"]} == {"firing"}
    (crowd,) = shown
    assert alert_words.group_line(crowd).startswith("service-down: 500 endpoints (")


def until(true, within_s):
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
