"""Refused log-ins in the lines of a server's log: as text behind a prefix, as CSV, as JSON. Pure; where the log lies is not known here.

What users write may look like any line. In CSV and JSON who was refused stands in columns of its own, and that it happened while a
connection was authenticated, too. In text only a place that nobody can write to is believed.
"""

import csv
import json
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_PIDS: Final = 500
"""Connections whose address is remembered until their log-in comes to something."""

_RECORD: Final = 65_536
"""Characters of one CSV record; what is longer is no refusal."""

_SEVERITY: Final = re.compile(r"\b(DEBUG[1-5]?|INFO|NOTICE|WARNING|ERROR|LOG|FATAL|PANIC|DETAIL|HINT|CONTEXT|QUERY|STATEMENT): {1,2}")
_FATAL, _CONNECTED = "FATAL: ", "connection received: "
"""A pattern tried at every line of a busy log would hold the loop for 20 ms."""

_RECEIVED: Final = re.compile(r"connection received: host=(\S+)")
_REFUSED: Final = (
    re.compile(r'[\w ]*authentication failed for user "(?P<user>.*)"'),
    re.compile(r'no pg_hba\.conf entry for (?:replication connection from )?host "(?P<host>[^"]*)", user "(?P<user>.*?)"(?:,|$)'),
    re.compile(r'pg_hba\.conf rejects (?:replication )?connection for host "(?P<host>[^"]*)", user "(?P<user>.*?)"(?:,|$)'),
    re.compile(r'role "(?P<user>.*)" does not exist'),
)
"""As ``auth.c`` and ``miscinit.c`` word them; in another ``lc_messages`` they are not known."""

_CODES: Final = frozenset({"28P01", "28000"})
"""SQLSTATE invalid_password and invalid_authorization_specification, in every language."""

_OUTSIDE: Final = frozenset({"authentication", "startup"})
"""What a process shows itself as (``command_tag``, ``ps``) until its client is in: nobody who is could raise these codes there."""

_USER, _PROCESS_FROM, _TAG, _CODE = 1, 4, 7, 12
"""Columns of csvlog (PostgreSQL 13 to 18: later ones are added at the end)."""

_ESCAPE: Final = re.compile(r"%(-?\d*)(.)")
_CLAIMED: Final = frozenset("uda")
"""Escapes of ``log_line_prefix`` that hold what a client says of itself: user, database, application."""

_HOST: Final = r" *([\w.:-]+)(?:\(\d+\))? *"
_SOUGHT: Final = {"h": _HOST, "r": _HOST, "p": r" *(\d+) *"}
_WITHIN: Final = {"m": r"\S+ \S+ \S+", "t": r"\S+ \S+ \S+", "s": r"\S+ \S+ \S+", "q": ""}


class Refusal(NamedTuple):
    """Who was refused: the user, and the address; ``[local]`` through the socket, empty where the log does not tell."""

    user: str
    host: str


Take = Callable[[str], Refusal | None]
"""Takes the next line (without its end); a refusal when there was one."""


class Text:
    """Lines as ``log_destination = 'stderr'`` writes them.

    Args:
        prefix: ``log_line_prefix``.
    """

    def __init__(self, prefix: str) -> None:
        self._host, self._pid = _place(prefix, "hr"), _place(prefix, "p")
        self._claimed = not _CLAIMED.isdisjoint(_ESCAPE.split(prefix.replace("%%", ""))[2::3])
        self._hosts: dict[str, str] = {}

    def __call__(self, line: str) -> Refusal | None:
        """See `Take`. Lines that go on with another begin with a tab, and hold what users wrote."""
        if (_FATAL not in line and _CONNECTED not in line) or line.startswith("\t") or not (severity := _SEVERITY.search(line)):
            return None
        prefix, text = line[: severity.start()], line[severity.end() :]
        if self._claimed and _SEVERITY.search(text):
            return None  # the first may be in the name that a client gave itself
        pid = _told(self._pid, prefix)
        if severity[1] == "LOG" and (received := _RECEIVED.match(text)):
            if pid:
                self._hosts[pid] = received[1]
            if len(self._hosts) > _PIDS:
                del self._hosts[next(iter(self._hosts))]
        elif severity[1] == "FATAL" and (refused := next(filter(None, (kind.match(text) for kind in _REFUSED)), None)):
            host = refused.groupdict().get("host") or self._hosts.pop(pid, "") or _told(self._host, prefix)
            return Refusal(refused["user"], host)
        return None


def _told(place: re.Pattern[str] | None, prefix: str) -> str:
    """What stands at a place; empty where nothing does."""
    return found[1] if place and (found := place.search(prefix)) else ""


def _place(prefix: str, sought: str) -> re.Pattern[str] | None:
    """Where the first of some escapes stands in a prefix; None when none does, or where clients could write the like beside it."""
    parts = _ESCAPE.split(prefix.replace("%%", "\0"))  # literal, width, letter, literal, ...
    letters = parts[2::3]
    at = next((index for index, letter in enumerate(letters) if letter in sought), None)
    if at is None:
        return None
    patterns = [" *" + _WITHIN.get(letter, r"\S*") + " *" for letter in letters]
    patterns[at] = _SOUGHT[letters[at]]
    literals = [re.escape(literal.replace("\0", "%")) for literal in parts[0::3]]
    if not _CLAIMED.intersection(letters[:at]):
        left = "".join(literal + pattern for literal, pattern in zip(literals[: at + 1], patterns[: at + 1], strict=True))
        return re.compile(r"\A" + left + (literals[at + 1][:2] or r"(?!\S)"))
    if literals[at] and not _CLAIMED.intersection(letters[at + 1 :]):
        right = "".join(pattern + literal for pattern, literal in zip(patterns[at:], literals[at + 1 :], strict=True))
        return re.compile(r"\A.*" + literals[at] + right + r"\Z")  # greedy: what a client writes may look like it, but comes before
    return None


class Csv:
    """Records as ``log_destination = 'csvlog'`` writes them; one goes over several lines where a text in it does."""

    def __init__(self) -> None:
        self._begun: list[str] = []
        self._open = False
        self._held = 0

    def __call__(self, line: str) -> Refusal | None:
        """See `Take`."""
        self._open ^= line.count('"') % 2 == 1
        self._held += len(line)
        if self._held <= _RECORD:
            self._begun.append(line)
        if self._open:
            return None
        record, whole = "\n".join(self._begun), self._held <= _RECORD
        self._begun, self._held = [], 0
        if not whole or not any(code in record for code in _CODES):
            return None
        try:
            fields = next(csv.reader([record]), [])
        except csv.Error:
            return None
        if len(fields) <= _CODE or fields[_CODE] not in _CODES or fields[_TAG] not in _OUTSIDE:
            return None
        return Refusal(fields[_USER], fields[_PROCESS_FROM].rpartition(":")[0] or fields[_PROCESS_FROM])


def from_json(line: str) -> Refusal | None:
    """See `Take`; a record a line, as ``log_destination = 'jsonlog'`` writes them (PostgreSQL 15)."""
    if not any(code in line for code in _CODES):
        return None
    try:
        record: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("state_code") not in _CODES or record.get("ps") not in _OUTSIDE:
        return None
    return Refusal(str(record.get("user", "")), str(record.get("remote_host", "")))
