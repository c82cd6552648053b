"""What checks cost, and how true their latencies are, by a server's own clock: printed, not judged. What does not depend on speed is.

Everything is read from recordings, as anybody could: the checks are those of the program as it is used.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import defaultdict
from itertools import cycle, islice
from pathlib import Path

import misbehaving
import pytest
from authority import usual
from harness import CONSOLE, environment

from perfconsole.core.segment import HEADER_BYTES, Reader

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 90.0


class Server:
    """`answering.py`; what it served is known once it was ended."""

    def __init__(self, tmp_path, *tls):
        self._log = tmp_path / "served.json"
        argv = [sys.executable, str(HERE / "answering.py"), str(self._log), *map(str, tls)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ports = json.loads(self._process.stdout.readline())

    def url(self, path, scheme="http"):
        return f"{scheme}://127.0.0.1:{self.ports[scheme]}{path}"

    def end(self):
        """Seconds that each request took, by target, in order."""
        self.close()
        return json.loads(self._log.read_text())

    def close(self):
        if self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.close()


def configured(tmp_path, urls, keys=""):
    path = tmp_path / "endpoints.toml"
    path.write_text("".join(f'[[http]]\nname = "e{number}"\nurl = "{url}"\n{keys}\n' for number, url in enumerate(urls)))
    return ["--config", str(path)]


class Recording:
    """`perfconsole record` with endpoints, in the background: a console without a terminal."""

    def __init__(self, tmp_path, arguments):
        self.file = tmp_path / f"{time.monotonic_ns()}.rec"
        self._process = subprocess.Popen(
            [*CONSOLE, "record", str(self.file), *arguments], env=environment(tmp_path), cwd=tmp_path,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._process.pid

    def until(self, condition):
        """Wait until what was recorded is such, however long a busy machine takes for it."""
        end = time.monotonic() + PATIENCE_S
        while not (self.file.exists() and condition(checks_of(self.file))):
            assert time.monotonic() < end, "it never came to that"
            assert self._process.poll() is None
            time.sleep(0.5)

    def end(self):
        """What was recorded."""
        self._process.terminate()
        self._process.wait(30)
        return checks_of(self.file)


def checks_of(path):
    """Checks in a recording, by endpoint and in order: the series of each reading by its metric and phase, and when it ended."""
    reader, groups, found = Reader(), {}, defaultdict(list)
    for tick in reader.feed(path.read_bytes()[HEADER_BYTES:]):
        groups.update({group.id: group for group in tick.groups})
        for reading in tick.readings:
            group = groups[reading.group]
            labels = dict(group.series[0].labels) if group.series else {}
            if group.collector == "http" and "endpoint" in labels:
                names = [dict(series.labels).get("phase") or series.name for series in group.series]
                found[labels["endpoint"]].append(
                    {"at": reading.at, "began": reading.began, **dict(zip(names, reading.values, strict=True))}
                )
    return found


def family(pid):
    """A process and its children, whichever of its threads began them."""
    begun = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return [pid, *(one for child in begun for one in family(int(child)))]


def cpu_s(pids):
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / _TICKS_PER_S


def pss_mib(pids):
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("Pss:")) / 1024


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def errors_of(checks, served, targets):
    """What the console said beyond what the server took, in seconds, of each check that is in both."""
    found = []
    for name, target in targets.items():
        pairs = zip(checks[name], served[target], strict=False)  # the last may have been served and not yet told
        found += [check["httpcheck.duration"] - took for check, took in pairs]
    return found


def test_latencies_against_the_servers_clock(tmp_path, server, spawn, tell):
    """50 endpoints every second, each slow in its own way; quietly, and while a person pages through a busy console."""
    paths = {f"e{number}": f"/x?n={number}&ms={number * 2}" for number in range(50)}
    arguments = configured(tmp_path, map(server.url, paths.values()), 'interval = "1s"')
    quiet = Recording(tmp_path, arguments)
    quiet.until(lambda checks: sum(map(len, checks.values())) > 450)
    calm = quiet.end()
    served = {name: len(checks) for name, checks in calm.items()}

    busy_file = tmp_path / "busy.rec"
    pty = spawn([*CONSOLE, "--interval", "500ms", "--record", str(busy_file), *arguments])
    pty.wait_stream(r"memory\D*\d+%")
    end = time.monotonic() + PATIENCE_S
    while not busy_file.exists() or sum(map(len, checks_of(busy_file).values())) < 300:  # it begins with the first tick
        assert time.monotonic() < end
        for key in "65jjkk1tG":
            pty.send(key)
            pty.read(0.15)
    assert pty.leave()[0] == 0
    took = server.end()
    between = {target: times[served[name] :] for name, target in paths.items() for times in (took[target],)}
    # The console of the first run may have been ended while a check was under way, which the server served.
    first = errors_of(calm, took, paths)
    tell("latency beyond the server's own, quiet, p99", f"{percentile(first, 0.99) * 1e3:.2f} ms", "", "2 ms")
    second = _nearest(checks_of(busy_file), between, paths)
    tell("the same while the screen is busy", f"{percentile(second, 0.99) * 1e3:.2f} ms", "", "5 ms")
    assert len(first) > 400
    assert len(second) > 200
    assert min(first) > -0.002  # nothing is quicker than it was


def _nearest(checks, served, targets):
    """As `errors_of`, where a request or two at the beginning may belong to nobody: the shift that leaves the least is the right one."""
    found = []
    for name, target in targets.items():
        shifts = [
            [check["httpcheck.duration"] - took for check, took in zip(checks[name], served[target][shift:], strict=False)]
            for shift in range(2)
        ]
        found += min(shifts, key=lambda errors: sum(map(abs, errors)))
    return found


def test_five_hundred_at_a_cold_start(tmp_path, server, tell):
    """All begun at once would each wait for the Python of all others, and tell it of the target."""
    paths = {f"e{number}": f"/x{number}" for number in range(500)}
    recording = Recording(tmp_path, configured(tmp_path, map(server.url, paths.values()), 'interval = "1m"'))
    recording.until(lambda checks: len(checks) == len(paths))
    checks = recording.end()
    first = {name: told[0] for name, told in checks.items()}
    assert len(first) == 500
    began, ended = min(check["began"] for check in first.values()), max(check["at"] for check in first.values())
    errors = errors_of(checks, server.end(), paths)
    tell("500 endpoints at a cold start, all done after", f"{ended - began:.2f} s", "", "2 s")
    tell("the most that one of them seems slower than it is", f"{max(errors) * 1e3:.1f} ms", "", "10 ms")
    assert max(check["httpcheck.slot_wait"] for check in first.values()) > 0  # they waited for their turn, and it is told apart


def blackbox_ratio(tmp_path, server, scheme, root):
    """CPU of prometheus-blackbox-exporter for the same checks, as a ratio of one core; None where it is not installed."""
    program = shutil.which("prometheus-blackbox-exporter") or shutil.which("blackbox_exporter")
    if program is None:
        return None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    modules = {"modules": {"check": {"prober": "http", "http": {"preferred_ip_protocol": "ip4"}}}}
    if root:
        modules["modules"]["check"]["http"]["tls_config"] = {"ca_file": root[0]}
    config = tmp_path / "blackbox.json"  # JSON is YAML
    config.write_text(json.dumps(modules))
    argv = [program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    exporter = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return asyncio.run(_probed(exporter.pid, port, server.url("", scheme)))
    finally:
        exporter.terminate()
        exporter.wait(10)


async def _probed(pid, port, url):
    async def probe(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /probe?module=check&target={url}/b{number % 1000} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return b"probe_success 1" in answer

    for _ in range(100):
        try:
            await probe(0)
            break
        except OSError:
            await asyncio.sleep(0.1)
    loop = asyncio.get_running_loop()
    began, used, tasks = loop.time(), cpu_s([pid]), []
    for number in range(RATE * RIVALS_S):
        await asyncio.sleep(began + number / RATE - loop.time())
        tasks.append(asyncio.create_task(probe(number)))
    assert all(await asyncio.gather(*tasks))
    return (cpu_s([pid]) - used) / (loop.time() - began)


RATE, WARM_S, WINDOW_S, RIVALS_S = 100, 11.0, 10.0, 4
"""1,000 endpoints every 10 s; begun all together they need a round to have spread."""


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_thousand_endpoints(tmp_path, tell, scheme):
    """A new connection each; beside plain httpx in the same run, and beside this console without endpoints."""
    authority, pairs = usual(tmp_path) if scheme == "https" else (None, {})
    server = Server(tmp_path, *([pairs["good"].chain, pairs["good"].key] if pairs else []))
    root = [str(authority.root.cert)] if authority else []
    keys = 'timeout = "10s"\n' + (f'tls = {{ ca = "{root[0]}" }}' if root else "")  # a busy machine is no fault of theirs
    try:
        many = Recording(tmp_path, configured(tmp_path, (server.url(f"/x{number}", scheme) for number in range(1000)), keys))
        none = Recording(tmp_path, [])
        time.sleep(WARM_S)
        pids, others = family(many.pid), family(none.pid)
        before, before_others = cpu_s(pids), cpu_s(others)
        time.sleep(WINDOW_S)
        ours, idle = (cpu_s(pids) - before) / WINDOW_S, (cpu_s(others) - before_others) / WINDOW_S
        memory, lone = pss_mib(pids), pss_mib(others)
        many.until(lambda checks: len(checks) == 1000)
        checks = many.end()
        none.end()
        argv = [sys.executable, str(HERE / "plain_httpx.py"), server.url("", scheme), str(RATE), str(RIVALS_S), *root]
        rival = json.loads(subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout)
        blackbox = blackbox_ratio(tmp_path, server, scheme, root)
    finally:
        server.close()
    promise = "15%" if scheme == "http" else "30%"
    others = f"httpx {rival['cpu_ratio']:.1%}" + (f", blackbox_exporter {blackbox:.1%}" if blackbox is not None else "")
    tell(f"CPU, 1,000 endpoints every 10 s, {scheme}", f"{ours - idle:.1%} ({others})", "", promise)
    tell(f"memory (PSS), 1,000 endpoints, {scheme}, no screen", f"{memory:.1f} MiB (none {lone:.1f}), {len(pids)} processes", "", "90 MiB")
    late = [check["httpcheck.lateness"] for told in checks.values() for check in told[1:]]
    tell(f"how late checks begin, {scheme}, p99", f"{percentile(late, 0.99) * 1e3:.1f} ms", "", "50 ms")
    assert len(checks) == 1000
    ups = [[check["httpcheck.up"] == 1 for check in told] for told in checks.values()]
    assert all(any(up) for up in ups)
    assert sum(map(sum, ups)) > 0.9 * sum(map(len, ups))  # one that a busy machine did not come to in time is no fault of its target


# Bad neighbours -------------------------------------------------------------------------------------------------------------------

GOOD = {f"good-{number}": f"/good{number}?ms={5 * number}" for number in range(3)}
BAD = ("/hang", "/drip?ms=60000", "/close", "/garbage", "/endless", "/headers_endless", "/rst", "/truncated", "tls_hang", "full")
NEIGHBOURS = 47
KEYS = 'interval = "500ms"\nfailing_interval = "500ms"\n'
TOLD = 16
WARM = 4
"""Of each; the first are begun while everything is loaded."""

PATIENT_S, WORST_S = 1.0, 4.0
"""Bounds for a machine that does much else; what was found is told."""


@pytest.fixture
def bad(tmp_path):
    """URLs that misbehave."""
    variables = os.environ | {"PYTHONPATH": str(Path(misbehaving.__file__).parent)}
    place = tmp_path / "lab"
    place.mkdir()
    with subprocess.Popen([sys.executable, misbehaving.__file__, str(place)], stdin=-1, stdout=-1, text=True, env=variables) as running:
        ports = json.loads(running.stdout.readline())["ports"]
        ways = [f"http://127.0.0.1:{ports['plain']}{way}" for way in BAD if way.startswith("/")]
        ways += [f"https://127.0.0.1:{ports['tls_hang']}/", f"http://127.0.0.1:{ports['full']}/"]
        yield list(islice(cycle(ways), NEIGHBOURS))
        running.stdin.close()


def lost_s(tmp_path, bad):
    """What each check of a good endpoint lost, and how many checks of the others there were."""
    server = Server(tmp_path)
    path = tmp_path / "neighbours.toml"
    named = [(name, server.url(target)) for name, target in GOOD.items()] + [(f"bad-{at}", url) for at, url in enumerate(bad)]
    path.write_text(
        "".join(f'[[http]]\nname = "{name}"\nurl = "{url}"\ntimeout = "2s"\nbody_limit = "20KiB"\n{KEYS}\n' for name, url in named)
    )
    try:
        recording = Recording(tmp_path, ["--config", str(path)])
        recording.until(lambda checks: all(len(checks.get(name, ())) > TOLD for name in GOOD))
        checks, took = recording.end(), server.end()
    finally:
        server.close()
    lost = []
    for name, target in GOOD.items():
        for check, served_s in list(zip(checks[name], took[target], strict=False))[WARM:]:  # the last may have been served and not yet told
            assert check["httpcheck.up"] == 1, (name, check)
            lost.append(check["httpcheck.lateness"] + check["httpcheck.slot_wait"] + check["httpcheck.duration"] - served_s)
    return lost, sum(len(told) for name, told in checks.items() if name not in GOOD)


def test_bad_neighbours_are_in_nobodys_way(tmp_path, bad, tell):
    """What hangs, drips, floods and talks garbage: what three good endpoints lose by 47 of them, and what they lose alone.

    Lost is all that comes between them and their answer: a late start, the wait for a turn, and what the console says of the latency
    beyond what the server took by its own clock.
    """
    (tmp_path / "alone").mkdir()
    alone, _ = lost_s(tmp_path / "alone", [])
    lost, others = lost_s(tmp_path, bad)
    assert others > 4 * NEIGHBOURS  # they were checked, again and again
    for share, name in ((0.5, "median"), (0.99, "p99"), (1.0, "worst")):
        figures = [f"{percentile(values, share) * 1e3:.1f} ms" for values in (lost, alone)]
        tell(f"lost to {NEIGHBOURS} bad neighbours (alone), {name}", f"{figures[0]} ({figures[1]})", "", "10 ms")
    assert percentile(lost, 0.99) < PATIENT_S
    assert max(lost) < WORST_S
