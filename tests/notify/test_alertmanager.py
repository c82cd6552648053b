"""A real Alertmanager on the loopback is told of alerts: they appear, stay while they fire, and end. What it is sent, to the letter."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from msgspec.structs import replace
from receivers import Receiver, T, alert, down, eventually, message, notice, over

from perfconsole.config.load import parse_text
from perfconsole.notify.channel import SendError
from perfconsole.notify.channels import alerts_api
from perfconsole.notify.channels.base import Given
from perfconsole.notify.making import channels

PROGRAM = shutil.which("prometheus-alertmanager")
installed = pytest.mark.skipif(PROGRAM is None, reason="prometheus-alertmanager is not installed")


def notify(url, more=""):
    (found,) = parse_text(f'[[notify]]\nname = "am"\ntype = "alertmanager"\nurl = "{url}"\n{more}', env={}).notify
    return found


def sent(url, told, clock=time.time):
    async def once():
        made = alerts_api.AlertsApiChannel(notify(url), Given(lambda _: "https://wiki.example/r", {}, clock))
        try:
            return await made.send(told)
        finally:
            await made.close()

    return asyncio.run(once())


# What it is sent ------------------------------------------------------------------------------------------------------------------


def test_the_request():
    receiver = Receiver()
    try:
        sent(receiver.url + "/am/", message(notice(alert()), over(down("cart"))), clock=lambda: T + 5000)
    finally:
        receiver.close()
    assert receiver.last.path == "/am/api/v2/alerts"
    first, second = receiver.last.json
    assert first == {
        "labels": {"alertname": "memory-critical", "severity": "critical", "host": "db1"},
        "annotations": {**first["annotations"], "runbook_url": "https://wiki.example/r", "value": "92% (avg over 1m, n 30)"},
        "startsAt": "2026-02-02T02:40:00.000Z",
        "endsAt": "2026-02-02T04:07:20.000Z",  # four minutes from now, however old the message is
    }
    assert (second["labels"]["endpoint"], second["endsAt"]) == ("cart", "2026-02-02T02:55:00.000Z")


def test_it_wants_to_be_told_again():
    (made,) = channels(parse_text('[[notify]]\nname = "am"\ntype = "alertmanager"\nurl = "http://am.example:9093"', env={}), {})
    assert (made.refresh_s, made.each) == (60.0, False)
    assert made.preview(message(alert())).startswith("POST http://am.example:9093/api/v2/alerts\n")


# A real one -----------------------------------------------------------------------------------------------------------------------


class Served:
    """An Alertmanager that forwards what it is told to a webhook, after a moment."""

    def __init__(self, place, webhook):
        (place / "am.yml").write_text(
            json.dumps(
                {
                    "global": {"resolve_timeout": "1m"},
                    "route": {"receiver": "out", "group_by": ["alertname"], "group_wait": "50ms", "group_interval": "100ms",
                              "repeat_interval": "1h"},
                    "receivers": [{"name": "out", "webhook_configs": [{"url": webhook, "send_resolved": True}]}],
                }
            )
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = place / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [
                    PROGRAM,
                    f"--config.file={place}/am.yml",
                    f"--storage.path={place}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--cluster.listen-address=",
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        eventually(self._ready, within_s=30)

    def _ready(self):
        if self._process.poll() is not None:
            log = self._log.read_text()
            if "failed to parse templates" in log:  # Debian's build looks for them where its package puts them
                pytest.skip("prometheus-alertmanager is installed without its templates")
            pytest.fail(log)
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def alerts(self):
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:
            return {one["labels"].get("endpoint", ""): one for one in json.load(answer)}

    def close(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def webhook():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory, webhook):
    made = Served(tmp_path_factory.mktemp("am"), f"{webhook.url}/out")
    yield made
    made.close()


def now(one, since_s=600.0):
    at = time.time()
    return replace(one, at=at - 1, fired_at=at - 1, since=at - since_s)


@installed
def test_an_alert_appears_stays_and_ends(served, webhook):
    firing = now(down("checkout"))
    assert sent(served.url, message(firing)) == "200"
    shown = eventually(lambda: served.alerts().get("checkout"))
    assert shown["labels"] == {
        "alertname": "service-down",
        "severity": "critical",
        "endpoint": "checkout",
        "service": "shop",
        "host": "db1",
    }
    assert shown["annotations"]["summary"].startswith("checkout is down")
    assert shown["annotations"]["runbook_url"] == "https://wiki.example/r"
    assert shown["status"]["state"] in {"active", "unprocessed"}
    first = eventually(lambda: next((request.json for request in webhook.requests if b"checkout" in request.body), None))
    assert (first["status"], first["alerts"][0]["status"]) == ("firing", "firing")
    began, ends = shown["startsAt"], shown["endsAt"]
    sent(served.url, message(firing), clock=lambda: time.time() + 60)  # told again: the same alert, which lasts longer
    again = served.alerts()["checkout"]
    assert (again["startsAt"], again["fingerprint"]) == (began, shown["fingerprint"])
    assert again["endsAt"] > ends
    sent(served.url, message(over(firing, at=time.time())))
    last = eventually(lambda: next((one.json for one in webhook.requests if b'"status":"resolved"' in one.body), None))
    assert last["alerts"][0]["labels"]["endpoint"] == "checkout"
    eventually(lambda: "checkout" not in served.alerts())


@installed
def test_an_alert_of_which_nobody_speaks_any_more_ends(served):
    """So long as `endsAt` lies ahead it stays: told every minute, it outlives three messages that are lost."""
    sent(served.url, message(now(down("orphan"))), clock=lambda: time.time() - alerts_api.OUTLIVES * alerts_api.REFRESH_S + 1.5)
    assert "orphan" in served.alerts()
    eventually(lambda: "orphan" not in served.alerts())


@installed
def test_hostile_labels_are_taken(served):
    odd = now(alert("odd rule {x}", labels=(("endpoint", 'a"b\n\\é'), ("mount.point", "/"), ("empty", ""))))
    assert sent(served.url, message(odd)) == "200"
    shown = eventually(lambda: served.alerts().get('a"b\n\\é'))
    assert shown["labels"]["mount_point"] == "/"


@installed
def test_what_ends_before_it_began_is_taken(served):
    """The clock was set back: an end is an end."""
    firing = now(down("past"))
    assert sent(served.url, message(over(firing, at=firing.fired_at - 100))) == "200"


@installed
def test_what_it_refuses_is_told(served):
    with pytest.raises(SendError, match="answered 404") as caught:
        sent(f"{served.url}/elsewhere", message(now(alert())))
    assert not caught.value.final  # it may be that it is just being set up


@installed
def test_a_storm_is_one_request(served):
    assert sent(served.url, message(*(now(down(f"s{number}")) for number in range(500)))) == "200"
    assert len([name for name in served.alerts() if name.startswith("s")]) == 500
