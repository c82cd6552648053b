"""The machine of `world` with endpoints that are checked: outcomes are a script, all else is real.

A function of the time, as `world` is of the step: whatever a world has behind it, it ends at `START` in the same state. What is asked on
request is kept in `Http.asked`, and answered from `Http.answers`.
"""

from contextlib import asynccontextmanager
from math import isnan, nan, sin
from typing import NamedTuple

import pytest
from msgspec import structs
from world import INTERVAL_S, START, Console, Scripted, World, console_app

from perfconsole.core.checks import Assertion, Certificate, Hop, Outcome, Phases, TlsFacts
from perfconsole.core.endpoints import EndpointRow, EndpointTable, ServiceRow
from perfconsole.core.ports import Measured, Operation, Result
from perfconsole.core.requests import HTTP_CHECK, HTTP_DETAIL, Done, EndpointChange, EndpointDetail
from perfconsole.core.tick import Event, Health, SeriesDef

TARGET = "checks"
HELD_S = 720.0
DAY_S = 86_400.0
PHASES = ("dns", "connect", "tls", "send", "wait", "transfer")
_SHARES = (0.02, 0.08, 0.15, 0.01, 0.7, 0.04)
"""Of a latency by phase; a plain one has no handshake."""


class Script(NamedTuple):
    """What becomes of one endpoint.

    Attributes:
        base_s: Latency around which it sways.
        fails_at: From then on its checks fail with `cause`; before they were well.
        quick: A failure gives no latency.
    """

    name: str
    service: str
    url: str
    state: str = "up"
    base_s: float = 0.09
    fails_at: float = nan
    cause: str = ""
    error: str = ""
    quick: bool = True
    status: int = 200
    expires: float = START + 80 * DAY_S
    kind: str = "http"
    interval_s: float = 10.0
    more: dict = {}


CHECKOUT, LOGIN, LEGACY, PARTNER = "checkout", "login", "legacy", "partner"
HOSTILE_ERROR = "body has no 'ready': \u241b[31m[bold]503[/bold]"
SCRIPTS = (
    Script(
        CHECKOUT, "shop", "https://shop.example/checkout", "down", 0.31, START - 132, "timeout", "no first byte within 5.0s", quick=False,
        more={"critical": True, "runbook": "https://wiki.example/runbooks/checkout", "labels": "team=payments"},
    ),
    Script("cart", "shop", "https://shop.example/cart", base_s=0.81, more={"limit_s": 0.5}),
    Script(
        "stock", "shop", "https://shop.example/stock?token=***", "failing", 0.012, START - 8, "status",
        "503 Service Unavailable, expected 200 to 399", quick=False, status=503,
    ),
    Script(
        "api", "api", "https://api.example/health", base_s=0.088, expires=START + 12.2 * DAY_S, interval_s=4.0,
        more={"api": True, "group": "api"},
    ),
    Script(
        LOGIN, "api", "https://login.example/", "down", 0.14, START - 5_000, "dns", "login.example: no such name", status=0, expires=nan,
    ),
    Script(
        LEGACY, "legacy.example", "https://legacy.example/", "down", 0.2, START - 2 * DAY_S, "tls", "certificate has expired", status=0,
        expires=START - 2 * DAY_S, more={"verified": False},
    ),
    Script("ready", "shop", "https://shop.example/ready", "down", 0.02, START - 61, "assertion", HOSTILE_ERROR, quick=False),
    Script("search", "search.example", "https://search.example/", "maintenance", 0.4),
    Script(
        "reports", "shop", "https://shop.example/reports", "suppressed", 0.6, START - 200, "status", "500 Internal Server Error",
        status=500, more={"blocked_by": "postgres:shop"},
    ),
    Script(
        PARTNER, "partner.example", "https://partner.example/v2", "unknown", nan, START - 7_200, "unmeasured",
        "${PARTNER_TOKEN} is not set", status=0, expires=nan,
    ),
    Script("在庫", "shop", "http://10.0.0.9:8080/在庫", base_s=0.0042, expires=nan),
    Script("orders-db", "db.example", "db.example:5432", kind="tcp", base_s=0.0011, status=0, expires=nan),
    Script("mail-exchanger", "example.org", "example.org", kind="dns", base_s=0.019, status=0, expires=nan),
    Script("new", "new.example", "https://new.example/", "unknown", nan, expires=nan, status=0),
)  # fmt: skip


