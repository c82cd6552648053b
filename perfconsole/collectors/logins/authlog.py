"""Logins where no journal can be read: from the file that a syslog daemon writes.

Such a file does not say who wrote a line: a success that follows failures is a warning there, never more, and the table says why.
"""

import time
from collections.abc import Callable, Sequence
from math import inf, nan
from typing import Final

from perfconsole.collectors.logins.access import PATHS, no_file, right
from perfconsole.collectors.logins.counting import Logins
from perfconsole.collectors.logins.sources import SPAN_S
from perfconsole.collectors.logins.syslog import parse
from perfconsole.collectors.loop import paced
from perfconsole.collectors.tail import Tail
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event, Health, SeriesDef

_LATE_S: Final = 120.0
"""A journal that is not read any more may be missed for so long before this takes over."""

_SERIES: Final = (SeriesDef("system.logins.failed"), SeriesDef("system.logins.breached"))


class AuthLogCollector:
    """Follows the log files of logins as long as the journal does not tell of them; measures what either told.

    Args:
        told: Whether the journal is read: then there is nothing to do.
        logins: What counts them; the journal's, so that the table and the counter go on when one takes over from the other.
        paths: Files that are followed, those that exist.
        interval_s: Seconds between runs.
        mask_ips: Show no address, only its network; of a `logins` that is not given.
    """

    name = "logins"
    first_after_s = 6.0
    targets: Sequence[str] = ("host",)
    operations: Sequence[Operation] = ()

    def __init__(
        self,
        told: Callable[[], bool],
        *,
        logins: Logins | None = None,
        paths: Sequence[str] = PATHS,
        interval_s: float = 5.0,
        mask_ips: bool = False,
    ) -> None:
        self.interval_s = interval_s
        self._told, self._paths = told, paths
        self._logins = logins or Logins(mask_ips=mask_ips)
        self._is_shared = logins is not None
        self._tails: list[Tail] = []
        self._started = inf
        self._told_at = -inf
        self._last_ok = 0.0

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`."""
        del views
        if self._told():
            self._told_at = slot.at
            self.close()
            return Result(self._measured(target, slot.at) if self._is_shared else ())
        self._started = min(self._started, slot.at)
        # The first read brings what the last hour left: it is counted, and nobody is told of each.
        self._tails = self._tails or [Tail(path, from_end=False) for path in self._paths]
        sampled = await self._read(slot.at)
        if any(not tail.missing and tail.error is None for tail in self._tails):
            self._last_ok = slot.at
            tables, events = self._logins.result(slot.at, sampled)
            return Result(self._measured(target, slot.at), tables, self._new(events))
        return self._blind(target, slot)

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """What a run did not tell, a look does not either."""
        del views
        return ()

    def close(self) -> None:
        """Give the files back; what was read of them is not read again by the same object."""
        for tail in self._tails:
            tail.close()

    async def _read(self, at: float) -> float:
        """Read what came; the share of it that was looked at."""
        read_bytes = skipped_bytes = 0
        for tail in self._tails:
            before = tail.skipped_bytes
            lines = tail.read()
            skipped_bytes += tail.skipped_bytes - before
            async for line in paced(lines, time.perf_counter):
                read_bytes += len(line) + 1
                written = parse(line, at)
                if written and written.at > max(at - SPAN_S, self._told_at - _LATE_S):
                    # A clock that was wrong, or somebody's joke: nothing has happened that is still to come.
                    moment = min(written.at, at)
                    self._logins.take_written(written.identifier, written.message, moment, written.pid, tail.path)
        if self._started == at:
            skipped_bytes = 0  # what was there before us is not what we were too slow for
        return read_bytes / (read_bytes + skipped_bytes) if skipped_bytes else 1.0

    def _measured(self, target: str, at: float) -> list[Measured]:
        return [Measured(target, _SERIES, [float(self._logins.failed_total), float(self._logins.breaches(at))])]

    def _new(self, events: Sequence[Event]) -> list[Event]:
        return [event for event in events if event.time_hi >= self._started]

    def _blind(self, target: str, slot: Slot) -> Result:
        """No file can be read: why, and what PostgreSQL told nevertheless."""
        denied = next((tail for tail in self._tails if tail.error), None)
        if denied and denied.error:
            reason = f"{denied.path}: {denied.error.strerror}"
            health = Health(self.name, target, "denied", slot.at, self._last_ok, 0.0, reason, right(denied.path))
        else:
            reason = f"no journal can be read, and there is no {' and no '.join(self._paths)}"
            health = Health(self.name, target, "off", slot.at, self._last_ok, 0.0, reason, no_file())
        known = self._logins.failed_total > 0
        tables, events = self._logins.result(slot.at, 1.0 if known else nan, (f"logins at this machine are not seen: {reason}",))
        return Result([Measured(target, _SERIES, [nan, nan])], tables, self._new(events), [health])
