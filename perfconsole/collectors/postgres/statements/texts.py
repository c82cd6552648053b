"""Texts of statements and names of users and databases, kept: neither changes while its entry lives.

A text is dear: to give one, the server reads the file of all texts, and one of 100 MB takes it half a second. So they are asked for in one
question, at most every ten seconds, for statements on a screen, or that took long, whose text is not known and does not stand in
pg_stat_activity.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from perfconsole.collectors.postgres.connection import MARKER
from perfconsole.collectors.postgres.faults import QUERY, ServerError
from perfconsole.core.literals import hide
from perfconsole.core.tables import Key
from perfconsole.core.text import safe

if TYPE_CHECKING:
    from perfconsole.collectors.postgres.connection import Server

EVERY_S: Final = 10.0
Place = tuple[int, ...]
"""(userid, dbid, queryid): a statement, whether at top level or not."""

PLANNED: Final = f"PREPARE {MARKER}"
"""How the text of a statement begins that was planned from here. Its id is the application's; where that is the same role, so is its entry
(with our text, if we made it), or the entry beside it (where nested statements are tracked)."""

_HELD: Final = 2500
"""Texts held: more than the rows that are searched by words, or each reading would drop what the one before it brought."""

_SUSPECTS: Final = 100_000
"""Statements that were looked at once for whether they are ours: 15 MB; of a table that thrashes there is no end of them."""

_BATCH: Final = 500
_LONGEST_PAUSE_S: Final = 600.0
_AGAIN_S: Final = 60.0
_ANEW_S: Final = 600.0
_NAMES_ANOTHER: Final = re.compile(r"\s*(?:EXECUTE|PREPARE|EXPLAIN)\b", re.IGNORECASE)
_CUT: Final = 1000
"""Bytes from which a text of pg_stat_activity may have been cut (track_activity_query_size, 1024 unless set)."""


class Texts:
    """Texts by key, the last used ones.

    Attributes:
        problem: Why texts are not read, in words; empty while they are.
        own: Statements whose text says that they are this project's.
        planned: Statements of others that were planned from here: nested in something else they are this project's.
    """

    def __init__(self) -> None:
        self._texts: OrderedDict[Place, str] = OrderedDict()
        self._live: dict[Place, str] = {}
        self._missed: dict[Place, float] = {}
        self._read: set[Place] = set()
        self._next = 0.0
        self._pause_s = EVERY_S
        self.problem = ""
        self.own: set[Place] = set()
        self.planned: set[Place] = set()

    def get(self, key: Key) -> str:
        """The text of a statement; empty while it is not known."""
        place = key[:3]
        text = self._texts.get(place)
        if text is None:
            return self._live.get(place, "")
        self._texts.move_to_end(place)
        return text

    def overhear(self, key: Key, text: str) -> None:
        """A text from pg_stat_activity: free, but of one execution, so that what is said in it is taken out.

        One that may be cut, or that only names the statement (EXECUTE has its id), serves until the real one is known.
        """
        place = key[:3]
        if text and place not in self._texts and ";" not in text.rstrip().rstrip(";"):
            kept = self._live if len(text.encode()) >= _CUT or _NAMES_ANOTHER.match(text) else self._texts
            kept[place] = lines(hide(text))
            if len(self._live) > _HELD:
                self._live.clear()
            self._bound()

    def wanted(self, keys: Iterable[Key], now: float, suspects: Iterable[Key] = ()) -> list[Place]:
        """Those whose text is to be asked for now; none while the last question is too recent.

        Args:
            keys: What is to be shown.
            now: Seconds on any steady clock.
            suspects: What may be our own. The server reads all texts for one, so that these come along; alone they are not worth it.
        """
        if now < self._next:
            return []
        unknown = dict.fromkeys(key[:3] for key in keys if key[:3] not in self._texts and self._missed.get(key[:3], 0.0) <= now and key[2])
        if unknown:
            unknown |= dict.fromkeys(key[:3] for key in suspects if key[:3] not in self._read)
        return list(unknown)[:_BATCH]

    async def load(self, server: "Server", sql: str, places: Iterable[Place], now: float) -> None:
        """Ask for texts. One that takes too long is said, and tried again ever more seldom: rates do not need it."""
        self._next = now + self._pause_s
        asked = {place[:3] for place in places}
        try:
            found = await server.fetch(sql, _joined(key[2] for key in asked))
        except ServerError as error:
            if error.cause != QUERY:
                raise
            self._pause_s = min(self._pause_s * 4, _LONGEST_PAUSE_S)
            self._next = now + self._pause_s
            if error.code == "57014":
                self.problem = (
                    f"texts are too costly to read (over 2 s), tried again in {self._pause_s:.0f} s: a smaller pg_stat_statements.max, "
                    "or SELECT pg_stat_statements_reset(), makes their file smaller"
                )
            return
        self._pause_s, self.problem = EVERY_S, ""
        # With the application's own text and our PREPARE for one id, its own stands.
        for userid, dbid, queryid, text in sorted(found, key=lambda row: not (row[3] or "").startswith(PLANNED)):
            if text is not None:
                self._keep((userid, dbid, queryid), text)
        self._missed = {key: at for key, at in self._missed.items() if at > now}
        self._missed |= dict.fromkeys(asked - self._texts.keys(), now + _AGAIN_S)
        self._bound()

    def _keep(self, place: Place, text: str) -> None:
        if len(self._read) >= _SUSPECTS:
            self._read.clear()
        self._read.add(place)
        if text.startswith(PLANNED):
            self.planned.add(place)
        elif MARKER in text:
            self.own.add(place)
        text = theirs(text)
        # Utility statements are kept as they were first sent, passwords and all.
        self._texts[place] = lines(without_password(text))
        self._live.pop(place, None)

    def _bound(self) -> None:
        while len(self._texts) > _HELD:
            self._texts.popitem(last=False)


def theirs(text: str) -> str:
    """The application's statement in a text: what our PREPARE was of."""
    return text.partition(" AS ")[2] if text.startswith(PLANNED) else text


