"""Who a process is: its owner, its command line and its unit. Read once per process, since a file each costs more than the whole scan."""

import os
from pathlib import Path
from typing import Final

from perfconsole.collectors.processes.files import read
from perfconsole.collectors.processes.units import unit_of
from perfconsole.core.redact import redact_command
from perfconsole.core.text import LIMIT, safe

_UNITS_HELD: Final = 1024
"""Distinct cgroup files remembered: processes of one unit share one text, so that the parse is done once and the string held once."""


class Identity:
    """Reads owners, commands and units below one /proc.

    Args:
        proc: Where it is mounted.
        passwd: The file with the names of users.
    """

    def __init__(self, proc: str, passwd: str = "/etc/passwd") -> None:  # noqa: S107 - the name of a file
        self._proc = proc
        self._users = Users(passwd)
        self._units: dict[bytes, str] = {}

    def owner(self, pid: int) -> str:
        """The name of the effective user, its number when it has no name; empty when the process has gone.

        The directory is asked, not a file in it: those of a process that may not be dumped belong to root.
        """
        try:
            return self._users.name(os.stat(f"{self._proc}/{pid}").st_uid)  # noqa: PTH116 - pathlib doubles the cost
        except OSError:
            return ""

    def arguments(self, pid: int) -> bytes | None:
        """The argument vector as the kernel has it, separated by NULs; empty when there is none, None when it cannot be had."""
        try:
            return read(f"{self._proc}/{pid}/cmdline", LIMIT + 1)
        except OSError:
            return None

    def command(self, raw: bytes, name: str) -> str:
        """The command line with its secrets hidden; ``[name]`` of a process that has none (a kernel thread, a zombie), as ps writes it."""
        raw = raw.rstrip(b"\0")
        if not raw:
            return f"[{name}]"
        return safe(redact_command(raw.decode("utf-8", "replace").split("\0")))

    def unit(self, pid: int) -> str:
        """Its unit or container; empty when unknown."""
        try:
            raw = read(f"{self._proc}/{pid}/cgroup", 4096)
        except OSError:
            return ""
        known = self._units.get(raw)
        if known is None:
            if len(self._units) >= _UNITS_HELD:
                self._units.clear()
            known = self._units[raw] = safe(unit_of(raw.decode("utf-8", "replace")), 200)
        return known

    def names_learnt(self) -> bool:
        """Whether names of users that were shown as numbers have become known since the last call."""
        return self._users.learnt()


class Users:
    """Names of users. The local file is read here; a directory service may take seconds to answer, so it is asked beside the loop."""

    def __init__(self, passwd: str) -> None:
        self._passwd = passwd
        self._names: dict[int, str] = {}
        self._stamp = -1.0
        self._asked: set[int] = set()
        self._queue: list[int] = []
        self._asking = False
        self._learnt = False

    def name(self, uid: int) -> str:
        """The name; the number as long as it is not known."""
        found = self._names.get(uid)
        if found is None:
            self._read()
            found = self._names.get(uid)
        if found is None:
            self._ask(uid)
            found = str(uid)
        return found

    def learnt(self) -> bool:
        """Whether answers came since the last call."""
        if self._queue and not self._asking:
            self._asking = True
            import threading  # noqa: PLC0415 - hardly ever: users of directory services and of containers

            threading.Thread(target=self._resolve, daemon=True, name="processes-users").start()
        learnt, self._learnt = self._learnt, False
        return learnt

    def _read(self) -> None:
        """Read the file again if it changed."""
        path = Path(self._passwd)
        try:
            stamp = path.stat().st_mtime
            if stamp == self._stamp:
                return
            lines = path.read_bytes().decode("utf-8", "replace").splitlines()
        except OSError:
            return
        self._stamp = stamp
        for line in lines:
            fields = line.split(":")
            if len(fields) >= 3 and fields[2].isdecimal():
                self._names.setdefault(int(fields[2]), safe(fields[0], 64))

    def _ask(self, uid: int) -> None:
        if uid not in self._asked:
            self._asked.add(uid)
            self._queue.append(uid)

    def _resolve(self) -> None:
        """In a thread, which may hang as long as it likes: ask the name service about each, once."""
        import pwd  # noqa: PLC0415 - as above

        while self._queue:
            uid = self._queue.pop()
            try:
                self._names[uid] = safe(pwd.getpwuid(uid).pw_name, 64)
            except (KeyError, OSError):
                continue
            self._learnt = True
        self._asking = False
