"""The machine of `http_world` with alerts in every state: what is told of them is a script, and what is asked is kept and answered.

They are told by a real engine, so that they reach the screens by both kinds of source; its own stage makes thresholds alone.
"""

from contextlib import asynccontextmanager
from math import nan
from unittest import mock

import pytest
from http_world import CHECKOUT, SCRIPTS, HttpWorld
from msgspec import structs
from world import START, Console, Scripted, console_app

from perfconsole.core.alert_requests import AlertHistory
from perfconsole.core.notices import Notice
from perfconsole.core.ports import Operation
from perfconsole.core.requests import ALERT_ACK, ALERT_HISTORY, ALERT_SILENCE, ALERT_UNSILENCE, RULE_EDIT, Done
from perfconsole.core.shipped import SHIPPED, THRESHOLDS
from perfconsole.core.tick import Ack, Alert, Rule, Silence, Tick

RUNBOOK = "https://wiki.example/runbooks/cpu"
OWN = Rule(
    "cpu-busy-warning", "warning", "system.cpu.utilization", 0.8, stat="avg", over_s=60.0, for_s=300.0, keep_s=100.0, min_samples=5,
    depends_on=("http:gateway",), respond_s=600.0, runbook=RUNBOOK, notify=("slack",), colour=False, source="perfconsole.toml:12",
)  # fmt: skip
RULES = (*SHIPPED, OWN)


def checked(name, service="shop"):
    return (("endpoint", name), ("service", service))


def alert(rule, metric, labels=(), severity="critical", state="firing", ago=400.0, **fields):
    """An alert whose breach began so many seconds ago; it fired a minute after."""
    named = ",".join(f"{name}={text}" for name, text in labels)
    since = START - ago
    fired = nan if state == "pending" else since + 60.0
    usual = {
        "firing": {"before": "pending", "at": since + 60.0},
        "pending": {"before": "inactive", "at": since, "due": since + 600.0},
        "resolved": {"before": "firing", "at": START - 130.0},
    }[state]
    more = {"value": 0.95, "limit": 0.9, "fired_at": fired, "since": since} | usual | fields
    return Alert(f"{rule}{{{named}}}", rule, metric, labels, severity, state, **more)


DOWN = alert("service-down-critical", "httpcheck.up", checked(CHECKOUT), value=0.0, limit=0.5, above=False, ago=132.0, n=2)
CPU = alert(OWN.name, OWN.metric, (), "warning", ago=4000.0, value=0.93, limit=0.8, stat="avg", over_s=60.0, n=30,
            ack=Ack("ops", START - 600, "looking at the batch job"))  # fmt: skip
DISK = alert("disk-usage-warning", "system.filesystem.utilization", (("mountpoint", "/var"),), "warning", ago=7200.0, value=0.91,
             limit=0.85, silence="5f00aa01", muted="silenced by ops: growing it tonight")  # fmt: skip
SLOW = alert("response-time-warning", "httpcheck.duration", checked("cart"), "warning", ago=1000.0, value=0.81, limit=0.5, stat="p50",
             over_s=60.0, n=6, muted="inhibited by response-time-critical")  # fmt: skip
SOON = alert(
    "memory-usage-critical", "system.memory.utilization", (), state="pending", ago=240.0, value=0.92, stat="avg", over_s=60.0, n=30
)
OVER = alert("service-down-critical", "httpcheck.up", checked("api", "api"), state="resolved", ago=900.0, value=1.0, limit=0.5, above=False)
KEPT = Silence("5f00aa01", (("rule", "disk-usage-warning"), ("mountpoint", "/var")), START - 600, START + 3000, "ops", "growing it tonight")
ALERTS = (DOWN, CPU, DISK, SLOW, SOON, OVER)

