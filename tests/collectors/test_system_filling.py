"""Time to full: what is taken for filling and what is not, and a real tmpfs that fills."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import textwrap
from math import isnan, nan

import pytest

from perfconsole.collectors.system.filesystems import FilesystemCollector
from perfconsole.collectors.system.filling import HORIZON_S, Filling
from perfconsole.core.ports import Slot

GB = 1e9
RATE = 0.02 * GB  # bytes a second


def answers(left, minutes=60, step_s=10.0, start=1000.0):
    """What is said at each look at a filesystem on which `left(t)` bytes are left."""
    filling = Filling()
    return [filling.add(start + i * step_s, left(i * step_s)) for i in range(int(minutes * 60 / step_s))]


def known(said):
    return [value for value in said if not isnan(value)]


def test_what_fills_steadily_has_a_time():
    said = answers(lambda t: 100 * GB - t * RATE)
    first = next(i for i, value in enumerate(said) if not isnan(value))
    assert first == 36  # six minutes: five that can be compared with the one before
    assert all(value == pytest.approx((100 * GB - i * 10 * RATE) / RATE) for i, value in enumerate(said) if i >= first)


def test_what_is_written_in_bursts_fills_steadily_all_the_same():
    said = answers(lambda t: 100 * GB - t // 30 * 30 * RATE, minutes=10)
    assert said[-1] == pytest.approx((100 * GB - 590 * RATE) / RATE, rel=0.01)


@pytest.mark.parametrize("jump_at", [100, 1000, 2000])
def test_a_jump_is_no_filling(jump_at):
    assert not known(answers(lambda t: 100 * GB - (50 * GB if t > jump_at else 0)))


def test_a_jump_does_not_change_the_rate():
    said = answers(lambda t: 100 * GB - t * RATE - (30 * GB if t > 2000 else 0))
    assert said[210] == pytest.approx((70 * GB - 2100 * RATE) / RATE, rel=0.01)


def test_what_stands_still_or_empties_has_no_time():
    assert not known(answers(lambda t: 100 * GB))
    assert not known(answers(lambda t: 10 * GB + t * RATE))


def test_when_it_stops_there_is_no_time_any_more():
    said = answers(lambda t: 100 * GB - min(t, 1200) * RATE)
    assert known(said[60:120])
    assert not known(said[140:])


@pytest.mark.parametrize("period_s", [20, 45, 60, 90, 200])
def test_what_comes_and_goes_is_no_filling(period_s):
    assert not known(answers(lambda t: 100 * GB - t % period_s * RATE, minutes=120))


@pytest.mark.parametrize("period_s", [600, 900, 1200])
def test_what_is_emptied_again_and_again_is_known_after_two_times(period_s):
    said = answers(lambda t: 100 * GB - t % period_s * RATE, minutes=150)
    assert known(said[: period_s // 10])  # at first it may be anything
    assert not known(said[2 * period_s // 10 + 12 :])


def test_what_is_emptied_less_each_time_goes_by_that():
    said = answers(lambda t: 100 * GB - t % 600 * RATE - t * RATE / 20, minutes=150)
    last = known(said[-30:])
    assert len(last) == 30
    assert last[-1] == pytest.approx((100 * GB - 9000 * RATE / 20 - 600 * RATE) / (RATE / 20), rel=0.1)


def test_what_goes_on_below_where_it_was_always_emptied_fills():
    """The rotation of the logs has failed."""
    said = answers(lambda t: 100 * GB - (t % 600 if t < 3000 else t - 3000) * RATE, minutes=80)
    assert not known(said[200:358])
    assert said[-1] == pytest.approx((100 * GB - 1790 * RATE) / RATE, rel=0.02)


def test_room_that_was_made_once_is_no_reason_to_be_silent():
    def left(t):
        return 80 * GB - t * RATE if t < 3000 else 80 * GB - (t - 3000) * RATE

    said = answers(left, minutes=60)
    assert isnan(said[310])
    assert said[-1] == pytest.approx((80 * GB - 590 * RATE) / RATE, rel=0.02)


def test_room_that_was_made_among_small_comings_and_goings_is_not_one_of_them():
    """Logs are rotated every five minutes; then somebody deletes a backup, and something else begins to fill the disk."""

    def left(t):
        rotated = t % 300 * RATE / 100
        return 10 * GB - rotated if t < 1800 else 80 * GB - rotated - (t - 1800) * RATE

    said = answers(left, minutes=50)
    assert said[-1] == pytest.approx((80 * GB - 1190 * RATE) / RATE, rel=0.05)


def test_noise_is_no_filling():
    dice = random.Random(4)
    assert not known(answers(lambda t: 100 * GB - dice.random() * GB, minutes=2000))


def test_a_walk_that_leads_nowhere_is_no_filling():
    dice = random.Random(5)
    place = [10 * GB]

    def left(t):
        place[0] += dice.gauss(0, 0.02 * GB)
        return place[0]

    assert len(known(answers(left, minutes=1000))) < 60  # of 6,000: now and then it is down for long enough


def test_what_would_take_days_is_not_told():
    assert not known(answers(lambda t: 100 * GB - t * 100 * GB / (2 * HORIZON_S)))
    assert known(answers(lambda t: 100 * GB - t * 100 * GB / (0.9 * HORIZON_S)))


def test_unknown_is_passed_over_and_a_gap_begins_anew():
    filling = Filling()
    said = [filling.add(i * 10.0, nan if i % 5 == 0 else 100 * GB - i * 10 * RATE) for i in range(60)]
    assert all(isnan(value) for value in said[::5])
    assert not isnan(said[-1])
    assert isnan(filling.add(600.0 + 3600, 50 * GB))  # suspended for an hour
    assert not known([filling.add(4200.0 + i * 10, 50 * GB - i * 10 * RATE) for i in range(1, 30)])


def test_a_clock_that_runs_back_begins_anew():
    filling = Filling()
    for i in range(60):
        filling.add(1000 + i * 10.0, 100 * GB - i * 10 * RATE)
    assert isnan(filling.add(5.0, 100 * GB))


def vfs(free_bytes):
    return os.statvfs_result((4096, 4096, 25_000_000, int(free_bytes // 4096), int(free_bytes // 4096), 500, 100, 100, 0, 255))


def test_each_mount_has_its_own_and_the_soonest_leads(tmp_path, values_of):
    (tmp_path / "self").mkdir()
    line = "{} 1 8:{} / {} {} shared:1 - ext4 /dev/x {}\n"
    mounts = [(1, "/", "rw", "rw"), (2, "/data", "rw", "rw"), (3, "/still", "rw", "rw"), (4, "/ro", "ro", "ro")]
    (tmp_path / "self/mountinfo").write_text("".join(line.format(i, i, point, how, what) for i, point, how, what in mounts))
    now = [0.0]
    rates = {b"/": RATE, b"/data": 2 * RATE, b"/still": 0.0, b"/ro": RATE}
    collector = FilesystemCollector(proc=str(tmp_path), statvfs=lambda point: vfs(90 * GB - now[0] * rates[point]))

    async def look():
        for i in range(50):
            now[0] = i * 10.0
            result = await collector.run("host", Slot(1.7e9 + now[0], 1000 + now[0], nan), ())
        return values_of(result)

    values = asyncio.run(look())
    time_s = {point: values("filesystem.time_to_full", mountpoint=point) for point in ("/", "/data", "/still", "/ro")}
    assert time_s["/"] == pytest.approx((90 * GB - 490 * RATE) / RATE, rel=0.01)
    assert time_s["/data"] == pytest.approx((90 * GB - 980 * RATE) / RATE / 2, rel=0.01)
    assert isnan(time_s["/still"])
    assert isnan(time_s["/ro"])
    assert values("filesystem.time_to_full") == time_s["/data"]


FILL = textwrap.dedent("""
    import asyncio, os, subprocess, sys
    from math import nan
    from perfconsole.collectors.system import FilesystemCollector
    from perfconsole.core.globs import Globs
    from perfconsole.core.ports import Slot
    point = sys.argv[1]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "perfconsole-test", point], check=True)
    collector = FilesystemCollector(mounts=Globs([point]), deadline_s=20.0)
    with open(point + "/data", "wb") as file:
        for i in range(48):  # eight minutes in which it is filled to three quarters; only the clock is not real
            file.write(bytes(2**20))
            file.flush()
            (measured,) = asyncio.run(collector.run("host", Slot(1e9 + 10.0 * i, 10.0 * i, nan), ())).measured
    for series, value in zip(measured.series, measured.values, strict=True):
        if series.name == "system.filesystem.time_to_full":
            print(len(series.labels), value)
""")


def test_a_real_filesystem_that_fills(tmp_path):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may mount, in a namespace of its own")
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"may not make a mount namespace: {probe.stderr.strip()}")
    done = subprocess.run(["unshare", "--mount", sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True, check=False)
    if "mount" in done.stderr and done.returncode:
        pytest.skip(f"may not mount: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["0", "1"]
    assert all(float(row[1]) == pytest.approx(160.0, abs=5.0) for row in rows)  # 16 MiB are left, at 1 MiB in 10 s
