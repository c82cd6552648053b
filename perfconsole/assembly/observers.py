"""What tells of units, of changes and of access: nothing of it is needed for the first frame, nor is what it imports part of the start."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perfconsole.config.schema import Config
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Collector

if TYPE_CHECKING:
    from perfconsole.collectors.logins import Logins

_KMSG = "/dev/kmsg"


class Observers:
    """The collectors that join an engine once it runs.

    Args:
        config: A checked configuration.
        own: This console's own configuration files.
        once: Tell of units as they are, at once, and of nothing that changes.
    """

    def __init__(self, config: Config, own: Sequence[str] = (), *, once: bool = False) -> None:
        self._config = config
        self._own = own
        self._once = once
        self._logins: Logins | None = None

    def failed(self, service: str, source: str, user: str, at: float) -> None:
        """Take a log-in that a service refused (epoch seconds); forgotten before anybody counts them."""
        if self._logins:
            self._logins.take_failure(service, source, user, at)

    def make(self) -> list[Collector]:
        """Import and make them; takes some 30 ms, which no loop should."""
        if not sys.platform.startswith("linux"):
            return []
        if self._once:
            return [self._units_alone()]
        return [*self._machine(), *self._access()]

    def _units_alone(self) -> Collector:
        from perfconsole.collectors.units import UnitsCollector

        units = UnitsCollector(self._config.console.interval_s, units=Globs(self._config.system.units))
        units.first_after_s = 0.0
        return units

    def _machine(self) -> list[Collector]:
        from perfconsole.collectors.changes import ChangesCollector
        from perfconsole.collectors.journal import JournalCollector
        from perfconsole.collectors.kernellog import KernelLogCollector
        from perfconsole.collectors.units import UnitsCollector

        config = self._config
        if config.security.enabled:
            from perfconsole.collectors.logins import Logins

            self._logins = Logins(mask_ips=config.privacy.mask_ips)
        readable = _readable(_KMSG)
        units = UnitsCollector(
            config.console.interval_s,
            units=Globs(config.system.units),
            journal_told=lambda: journal.told,
            kernel_told=lambda: readable or journal.told,
        )
        kernel = KernelLogCollector(
            _KMSG,
            fed=lambda: not readable and journal.told,
            named=units.kills_told,
            named_every_s=config.console.interval_s,
        )
        journal = JournalCollector(logins=self._logins, kernel=None if readable else kernel.take)
        self._journal = journal
        return [units, kernel, journal, ChangesCollector(watch=config.events.watch, own=self._own, marks_dir=config.events.marks_dir)]

    def _access(self) -> list[Collector]:
        if self._logins is None:
            return []
        from perfconsole.collectors.access import AccessCollector
        from perfconsole.collectors.logins.authlog import AuthLogCollector

        return [
            AuthLogCollector(lambda: self._journal.told, logins=self._logins),
            AccessCollector(mask_ips=self._config.privacy.mask_ips),
        ]


def _readable(path: str) -> bool:
    """Whether a log device can be opened: that takes a right, not only its mode."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
