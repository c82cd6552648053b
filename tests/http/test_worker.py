"""The checker in a process of its own: real processes, killed, stopped and orphaned, and real servers that misbehave."""

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from engines import told
from quiet import measuring
from vacant import closed_port

from perfconsole.collectors.http import HttpCollector
from perfconsole.collectors.http.apart import child, pipe, remote_checker, worker
from perfconsole.collectors.http.apart.child import Child
from perfconsole.collectors.http.apart.choice import FEW, MANY, Chosen
from perfconsole.collectors.http.apart.descriptors import MOST
from perfconsole.collectors.http.apart.remote_checker import RemoteChecker
from perfconsole.collectors.http.checking.checker import Checker
from perfconsole.collectors.http.network import stamps
from perfconsole.core.checks import Check, Expect, JsonTest, Tls
from perfconsole.core.ports import Slot

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at processes in /proc")


def check(name, target, **settings):
    return Check(**({"name": name, "kind": "http", "target": target, "service": "s", "interval_s": 60.0, "timeout_s": 5.0} | settings))


class Remote:
    """A checker with its process, and what it told.

    Attributes:
        said: What the user is told.
        refused: Why there is no process.
    """

    def __init__(self, **how):
        self.outcomes, self.said, self.refused, self.begun = [], [], [], 0
        self.checker = RemoteChecker(self.outcomes.append, self.said.append, self.began, self.refused.append, **how)

    def began(self):
        self.begun += 1

    def of(self, name):
        return [outcome for outcome in self.outcomes if outcome.name == name]

    async def first(self, name):
        await until(lambda: self.of(name))
        return self.of(name)[0]


@asynccontextmanager
async def remote(*checks, **how):
    made = Remote(**how)
    made.checker.configure(checks)
    try:
        yield made
    finally:
        made.checker.close()


async def until(condition, within_s=90.0):
    """Wait for what has to come about, however busy the machine is."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  there is no event for what another process does
            await asyncio.sleep(0.01)


def there(pid):
    """Whether a process exists, a zombie too."""
    return Path(f"/proc/{pid}").exists()


def ended(pid):
    """Whether a process is gone, or only waits for somebody to ask how it ended: an orphan's new parent may take its time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def descriptors():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # the directory's own descriptor counts each time


# The same as on the loop ----------------------------------------------------------------------------------------------------------


def of_each_kind(lab):
    ca = Tls(ca=str(lab.ca))
    json = Expect(status=((200, 200),), json=(JsonTest("$.status", "==", "UP"), JsonTest("$.db.pool.used", "<", 5.0)))
    nobody = closed_port()
    return [
        check("ok", lab.url("/ok")),
        check("secured", lab.url("/ok", "good"), tls=ca),
        check("body", lab.url("/ok"), expect=Expect(body="OK", not_body="KO", header=(("Content-Length", "^2$"),))),
        check("json", lab.url("/json"), expect=json),
        check("500", lab.url("/status/500")),
        check("redirected", lab.url("/redirect?n=2")),
        check("for ever", lab.url("/redirect?n=-1"), redirects=3),
        check("hang", lab.url("/hang"), timeout_s=0.5),
        check("drip", lab.url("/drip"), timeout_s=0.5),
        check("close", lab.url("/close")),
        check("rst", lab.url("/rst")),
        check("garbage", lab.url("/garbage")),
        check("truncated", lab.url("/truncated")),
        check("hostile", lab.url("/hostile")),
        check("refused", f"http://127.0.0.1:{nobody}/"),
        check("expired", lab.url("/ok", "expired"), tls=ca),
        check("port", f"127.0.0.1:{lab.port()}", kind="tcp"),
        check("no port", f"127.0.0.1:{nobody}", kind="tcp"),
        check("tls", f"127.0.0.1:{lab.port('near')}", kind="tls", tls=ca),
        check("no tls", f"127.0.0.1:{lab.port('not_tls')}", kind="tls"),
        check("no such name", "no-such.invalid:80", kind="tcp"),
        check("no secret", lab.url("/ok"), headers=(("X-Key", "${NO_SUCH_SECRET_AT_ALL}"),)),
    ]


