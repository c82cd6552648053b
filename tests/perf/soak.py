"""A soak: the collector of endpoints against servers that misbehave in every way, for as long as is asked, and what it takes meanwhile.

``python tests/perf/soak.py --for 24h --endpoints 200`` prints a line a minute, and ends with 1 when descriptors, tasks or memory grow after
the warm-up. Linux. What is judged is memory of the processes' own: the rest of PSS changes with whoever else runs the same Python.
The half hour of results that is held of each endpoint is there from the beginning, so that ten minutes tell as much as a day.
"""

import argparse
import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from perfconsole.collectors.http import HttpCollector
from perfconsole.core.checks import Check, Outcome, Tls
from perfconsole.core.ports import Slot
from perfconsole.core.series import HELD_S
from perfconsole.core.units import parse_duration, parse_ratio

SERVER = Path(__file__).parents[1] / "http" / "misbehaving.py"
BEAT_S = 0.5
LOOKS = 12
"""A period is looked at so often; its figures are the least descriptors and tasks, and the median of memory."""

WARM_UP_S = 300.0
"""At most; of a shorter run, a third."""

MIX = (
    *[("ok", "http", "/ok", "plain", "")] * 6,
    ("big", "http", "/big?kb=64", "plain", ""),
    ("secured", "http", "/ok", "good", ""),
    ("named", "http", "/ok", "named", ""),
    ("redirected", "http", "/redirect?n=2", "plain", ""),
    ("port", "tcp", "", "plain", ""),
    ("certificate", "tls", "", "near", ""),
    ("failing", "http", "/status/500", "plain", "status"),
    ("hang", "http", "/hang", "plain", "timeout"),
    ("drip", "http", "/drip?n=100&ms=100", "plain", "timeout"),
    ("close", "http", "/close", "plain", "protocol"),
    ("rst", "http", "/rst", "plain", "protocol"),
    ("garbage", "http", "/garbage", "plain", "protocol"),
    ("expired", "tls", "", "expired", "tls"),
    ("refused", "tcp", "", "refused", "connect"),
)
"""Name, kind, path, listener, and the cause of its failures; empty for what is well."""


class Look(NamedTuple):
    """What there was at one moment: descriptors and own memory of console and child, tasks, PSS."""

    descriptors: int
    child_descriptors: int
    tasks: int
    own_bytes: int
    child_own_bytes: int
    pss_bytes: int
    child_pss_bytes: int


class Period(NamedTuple):
    """A minute: its looks, the checks done in it, those whose outcome was not what it had to be, and processes that were there."""

    ended_s: float
    looks: list
    checks: int
    wrong: int
    pids: frozenset

    def least(self, name):
        return min(getattr(look, name) for look in self.looks)

    def middle(self, name):
        return median(getattr(look, name) for look in self.looks)


