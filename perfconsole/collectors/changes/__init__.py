"""What was changed on this machine: packages, watched files, mounts, its boot, and marks that somebody set.

Each part compares what it sees with what it saw. They look together in a thread of its own, because any path may lie on a server that does
not answer; everything else goes on meanwhile.
"""

import asyncio
from asyncio import Future
from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Final

from perfconsole.collectors.changes.boot import booted
from perfconsole.collectors.changes.marks import DEFAULT, Marks
from perfconsole.collectors.changes.mounts import Mounts
from perfconsole.collectors.changes.packages import Packages
from perfconsole.collectors.changes.watched import Watched
from perfconsole.collectors.loop import ask
from perfconsole.core.errors import CollectorError
from perfconsole.core.ports import Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event, Health

NAME: Final = "changes"
_PATIENCE_S: Final = 3.0


class ChangesCollector:
    """Tells what was changed, with the time of it.

    Args:
        watch: Paths and globs of files.
        own: This console's own configuration files.
        marks_dir: A directory of marks; empty is ``/run/perfconsole/marks.d``, if there is one.
        proc: Where procfs is.
        root: Below which package managers' files and the default directory of marks are.
    """

    name = NAME
    interval_s = 10.0
    first_after_s = 3.0
    targets: Sequence[str] = ("host",)
    operations: Sequence[Operation] = ()

    def __init__(
        self,
        *,
        watch: Sequence[str] = (),
        own: Sequence[str] = (),
        marks_dir: str = "",
        proc: str = "/proc",
        root: str = "/",
    ) -> None:
        self._proc = proc
        self._root = root
        self._packages: Packages | None = None
        self._watched = Watched(watch, own)
        self._mounts = Mounts(proc)
        self._marks = Marks(marks_dir or str(Path(root, DEFAULT)), asked_for=bool(marks_dir))
        self._looking: Future[tuple[list[Event], dict[str, tuple[str, str, str]]]] | None = None
        self._told: dict[str, str] = {}

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """Look at everything once.

        Raises:
            CollectorError: When a file is waited for too long.
        """
        del target, views
        if self._looking is None:
            at = slot.at
            self._looking = ask(lambda: self._look(at), "changes")
        done, _ = await asyncio.wait({self._looking}, timeout=_PATIENCE_S)
        if not done:
            message = "what changed is not known: a watched file, or the marks directory, does not answer"
            raise CollectorError(message, "see whether a network filesystem below [events] watch or marks_dir is reachable")
        looked, self._looking = self._looking, None
        events, troubles = looked.result()
        return Result(events=events, health=self._health(troubles, slot.at))

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing here is a table."""
        del views
        return ()

    def close(self) -> None:
        """See `Collector`."""
        if self._looking is None:  # what a thread still waits for goes with it
            self._mounts.close()
            if self._packages:
                self._packages.close()

    def _look(self, now: float) -> tuple[list[Event], dict[str, tuple[str, str, str]]]:
        """Everything, and what cannot be seen by part: state, error and fix. In the thread."""
        events: list[Event] = []
        troubles: dict[str, tuple[str, str, str]] = {}
        if self._packages is None:
            self._packages = Packages(self._root)
            boot = booted(self._proc)
            events += [boot] if boot else []
        events += self._packages.look(now)
        troubles.update(self._packages.troubles())
        events += self._watched.look(now)
        if self._watched.too_many:
            troubles["watch"] = "error", self._watched.too_many, "name fewer files in [events] watch"
        elif self._watched.denied:
            troubles["watch"] = "denied", self._watched.denied, "let their directories be looked into: setfacl -m u:USER:rx DIRECTORY"
        try:
            if self._mounts.changed():
                events += self._mounts.look(now)
            else:
                self._mounts.still(now)
        except OSError as error:
            troubles["mounts"] = "error", f"mounts cannot be read: {error.strerror}", ""
        events += self._marks.look(now)
        if self._marks.trouble:
            troubles["marks"] = self._marks.trouble
        return events, troubles

    def _health(self, troubles: dict[str, tuple[str, str, str]], at: float) -> list[Health]:
        """What broke and what works again since the last run."""
        found = [
            Health(NAME, part, state, at, nan, error=error, fix=fix)
            for part, (state, error, fix) in troubles.items()
            if self._told.get(part) != error
        ]
        found += [Health(NAME, part, "ok", at, at) for part in self._told if part not in troubles]
        self._told = {part: error for part, (_, error, _) in troubles.items()}
        return found
