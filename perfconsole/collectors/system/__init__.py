"""This machine: CPU, memory, pressure, disks, networks, filesystems, links, arrays, clock, sensors, and the limits of its container.

The kernel's own files on Linux, psutil elsewhere. Processes are another collector's.
"""

import sys
from typing import Final

from perfconsole.collectors.system.filesystems import FilesystemCollector
from perfconsole.collectors.system.hardware import HardwareCollector
from perfconsole.collectors.system.linux import SystemCollector
from perfconsole.collectors.system.sensors import SensorCollector
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Collector

__all__ = ["FilesystemCollector", "HardwareCollector", "SensorCollector", "SystemCollector", "system_collectors"]

_EVERYTHING: Final = Globs()


def system_collectors(
    interval_s: float = 2.0, disks: Globs = _EVERYTHING, networks: Globs = _EVERYTHING, mounts: Globs = _EVERYTHING
) -> list[Collector]:
    """The collectors for the machine this runs on.

    Args:
        interval_s: Seconds between runs of the system collector; the others look at what changes slowly, every 10 s.
        disks: Devices that are looked at.
        networks: Interfaces that are looked at.
        mounts: Mount points that are looked at.
    """
    if sys.platform.startswith("linux"):
        from perfconsole.collectors.system.hwmon import read_hwmon  # noqa: PLC0415  # as below

        return [
            SystemCollector(interval_s, disks=disks, networks=networks),
            FilesystemCollector(mounts=mounts),
            HardwareCollector(networks=networks),
            SensorCollector(read=read_hwmon),
        ]
    from perfconsole.collectors.system import portable  # noqa: PLC0415  # costs nothing where it is not needed

    return [
        portable.PortableCollector(interval_s, disks=disks, networks=networks),
        FilesystemCollector(mounts=mounts, listed=portable.list_mounts),
        SensorCollector(),
    ]
