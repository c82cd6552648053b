"""A console over made-up ticks, run as a program in a pty: `staged.py KIND [SECONDS]`, a tick every so many seconds of real time.

``hostile`` and ``raw`` tell text that means harm, the first passed through `core.text.safe` as collectors do, the second not.
``busy`` and ``quiet`` tell of machines, always the same ones, four ticks for every reading as an engine does and fifteen minutes of
history before; ``still`` of one on which nothing changes at all. With ``endpoints-`` before them fifty endpoints are checked every 10 s
beside such a machine. ``alerts-`` before them has three alerts fire on it, of which one is acknowledged and one silenced.
"""

import itertools
import os
import random
import sys
import threading
import time
from math import isnan, nan

from msgspec import structs

from perfconsole.config import actions, themes
from perfconsole.config.abilities import abilities
from perfconsole.core.change_requests import EventList, LogLine, UnitDetail
from perfconsole.core.checks import Assertion, Certificate, Hop, Outcome, Phases, TlsFacts
from perfconsole.core.endpoints import STATES, EndpointRow, EndpointTable, ServiceRow
from perfconsole.core.errors import RequestError
from perfconsole.core.login_rows import LoginRow, LoginTable
from perfconsole.core.requests import (
    EVENT_LIST,
    EVENT_MARK,
    HTTP_CHECK,
    HTTP_DETAIL,
    PROCESS_DETAIL,
    SPECS,
    SYSTEM_DETAIL,
    UNIT_DETAIL,
    Done,
    EndpointChange,
    EndpointDetail,
    Fact,
    FactSection,
    OpenFile,
    ProcessDetail,
    SystemDetail,
)
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.text import safe
from perfconsole.core.tick import Ack, Alert, Event, Group, Health, Reading, Rule, SeriesDef, Silence, Stream, Tick
from perfconsole.core.unit_rows import UnitRow, UnitTable
from perfconsole.ui.app import ConsoleApp
from perfconsole.ui.settings import Settings

START = 1_700_000_000.0
INTERVAL_S = 2.0
TICKS_A_READING = 4
GIB = float(1 << 30)


class StagedSource:
    """Tells ticks at a pace of its own; see `core.ports.Source`."""

    def __init__(self, ticks, every_s, answer):
        self._ticks, self._every_s, self._answer = ticks, every_s, answer
        self._told, self._lock, self._closed = [], threading.Lock(), threading.Event()
        self._taken = threading.Event()
        self.painted = lambda: True

    def subscribe(self, wake):
        threading.Thread(target=self._tell, args=(wake,), daemon=True).start()

    def _tell(self, wake):
        """A tick waits until the one before is taken, and the terminal has what was painted.

        On a machine that is too busy for the pace there are fewer of them: a console that finds its terminal behind would paint all anew.
        """
        due = time.monotonic()
        for tick in self._ticks:
            with self._lock:
                self._told.append(tick)
                self._taken.clear()
            wake()
            self._taken.wait()
            due = max(due + self._every_s, time.monotonic() + self._every_s / 2)
            if self._closed.wait(max(0.0, due - time.monotonic())):
                return
            while not self.painted() and not self._closed.wait(0.005):
                pass

    def close(self):
        self._closed.set()
        self._taken.set()

    def drain(self):
        with self._lock:
            told, self._told = self._told, []
            self._taken.set()
        return told

    def watch(self, watch):
        """Everything is told anyway."""

    async def request(self, op, args):
        return self._answer(op, args)


# A machine --------------------------------------------------------------------------------------------------------------------------


def series(name, **labels):
    return SeriesDef(name, tuple(sorted(labels.items())))


