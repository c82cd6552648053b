"""Temperatures and batteries from the kernel's own files (Documentation/hwmon/sysfs-interface, testing/sysfs-class-power).

What psutil reads, in its order and by its names, but for the battery of a mouse, which is not the machine's; to import it takes 30 ms and
0.9 MiB, which not every console is to pay for a thermometer. Called in a thread, for a driver may hang.
"""

import os
from collections.abc import Iterator
from math import nan
from typing import Final

from perfconsole.collectors.system.files import read_once
from perfconsole.collectors.system.sensors import Sensors

_INPUT: Final = "_input"
_STATUS: Final = {"discharging": 0.0, "charging": 1.0, "full": 1.0}


def read_hwmon(sys: str = "/sys") -> Sensors:
    """What there is.

    Args:
        sys: Where sysfs is mounted.
    """
    temperatures = list(_chips(f"{sys}/class/hwmon")) or list(_zones(f"{sys}/class/thermal"))
    charge, plugged = _battery(f"{sys}/class/power_supply")
    return Sensors(temperatures, charge, plugged)


def _chips(place: str) -> Iterator[tuple[str, float]]:
    """The sensors of all chips; those of old drivers lie one directory deeper. One that answers nothing is not there at the moment."""
    for chip in _listed(place):
        for directory in (f"{place}/{chip}", f"{place}/{chip}/device"):
            for name in _listed(directory):
                if name.startswith("temp") and name.endswith(_INPUT):
                    millidegrees = _number(f"{directory}/{name}")
                    if millidegrees is not None:
                        label = _text(f"{directory}/{name.removesuffix(_INPUT)}_label")
                        yield f"{_text(f'{directory}/name') or chip} {label}".strip(), millidegrees / 1000


def _zones(place: str) -> Iterator[tuple[str, float]]:
    """The zones that a machine without such chips may have (a small board)."""
    for zone in _listed(place):
        millidegrees = _number(f"{place}/{zone}/temp") if zone.startswith("thermal_zone") else None
        if millidegrees is not None:
            yield _text(f"{place}/{zone}/type") or zone, millidegrees / 1000


def _battery(place: str) -> tuple[float | None, float]:
    """Charge (a ratio; None without a battery) and whether mains is plugged in (1 or 0, NaN unknown)."""
    supplies = _listed(place)
    batteries = (name for name in supplies if name.startswith("BAT") or "battery" in name.lower())
    battery = next((name for name in batteries if _text(f"{place}/{name}/scope") != "Device"), None)  # that is a mouse's, a keyboard's
    if battery is None:
        return None, nan
    root = f"{place}/{battery}"
    held, full = (_first(f"{root}/energy_{what}", f"{root}/charge_{what}") for what in ("now", "full"))
    percent = _number(f"{root}/capacity")
    if held is not None and full:
        charge = held / full
    elif percent is not None:
        charge = percent / 100
    else:
        return None, nan
    online = _first(f"{place}/AC0/online", f"{place}/AC/online")
    return charge, _STATUS.get(_text(f"{root}/status").lower(), nan) if online is None else float(online == 1)


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208  names alone
    except OSError:
        return []


def _first(*paths: str) -> float | None:
    return next((number for path in paths if (number := _number(path)) is not None), None)


def _number(path: str) -> float | None:
    try:
        return float(int(read_once(path)))
    except ValueError:
        return None


def _text(path: str) -> str:
    return read_once(path).decode("utf-8", "replace").strip()
