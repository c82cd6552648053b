"""Logins: what the journal, a log file and PostgreSQL say about who tried to get in, folded into a table and a few events.

Observations, no intrusion detection: what is not logged is not seen, and whoever is root can hide. A single failure is no event; a flood of
them has a beginning and an end; a success that follows failures of the same source is told at once.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from math import inf, isnan
from typing import Final

from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.logins import lines
from perfconsole.collectors.logins.floods import Beginning, Flood
from perfconsole.collectors.logins.folds import Folds
from perfconsole.collectors.logins.sources import SPAN_S, Source, Sources
from perfconsole.collectors.logins.trust import BELIEVED, FORGED, judge
from perfconsole.collectors.logins.words import Forgery, describe, distinct, ended, flooded, mask, plain, row, span, times
from perfconsole.core.login_rows import LoginTable
from perfconsole.core.tables import Table
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

ENOUGH: Final = 5
"""Failures after which a success is worth waking for."""

_ROWS: Final = 200
_TOP_NAMES: Final = 10
_CONNECTIONS: Final = 2048
_CONNECTION_S: Final = 600.0
"""Longer than any login takes (sshd: two minutes): a process id may be another's by then."""

_FRESH_S: Final = 30.0
"""How often an unchanged table is told: the window moves on."""

_FORGED_S: Final = 600.0
_BACK_S: Final = 600.0
"""A clock that was set back so far: what was counted lies in what is still to come, and would stay there."""

_BOTH_S: Final = 1.0
"""The journal and a file tell of the same line with stamps that differ by no more: what one told, the other does not tell again."""

_KEYS: Final = frozenset({"publickey", "hostbased", "gssapi-with-mic", "gssapi-keyex"})
"""Methods in which nothing can be guessed: who has many keys fails with those that are not of here, each time."""

_LOCAL: Final = frozenset({"su", "login"})
_ADMINS: Final = frozenset({"root", ""})


_Connection = int | tuple[str, str, int]
"""Its process, or who tried what."""

_Heard = tuple[float, tuple[tuple[str, int], ...]]
"""When it was heard of last, and how many attempts each voice told of it."""