async def test_there_is_told_what_is_told_here(lab):
    checks = of_each_kind(lab)
    here = []
    checker = Checker(here.append)
    checker.configure(checks)
    await until(lambda: len(here) == len(checks))
    checker.close()
    before = time.time()
    async with remote(*checks) as made:
        await until(lambda: len(made.outcomes) >= len(checks))
    assert {one.name: told(one) for one in made.outcomes} == {one.name: told(one) for one in here}
    assert all(before - 0.01 <= outcome.scheduled <= outcome.at <= time.time() for outcome in made.outcomes)
    assert made.said == made.refused == []


async def test_secrets_are_looked_up_there_and_never_pass(lab, monkeypatch):
    monkeypatch.setenv("PERFCONSOLE_TEST_TOKEN", "hunter2-s3cret")
    passed = []

    class Tap(pipe.Splitter):
        def feed(self, data):
            passed.append(data)
            return super().feed(data)

    class Overheard(Child):
        def __init__(self, heard):
            super().__init__(heard)
            self._splitter = Tap()

        def send(self, order, *, hint=False):
            passed.append(pipe.frame(order))
            super().send(order, hint=hint)

    header = (("Authorization", "Bearer ${PERFCONSOLE_TEST_TOKEN}"),)
    async with remote(
        check("right", lab.url("/auth?bearer=${PERFCONSOLE_TEST_TOKEN}"), headers=header),
        check("wrong", lab.url("/auth?bearer=another"), headers=header),
        start=Overheard,
    ) as made:
        assert (await made.first("right")).ok
        assert (await made.first("wrong")).status == 401
    assert lab.last("/auth?bearer=another").header("authorization") == ["Bearer hunter2-s3cret"]
    wire = b"".join(passed)
    assert b"PERFCONSOLE_TEST_TOKEN" in wire
    assert b"hunter2" not in wire


async def test_now_checks_at_once_and_a_question_about_nothing_ends(lab):
    async with remote(check("a", lab.url("/slow?ms=300&now"))) as made:
        with pytest.raises(KeyError):
            await made.checker.now("b")
        outcome = await made.checker.now("a")  # asked before the process is there
        assert outcome.ok
        assert made.outcomes[-1] == outcome
        count = len(lab.seen("&now"))
        outcomes = await asyncio.gather(*(made.checker.now("a") for _ in range(5)))
        assert len({one.at for one in outcomes}) == 1
        assert len(lab.seen("&now")) == count + 1
        asked = asyncio.ensure_future(made.checker.now("a"))
        await asyncio.sleep(0)
        made.checker.configure([])
        with pytest.raises(KeyError):
            await asked


@measuring
async def test_soon_checks_what_was_not_just_checked(lab):
    async with remote(check("a", lab.url("/ok?soon"))) as made:
        await made.first("a")
        made.checker.soon("a")
        made.checker.soon("b")
        await asyncio.sleep(1.1)
        assert len(made.of("a")) == 1
        made.checker.soon("a")
        await until(lambda: len(made.of("a")) == 2)


async def test_what_is_configured_anew_is_told_of_the_new_only(lab):
    async with remote(check("a", lab.url("/slow?ms=400&old")), check("kept", lab.url("/ok?kept"))) as made:
        await made.first("kept")
        await until(lambda: lab.seen("&old"))
        made.checker.configure([check("a", lab.url("/status/500")), check("kept", lab.url("/ok?kept")), check("new", lab.url("/ok"))])
        await made.first("new")
        await made.first("a")
        await asyncio.sleep(0.5)
    assert {outcome.status for outcome in made.of("a")} == {500}
    assert len(made.of("kept")) == len(lab.seen("?kept")) == 1


# Lives and deaths -----------------------------------------------------------------------------------------------------------------


