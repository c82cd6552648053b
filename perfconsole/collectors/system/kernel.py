"""Single numbers that the kernel keeps: load, open files, uptime, TCP."""

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


class Tcp:
    """Segments sent again and connections established, of both address families, from ``/proc/net/snmp``."""

    def __init__(self, files: Files, proc: str) -> None:
        self._files, self._path = files, f"{proc}/net/snmp"
        self.series = (define("system.tcp.retransmits"), define("system.tcp.established"))

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; counters are made rates on read
        """See `Part`."""
        rows = [line.split() for line in self._files.read(self._path).splitlines() if line.startswith(b"Tcp:")]
        if len(rows) != 2:
            return [nan, nan]
        fields = dict(zip(*rows, strict=True))
        return [float(fields.get(b"RetransSegs", nan)), float(fields.get(b"CurrEstab", nan))]