GAUGES = {
    series("system.cpu.utilization"): 0.31, series("system.cpu.logical.count"): 8.0, series("system.cpu.limit"): 8.0,
    series("system.load.1m"): 2.4, series("system.load.5m"): 2.2, series("system.load.15m"): 1.9,
    series("system.memory.utilization"): 0.58, series("system.memory.limit"): 32 * GIB, series("system.memory.total"): 32 * GIB,
    series("system.memory.usage", state="used"): 18.6 * GIB, series("system.memory.usage", state="cached"): 9.1 * GIB,
    series("system.paging.utilization"): 0.02, series("system.uptime"): 864_000.0, series("system.tcp.established"): 214.0,
    series("system.pressure.cpu.some"): 0.06, series("system.pressure.io.some"): 0.02, series("system.pressure.io.full"): 0.01,
    series("system.pressure.memory.some"): 0.0, series("system.pressure.memory.full"): 0.0,
    series("system.disk.wait", device="nvme0n1"): 0.0011, series("system.fd.utilization"): 0.01, series("system.fd.open"): 5312.0,
    series("system.filesystem.utilization"): 0.86, series("system.temperature"): 61.0,
    series("perfconsole.cpu.utilization"): 0.006, series("perfconsole.memory.usage"): 41.0 * (1 << 20),
}  # fmt: skip
STEADY = {"system.cpu.logical.count", "system.cpu.limit", "system.memory.limit", "system.memory.total", "system.filesystem.utilization"}
COUNTERS = {  # units a second while it is busy
    series("system.cpu.time", mode="user"): 1.8, series("system.cpu.time", mode="system"): 0.6,
    series("system.cpu.time", mode="iowait"): 0.1, series("system.cpu.time", mode="idle"): 5.5,
    series("system.paging.operations", direction="in"): 0.0, series("system.paging.operations", direction="out"): 0.0,
    series("system.disk.io", direction="read"): 3e6, series("system.disk.io", direction="write"): 9e6,
    series("system.disk.io_time", device="nvme0n1"): 0.12, series("system.network.io", direction="receive"): 2.2e6,
    series("system.network.io", direction="transmit"): 4.1e6, series("system.tcp.retransmits"): 0.4,
}  # fmt: skip
MOUNTS = {"/": 0.41, "/var": 0.86, "/srv/data": 0.73}


def machine(kind):
    """Ticks of a machine: ``busy`` has every value move at every reading, ``quiet`` few of them by little, ``still`` none."""
    dice = random.Random(7)
    swing = {"busy": 0.25, "quiet": 0.02, "still": 0.0}[kind]
    share = {"busy": 1.0, "quiet": 0.08, "still": 0.0}[kind]
    rules = (Rule("disk-warning", "warning", "system.filesystem.utilization", 0.85),)
    stream = Stream("db-7.example.net", "staged", "boot", "0", frozenset(SPECS), interval_s=INTERVAL_S, began=START, rules=rules)
    rows = [_process(dice, pid) for pid in range(1, 201)]
    filesystems = [series("system.filesystem.utilization", mountpoint=mount) for mount in MOUNTS]
    group = Group(1, "system", "host", INTERVAL_S, (*GAUGES, *COUNTERS, *filesystems))
    alert = Alert(
        "a", "disk-warning", "system.filesystem.utilization", (), "warning", "firing", "inactive", START, START, 0.86, 0.85, colour=True
    )
    grown = dict.fromkeys(COUNTERS, 1e6)

    def reading(at):
        gauges = [value if name.name in STEADY else value * (1 + dice.uniform(-swing, swing)) for name, value in GAUGES.items()]
        for name, pace in COUNTERS.items():
            grown[name] += pace * INTERVAL_S * (share or 1.0) * (1 + dice.uniform(-swing, swing))
        return Reading(1, at, [*gauges, *grown.values(), *MOUNTS.values()])

    history = [reading(START - before) for before in range(900, 0, -int(INTERVAL_S))]
    yield Tick(1, START, 1e5, key=True, stream=stream, groups=[group], readings=history, alerts=[alert])
    for seq in itertools.count(2):
        at = START + seq * INTERVAL_S / TICKS_A_READING
        boot = 1e5 + at - START
        if seq % TICKS_A_READING:
            yield Tick(seq, at, boot)
            continue
        moving = set(dice.sample(range(60), round(60 * share)))
        rows = [_moved(dice, row, swing) if place in moving else row for place, row in enumerate(rows)]
        health = [Health(name, "host", "ok", at, at) for name in ("system", "process")]
        yield Tick(seq, at, boot, readings=[reading(at)], tables=[ProcessTable("host", at, len(rows), rows)], health=health)


def _process(dice, pid):
    name = dice.choice(["postgres", "python", "nginx", "node", "java", "sshd", "kworker", "redis-server"])
    busy = pid <= 60
    return ProcessRow(
        pid=pid + 1000, start=pid, ppid=1, name=name, user=dice.choice(["root", "www-data", "postgres", "app"]), state="S",
        cpu=dice.random() ** 3 if busy else 0.0, cpu_s=dice.random() * 1e4, memory_bytes=dice.random() ** 4 * 4 * GIB,
        threads=dice.randint(1, 60), nice=0, started=START - 1e5, unit=f"{name}.service",
        command=f"/usr/bin/{name} --worker {pid} --config /etc/{name}/main.conf",
    )  # fmt: skip


