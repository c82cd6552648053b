"""Who was refused by a server of this machine, from its log: no view of PostgreSQL counts failed authentications.

Only a log that lies here, and may be read, is followed: that of the logging collector (``pg_current_logfile``), or, on Debian, that of the
cluster. What a log says of addresses depends on ``log_destination``, ``log_connections`` and ``log_line_prefix``. Where none can be
followed that is said, with what would help: not to see refusals is not to have none.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address
from math import nan
from pathlib import Path
from typing import Any, Final

from perfconsole.collectors.postgres.connection import Server
from perfconsole.collectors.postgres.faults import QUERY, ServerError
from perfconsole.collectors.postgres.log_lines import Csv, Take, Text, from_json
from perfconsole.collectors.tail import Tail
from perfconsole.core.text import safe
from perfconsole.core.tick import Health

Failed = Callable[[str, str, str, float], None]
"""Takes a failure: service, source, user, epoch seconds."""

NAME: Final = "postgres.log"

UNKNOWN: Final = "(address not logged)"
"""Without ``log_connections`` or ``%h`` in ``log_line_prefix`` a log has only the user."""

_FIND_S: Final = 600.0
"""How often it is asked where the log lies: it gets a new name every day, or sooner."""

_WHERE: Final = """
SELECT pg_current_logfile() AS file, current_setting('data_directory') AS directory, current_setting('cluster_name') AS cluster,
       current_setting('log_line_prefix') AS prefix, current_setting('lc_messages') AS language, host(inet_server_addr()) AS address
"""
_DEBIAN: Final = re.compile(r"(\d+)/([\w.-]+)")
_ENGLISH: Final = re.compile(r"(?:en|english|c|posix)(?![^\W_])", re.IGNORECASE)
"""Locales of English: ``C.UTF-8``, and not ``cs_CZ.UTF-8``."""

_UNSEEN: Final = "its refused log-ins are not seen"
_Trouble = tuple[str, str, str]
"""State, error and fix."""

_NONE: Final = "", "", ""
_NO_RIGHT: Final = "denied", f"{_UNSEEN}: it may not be asked where its log lies", "GRANT pg_monitor TO the role that perfconsole has there"
_ELSEWHERE: Final = "off", f"{_UNSEEN}: its log lies on another machine", "run perfconsole there"
_NO_FILE: Final = (
    "off",
    f"{_UNSEEN}: it writes no log file that is known here",
    "set logging_collector = on with log_destination = 'csvlog' (a restart of the server)",
)
_FOREIGN: Final = (
    "off",
    f"{_UNSEEN}: its log is in another language (lc_messages)",
    "set log_destination = 'csvlog', or lc_messages = 'C'",
)


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
        self._take: Take = Text("")
        self._reads = "", ""
        self._trouble = self._told = _NONE

    async def look(self, at: float, boot: float) -> list[Health]:
        """Take what was written since the last look; what is not seen, when that has changed.

        Args:
            at: Wall-clock time, epoch seconds: a line's own stamp may be in any form, and any time zone.
            boot: CLOCK_BOOTTIME.

        Raises:
            ServerError: When the server cannot be asked at all.
        """
        if boot >= self._find_at:
            self._find_at = boot + _FIND_S
            self._trouble = await self._find(at)
        self._read(at)
        return self._health(at)

    def close(self) -> None:
        """Follow it no more."""
        if self._tail:
            self._tail.close()
            self._tail = None

    def _read(self, at: float) -> None:
        for line in self._tail.read() if self._tail else ():
            refusal = self._take(line.decode(errors="replace"))
            if refusal:
                source = "local socket" if refusal.host == "[local]" else safe(refusal.host, 60) or UNKNOWN
                self._failed("postgresql", source, safe(refusal.user, 64), at)

    def _health(self, at: float) -> list[Health]:
        trouble, path, tail = self._trouble, safe(self._path, 200), self._tail
        if not any(trouble) and tail and tail.error:
            fix = f"add the user that perfconsole runs as to the group of {path} (on Debian: adm)"
            trouble = "denied", f"{_UNSEEN}: {path}: {tail.error.strerror or 'it cannot be read'}", fix
        elif not any(trouble) and tail and tail.missing:
            trouble = "off", f"{_UNSEEN}: there is no {path} here", "run perfconsole where the server runs"
        told, self._told = self._told, trouble
        if told == trouble:
            return []
        state, error, fix = trouble
        return [Health(NAME, self._server.name, state or "ok", at, nan if state else at, error=error, fix=fix)]

    async def _find(self, at: float) -> _Trouble:
        """Look for the log; why there is none to follow."""
        try:
            (row,) = await self._server.fetch(_WHERE)
        except ServerError as error:
            if error.cause != QUERY:
                raise
            return _NO_RIGHT
        path, trouble = _path(row, self._debian)
        if path != self._path:
            self._read(at)
            self.close()
            # A log that follows another one is read from its beginning.
            self._tail = Tail(path, from_end=not self._path) if path else None
            self._path = path
        records = _RECORDS.get(Path(path).suffix)
        reads = path, "" if records else row["prefix"]
        if reads != self._reads:
            self._reads, self._take = reads, records() if records else Text(row["prefix"])
        foreign = not records and row["language"] and not _ENGLISH.match(row["language"])
        return trouble if any(trouble) else _FOREIGN if foreign else _NONE


_RECORDS: Final[dict[str, Callable[[], Take]]] = {".csv": Csv, ".json": lambda: from_json}
"""What the logging collector writes other than text, by how it calls the file."""


def _path(row: Any, debian: str) -> tuple[str, _Trouble]:
    """Where the log lies on this machine; empty when it does not, as far as can be told, and why."""
    if row["address"] and not ip_address(row["address"]).is_loopback:
        return "", _ELSEWHERE  # a path over there, which may well exist here
    if row["file"]:
        return str(Path(row["directory"] or "/") / row["file"]), _NONE
    cluster = _DEBIAN.fullmatch(row["cluster"] or "")
    return (f"{debian}/postgresql-{cluster[1]}-{cluster[2]}.log", _NONE) if cluster else ("", _NO_FILE)