RECOVERED = ((START - 600, "api", "down, connect: connection refused"), (START - 540, "api", "up"))
"""What was the matter once, and is told as events alone."""


def events(scripts, since, until):
    """Changes of states in a time."""
    told = [(script.fails_at, script.name, f"down, {script.cause}: {script.error}") for script in scripts if script.state == "down"]
    names = {script.name for script in scripts}
    return [
        Event(at - 10.0, at, "endpoint", name, f"{name}: {text}", "http")
        for at, name, text in sorted([*told, *RECOVERED])
        if since < at <= until and name in names
    ]


def sways(at, base_s, seed):
    """A latency at a time: up and down within two minutes, with a spike every now and then."""
    spike = 2.5 if int(at // 10 + seed) % 23 == 0 else 1.0
    return base_s * (1.0 + 0.3 * sin((at + 17 * seed) * 6.28318 / 120)) * spike


def outcome(script, at):
    """Up (1, 0 or NaN) and latency of the check at a time."""
    if isnan(script.base_s) or (script.state in {"maintenance", "suppressed"} and at > START - 200):
        return nan, nan
    if at >= script.fails_at:
        latency = 5.0 if script.cause == "timeout" else nan if script.quick else sways(at, script.base_s, len(script.name))
        return 0.0, latency
    return 1.0, sways(at, script.base_s, len(script.name))


def row(script, at=START, **fields):
    """What the table says of it."""
    if isnan(script.base_s) and not script.cause:  # just added
        return EndpointRow(script.name, script.kind, script.service, script.url, "unknown", interval_s=script.interval_s)
    up, latency = outcome(script, at)
    n = 0 if isnan(script.base_s) else int(HELD_S / script.interval_s)
    cut_off = up == 0 and script.cause == "timeout"
    status = 0 if cut_off else script.status
    long_s = min(HELD_S, max(0.0, at - script.fails_at)) if not isnan(script.fails_at) and n else 0.0
    known = isnan(script.base_s)
    percentiles = {f"p{p}_s": nan if known or long_s == HELD_S else script.base_s * by for p, by in ((50, 1.0), (90, 1.3), (95, 1.6))}
    base = EndpointRow(
        script.name, script.kind, script.service, script.url, script.state,
        since=script.fails_at if not isnan(script.fails_at) else START - 200 if script.state == "maintenance" else START - 86_400.0 * 3,
        cause=script.cause if at >= script.fails_at else "", error=script.error if at >= script.fails_at else "",
        at=at, status=status, last_s=latency, at_least=cut_off,
        **percentiles, p99_s=script.base_s * 2.5 if n >= 100 else nan,
        n=n - int(long_s / script.interval_s), checks=n, failed=int(long_s / script.interval_s),
        availability=1 - long_s / HELD_S if n else nan,
        held_s=HELD_S, expires=script.expires, interval_s=script.interval_s, address="192.0.2.7:443" if script.status else "",
        protocol="HTTP/1.1" if status else "", size_bytes=5120.0 if status else nan,
    )  # fmt: skip
    return structs.replace(base, **(script.more | fields))


def service(name, rows):
    """The row of a service, of those of its endpoints."""
    checks, failed = sum(row.checks for row in rows), sum(row.failed for row in rows)
    known = [row.availability for row in rows if not isnan(row.availability)]
    slow = [row.p95_s for row in rows if not isnan(row.p95_s)]
    return ServiceRow(
        name, len(rows), sum(row.state == "down" for row in rows), p50_s=min(slow, default=nan), p95_s=max(slow, default=nan),
        p99_s=nan, n=sum(row.n for row in rows), checks=checks, failed=failed,
        availability=sum(known) / len(known) if known else nan,
    )  # fmt: skip


def many(count):
    """As many endpoints as asked for, of ten services; every seventh is down."""
    made = []
    for i in range(count):
        made.append(Script(f"endpoint-{i:04}", f"service-{i % 10}", f"https://s{i % 10}.example/{i}", base_s=0.02 + i % 40 / 100))
        if i % 7 == 0:
            made[-1] = made[-1]._replace(state="down", fails_at=START - 60 - i, cause="connect", error="connection refused")
    return tuple(made)


CHAIN = (
    Certificate(
        "CN=shop.example", "CN=R11,O=Let's Encrypt,C=US", ("shop.example", "www.shop.example"), START - 10 * DAY_S, START + 80 * DAY_S
    ),
    Certificate("CN=R11,O=Let's Encrypt,C=US", "CN=ISRG Root X1", (), START - 700 * DAY_S, START + 400 * DAY_S),
)
LAST = Outcome(
    CHECKOUT, START, ok=False, cause="timeout", error="no first byte within 5.0s", phases=Phases(0.002, 0.011, 0.024, 0.0003, 4.9627, nan),
    total_s=5.0, at_least=True, scheduled=START - 5.0, slot_wait_s=0.0, late_s=0.0004, address="192.0.2.7:443",
    tls=TlsFacts(CHAIN, verified=True, version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"), engine="httpx",
)  # fmt: skip
FAILURE = structs.replace(
    LAST, at=START - 120, cause="status", error="502 Bad Gateway, expected 200 to 399", total_s=0.312, at_least=False, status=502,
    phases=Phases(0.002, 0.011, 0.024, 0.0003, 0.2737, 0.001), protocol="HTTP/1.1", size_bytes=166.0,
    headers=(("server", "nginx"), ("content-type", "text/html"), ("set-cookie", "***"), ("x-hostile", "\u241b[31m[bold]")),
    body="<html><head><title>502 Bad Gateway</title></head> <body>\u241b[2J[red]nginx[/red]</body></html>",
    assertions=(Assertion("status 200 to 399", ok=False, found="502"), Assertion("header content-type ~ html", ok=True)),
    hops=(Hop("http://shop.example/checkout", 301, 0.012), Hop("https://shop.example/checkout", 502, 0.3)),
)  # fmt: skip
DETAIL = EndpointDetail(
    [("url", "https://shop.example/checkout"), ("method", "GET"), ("auth", "bearer ${SHOP_TOKEN}"), ("interval", "10s, 5s while it fails"),
     ("timeout", "5s"), ("expect", "status 200 to 399; header content-type ~ html"), ("runbook", "https://wiki.example/runbooks/checkout")],
    last=LAST,
    failure=FAILURE,
    changes=(EndpointChange(START - 3_000, "up"), EndpointChange(START - 400, "failing", "timeout: no first byte within 5.0s"),
             EndpointChange(START - 390, "up"), EndpointChange(START - 132, "down", "timeout: no first byte within 5.0s")),
)  # fmt: skip
"""What is read of CHECKOUT; `last` is cut off by its timeout, `failure` is the last that was answered."""


class Http(Scripted):
    """The checker of endpoints. Its table is made for who looks at it, as the real one's is.

    Attributes:
        scripts: What there is.
        changed: Endpoint to fields of its row that differ from the script's.
        silent: Names of endpoints that are not checked any more.
        answers: Operation to its result, an exception, or a function of the arguments that gives either.
        asked: Operations and arguments, in order.
    """

    targets = (TARGET,)

    def __init__(self, scripts=SCRIPTS):
        super().__init__("http")
        self.scripts = scripts
        self.changed, self.silent = {}, set()
        self.at = nan
        self.last = {}
        self.asked = []
        self.answers = {
            HTTP_DETAIL.name: lambda args: DETAIL if args.endpoint == CHECKOUT else EndpointDetail([("url", args.endpoint)]),
            HTTP_CHECK.name: lambda args: Done(f"{args.endpoint}: up, 200 in 88ms"),
        }
        self.operations = tuple(Operation(spec, self._answering(spec.name)) for spec in (HTTP_DETAIL, HTTP_CHECK))

    def _answering(self, op):
        async def run(args):
            self.asked.append((op, args))
            answer = self.answers[op]
            answer = answer(args) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return run

    async def run(self, target, slot, views):
        self.step += 1
        if self.fault:
            raise self.fault
        before, self.at = self.at, slot.at
        measured = [self._checked(script) for i, script in enumerate(self.scripts) if self._due(i, script)]
        measured += [*self._services(), self._whole()]
        unmeasured = [
            Health("http", script.name, "error", slot.at, 0.0, error=script.error, fix="set it in the environment of perfconsole")
            for script in self.scripts
            if script.cause == "unmeasured"
        ]
        return Result(measured, self._tables(views), events(self.scripts, before, self.at), unmeasured)

    def _due(self, i, script):
        every = round(script.interval_s / INTERVAL_S)
        due = script.name not in self.silent and (round(self.at / INTERVAL_S) + i) % every == 0
        if due or script.name not in self.last:
            self.last[script.name] = self.at
            return True
        return False

    def _checked(self, script):
        labels = (("endpoint", script.name), ("service", script.service))
        up, latency = outcome(script, self.at)
        encrypted = script.url.startswith("https")
        phases = [share * latency if encrypted or name != "tls" else nan for name, share in zip(PHASES, _SHARES, strict=True)]
        answered = up == 1 or (up == 0 and script.cause != "timeout")
        values = {
            "up": up, "duration": latency, "error.ratio": nan if isnan(up) else 1 - up, "status": float(script.status) if answered else nan,
            "size": 5120.0 if up > 0 else nan, "tls.expiry": script.expires - self.at, "lateness": 0.0004, "slot_wait": 0.0,
        }  # fmt: skip
        series = [SeriesDef(f"httpcheck.{name}", labels) for name in values]
        series += [SeriesDef("httpcheck.phase.duration", (labels[0], ("phase", name), labels[1])) for name in PHASES]
        return Measured(script.name, tuple(series), [*values.values(), *phases], interval_s=script.interval_s)

    def _services(self):
        for name in sorted({script.service for script in self.scripts}):
            outcomes = [outcome(script, self.at)[0] for script in self.scripts if script.service == name]
            known = [up for up in outcomes if not isnan(up)]
            values = [min(known, default=nan), 1 - sum(known) / len(known) if known else nan]
            labels = (("service", name),)
            yield Measured(f"service:{name}", (SeriesDef("httpcheck.up", labels), SeriesDef("httpcheck.error.ratio", labels)), values)

    def _whole(self):
        outcomes = [outcome(script, self.at) for script in self.scripts]
        known = [up for up, _ in outcomes if not isnan(up)]
        values = {
            "up": min(known, default=nan), "duration": max((latency for _, latency in outcomes if not isnan(latency)), default=nan),
            "error.ratio": 1 - sum(known) / len(known) if known else nan,
            "tls.expiry": min((script.expires - self.at for script in self.scripts if not isnan(script.expires)), default=nan),
        }  # fmt: skip
        return Measured(TARGET, tuple(SeriesDef(f"httpcheck.{name}") for name in values), list(values.values()))

    def rows(self):
        """Rows as they are now."""
        made = [row(script, self.last.get(script.name, self.at), **self.changed.get(script.name, {})) for script in self.scripts]
        return sorted(made, key=lambda row: row.key)

    def _tables(self, views):
        if isnan(self.at) or not any(view.table == "endpoint" and view.target in {"", TARGET} for view in views):
            return []
        rows = self.rows()
        by_service = {name: [row for row in rows if row.service == name] for name in sorted({row.service for row in rows})}
        services = tuple(service(name, members) for name, members in by_service.items())
        return [EndpointTable(TARGET, self.at, len(rows), rows, services)]

    async def look(self, views):
        return self._tables(views)


class HttpWorld(World):
    """The machine with endpoints.

    Attributes:
        http: The collector.
    """

    def __init__(self, steps=4, scripts=SCRIPTS, *, more=(), **options):
        self.http = Http(scripts)
        super().__init__(steps, more=(self.http, *more), **options)


WELL = tuple(script for script in SCRIPTS if script.state == "up" and script.name != "cart")
"""Those that nothing is the matter with."""


@pytest.fixture
def make_http_world():
    """Makes such machines: steps, scripts, options of `world.World`."""
    made = []

    def make(*args, **options):
        made.append(HttpWorld(*args, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def http_world(make_http_world):
    """One with all of `SCRIPTS`."""
    return make_http_world()


@asynccontextmanager
async def endpoints_screen(world, kind="local", size=(120, 36), **changes):
    """A console on the Endpoints screen, with its first table there."""
    app = console_app(world.connect(kind), **changes)
    async with app.run_test(size=size) as pilot:
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press("5")
        await console.step()
        yield console