def _moved(dice, row, swing):
    return structs.replace(
        row,
        cpu=max(0.0, row.cpu * (1 + dice.uniform(-swing, swing))),
        cpu_s=row.cpu_s + row.cpu * INTERVAL_S,
        memory_bytes=row.memory_bytes * (1 + dice.uniform(-swing, swing) / 20),
    )


def alarmed(kind):
    """Ticks of a machine on which three alerts fire."""
    match = (("mountpoint", "*"),)
    rules = (
        Rule("cpu-busy-warning", "warning", "system.cpu.utilization", 0.2, stat="avg", over_s=60.0, for_s=300.0, colour=False),
        Rule("load-critical", "critical", "system.load.1m", 2.0, for_s=60.0, respond_s=300.0, colour=False),
        Rule("disk-usage-warning", "warning", "system.filesystem.utilization", 0.7, match=match, for_s=60.0, colour=False),
    )
    silence = Silence("5f00aa01", (("rule", "disk-usage-warning"),), START - 600, START + 86_400, "ops", "growing it tonight")
    told = {"state": "firing", "before": "pending", "at": START - 900, "since": START - 1000, "fired_at": START - 900}

    def fires(rule, value, labels=(), **more):
        return Alert(rule.name, rule.name, rule.metric, labels, rule.severity, value=value, limit=rule.limit, stat=rule.stat,
                     over_s=rule.over_s, **told, **more)  # fmt: skip

    cpu, load, disk = rules
    alerts = [
        fires(cpu, 0.31, n=30, ack=Ack("kim", START - 800, "looking")), fires(load, 2.4),
        fires(disk, 0.86, (("mountpoint", "/var"),), silence=silence.id, muted="silenced by ops: growing it tonight"),
    ]  # fmt: skip
    for tick in machine(kind):
        if tick.key:
            stream = structs.replace(tick.stream, rules=(*tick.stream.rules, *rules), recorder="db-7", began=START - 1e5)
            yield structs.replace(tick, stream=stream, alerts=[*tick.alerts, *alerts], silences=(silence,))
        else:
            yield tick


# Endpoints --------------------------------------------------------------------------------------------------------------------------

ENDPOINTS, CHECKED_S = 50, 10.0
CHECKED = ("up", "duration", "error.ratio", "status")


