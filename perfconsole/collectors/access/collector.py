"""Collects what the parts of this room see, every half minute, and says what they may not see."""

import os
from asyncio import Future, wait
from collections.abc import Sequence
from functools import partial
from typing import Final

from perfconsole.collectors.access.accounts import Accounts
from perfconsole.collectors.access.executables import Executables, suspicion
from perfconsole.collectors.access.findings import Finding
from perfconsole.collectors.access.keys import Keys
from perfconsole.collectors.access.listeners import Listeners
from perfconsole.collectors.logins.words import mask
from perfconsole.collectors.loop import ask
from perfconsole.core.ports import Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Health

_DISK_S: Final = 2.0
"""How long a run waits for the files under /etc and in homes; what they say then comes with the next."""


class AccessCollector:
    """New listening sockets, accounts, keys and odd executables. What was there at the first look is the baseline.

    Args:
        proc: Where procfs is.
        root: What stands before ``/etc`` and homes.
        mask_ips: Show no address, only its network.
        interval_s: Seconds between runs.
    """

    name = "access"
    first_after_s = 5.0
    targets: Sequence[str] = ("host",)
    operations: Sequence[Operation] = ()

    def __init__(self, *, proc: str = "/proc", root: str = "/", mask_ips: bool = False, interval_s: float = 30.0) -> None:
        self.interval_s = interval_s
        self._proc = proc
        prefix = root.rstrip("/")
        self._accounts = Accounts(prefix)
        self._keys = Keys(prefix, f"{proc}/self/mountinfo")
        self._listeners = Listeners(proc, suspicion, mask if mask_ips else str)
        self._executables = Executables(proc)
        self._files: Future[list[Finding]] | None = None
        self._before = self._files_before = 0.0
        self._limited: set[str] = set()

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`."""
        del views
        before = min(self._before or slot.at, slot.at)
        findings = await self._look_at_files(slot.at)
        users = self._accounts.names()
        findings += await self._listeners.look(before, slot.at, users)
        findings += await self._executables.look(before, slot.at, users)
        self._before = slot.at
        return Result(events=[finding.event() for finding in findings], health=self._health(target, slot.at))

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing here is a table."""
        del views
        return ()

    def close(self) -> None:
        """Nothing is held; a thread that waits for a disk is a daemon."""

    async def _look_at_files(self, at: float) -> list[Finding]:
        """Accounts and keys, in a thread; one that hangs is waited for, and no second is sent after it."""
        if self._files is None:
            self._files = ask(partial(self._read_files, self._files_before or at, at), "accounts")
            self._files_before = at
        await wait([self._files], timeout=_DISK_S)
        if not self._files.done():
            return []
        files, self._files = self._files, None
        return files.result()

    def _read_files(self, before: float, at: float) -> list[Finding]:
        found = self._accounts.look(before, at)
        users, uid = self._accounts.users, os.geteuid()
        mine = users if uid == 0 else {name: user for name, user in users.items() if user.uid == uid}
        return found + self._keys.look(mine, before, at)

    def _health(self, target: str, at: float) -> list[Health]:
        """What may not be seen, each with what mends it."""
        del target
        parts = []
        seen = self._executables
        if seen.unseen:
            reason = f"what {seen.unseen} of {seen.total} processes run may not be seen by this user"
            fix = (
                "run perfconsole as root, or with CAP_SYS_PTRACE"
                if os.geteuid()
                else "root lacks CAP_SYS_PTRACE over them here: run on the host"
            )
            parts.append(("executables", "denied", reason, fix))
        if seen.hidden:
            reason = f"{self._proc} does not list the processes of other users (hidepid, or a sandbox): what they run is not seen"
            parts.append(("processes", "denied", reason, "run perfconsole as root, or in the group of the mount's gid="))
        if self._accounts.denied:
            reason = f"{' and '.join(self._accounts.denied[:3])}: of sudo's rules only their time of change is seen"
            parts.append(("sudoers", "denied", reason, "run perfconsole as root"))
        if self._keys.far:
            reason = f"{self._keys.far} homes are on other machines: their authorized_keys are not looked at"
            parts.append(("authorized_keys", "off", reason, "run perfconsole where the homes are"))
        if not self._listeners.readable:
            parts.append(("listeners", "off", f"{self._proc}/net can not be read: new listeners are not seen", "mount procfs"))
        if self._files is not None:
            parts.append(("accounts", "stale", "/etc or a home does not answer", "look at the disk it is on"))
        limited = {part for part, *_ in parts}
        well = [Health(self.name, part, "ok", at, at) for part in sorted(self._limited - limited)]
        self._limited = limited
        return well + [Health(self.name, part, state, at, 0.0, 0.0, reason, fix) for part, state, reason, fix in parts]
