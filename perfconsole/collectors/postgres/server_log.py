"""Who was refused by a server of this machine, from its log: no view of PostgreSQL counts failed authentications.

Only a log that lies here, and may be read, is followed: that of the logging collector (``pg_current_logfile``), or, on Debian, that of the
cluster. What a log says of addresses depends on ``log_connections`` and ``log_line_prefix``.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from perfconsole.collectors.postgres.connection import Server
from perfconsole.collectors.postgres.faults import QUERY, ServerError
from perfconsole.collectors.tail import Tail
from perfconsole.core.text import safe

Failed = Callable[[str, str, str, float], None]
"""Takes a failure: service, source, user, epoch seconds."""

UNKNOWN: Final = "(address not logged)"
"""Without ``log_connections`` or ``%h`` in ``log_line_prefix`` a log has only the user."""

_FIND_S: Final = 600.0
"""How often it is asked where the log lies: it gets a new name every day, or sooner."""

_PIDS: Final = 500
"""Connections whose address is remembered until their log-in comes to something."""

_WHERE: Final = """
SELECT pg_current_logfile() AS file, current_setting('data_directory') AS directory, current_setting('cluster_name') AS cluster,
       host(inet_server_addr()) AS address
"""
_DEBIAN: Final = re.compile(r"(\d+)/([\w.-]+)")

_SEVERITY: Final = re.compile(r"\b(DEBUG[1-5]?|INFO|NOTICE|WARNING|ERROR|LOG|FATAL|PANIC|DETAIL|HINT|CONTEXT|QUERY|STATEMENT): {1,2}")
_PID: Final = re.compile(r"\[(\d+)\]")
_HOST: Final = re.compile(r"\b(\d+\.\d+\.\d+\.\d+|[0-9a-fA-F:]*:[0-9a-fA-F:]+)(?:\(\d+\))")
_RECEIVED: Final = re.compile(r"connection received: host=(\S+)")
_REFUSED: Final = (
    re.compile(r'[\w ]*authentication failed for user "(?P<user>.*)"'),
    re.compile(r'no pg_hba\.conf entry for (?:replication connection from )?host "(?P<host>[^"]*)", user "(?P<user>.*?)"(?:,|$)'),
    re.compile(r'pg_hba\.conf rejects (?:replication )?connection for host "(?P<host>[^"]*)", user "(?P<user>.*?)"(?:,|$)'),
    re.compile(r'role "(?P<user>.*)" does not exist'),
)
"""As ``auth.c`` and ``miscinit.c`` word them; in another ``lc_messages`` they are not known."""


class ServerLog:
    """Follows the log of one server, if it lies here.

    Args:
        server: Whose.
        failed: Is given every refusal.
        debian: Where Debian's clusters log.
    """

    def __init__(self, server: Server, failed: Failed, debian: str = "/var/log/postgresql") -> None:
        self._server = server
        self._failed = failed
        self._debian = debian
        self._find_at = 0.0
        self._path = ""
        self._tail: Tail | None = None
        self._hosts: dict[str, str] = {}

    async def look(self, at: float, boot: float) -> None:
        """Take what was written since the last look.

        Args:
            at: Wall-clock time, epoch seconds: a line's own stamp may be in any form, and any time zone.
            boot: CLOCK_BOOTTIME.

        Raises:
            ServerError: When the server cannot be asked at all.
        """
        if boot >= self._find_at:
            self._find_at = boot + _FIND_S
            await self._find(at)
        self._read(at)

    def close(self) -> None:
        """Follow it no more."""
        if self._tail:
            self._tail.close()
            self._tail = None

    def _read(self, at: float) -> None:
        for line in self._tail.read() if self._tail else ():
            self._take(line.decode(errors="replace"), at)

    async def _find(self, at: float) -> None:
        try:
            (row,) = await self._server.fetch(_WHERE)
        except ServerError as error:
            if error.cause != QUERY:
                raise
            return  # that takes pg_monitor; whoever may not know where the log lies cannot read it either
        path = _path(row, self._debian)
        if path == self._path:
            return
        self._read(at)
        self.close()
        # A log that follows another one is read from its beginning.
        self._tail = Tail(path, from_end=not self._path) if path else None
        self._path = path

    def _take(self, line: str, at: float) -> None:
        """One line; those that go on with another begin with a tab, and hold what users wrote."""
        severity = _SEVERITY.search(line)
        if line.startswith("\t") or severity is None:
            return
        prefix, text = line[: severity.start()], line[severity.end() :]
        pid = found[1] if (found := _PID.search(prefix)) else ""
        if severity[1] == "LOG" and (received := _RECEIVED.match(text)):
            self._hosts[pid] = received[1]
            if len(self._hosts) > _PIDS:
                del self._hosts[next(iter(self._hosts))]
        elif severity[1] == "FATAL" and (refused := next(filter(None, (kind.match(text) for kind in _REFUSED)), None)):
            host = refused.groupdict().get("host") or self._hosts.pop(pid, "") or (there[1] if (there := _HOST.search(prefix)) else "")
            source = "local socket" if host == "[local]" else safe(host, 60) or UNKNOWN
            self._failed("postgresql", source, safe(refused["user"], 64), at)


def _path(row: Any, debian: str) -> str:
    """Where the log lies on this machine; empty when it does not, as far as can be told."""
    if row["address"] and not ip_address(row["address"]).is_loopback:
        return ""  # a path over there, which may well exist here
    if row["file"]:
        return str(Path(row["directory"] or "/") / row["file"])
    cluster = _DEBIAN.fullmatch(row["cluster"] or "")
    return f"{debian}/postgresql-{cluster[1]}-{cluster[2]}.log" if cluster else ""