def endpoints(kind):
    """Ticks of a machine with endpoints of five services, three of which are down; ``busy`` ones take another time with every check."""
    dice = random.Random(11)
    swing = {"busy": 0.4, "still": 0.0}[kind]
    rules = (Rule("endpoint-down", "critical", "httpcheck.up", 0.5, above=False, match=(("endpoint", "*"), ("service", "*"))),)
    rows = [_endpoint(dice, i) for i in range(ENDPOINTS)]
    groups = [_checked_group(i, row) for i, row in enumerate(rows)]
    held = [[] for _ in rows]
    history = []

    def check(i, at):
        row = rows[i]
        latency = float("nan") if row.state == "down" else _base(i) * (1 + dice.uniform(-swing, swing))
        held[i] = sorted([*held[i][-179:], latency])
        rows[i] = _endpoint_at(row, at, latency, held[i])
        return Reading(
            100 + i, at, [float(row.state != "down"), latency, float(row.state == "down"), nan if row.state == "down" else 200.0]
        )

    for before in range(900, 0, -int(INTERVAL_S)):
        history += [check(i, START - before) for i in range(ENDPOINTS) if (before // int(INTERVAL_S) + i) % 5 == 0]
    alerts = [
        Alert(f"down{i}", "endpoint-down", "httpcheck.up", groups[i].series[0].labels, "critical", "firing", "inactive", START - 900,
              START - 900, 0.0, 0.5, above=False, colour=True)
        for i, row in enumerate(rows) if row.state == "down"
    ]  # fmt: skip
    for tick in machine(kind):
        at = tick.at
        health = [*tick.health, Health("http", "checks", "ok", at, at)]
        if tick.key:
            stream = structs.replace(tick.stream, rules=(*tick.stream.rules, *rules))
            known = [structs.replace(alert, since=START - 900) for alert in tick.alerts]  # a young one is told to the second
            yield structs.replace(
                tick, stream=stream, groups=[*tick.groups, *groups], readings=[*tick.readings, *history], alerts=[*known, *alerts],
                tables=[_endpoint_table(rows, at)], health=health,
            )  # fmt: skip
        elif tick.readings:
            step = round((at - START) / INTERVAL_S)
            checked = [check(i, at) for i in range(ENDPOINTS) if (i - step) % 5 == 0]
            yield structs.replace(
                tick, readings=[*tick.readings, *checked], tables=[*tick.tables, _endpoint_table(rows, at)], health=health
            )
        else:
            yield structs.replace(tick, health=[Health("http", "checks", "ok", at, at)])  # it tells every half second that it is well


def _base(i):
    return 0.02 + i % 17 / 40


def _endpoint(dice, i):
    service = f"service-{i % 5}"
    row = EndpointRow(
        f"endpoint-{i:02}", "http", service, f"https://{service}.example.net/{i}", "up", since=START - 90_000, status=200,
        held_s=1800.0, expires=START + 86_400.0 * (20 + 9 * i) + 40_000, interval_s=CHECKED_S, availability=1.0, checks=180, n=180,
    )  # fmt: skip
    if dice.random() < 3 / ENDPOINTS or i == 7:
        return structs.replace(
            row, state="down", status=0, cause="connect", error="connection refused", since=START - 900, availability=0.5, failed=90, n=90
        )
    return row


def _endpoint_at(row, at, latency, held):
    known = [value for value in held if not isnan(value)]
    if not known:
        return structs.replace(row, at=at, last_s=latency)

    def p(ratio):
        return known[min(len(known) - 1, int(ratio * len(known)))]

    return structs.replace(row, at=at, last_s=latency, p50_s=p(0.5), p90_s=p(0.9), p95_s=p(0.95), p99_s=p(0.99))


def _checked_group(i, row):
    labels = {"endpoint": row.name, "service": row.service}
    return Group(100 + i, "http", row.name, CHECKED_S, tuple(series(f"httpcheck.{name}", **labels) for name in CHECKED))


def _endpoint_table(rows, at):
    services = []
    for name in sorted({row.service for row in rows}):
        members = [row for row in rows if row.service == name]
        slowest = max(row.p95_s for row in members if row.p95_s > 0)
        services.append(ServiceRow(
            name, len(members), sum(row.state == "down" for row in members), p50_s=slowest / 3, p95_s=slowest, n=180 * len(members),
            checks=180 * len(members), failed=sum(row.failed for row in members), availability=0.99,
        ))  # fmt: skip
    return EndpointTable("checks", at, len(rows), list(rows), tuple(services))


# Harm -------------------------------------------------------------------------------------------------------------------------------

HARM = (
    "\x1b[2J\x1b[H", "\x1b]52;c;cHduZWQ=\x07", "\x1b]0;title\x07", "\x1bc", "\x1b[?1049l", "\x1b[?1003h", "\x1bPq#0;2;0;0;0\x1b\\",
    "\x1b_Gf=100;x\x1b\\", "\x1b[6n", "\x1b[c", "\x9b2J", "\x9d52;c;eA==\x9c", "\x90q\x9c", "\x1b]8;;http://x\x07link\x1b]8;;\x07",
    "\u202eevil\u202c", "\u2066a\u2069", "\u200f", "\u061c", "\ufeff", "\u2028\u2029", "a[/b]", "[bold red]x[/]", "[@click=app.quit]x[/]",
    "[link=http://x]", "\\[x]", "[/]", "]", "[", "${x}", "$background", "\udc80\udcff", "\ud800", "\ud83d", "x" * 10_000, "\u0301" * 400,
    "a" + "\u0334\u0347" * 60, "\u20dd" * 9, "字" * 300, "👩‍👩‍👧‍👦", "🇩🇪🇩", "\u1f3fb", "\u115f\u1160", "ﷺ" * 20, "\U000e0041" * 8,
    "\0", "\a\b\t\n\v\f\r", "\x0e\x0f", "\x7f", "\x85", "\u00ad" * 5, "\u180e", "\u3164", "\ufff9\ufffa\ufffb", "\ue000", "\U0010ffff",
    "-n --help", "%s%n{}", "", " ",
)  # fmt: skip


def hostile(*, raw):
    """Ticks in which every text means harm; another harm in every place of every tick."""
    dice = random.Random(3)

    def harm(limit=4096):
        text = "".join(dice.choices(HARM, k=dice.randint(1, 3)))
        return text if raw else safe(text, limit)

    for seq in itertools.count(1):
        at = START + seq * 0.5
        named = [
            series("system.cpu.utilization"), series("system.memory.utilization"), series("system.filesystem.utilization"),
            *(series("system.filesystem.utilization", mountpoint=harm()) for _ in range(8)),
            *(series("system.network.io", interface=harm(), direction="receive") for _ in range(8)),
            *(series("system.disk.io", device=harm(), direction="read") for _ in range(8)),
            *(series("system.temperature", sensor=harm()) for _ in range(4)),
            *(series("cgroup.cpu.utilization", unit=harm()) for _ in range(4)),
        ]  # fmt: skip
        rules = tuple(Rule(harm(), "warning", "system.filesystem.utilization", 0.1, match=(("mountpoint", "*"),)) for _ in range(3))
        stream = Stream(harm(64), "s", "b", harm(20), frozenset(SPECS), recorder=harm(), began=START, rules=rules)
        rows = [
            ProcessRow(pid, pid, max(0, pid - 7), harm(), harm(), "S", dice.random(), 1.0, dice.random() * GIB, 3, 0, START, harm(), harm())
            for pid in range(1, 61)
        ]
        alerts = [
            Alert(f"{seq}{i}", harm(), name.name, name.labels, severity, "firing", "inactive", at, at, 0.9, 0.8, colour=True)
            for i, (name, severity) in enumerate(zip(named[2:10], itertools.cycle(["warning", "critical"]), strict=False))
        ]
        health = [Health(harm(), harm(), state, at, nan, 0.0, harm(), harm()) for state in ("error", "denied", "stale", "off")]
        health.append(Health("system", "host", "ok", at, at))
        listed = [_hostile_endpoint(harm, state, at) for state in (*STATES, harm())]
        groups = [_checked_group(i, row) for i, row in enumerate(listed)]
        alerts += [
            Alert(f"{seq}e{i}", harm(), "httpcheck.up", group.series[0].labels, "critical", "firing", "inactive", at, at, 0.0, 0.5, False)
            for i, group in enumerate(groups[:4])
        ]
        units = [_hostile_unit(harm, state) for state in ("active", "failed", harm(), "")]
        logins = [LoginRow(harm(), harm(), (harm(), harm()), 3, 9, 1, at - 90, at, breached) for breached in (True, False)]
        events = [Event(at, at, "endpoint", row.name, f"{row.name}: {harm(40)}, {harm()}", harm()) for row in listed]
        yield Tick(
            seq, at, 1e4 + at - START, key=True, stream=stream, groups=[Group(_SYSTEM + seq, "system", "host", 0.5, tuple(named)), *groups],
            readings=[Reading(_SYSTEM + seq, at, [0.9] * len(named)), *(Reading(group.id, at, [0.0, 0.2, 1.0, 503.0]) for group in groups)],
            tables=[
                ProcessTable("host", at, len(rows), rows), _endpoint_table(listed, at), UnitTable("host", at, 9, units, "v2", (harm(),)),
                LoginTable("host", at, at - 900, 3600.0, 2, logins, 18, 2, ((harm(), 7),), 0.5, (harm(), harm())),
            ],
            alerts=alerts,
            events=[*(Event(at - 9, at, kind, harm(), harm(), harm(), severity) for kind, severity in _HOSTILE_KINDS), *events],
            health=[*health, *(Health("http", name, "error", at, at, error=harm(), fix=harm()) for name in ("checks", harm()))],
        )  # fmt: skip


_SYSTEM = 10_000
"""Beyond the numbers of the groups of endpoints, however long it goes on."""

_HOSTILE_KINDS = (("mark", ""), ("note", ""), ("kernel", "critical"), ("login", "warning"), (HARM[0], ""), ("unit", HARM[2]))


def _hostile_unit(harm, state):
    return UnitRow(
        harm(), harm(), "service", 1, harm(), cpu=0.3, cpu_limit=0.5, throttled=0.6, memory_bytes=GIB, memory_limit=GIB, memory=0.99,
        oom_kills=1.0, tasks=9.0, state=state, result=harm(), restarts=3.0, since=START,
    )  # fmt: skip


def _hostile_endpoint(harm, state, at):
    return EndpointRow(
        harm(), harm(40), harm(), harm(), state, since=at - 90, cause=harm(40), error=harm(), blocked_by=harm(), at=at, status=503,
        last_s=0.2, p50_s=0.1, p95_s=0.2, n=40, checks=40, failed=20, availability=0.5, held_s=600.0, expires=at + 86_400.0, verified=False,
        interval_s=CHECKED_S, address=harm(), protocol=harm(), group=harm(), labels=harm(), critical=True, runbook=harm(),
    )  # fmt: skip


def _hostile_detail(harm):
    outcome = Outcome(
        harm(), START, ok=False, cause=harm(), error=harm(), total_s=0.2, address=harm(), protocol=harm(), status=503, size_bytes=40.0,
        phases=Phases(0.01, 0.02, 0.03, 0.01, 0.1, 0.03), assertions=(Assertion(harm(), ok=False, found=harm()),),
        tls=TlsFacts((Certificate(harm(), harm(), (harm(),), START, START + 86_400.0),), error=harm(), version=harm(), cipher=harm()),
        hops=(Hop(harm(), 301, 0.1),), headers=tuple((harm(), harm()) for _ in range(5)), engine=harm(),
        body="".join(harm() for _ in range(9)),
    )  # fmt: skip
    changes = tuple(EndpointChange(START - 60 * i, state, harm()) for i, state in enumerate((*STATES, harm())))
    return EndpointDetail([(harm(), harm()) for _ in range(9)], outcome, outcome, changes)


def hostile_answer(*, raw):
    """What requests give: details of processes and endpoints, and refusals, in the same words."""
    dice = random.Random(4)

    def harm(_limit=0):
        text = "".join(dice.choices(HARM, k=2))
        return text if raw else safe(text)

    def answer(op, args):
        if op == HTTP_DETAIL.name:
            return _hostile_detail(harm)
        if op in {HTTP_CHECK.name, EVENT_MARK.name}:
            return Done(harm())
        if op == UNIT_DETAIL.name:
            lines = [LogLine(START, number % 8, harm(), harm()) for number in range(20)]
            return UnitDetail([(harm(), harm()) for _ in range(9)], lines, [harm(), harm()])
        if op == SYSTEM_DETAIL.name:
            facts = [Fact(harm(), harm(), harm(), severity, harm()) for severity in ("critical", "warning", "unknown", "ok", "")]
            return SystemDetail([FactSection(harm(), facts, harm()) for _ in range(4)])
        if op == EVENT_LIST.name:
            return EventList([Event(START - 900, START - 800, kind, harm(), harm(), harm()) for kind, _ in _HOSTILE_KINDS], more=True)
        if op != PROCESS_DETAIL.name:
            raise RequestError(harm(), harm())
        files = [OpenFile(fd, dice.choice(["file", "socket", "pipe"]), harm()) for fd in range(40)]
        texts = [(harm(), harm()) for _ in range(10)]
        return ProcessDetail(files, [(harm(), harm(), harm())], [(harm(), 4096.0)], texts, [harm(), harm()])

    return answer


def main(kind, every_s="0.15"):
    """Run the console over it."""
    raw = kind == "raw"
    if kind in {"hostile", "raw"}:
        ticks, answer = hostile(raw=raw), hostile_answer(raw=raw)
    elif kind.startswith("endpoints-"):
        ticks, answer = endpoints(kind.removeprefix("endpoints-")), hostile_answer(raw=False)
    elif kind.startswith("alerts-"):
        ticks, answer = alarmed(kind.removeprefix("alerts-")), hostile_answer(raw=False)
    else:
        ticks, answer = machine(kind), hostile_answer(raw=False)
    words = "".join(HARM)
    settings = Settings(
        theme=themes.load_theme(themes.DEFAULT, env=os.environ).spec,
        themes=themes.names(os.environ),
        load=lambda name: themes.load_theme(name, env=os.environ).spec,
        keys=actions.keymap({}),
        abilities=abilities(os.environ),
        host=(words if raw else safe(words, 64)) if kind in {"hostile", "raw"} else "db-7.example.net",
        notices=[words if raw else safe(words)] if kind in {"hostile", "raw"} else (),
    )
    source = StagedSource(ticks, float(every_s), answer)
    app = ConsoleApp(source, settings)
    source.painted = lambda: app._outlet is None or not app._outlet.depth
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