async def test_closing_ends_and_reaps_it_whatever_it_does(lab):
    async with remote(check("hang", lab.url("/hang")), check("a", lab.url("/ok"))) as made:
        await made.first("a")
        pid = made.checker.pid
        os.kill(pid, signal.SIGSTOP)  # whoever is stopped answers no request to end
        asked = asyncio.ensure_future(made.checker.now("a"))
        await asyncio.sleep(0)
        talk = made.checker._child._socket
        made.checker.close()
        assert not there(pid)
        assert talk.fileno() == -1
        with pytest.raises(KeyError):
            await asked


async def test_closing_while_it_starts_ends_it(lab):
    made = Remote()
    made.checker.configure([check("a", lab.url("/ok"))])
    await until(lambda: made.checker.pid)
    pid = made.checker.pid
    made.checker.close()
    assert not there(pid)
    made.checker.close()
    await asyncio.sleep(0.05)
    assert made.outcomes == made.said == made.refused == []


async def test_a_process_that_is_killed_makes_nobody_down(lab):
    async with remote(check("hang", lab.url("/hang"), timeout_s=60), check("a", lab.url("/ok")), check("b", lab.url("/ok"))) as made:
        await made.first("a")
        await until(lambda: "hang" in made.checker._under_way)
        asked = asyncio.ensure_future(made.checker.now("hang"))
        await asyncio.sleep(0)
        pid = made.checker.pid
        os.kill(pid, signal.SIGKILL)
        outcome = await asked
        words = "the process that carries out checks was ended by SIGKILL; it is started again in 0.2s"
        assert (outcome.ok, outcome.cause, outcome.error) == (False, "unmeasured", words)
        assert made.of("hang") == [outcome]
        assert made.said == [words]
        assert (await made.checker.now("b")).error == words  # nobody waits for a process that is not there
        await until(lambda: len(made.of("a")) == 2)
        assert all(outcome.ok or outcome.unmeasured for outcome in made.outcomes)
        assert not there(pid)
        assert (await made.checker.now("b")).ok


async def test_one_alone_that_hangs_is_known_to_be_under_way(lab):
    async with remote(check("hang", lab.url("/hang"), timeout_s=60)) as made:
        await until(lambda: made.begun)
        await until(lambda: "hang" in made.checker._under_way, within_s=worker.ALIVE_S - 1)  # not only with the next sign of life
        os.kill(made.checker.pid, signal.SIGKILL)
        assert (await made.first("hang")).unmeasured
        await until(lambda: "hang" in made.checker._under_way)


@pytest.mark.slow
async def test_twenty_lives_leave_nothing_behind(lab, monkeypatch):
    monkeypatch.setattr(remote_checker, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(remote_checker, "LONGEST_PAUSE_S", 0.01)
    pids = []
    async with remote(check("a", lab.url("/ok"))) as made:
        await until(lambda: made.begun)
        before = descriptors()
        for life in range(20):
            await until(lambda life=life: made.begun == life + 1)
            pids.append(made.checker.pid)
            os.kill(pids[-1], signal.SIGKILL)
        await until(lambda: made.begun == 21)
        await until(lambda: descriptors() <= before)  # those of the server, which is in this process, end when they end
        assert len(made.said) == 20
    assert len(set(pids)) == 20
    assert not any(map(there, pids))


async def test_pauses_grow_while_it_does_not_live_long(lab, monkeypatch):
    monkeypatch.setattr(remote_checker, "FIRST_PAUSE_S", 0.1)
    async with remote(check("a", lab.url("/ok"))) as made:
        for life in range(3):
            await until(lambda life=life: made.begun == life + 1)
            os.kill(made.checker.pid, signal.SIGTERM)
            await until(lambda life=life: len(made.said) == life + 1)
        assert [words.rpartition(" ")[2] for words in made.said] == ["0.1s", "0.2s", "0.4s"]
        assert "SIGTERM" in made.said[0]


@pytest.mark.slow
async def test_one_that_says_nothing_any_more_is_replaced(lab, monkeypatch):
    monkeypatch.setattr(remote_checker, "LOOK_S", 1.0)
    async with remote(check("a", lab.url("/ok"), interval_s=0.1)) as made:
        await made.first("a")
        pid = made.checker.pid
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: made.said)
        assert made.said == ["the process that carries out checks said nothing for 3 s; it is started again in 0.2s"]
        assert not there(pid)
        await until(lambda: made.begun == 2)


