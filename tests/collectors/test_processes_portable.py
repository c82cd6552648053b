"""The backend for systems without /proc, on real psutil, held against the one for Linux."""

# ruff: noqa: ASYNC251, PTH109, PTH208 - the test waits for real processes, and nothing else runs on its loop

import os
import signal
import subprocess
import sys
import time
from math import isnan

import psutil
import pytest

from perfconsole.collectors.processes import ProcessCollector
from perfconsole.collectors.processes.portable import PortableProcesses
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Slot
from perfconsole.core.requests import ProcessId, ReniceArgs, SignalArgs
from perfconsole.core.tables import View

ALL = (View("process"),)


def slot():
    boot = time.clock_gettime(time.CLOCK_MONOTONIC)
    return Slot(time.time(), boot, boot + 2)


@pytest.fixture
def collector(tmp_path):
    made = ProcessCollector(proc=str(tmp_path / "none"))
    assert isinstance(made._backend, PortableProcesses)
    yield made
    made.close()


@pytest.fixture
def sleeping():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "--password=hunter2"]) as process:
        yield process
        process.kill()


@pytest.fixture
def busy():
    pid = os.fork()
    if pid == 0:
        while True:
            pass
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


async def scan(collector, views=ALL):
    result = await collector.run("host", slot(), views)
    return {row.pid: row for row in result.tables[0].rows}


async def test_the_same_rows_as_on_linux(collector, busy):
    linux = ProcessCollector()
    one, other = await scan(collector), await scan(linux)
    linux.close()
    for pid in (os.getpid(), busy):
        mine, theirs = one[pid], other[pid]
        for field in ("ppid", "name", "user", "threads", "nice", "command"):
            assert getattr(mine, field) == getattr(theirs, field), field
        assert mine.memory_bytes == pytest.approx(theirs.memory_bytes, rel=0.2)
        assert mine.started == pytest.approx(theirs.started, abs=1.1)
        assert isnan(mine.cpu)
    assert list(one) == sorted(one)


def ran_s(pid):
    return psutil.Process(pid).cpu_times().user


async def test_ratio_of_a_busy_loop(collector, busy):
    await scan(collector)
    begun = ran_s(busy)
    while ran_s(busy) < begun + 0.2:
        time.sleep(0.01)
    rows = await scan(collector)
    assert 0 < rows[busy].cpu < 1.2
    again = await scan(collector)
    assert sum(again[pid] is rows[pid] for pid in again if pid in rows) >= len(again) // 2


async def test_expensive_columns_and_history(collector):
    me = os.getpid()
    key = (await scan(collector))[me].key
    view = (View("process", keys=(key,), columns=("fds", "pss_bytes", "history")),)
    result = await collector.run("host", slot(), view)
    row = next(row for row in result.tables[0].rows if row.pid == me)
    assert row.fds == pytest.approx(len(os.listdir("/dev/fd")), abs=2)
    assert row.pss_bytes > 2**20
    assert result.measured[1].target == f"{key[0]}:{key[1]}"
    assert isnan((await scan(collector))[me].fds)
    (table,) = await collector.look(view)
    assert next(row for row in table.rows if row.pid == me).fds > 0
    counted = await collector.run("host", slot(), ())
    assert counted.measured[0].values[0] >= 2


async def test_actions_reach_exactly_one_process(collector, sleeping):
    operations = {operation.spec.name: operation.run for operation in collector.operations}
    row = (await scan(collector))[sleeping.pid]
    for name, args in (
        ("process.signal", SignalArgs(row.pid, row.start + 1, 15)),
        ("process.renice", ReniceArgs(row.pid, row.start + 1, 5)),
        ("process.detail", ProcessId(row.pid, row.start + 1)),
    ):
        with pytest.raises(RequestError, match="belongs to another process now"):
            await operations[name](args)
    with pytest.raises(RequestError, match="perfconsole itself"):
        await operations["process.signal"](SignalArgs(os.getpid(), 1, 15))
    detail = await operations["process.detail"](ProcessId(row.pid, row.start))
    assert dict(detail.facts)["working directory"] == os.getcwd()
    assert dict(detail.memory)["rss"] > 0
    await operations["process.renice"](ReniceArgs(row.pid, row.start, 5))
    assert os.getpriority(os.PRIO_PROCESS, row.pid) == 5
    done = await operations["process.signal"](SignalArgs(row.pid, row.start, signal.SIGTERM))
    assert "SIGTERM" in done.text
    assert sleeping.wait(60) == -signal.SIGTERM
    with pytest.raises(RequestError, match="has ended"):
        await operations["process.signal"](SignalArgs(row.pid, row.start, 15))
    assert "hunter2" not in row.command
