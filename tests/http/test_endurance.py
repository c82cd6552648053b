"""Two hundred checks of every misbehaviour: nothing stays open, none takes longer than it may, and none is in another's way."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import misbehaving
import pytest
from engines import ENGINES, nameless

from perfconsole.core.checks import Check, Expect, Tls

CHECKS = 200
AT_A_TIME = 50
TIMEOUT_S, PATIENT_S = 0.25, 100
SLACK_S = 30
"""A check ends within its timeout and this: fifty that end together take turns for half a second, on a machine that is not busy."""

PLAIN = [
    "/ok", "/hang", "/drip?ms=60000", "/close", "/rst", "/garbage", "/truncated", "/endless", "/headers_endless", "/headers_slow?ms=60000",
    "/until_closed", "/early", "/gzipped", "/bomb", "/status/500", "/redirect?n=2", "/redirect?n=-1",
]  # fmt: skip
SLOW = {"/hang", "/drip?ms=60000", "/headers_slow?ms=60000", "https tls_hang", "http full"}
OTHER = ["https good", "https expired", "https tls_hang", "https not_tls", "http full", "http good", "http refused", "http shop.example"]

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("engine", ENGINES)]


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """The server in a process of its own: its descriptors are not ours, and it takes no time of ours. Ports by listener, and a CA file."""
    command = [sys.executable, misbehaving.__file__, str(tmp_path_factory.mktemp("lab"))]
    environment = os.environ | {"PYTHONPATH": str(Path(misbehaving.__file__).parent)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as running:
        yield json.loads(running.stdout.readline())
        running.stdin.close()


def address(apart, what):
    scheme, _, listener = what.rpartition(" ")
    if listener.startswith("/"):
        return f"http://127.0.0.1:{apart['ports']['plain']}{listener}"
    if "." in listener:
        return f"{scheme}://{listener}/"
    return f"{scheme}://127.0.0.1:{1 if listener == 'refused' else apart['ports'][listener]}/ok"


def limit_s(what):
    return TIMEOUT_S if what in SLOW else PATIENT_S


def descriptors():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  the directory's own descriptor counts each time


async def closed(before, what):
    """What was opened since is closed again, in the next turns of the loop."""
    for _ in range(1000):
        if descriptors() <= before:
            return
        await asyncio.sleep(0.01)
    assert descriptors() <= before, what


async def many(engine, apart, what, shared, count, **settings):
    """The outcomes, each with how long its check took by the loop's clock."""
    settings = {"timeout_s": limit_s(what), "tls": Tls(ca=apart["ca"]), "body_limit_bytes": 20_000, "redirects": 4} | settings
    check = Check(name="x", service="s", kind="http", target=address(apart, what), expect=Expect(not_body="absent"), **settings)
    probers = [ENGINES[engine](check, shared) for _ in range(AT_A_TIME)]

    async def some(prober):
        outcomes = []
        for _ in range(count // AT_A_TIME):
            began = time.monotonic()
            outcome = await prober.probe()
            outcomes.append((outcome, time.monotonic() - began))
        prober.close()
        return outcomes

    return [one for several in await asyncio.gather(*map(some, probers)) for one in several]


@pytest.mark.parametrize("what", [*PLAIN, *OTHER])
async def test_nothing_stays_open_and_none_takes_too_long(apart, engine, what):
    shared = nameless()
    await many(engine, apart, what, shared, AT_A_TIME)  # what is loaded once is
    before = descriptors()
    outcomes = await many(engine, apart, what, shared, CHECKS)
    assert len(outcomes) == CHECKS
    causes = Counter(outcome.cause for outcome, _ in outcomes)
    if what in SLOW:  # a machine that does much else may use the time up before anybody was asked, and has to say so
        assert causes.keys() <= {"timeout", "unmeasured"}
        assert causes["timeout"] > 0
    else:
        assert len(causes) == 1  # what happened once happens every time
        assert causes.keys().isdisjoint({"timeout", "unmeasured"})
    assert max(took_s for _, took_s in outcomes) <= limit_s(what) + SLACK_S
    await closed(before, what)


async def test_checks_that_are_cancelled_leave_nothing_open(apart, engine):
    shared = nameless()
    for what in ("/ok", "/hang", "/drip?ms=60000", "/endless", "https tls_hang", "http full"):
        await many(engine, apart, what, shared, AT_A_TIME, timeout_s=0.1)
        before = descriptors()
        for pause_s in (0, 0.001, 0.005, 0.05):
            checking = asyncio.ensure_future(many(engine, apart, what, shared, CHECKS, body_limit_bytes=1 << 30, timeout_s=5))
            await asyncio.sleep(pause_s)
            if checking.cancel() or not pause_s:  # what answers may have done so by then
                with pytest.raises(asyncio.CancelledError):
                    await checking
        await closed(before, what)


async def test_what_hangs_and_what_floods_is_in_nobodys_way(apart, engine):
    shared = nameless()
    bad = ["/hang", "/endless", "/headers_endless", "/garbage", "https tls_hang", "http full", "/drip?ms=60000"]
    await many(engine, apart, "/ok", shared, AT_A_TIME)
    checking = [asyncio.ensure_future(many(engine, apart, what, shared, CHECKS)) for what in bad]
    good = await many(engine, apart, "/ok", shared, CHECKS, timeout_s=100)
    outcomes = await asyncio.gather(*checking)
    assert all(outcome.ok for outcome, _ in good)
    assert [len(several) for several in outcomes] == [CHECKS] * len(bad)