class Logins:
    """Who tried to get in, within the last hour.

    Args:
        mask_ips: Show no address, only the network it is in.
    """

    def __init__(self, *, mask_ips: bool = False) -> None:
        self._mask: Callable[[str], str] = mask if mask_ips else str
        self._sources = Sources()
        self._floods: dict[str, Flood] = {}
        self._logs: dict[str, str] = {}
        self._folds: Folds[tuple[lines.Attempt, str]] = Folds()
        self._connections: OrderedDict[_Connection, _Heard] = OrderedDict()
        self._events: list[Event] = []
        self._forgery = Forgery()
        self._forged_at = -inf
        self._since = inf
        self._changed = True
        self._told_at = self._at = -inf
        self._journal_to = self._files_to = -inf
        self._files: dict[str, None] = {}
        self._breaches: deque[float] = deque(maxlen=_ROWS)
        self.failed_total = 0
        """Attempts that failed since the start: what a counter would be made of."""

    def breaches(self, at: float) -> int:
        """Logins over the network that followed many failures, within the hour before a moment; none that only a file tells of."""
        return sum(at - SPAN_S < moment <= at for moment in self._breaches)

    def take(self, entry: Entry) -> None:
        """Look at a line of the journal, which may be forged; never fails."""
        self._since = min(self._since, entry.at)
        trust = judge(entry)
        attempt = lines.read(entry.identifier, entry.message) if trust in (BELIEVED, FORGED) else None
        if attempt and trust == FORGED:
            self._forge(entry)
        elif attempt and entry.at > self._files_to + _BOTH_S:
            self._journal_to, self._files_to = max(self._journal_to, entry.at), -inf
            self._count(attempt, entry.at, entry.pid, "journal", certain=True)

    def take_written(self, identifier: str, message: str, at: float, pid: int, path: str) -> None:
        """Look at a line of a log file, which any user of the machine can have written.

        Args:
            identifier: The program before the pid.
            message: What comes after it.
            at: Its stamp, epoch seconds.
            pid: -1 where there is none.
            path: The file's, for the words.
        """
        self._files[path] = None
        self._since = min(self._since, at)
        attempt = lines.read(identifier, message)
        if attempt and at > self._journal_to + _BOTH_S:
            self._files_to = max(self._files_to, at)
            self._count(attempt, at, pid, path, certain=False)

    def take_failure(self, service: str, source: str, user: str, at: float) -> None:
        """A login that failed, as another log tells it: of a database server.

        Args:
            service: ``postgresql``.
            source: The address it came from, or ``[local]``.
            user: Whom it was tried to be.
            at: Epoch seconds.
        """
        self._since = min(self._since, at)
        attempt = lines.Attempt(safe(service, 32), lines.FAILED, safe(user, 64), plain(safe(source, 64)))
        self._fail(attempt, at, 1, f"{attempt.service} log")

    def result(self, at: float, sampled: float, notes: Sequence[str] = ()) -> tuple[Sequence[Table], Sequence[Event]]:
        """What is told now.

        Args:
            at: The time of this run, epoch seconds.
            sampled: The share of the lines that was read; NaN while nothing is read at all: then there is no table.
            notes: What else limits the table, in words.
        """
        if at < self._at - _BACK_S:
            self._start_anew()
        self._at = at
        self._since = min(self._since, at)
        self._changed |= self._sources.sweep(at)
        self._tell_floods(at)
        self._tell_forgery(at)
        for fold in self._folds.due(at):
            attempt, log = fold.what
            self._say(fold.first, fold.last, attempt, f"{describe(attempt, self._mask)}, {times(fold.times)}", log)
        events, self._events = self._events, []
        if isnan(sampled) or not (self._changed or at - self._told_at >= _FRESH_S):
            return (), events
        self._changed, self._told_at = False, at
        return (self._table(at, sampled, notes),), events

    def _start_anew(self) -> None:
        self._sources, self._folds, self._changed = Sources(), Folds(), True
        for known in (self._floods, self._connections, self._breaches):
            known.clear()
        self._since, self._told_at, self._forged_at = inf, -inf, -inf
        self._journal_to = self._files_to = -inf

    def _count(self, attempt: lines.Attempt, at: float, pid: int, log: str, *, certain: bool) -> None:
        attempt = attempt._replace(source=plain(attempt.source))
        if attempt.outcome == lines.FAILED:
            count = self._unheard(attempt, at, pid)
            if count or attempt.service == "sudo":  # what PAM counted before, without saying whom it was for
                self._fail(attempt, at, count, log)
            return
        self._changed = True
        if attempt.outcome == lines.REFUSED:
            self._fail(attempt, at, 1, log)
            if self._folds.admit((lines.REFUSED, attempt.source), (attempt, log), at):
                self._say(at, at, attempt, describe(attempt, self._mask), log, "warning")
            return
        source = self._sources.add(attempt.service, attempt.source, attempt.user, at, succeeded=1)
        if attempt.outcome == lines.ACCEPTED and source.failed >= ENOUGH:
            self._breach(attempt, source, at, log, certain=certain)
        elif not (attempt.source in _ADMINS and attempt.service in {"su", "sudo"}):  # root needs nobody's leave
            key = (attempt.service, attempt.source, attempt.user, attempt.detail if attempt.outcome == lines.RAN else "")
            if self._folds.admit(key, (attempt, log), at):
                self._say(at, at, attempt, describe(attempt, self._mask), log)

    def _breach(self, attempt: lines.Attempt, source: Source, at: float, log: str, *, certain: bool) -> None:
        by_key = attempt.detail in _KEYS
        is_guess = not by_key and attempt.service not in _LOCAL
        source.breached |= is_guess
        if is_guess and certain:
            self._breaches.append(at)
        if not self._folds.admit(("breach", by_key, source.service, source.name, attempt.user), (attempt, log), at):
            return
        tries = f"{source.failed} failures within {span(at - max(source.first, at - SPAN_S))}"
        severity = "critical" if is_guess and certain else "info" if by_key else "warning"
        self._say(at, at, attempt, f"{describe(attempt, self._mask)} after {tries}", log, severity)

    def _unheard(self, attempt: lines.Attempt, at: float, pid: int) -> int:
        """How many attempts a line adds to what other lines of the same connection have told already."""
        # PAM writes no process id into a file, nor does sudo; and whoever acts at the machine does one thing after the other.
        key = pid if pid > 0 and attempt.service == "sshd" else (attempt.service, attempt.source, attempt.port)
        last, heard = self._connections.pop(key, (at, ()))
        if abs(at - last) > _CONNECTION_S:
            heard = ()
        if len(self._connections) >= _CONNECTIONS:
            self._connections.popitem(last=False)
        said = next((count for voice, count in heard if voice == attempt.voice), 0)
        counts = attempt.times if attempt.once else said + attempt.times
        others = tuple(pair for pair in heard if pair[0] != attempt.voice)
        self._connections[key] = at, (*others, (attempt.voice, counts))
        return max(0, counts - max((count for _, count in heard), default=0))

    def _fail(self, attempt: lines.Attempt, at: float, count: int, log: str) -> None:
        self._changed = True
        self.failed_total += count
        service = attempt.service
        self._sources.add(service, attempt.source, attempt.user, at, failed=count)
        flood = self._floods.get(service)
        if flood is None:
            if len(self._floods) >= 32:  # PAM names services: no log may make us keep any number of them
                return
            flood = self._floods[service] = Flood()
        flood.add(attempt.source, at, count)
        self._logs[service] = log

    def _forge(self, entry: Entry) -> None:
        self._changed = True
        self._forgery.add(entry)

    def _tell_forgery(self, at: float) -> None:
        if self._forgery.fresh and at - self._forged_at >= _FORGED_S:
            self._forged_at = at
            self._events.append(self._forgery.told())

    def _tell_floods(self, at: float) -> None:
        for service, flood in self._floods.items():
            flood.close(at)
            for news in flood.told():
                log = self._logs.get(service, "")
                told = flooded(service, news, log) if isinstance(news, Beginning) else ended(service, news, log, self._mask)
                self._events.append(told)

    def _say(self, first: float, last: float, attempt: lines.Attempt, text: str, log: str, severity: str = "") -> None:
        kind = "sudo" if attempt.service == "sudo" else "login"
        self._events.append(Event(first, last, kind, "host", text, log, severity))

    def _table(self, at: float, sampled: float, notes: Sequence[str]) -> LoginTable:
        rows = [row(source, self._mask) for source in self._sources.top(_ROWS)]
        said = [*notes, *self._forgery.notes()]
        if self._files:
            said.append(f"as written in {', '.join(self._files)}, which any user of this machine can write to with logger")
        if self._sources.overflowed:
            said.append("more sources than are kept apart: some of few failures are summed up as (others)")
        return LoginTable(
            "host", at, max(self._since, at - SPAN_S), SPAN_S, len(self._sources), distinct(rows)[:_ROWS],
            self._sources.failed, self._sources.succeeded,
            self._sources.names(_TOP_NAMES), sampled, tuple(said),
        )  # fmt: skip
