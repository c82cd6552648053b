"""The soak itself: that it runs, and that it finds what grows. Its figures come from runs of ten minutes and more."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).with_name("soak.py")


@pytest.fixture(scope="module")
def soak():
    import importlib.util

    spec = importlib.util.spec_from_file_location("soak", SOAK)
    module = sys.modules["soak"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["soak"]


@pytest.fixture
def judge(soak):
    """Twenty minutes, each made by a function of its number: what is found to grow in them after the fifth."""

    def judge(**changes):
        usual = {"descriptors": 10, "child_descriptors": 20, "tasks": 3, "own_bytes": 20e6, "child_own_bytes": 15e6}
        periods = []
        for minute in range(1, 21):
            figures = usual | {name: change(minute) for name, change in changes.items() if name in usual}
            looks = [soak.Look(**figures, pss_bytes=30e6, child_pss_bytes=20e6)] * 12
            pids = changes.get("pids", lambda _: {7})(minute)
            periods.append(soak.Period(minute * 60.0, looks, changes.get("checks", lambda _: 100)(minute), 0, frozenset(pids)))
        return soak.judged(periods, 300.0, 0.02)

    return judge


def test_what_stays_is_flat(judge):
    assert judge() == []
    assert judge(own_bytes=lambda minute: 10e6 if minute < 5 else 20e6, descriptors=lambda minute: 10 + minute % 3) == []
    assert judge(child_own_bytes=lambda minute: 15e6 * (1 + 0.01 * minute / 20)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"descriptors": lambda minute: 10 + minute // 4}, "descriptors grew from at most 12 to at least 14"),
        ({"child_descriptors": lambda minute: 20 + minute}, "descriptors of the child grew"),
        ({"tasks": lambda minute: 3 + minute}, "tasks grew"),
        ({"own_bytes": lambda minute: 20e6 * (1 + minute / 200)}, "memory of the console grew"),
        ({"child_own_bytes": lambda minute: 15e6 * (1 + minute / 200)}, "memory of the child grew"),
        ({"pids": lambda minute: {7} if minute < 10 else {7, 8}}, "the child died"),
        ({"checks": lambda minute: 0 if minute == 12 else 100}, "for a time nothing was checked"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_grows_is_found(judge, changes, words):
    (found,) = judge(**changes)
    assert found.startswith(words)


def test_a_run_that_is_too_short_tells_nothing(soak):
    assert soak.judged([], 300.0, 0.02) == ["it was too short to tell"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")
@pytest.mark.parametrize(("endpoints", "child"), [(60, True), (20, False)], ids=["in a process", "on the loop"])
def test_some_seconds_of_it(endpoints, child):
    """Memory is not judged: seconds after the start, everything still grows. Nor is it that a busy machine checks nothing for a second."""
    arguments = ["--for", "10s", "--every", "1s", "--endpoints", str(endpoints), "--interval", "1s", "--most", "50%"]
    done = subprocess.run([sys.executable, str(SOAK), *arguments], check=False, capture_output=True, text=True, timeout=120)
    lines = [line.split() for line in done.stdout.splitlines() if re.match(r" +\d+ ", line)]
    assert done.stderr == ""
    assert lines, done.stdout
    assert (int(lines[-1][2]) > 0) is child
    assert sum(int(line[8]) for line in lines) > endpoints
    assert [line for line in done.stdout.splitlines() if " grew from " in line or " died" in line] == []
    assert done.stdout.splitlines()[-1] == ("grew" if done.returncode else "flat")