COURSE = (
    structs.replace(DOWN, at=START - 30, before="firing", ack=Ack("kim", START - 30, "rolling back")),
    DOWN,
    structs.replace(DOWN, state="pending", before="inactive", at=START - 132, fired_at=nan),
    structs.replace(DOWN, state="resolved", before="firing", at=START - 3000, since=START - 3200, fired_at=START - 3140),
    structs.replace(DOWN, at=START - 3140, since=START - 3200, fired_at=START - 3140),
    structs.replace(DOWN, state="pending", before="inactive", at=START - 3200, since=START - 3200, fired_at=nan),
)  # fmt: skip
NOTICES = (
    Notice("k3", "pager", "firing", DOWN, START - 72, "waiting", START + 12, 3, error="timeout after 10s"),
    Notice("k2", "slack", "firing", DOWN, START - 72, "sent", tries=1, sent_at=START - 71),
    Notice("k1", "mail", "resolved", OVER, START - 3000, "failed", tries=9, error="550 mailbox unavailable"),
)
HISTORY_OF_DOWN = AlertHistory(COURSE, NOTICES)


def storm(count, rule="service-down-critical", **fields):
    """As many endpoints that are down at once."""
    return [
        alert(rule, "httpcheck.up", checked(f"endpoint-{i:03}", "shop"), value=0.0, limit=0.5, above=False, ago=200.0 + i / 1000, **fields)
        for i in range(count)
    ]


def crowd(count):
    """The same of the endpoints of `http_world.many`, which are checked."""
    return [structs.replace(one, labels=checked(f"endpoint-{i:04}", f"service-{i % 10}")) for i, one in enumerate(storm(count))]


class Keeper(Scripted):
    """Where the engine's operations on alerts would be.

    Attributes:
        answers: Operation to its result, an exception, or a function of the arguments that gives either.
        asked: Operations and arguments, in order.
    """

    def __init__(self):
        super().__init__("keeper")
        self.asked = []
        self.answers = {ALERT_HISTORY.name: HISTORY_OF_DOWN}
        specs = (ALERT_ACK, ALERT_SILENCE, ALERT_UNSILENCE, ALERT_HISTORY, RULE_EDIT)
        self.operations = tuple(Operation(spec, self._answering(spec)) for spec in specs)

    def _answering(self, spec):
        async def answer(args):
            self.asked.append((spec.name, args))
            found = self.answers.get(spec.name, Done("done"))
            found = found(args) if callable(found) and not isinstance(found, type) else found
            if isinstance(found, Exception):
                raise found
            return found

        return answer

    def asked_for(self, spec):
        return [args for name, args in self.asked if name == spec.name]


class AlertWorld(HttpWorld):
    """That machine.

    Attributes:
        keeper: Who answers for alerts.
    """

    def __init__(self, steps=4, scripts=SCRIPTS, *, alerts=ALERTS, silences=(KEPT,), rules=RULES, **options):
        self.keeper = Keeper()
        with mock.patch("world.SHIPPED", THRESHOLDS):  # which alerts there are is a script: the stage makes thresholds alone
            super().__init__(steps, scripts, more=(self.keeper,), **options)
        self.say(alerts=list(alerts), silences=tuple(silences), rules=rules)

    def say(self, *alerts_told, alerts=(), silences=None, rules=None):
        """Have the engine tell something of alerts, as if its stage or a command had brought it about."""

        async def saying():
            engine, now = self.engine, self.clock.now()
            if rules is not None:
                engine.stream = engine._intake.stream = structs.replace(engine.stream, rules=tuple(rules), began=START - 100_000)
            told = [*alerts, *alerts_told]
            tick = Tick(engine.state.seq + 1, now.at, now.boot, alerts=told, silences=silences, stream=engine.stream)
            engine.state.apply(tick)
            for box in engine._boxes:
                box.put(tick)

        self.run(saying())


@pytest.fixture
def make_alert_world():
    """Makes such machines: steps, scripts, alerts, silences, options of `world.World`."""
    made = []

    def make(*args, **options):
        made.append(AlertWorld(*args, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def alert_world(make_alert_world):
    """One with all of `ALERTS`."""
    return make_alert_world()


@asynccontextmanager
async def alerts_screen(world, kind="local", size=(120, 36), **changes):
    """A console on the Alerts screen."""
    app = console_app(world.connect(kind), **{"user": "kim", **changes})
    async with app.run_test(size=size) as pilot:
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press("7")
        await console.settled()
        yield console