def without_password(text: str) -> str:
    """Without literals where one may be a password: what is no query (ALTER ROLE, CREATE SUBSCRIPTION) is kept as it was typed."""
    return hide(text) if "password" in text.lower() else text


def lines(text: str) -> str:
    """Safe, its lines kept: a comment that ends with its line must not swallow the next."""
    kept = (safe(line.rstrip()) for line in text[:16384].strip().splitlines()[:200])
    return "\n".join(line for line in kept if line)


def _joined(numbers: Iterable[int]) -> str:
    return " ".join(map(str, sorted(set(numbers))))


_NAMES: Final = """
SELECT true AS database, oid, datname::text FROM pg_database WHERE oid = ANY(string_to_array($1, ' ')::oid[])
UNION ALL SELECT false, oid, rolname::text FROM pg_roles WHERE oid = ANY(string_to_array($2, ' ')::oid[])
"""


class Names:
    """Names of databases and users."""

    def __init__(self) -> None:
        self._databases: dict[int, str] = {0: ""}
        self._users: dict[int, str] = {0: ""}
        self._next = 0.0
        self._anew = 0.0

    def database(self, oid: int) -> str:
        """Its name; its number where it has none any more."""
        return self._databases.get(oid) or (f"oid {oid}" if oid else "")

    def user(self, oid: int) -> str:
        """Likewise."""
        return self._users.get(oid) or (f"oid {oid}" if oid else "")

    async def load(self, server: "Server", keys: Iterable[Key], now: float) -> None:
        """Ask for those that are not known, at most once in a while; all anew every ten minutes, for they can be renamed."""
        keys = list(keys)
        if not keys:
            return
        databases = {key[1] for key in keys}
        users = {key[0] for key in keys}
        known = databases <= self._databases.keys() and users <= self._users.keys()
        if now < (self._anew if known else self._next):
            return
        self._next, self._anew = now + EVERY_S, now + _ANEW_S
        for database, oid, name in await server.fetch(_NAMES, _joined(databases), _joined(users)):
            (self._databases if database else self._users)[oid] = safe(name, 80)
        self._databases |= dict.fromkeys(databases - self._databases.keys(), "")
        self._users |= dict.fromkeys(users - self._users.keys(), "")