def judged(periods, warm_up_s, most_ratio):
    """What grew after the warm-up, in words; nothing when all is well.

    Args:
        periods: In their order.
        warm_up_s: Those that ended before are left out.
        most_ratio: By how much memory may grow.
    """
    steady = [period for period in periods if period.ended_s > warm_up_s]
    if len(steady) < 4:
        return ["it was too short to tell"]
    half = len(steady) // 2
    first, last = steady[: max(1, half // 2)], steady[-max(1, half // 2) :]
    found = []
    for name, words in (("descriptors", "descriptors"), ("child_descriptors", "descriptors of the child"), ("tasks", "tasks")):
        # What is under way comes and goes; what leaks raises even the least of it above all that there was.
        before, after = max(max(getattr(look, name) for look in period.looks) for period in first), min(p.least(name) for p in last)
        if after > before:
            found.append(f"{words} grew from at most {before} to at least {after}")
    for name, words in (("own_bytes", "memory of the console"), ("child_own_bytes", "memory of the child")):
        before, after = (median(period.middle(name) for period in some) for some in (first, last))
        if after > before * (1 + most_ratio):
            found.append(f"{words} grew from {_mib(before)} to {_mib(after)} MiB, {after / before - 1:.1%}")
    if len(frozenset.union(*(period.pids for period in periods))) > 1:
        found.append("the child died")
    if not all(period.checks for period in steady):
        found.append("for a time nothing was checked")
    return found


def _mib(size):
    return f"{size / 2**20:.1f}"


@contextmanager
def server():
    """The servers, in a process of their own: where they listen."""
    with tempfile.TemporaryDirectory(prefix="perfconsole-soak-") as place, socket.create_server(("127.0.0.1", 0)) as refusing:
        refused = refusing.getsockname()[1]
        refusing.close()
        process = subprocess.Popen([sys.executable, str(SERVER), place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            told = json.loads(process.stdout.readline())
            yield {**told["ports"], "refused": refused, "named": told["ports"]["plain"]}, told["ca"]
        finally:
            process.communicate("")


def endpoints(count, ports, ca, interval_s):
    """So many checks, and the causes of failures that they have to have, by name."""
    checks, causes = [], {}
    for number in range(count):
        what, kind, path, listener, cause = MIX[number % len(MIX)]
        name, host = f"{what}-{number}", "localhost" if listener == "named" else "127.0.0.1"
        scheme = "https" if listener == "good" else "http"
        at = f"{host}:{ports[listener]}"
        target = f"{scheme}://{at}{path}" if kind == "http" else at
        checks.append(
            Check(
                name=name, kind=kind, target=target, service=what, interval_s=interval_s, failing_s=interval_s / 2,
                timeout_s=min(2.0, interval_s), tls=Tls(ca=ca), family=4,
            )
        )  # fmt: skip
        causes[name] = cause
    return checks, causes


def past(checks, causes, now):
    """What checks would have told in twice the time for which results are held: memory that grows and is given back has found its size."""
    chance = Random(1)
    step_s = min(check.failing_s for check in checks)
    for step in range(int(2 * HELD_S / step_s)):
        at = now - 2 * HELD_S + step * step_s
        for check in checks:
            cause = causes[check.name]
            if cause or step % 2:  # those that fail twice as often
                # More various than they will be: percentiles are counted in buckets.
                yield Outcome(check.name, at, not cause, cause, cause, total_s=chance.lognormvariate(-7.0, 1.0), scheduled=at)


class Soak:
    """One run.

    Args:
        checks: What is checked.
        causes: Of the failures that there have to be, by name.
    """

    def __init__(self, checks, causes):
        self.collector = HttpCollector(checks)
        for outcome in past(checks, causes, time.time()):
            self.collector._followed[outcome.name].endpoint.take(outcome)
        self.causes = causes
        self.counts = Counter()
        self.said = []
        self.pids = set()

    async def run(self, for_s, every_s, tell):
        """Run for so long; tells each period as it ends, and returns them."""
        began = time.monotonic()
        collecting = asyncio.create_task(self._collect())
        periods, looks = [], []
        try:
            while time.monotonic() - began < for_s:
                await asyncio.sleep(every_s / LOOKS)
                looks.append(self._look())
                if len(looks) == LOOKS:
                    periods.append(self._period(time.monotonic() - began, looks))
                    tell(periods[-1])
                    looks = []
                if collecting.done():
                    collecting.result()
        finally:
            collecting.cancel()
            self.collector.close()
        return periods

    async def _collect(self):
        while True:
            result = await self._result()
            for measured in result.measured:
                if measured.target in self.causes:
                    self._count(measured.target)
            self.said += [event.text for event in result.events if event.kind == "checker"]
            await asyncio.sleep(BEAT_S)

    async def _result(self):
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        return await self.collector.run("checks", Slot(time.time(), boot, boot + 5), ())

    def _count(self, name):
        last = self.collector._followed[name].endpoint.last
        self.counts["checks"] += 1
        self.counts["wrong"] += last.cause != self.causes[name]

    def _look(self):
        gc.collect()  # what only waits for a collection has not leaked
        pid = self._pid()
        self.pids |= {pid} - {0}
        own, child = _memory(os.getpid()), _memory(pid) if pid else (0, 0)
        return Look(
            _descriptors(os.getpid()), _descriptors(pid) if pid else 0, len(asyncio.all_tasks()), own[0], child[0], own[1], child[1]
        )

    def _pid(self):
        remote = getattr(self.collector._checker, "_there", None)
        return remote.pid if remote else 0

    def _period(self, ended_s, looks):
        counts, self.counts = self.counts, Counter()
        return Period(ended_s, looks, counts["checks"], counts["wrong"], frozenset(self.pids))


def _memory(pid):
    """Own memory and PSS, in bytes: what was allocated, and that with a share of what is shared."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        found[name.rstrip(":")] = int(value) * 1024
    return found.get("Pss_Anon", found["Private_Dirty"]), found["Pss"]


def _descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # one of them is that of looking, each time


HEAD = "elapsed_s  descriptors console  child  tasks  PSS console  child  own console  child MiB  checks  wrong"


def shown(period):
    """A line of the table."""
    figures = [period.least(name) for name in ("descriptors", "child_descriptors", "tasks")]
    sizes = [_mib(period.middle(name)) for name in ("pss_bytes", "child_pss_bytes", "own_bytes", "child_own_bytes")]
    widths = (9, 20, 6, 6, 12, 6, 12, 10, 7, 6)
    cells = [f"{period.ended_s:.0f}", *figures, *sizes, period.checks, period.wrong]
    return " ".join(str(cell).rjust(width) for cell, width in zip(cells, widths, strict=True))


def main(argv=None):
    parser = argparse.ArgumentParser(description="Check endpoints that misbehave for long, and see what grows.")
    parser.add_argument("--for", dest="for_s", type=parse_duration, default=600.0, metavar="10m")
    parser.add_argument("--endpoints", type=int, default=200)
    parser.add_argument("--interval", dest="interval_s", type=parse_duration, default=5.0, metavar="5s")
    parser.add_argument("--every", dest="every_s", type=parse_duration, default=60.0, metavar="1m", help="between two lines")
    parser.add_argument("--most", dest="most_ratio", type=parse_ratio, default=0.02, metavar="2%%", help="by which memory may grow")
    options = parser.parse_args(argv)
    warm_up_s = min(WARM_UP_S, options.for_s / 3)
    with server() as (ports, ca):
        soak = Soak(*endpoints(options.endpoints, ports, ca, options.interval_s))
        print(f"{options.endpoints} endpoints every {options.interval_s:g} s; judged after {warm_up_s:.0f} s\n{HEAD}", flush=True)
        periods = asyncio.run(soak.run(options.for_s, options.every_s, lambda period: print(shown(period), flush=True)))
    found = judged(periods, warm_up_s, options.most_ratio)
    for words in [*soak.said, *found]:
        print(words)
    print("grew" if found else "flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
