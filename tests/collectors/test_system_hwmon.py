"""Sensors read from the kernel's files: real ones in a directory of our own, and this machine's against psutil."""

from math import isnan, nan

import psutil
import pytest

from perfconsole.collectors.system.hwmon import read_hwmon
from perfconsole.collectors.system.sensors import read_sensors


@pytest.fixture
def put(tmp_path):
    def put(place, **files):
        directory = tmp_path / "class" / place
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (directory / name).write_text(f"{content}\n")

    return put


def test_chips_with_their_labels_in_their_order(put, tmp_path):
    put("hwmon/hwmon0", name="coretemp", temp1_input=41000, temp1_label="Package", temp2_input=-5500, temp1_max=90000)
    put("hwmon/hwmon1", temp1_input=38250, fan1_input=900)
    put("hwmon/hwmon2/device", name="old", temp1_input=20000)
    put("thermal/thermal_zone0", type="acpitz", temp=99000)
    found = read_hwmon(str(tmp_path))
    assert found.temperatures == [("coretemp Package", 41.0), ("coretemp", -5.5), ("hwmon1", 38.25), ("old", 20.0)]
    assert found.charge is None
    assert isnan(found.plugged)


def test_a_sensor_that_answers_nothing_is_left_out(put, tmp_path):
    put("hwmon/hwmon0", name="nvme", temp1_input="", temp2_input="N/A", temp3_input=30000)
    assert read_hwmon(str(tmp_path)).temperatures == [("nvme", 30.0)]


def test_zones_where_there_are_no_chips(put, tmp_path):
    put("thermal/thermal_zone0", type="cpu-thermal", temp=48312)
    put("thermal/cooling_device0", type="fan", temp=1)
    assert read_hwmon(str(tmp_path)).temperatures == [("cpu-thermal", 48.312)]


@pytest.mark.parametrize(
    ("files", "mains", "charge", "plugged"),
    [
        ({"energy_now": 30, "energy_full": 40, "capacity": 70, "status": "Discharging"}, None, 0.75, 0.0),
        ({"charge_now": 10, "charge_full": 40, "status": "Charging"}, None, 0.25, 1.0),
        ({"capacity": 64, "status": "Not charging"}, None, 0.64, nan),
        ({"energy_now": 0, "energy_full": 0, "capacity": 3, "status": "Full"}, ("AC", 0), 0.03, 0.0),
        ({"capacity": 100, "status": "Discharging"}, ("AC0", 1), 1.0, 1.0),
        ({"status": "Charging"}, None, None, nan),
    ],
)
def test_a_battery(put, tmp_path, files, mains, charge, plugged):
    put("power_supply/BAT0", **files)
    if mains:
        put(f"power_supply/{mains[0]}", online=mains[1])
    found = read_hwmon(str(tmp_path))
    assert found.charge == charge
    assert found.plugged == pytest.approx(plugged, nan_ok=True)


def test_the_battery_of_a_mouse_is_not_the_machines(put, tmp_path):
    put("power_supply/hidpp_battery_0", scope="Device", capacity=5, status="Discharging")
    assert read_hwmon(str(tmp_path)).charge is None
    put("power_supply/BAT0", scope="System", capacity=80)
    assert read_hwmon(str(tmp_path)).charge == 0.8


def test_nothing_at_all(tmp_path):
    found = read_hwmon(str(tmp_path))
    assert (found.temperatures, found.charge) == ([], None)


@pytest.mark.skipif(not hasattr(psutil, "sensors_temperatures"), reason="psutil knows no sensors here")
def test_this_machine_has_the_sensors_that_psutil_finds():
    ours, theirs = read_hwmon(), read_sensors()
    assert sorted(name for name, _ in ours.temperatures) == sorted(name for name, _ in theirs.temperatures)
    assert ours.charge is None or theirs.charge is not None
