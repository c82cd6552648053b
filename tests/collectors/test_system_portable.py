"""Sensors, and the system collector through psutil: run here against psutil's real numbers."""

import subprocess
import sys
import time
from math import isnan, nan
from threading import Event
from typing import NamedTuple

import psutil
import pytest

from perfconsole.collectors import system
from perfconsole.collectors.system import SensorCollector, SystemCollector, system_collectors
from perfconsole.collectors.system.portable import PortableCollector, list_mounts
from perfconsole.collectors.system.sensors import Sensors
from perfconsole.core.errors import CollectorError
from perfconsole.core.globs import Globs
from perfconsole.core.metrics import METRICS
from perfconsole.core.ports import Slot


def now():
    return Slot(time.time(), time.monotonic(), nan)


async def test_psutil_and_the_kernels_files_agree(values_of):
    direct, portable = SystemCollector(), PortableCollector()
    await portable.run("host", now(), ())  # imports psutil
    ours, theirs = values_of(await direct.run("host", now(), ())), values_of(await portable.run("host", now(), ()))
    direct.close()
    assert {series.name for series in theirs.by_series} <= METRICS.keys()
    assert theirs("cpu.logical.count") == ours("cpu.logical.count")
    assert theirs("memory.total") == ours("memory.total")
    for mode in ("user", "system", "idle"):
        assert theirs("cpu.time", mode=mode) == pytest.approx(ours("cpu.time", mode=mode), abs=0.5)
    for state in ("free", "available", "used"):
        assert theirs("memory.usage", state=state) == pytest.approx(ours("memory.usage", state=state), abs=128 * 2**20) or ours(
            "memory.limit"
        ) < ours("memory.total")
    for interface in theirs.labels("network.io", "interface"):
        if interface in ours.labels("network.io", "interface"):
            assert theirs("network.io", interface=interface, direction="receive") == pytest.approx(
                ours("network.io", interface=interface, direction="receive"), abs=10**6
            )
    assert theirs("uptime") == pytest.approx(ours("uptime"), abs=60)


async def test_the_second_run_has_utilisations(values_of):
    collector = PortableCollector()
    first = await collector.run("host", now(), ())
    assert isnan(values_of(first)("cpu.utilization"))
    end = time.monotonic() + 0.15
    while time.monotonic() < end:
        pass
    second = await collector.run("host", now(), ())
    assert 0 < values_of(second)("cpu.utilization") <= 1
    assert second.measured[0].series is first.measured[0].series


async def test_devices_are_chosen_by_globs(values_of):
    values = values_of(await PortableCollector(networks=Globs(["lo"]), disks=Globs(["none*"])).run("host", now(), ()))
    assert values.labels("network.io", "interface") in (["lo"], [])
    assert not values.labels("disk.io", "device")
    assert isnan(values("disk.io", direction="read"))


def test_mounts_come_from_psutil_elsewhere():
    assert [mount.point.decode() for mount in list_mounts(Globs())] == sorted(part.mountpoint for part in psutil.disk_partitions())
    assert list_mounts(Globs(["/nowhere"])) == []


def test_each_system_gets_its_collectors(monkeypatch):
    names = ["system", "filesystems", "sensors"]
    chosen = system_collectors(1.0)
    assert [collector.name for collector in chosen] == ["system", "filesystems", "hardware", "sensors"]
    assert isinstance(chosen[0], SystemCollector)
    monkeypatch.setattr(system.sys, "platform", "darwin")
    elsewhere = system_collectors(1.0)
    assert [collector.name for collector in elsewhere] == names
    assert isinstance(elsewhere[0], PortableCollector)
    assert [collector.interval_s for collector in elsewhere] == [1.0, 10.0, 10.0]


async def test_where_there_is_no_procfs_filesystems_come_from_psutil(values_of, monkeypatch):
    monkeypatch.setattr(system.sys, "platform", "freebsd14")
    values = values_of(await system_collectors()[1].run("host", now(), ()))
    assert values.labels("filesystem.utilization", "mountpoint") == sorted(part.mountpoint for part in psutil.disk_partitions())


class Temperature(NamedTuple):
    label: str
    current: float | None
    high: float | None
    critical: float | None


class Battery(NamedTuple):
    percent: float
    secsleft: int
    power_plugged: bool | None


def sensors(monkeypatch, temperatures, battery):
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: temperatures, raising=False)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)


async def test_sensors_are_labelled_and_the_hottest_leads(values_of, monkeypatch):
    core = [Temperature("Core 0", 41.0, 80, 90), Temperature("Core 1", 55.5, 80, 90), Temperature("", None, None, None)]
    sensors(monkeypatch, {"coretemp": core, "n\x1bme": [Temperature("Composite", 38.0, None, None)]}, Battery(64, 100, False))
    collector = SensorCollector()
    first = await collector.run("host", now(), ())
    values = values_of(first)
    assert values("temperature") == 55.5
    assert values("temperature", sensor="coretemp Core 0") == 41.0
    assert isnan(values("temperature", sensor="coretemp"))
    assert values("temperature", sensor="n\u241bme Composite") == 38.0
    assert values("battery.charge") == pytest.approx(0.64)
    assert values("battery.plugged") == 0
    assert {series.name for series in values.by_series} <= METRICS.keys()
    assert (await collector.run("host", now(), ())).measured[0].series is first.measured[0].series


async def test_a_machine_without_sensors_says_so(monkeypatch):
    sensors(monkeypatch, {}, None)
    with pytest.raises(CollectorError, match="no temperature sensors and no battery") as caught:
        await SensorCollector().run("host", now(), ())
    assert caught.value.state == "off"


async def test_the_real_sensors_are_read_or_off():
    if psutil.sensors_temperatures() or psutil.sensors_battery():
        assert (await SensorCollector().run("host", now(), ())).measured
    else:
        with pytest.raises(CollectorError, match="no temperature sensors"):
            await SensorCollector().run("host", now(), ())


def test_psutil_is_not_imported_before_it_is_needed():
    program = "import sys; from perfconsole.collectors.system import system_collectors; system_collectors(); print('psutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    assert SensorCollector.first_after_s == 1.0


async def test_a_sensor_that_hangs_costs_one_thread_and_heals():
    answer, asked = Event(), []

    def read():
        asked.append(1)
        answer.wait(60)
        return Sensors([("chip", 40.0)], None, nan)

    collector = SensorCollector(deadline_s=0.02, read=read)
    for _ in range(3):
        with pytest.raises(CollectorError, match="does not answer"):
            await collector.run("host", Slot(0.0, 0.0, nan), ())
    assert len(asked) == 1
    answer.set()
    collector._deadline_s = 60.0  # its thread has to come round to it
    found = await collector.run("host", Slot(0.0, 0.0, nan), ())
    assert found.measured[0].values == [40.0, 40.0]
