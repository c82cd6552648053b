"""Single numbers that the kernel keeps: load, open files, uptime."""

from math import nan

from perfconsole.collectors.system.files import Files
from perfconsole.collectors.system.parts import define, ratio


class Kernel:
    """Load averages, open files and uptime: one short file each."""

    def __init__(self, files: Files, proc: str) -> None:
        self._files, self._proc = files, proc
        self.series = (
            define("system.load.1m"),
            define("system.load.5m"),
            define("system.load.15m"),
            define("system.fd.open"),
            define("system.fd.utilization"),
            define("system.uptime"),
        )

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; levels need no time
        """See `Part`."""
        loads = self._files.read(f"{self._proc}/loadavg").split()[:3] or (nan, nan, nan)
        allocated, unused, most = map(float, self._files.read(f"{self._proc}/sys/fs/file-nr").split() or (nan, nan, nan))
        uptime = self._files.read(f"{self._proc}/uptime").split()[:1] or (nan,)
        taken = allocated - unused
        return [*map(float, loads), taken, ratio(taken, most), float(uptime[0])]