PARENT = """
import asyncio, os, sys
from perfconsole.collectors.http.apart.remote_checker import RemoteChecker
from perfconsole.collectors.http.apart.descriptors import MOST
from perfconsole.core.checks import Check

async def main():
    begun = asyncio.Event()
    made = RemoteChecker(lambda outcome: None, print, lambda: (print(made.pid, flush=True), begun.set()), print)
    made.configure([Check(name=f"e{i}", kind="http", target=sys.argv[1], service="s", timeout_s=60) for i in range(20)])
    await begun.wait()
    await asyncio.sleep(0.5)
    if sys.argv[2] == "stopped":  # it goes on, and fills the socket, which nobody reads
        made.configure([Check(name=f"e{i}", kind="tcp", target="127.0.0.1:1", service="s", failing_s=0.01) for i in range(500)])
        await asyncio.sleep(1)
        os.kill(os.getpid(), 19)
    if sys.argv[2] == "leaves":
        os._exit(0)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def parent():
    """Start a program that has checks carried out, and tell it and the process that does."""
    running = []

    def start(target, how):
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, target, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        running.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["killed", "killed while stopped", "leaves", "hangup", "ctrl+c"])
async def test_it_ends_when_the_console_does_however_that_was(lab, parent, how):
    process, pid = parent(lab.url("/hang"), {"killed while stopped": "stopped", "leaves": "leaves"}.get(how, ""))
    assert there(pid)
    assert os.getsid(pid) == pid != os.getsid(process.pid)
    if how == "killed while stopped":
        await until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        await asyncio.sleep(0.5)
        assert not ended(pid)  # what becomes of a console that is stopped is not over
    if how == "ctrl+c":
        os.killpg(process.pid, signal.SIGINT)
    elif how == "hangup":
        os.killpg(process.pid, signal.SIGHUP)
    elif how != "leaves":
        os.kill(process.pid, signal.SIGKILL)
    await until(lambda: ended(pid))


async def test_hints_to_one_that_does_not_read_are_left_out(lab):
    async with remote(check("a", lab.url("/ok"))) as made:
        await made.first("a")
        os.kill(made.checker.pid, signal.SIGSTOP)
        for _ in range(100_000):
            made.checker.soon("a")
        assert len(made.checker._child._unsent) < 2 * child.HINT_BYTES
        os.kill(made.checker.pid, signal.SIGCONT)
        assert (await made.checker.now("a")).ok  # what was left out is missed by nobody
        assert made.checker._child._unsent == b""


async def test_it_may_open_as_many_files_as_it_is_allowed(lab):
    """A thousand endpoints that hang are a thousand connections, and the usual limit is 1,024."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = max(map(int, os.listdir("/proc/self/fd"))) + 64  # noqa: PTH208  # whatever other tests left open
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, usual[1]))
    try:
        async with remote(check("a", lab.url("/ok"))) as made:
            await made.first("a")
            allowed = resource.prlimit(made.checker.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert allowed == (min(usual[1], MOST), usual[1])


async def test_ctrl_c_is_not_for_it(lab):
    async with remote(check("a", lab.url("/ok"))) as made:
        await made.first("a")
        os.kill(made.checker.pid, signal.SIGINT)
        assert (await made.checker.now("a")).ok
        assert made.said == []


async def test_a_mistake_of_its_own_is_told_as_words_and_nothing_is_printed(lab, capfd):
    async with remote(check("hunter2", lab.url("/ok"))) as made:
        await made.first("hunter2")
        made.checker._child.send(pipe.Told(made.outcomes[0], 1))  # no order
        await until(lambda: made.said)
        assert made.said[0].startswith("the process that carries out checks failed with ValidationError in worker.py:")
        assert "hunter2" not in made.said[0]
    assert capfd.readouterr() == ("", "")


# Where there is none to be had ----------------------------------------------------------------------------------------------------

PRINTS = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
OTHER = "import sys; sys.path[:] = %r; import socket; from perfconsole.collectors.http.apart import pipe; talk = socket.socket(fileno=0);"
HELLO = "talk.sendall(pipe.frame(pipe.Hello('0.0.0'))); talk.recv(1)"
NONSENSE = "talk.sendall(b'nonsense'); talk.recv(1)"
BROKEN = "talk.sendall(bytes([0, 0, 0, 1, 0xC1])); talk.recv(1)"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (("-c", PRINTS), "ended with exit code 3"),
        (("-c", "import os; os.kill(os.getpid(), 11)"), "was ended by SIGSEGV"),
        (("-c", OTHER % sys.path + HELLO), "is of version 0.0.0, which was installed meanwhile"),
        (("-c", OTHER % sys.path + NONSENSE), "does not speak the console's language: another version was installed meanwhile"),
        (("-c", OTHER % sys.path + BROKEN), "does not speak the console's language: another version was installed meanwhile"),
    ],
    ids=["fails at once", "crashes", "another version", "nonsense", "no message in its frame"],
)
async def test_one_that_is_no_use_is_not_started_again_and_again(lab, capfd, program, words):
    async with remote(check("a", lab.url("/ok")), start=lambda heard: Child(heard, program)) as made:
        await until(lambda: made.refused)
        assert made.refused[0] == f"the process that carries out checks did not begin: it {words}"
        await asyncio.sleep(0.3)
        assert len(made.refused) == 1
        assert made.said == made.outcomes == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("lacking", ["program", "fork"])
async def test_without_a_process_the_console_checks_itself(lab, monkeypatch, lacking):
    def refuse(*_args, **_options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    if lacking == "program":
        monkeypatch.setattr(sys, "executable", "/no/such/python")
    else:
        monkeypatch.setattr(child.subprocess, "Popen", refuse)
    outcomes, said = [], []
    with socket.socket() as one:
        stamps.wanted(one)  # the first to ask for stamps has one socket opened that stays
    before = descriptors()
    chosen = Chosen(outcomes.append, said.append)
    checks = [check(f"e{i}", f"127.0.0.1:{lab.port()}", kind="tcp") for i in range(MANY + 1)]
    chosen.configure(checks)
    try:
        asked = await chosen.now("e7")
        assert asked.ok
        await until(lambda: len(outcomes) >= len(checks))
        assert len(said) == 1
        assert said[0].startswith("the process that carries out checks cannot be started (")
        assert said[0].endswith("); the console itself carries the checks out, and may be late with them")
        chosen.configure([*checks, check("more", lab.url("/ok"))])  # which is tried again, and said once
        assert chosen._there is not None
        await until(lambda: chosen._there is None)
        assert (await chosen.now("more")).ok
        assert len(said) == 1
    finally:
        chosen.close()
    await until(lambda: descriptors() <= before)


# Held up --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_one_that_is_stopped_for_a_while_is_late_and_nobody_is_slow_or_down(lab):
    checks = [
        *(check(f"ok{i}", lab.url("/ok"), interval_s=0.5, timeout_s=2.5) for i in range(20)),
        *(check(f"slow{i}", lab.url("/slow?ms=1000"), interval_s=1.2, timeout_s=2.5) for i in range(10)),
        check("port", f"127.0.0.1:{lab.port()}", kind="tcp", interval_s=0.5, timeout_s=1),
    ]
    async with remote(*checks) as made:
        await until(lambda: len({outcome.name for outcome in made.outcomes}) == len(checks))
        await asyncio.sleep(0.3)
        os.kill(made.checker.pid, signal.SIGSTOP)
        stopped = time.time()
        await asyncio.sleep(3)
        going_on = time.time()  # before it does: it may be quicker than we are
        os.kill(made.checker.pid, signal.SIGCONT)
        await until(lambda: all(made.of(one.name)[-1].scheduled > going_on for one in checks))
        assert made.said == []
    over_it = [outcome for outcome in made.outcomes if outcome.at > going_on and outcome.scheduled < going_on]
    assert len(over_it) >= len(checks)
    assert [outcome for outcome in made.outcomes if not (outcome.ok or outcome.unmeasured)] == []
    assert all("held up for" in outcome.error for outcome in made.outcomes if outcome.unmeasured)
    late = [outcome for outcome in over_it if outcome.scheduled > stopped and outcome.ok]
    assert max(outcome.late_s for outcome in late) > 1.0
    assert all(outcome.total_s < 2.4 for outcome in made.outcomes if outcome.ok)  # of 3 s none is the target's


@pytest.mark.slow
async def test_a_console_that_stands_still_misses_nothing(lab):
    """Its loop does nothing for a while; all that was checked meanwhile is told, in order."""
    checks = [check(f"e{i}", f"127.0.0.1:{lab.port()}", kind="tcp", interval_s=0.2) for i in range(40)]
    async with remote(*checks) as made:
        await until(lambda: {outcome.name for outcome in made.outcomes} == {one.name for one in checks})
        began = time.time()
        time.sleep(2)  # noqa: ASYNC251  that is what it is about
        ended_at = time.time()
        await until(lambda: all(made.of(one.name)[-1].at > ended_at for one in checks))
    for one in checks:
        outcomes = made.of(one.name)
        assert outcomes == sorted(outcomes, key=lambda outcome: outcome.at)
        meanwhile = [outcome for outcome in outcomes if began < outcome.at < ended_at]
        assert len(meanwhile) >= 2  # ten, where the machine has nothing else to do
    # What the server saw is what was told, but for what was under way, and the last batch.
    await until(lambda: lab.connections["plain"] >= len(made.outcomes))
    assert lab.connections["plain"] - len(made.outcomes) < 200  # of those of two seconds


# As a whole -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_many_endpoints_have_a_process_and_few_have_none_and_what_is_known_stays(lab):
    """Through the collector itself: over the line and back, as a configuration that is read again does it."""
    checks = [check(f"e{i}", f"127.0.0.1:{lab.port()}", kind="tcp", interval_s=0.5) for i in range(MANY + 10)]
    collector = HttpCollector(checks[:MANY])
    results = []

    async def runs(condition):
        async with asyncio.timeout(90):
            while not condition():
                at, boot = time.time(), time.monotonic()
                results.append(await collector.run("checks", Slot(at, boot, boot + 5), ()))
                await asyncio.sleep(0.05)

    def counts():
        return [followed.endpoint.samples.counts().checks for followed in collector._followed.values()]

    def process():
        return collector._checker._there.pid if collector._checker._there else 0

    await runs(lambda: collector._checker and min(counts()) >= 2)
    assert process() == 0
    await collector.configure(checks)
    await runs(lambda: process() and collector._checker._here is None and min(counts()) >= 3)
    pid, known = process(), counts()
    assert all(followed.endpoint.state == "up" for followed in collector._followed.values())
    await collector.configure(checks[: FEW + 1])
    await runs(lambda: sum(counts()) > sum(known[: FEW + 1]) + FEW)
    assert process() == pid  # no flapping at the line
    await collector.configure(checks[:FEW])
    assert not there(pid)
    before = counts()
    await runs(lambda: all(now > was for now, was in zip(counts(), before, strict=True)))
    collector.close()
    changes = [change.state for followed in collector._followed.values() for change in followed.endpoint.changes]
    assert set(changes) == {"up"}
    assert [event for result in results for event in result.events] == []


def test_it_loads_only_what_checks_need():
    code = "import sys, perfconsole.collectors.http.apart.worker, perfconsole.collectors.http.lean_engine.lean; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert (
        tops & {"textual", "rich", "psutil", "httpx", "httpcore", "dns", "regex", "jsonpath_rfc9535", "asyncpg", "sqlite3", "plotext"}
        == set()
    )
