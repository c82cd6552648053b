"""Preparing a normalised statement: a text with ``$1`` for constants is not always one that the server can give types to.

PREPARE and not EXPLAIN (GENERIC_PLAN): that wants its parameters bound, and with NULLs bound it plans for NULLs (seen on 16 and 18). What
is refused is tried again with what the refusal says: the type of a parameter, a cast for a typed literal, a schema for a table.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from perfconsole.collectors.postgres.aside import RefusedError, Transaction
from perfconsole.collectors.postgres.connection import MARKER
from perfconsole.collectors.postgres.plans import sqltext

_NAME: Final = "perfconsole_plan"
"""One for all: pg_stat_statements keeps an entry for every EXPLAIN of another name (before 17)."""

_UNDO: Final = f"DEALLOCATE {_NAME}"
_TRIES: Final = 16
_MOST: Final = 2000
"""Parameters beyond which types are not spelt out: a list of values that long has its types from its column."""

_TYPED: Final = re.compile(
    r"""\b(interval|date|timestamptz|timetz|timestamp(?:\s*\(\d\))?(?:\s+with(?:out)?\s+time\s+zone)?|time(?:\s+with(?:out)?\s+time\s+zone)?
    |numeric|decimal|jsonb?|uuid|inet|cidr|bytea|bool(?:ean)?|int[248]?|integer|bigint|smallint|float[48]?|real|double\s+precision
    |text|varchar|regclass|point|box|money|xml|tsquery|tsvector|bit|hstore|citext|ltree)\s*(\$\d+)""",
    re.IGNORECASE | re.VERBOSE,
)
_SIGNED: Final = re.compile(r"[-+]\s*$")
_UNKNOWN: Final = re.compile(r"\$(\d+)")

_WHERE: Final = """
SELECT quote_ident(n.nspname) AS schema, has_schema_privilege(n.oid, 'USAGE') AS usable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_temp%' ORDER BY c.relpages DESC, 1
"""


class Prepared(NamedTuple):
    """A prepared statement of the session.

    Attributes:
        name: What it is called there.
        path: The search_path that it was understood in.
        types: Of its parameters.
        notes: What had to be assumed.
    """

    name: str
    path: str
    types: tuple[str, ...]
    notes: tuple[str, ...]


class _Attempt:
    """A text on its way to being accepted."""

    def __init__(self, transaction: Transaction, text: str, path: str) -> None:
        self.transaction = transaction
        self.text = text
        self.path = path
        self.types: dict[int, str] = {}
        self.notes: list[str] = []
        self.prefix = ""

    async def prepare(self) -> None:
        """Try once."""
        count = max((number for _, number in sqltext.parameters(self.text)), default=0)
        declared = f" ({', '.join(self.types.get(i + 1, 'unknown') for i in range(count))})" if self.types else ""
        self.prefix = f"PREPARE {MARKER} {_NAME}{declared} AS "
        await self.transaction.attempt(self.prefix + self.text, path=self.path)

    async def mend(self, refusal: RefusedError) -> bool:
        """Change what was refused; False when there is nothing left to change."""
        at = refusal.position - 1 - len(self.prefix)
        if refusal.code == "42P18":
            return self._typed(int(found[1]) if (found := _UNKNOWN.search(refusal.said)) else 0, "text")
        if refusal.code == "42883":
            kind = "interval" if "interval" in refusal.said else "integer" if " date " in f" {refusal.said} " else ""
            return bool(kind) and self._typed(self._nearest(at, signed=True), kind)
        if refusal.code == "42725":
            return self._typed(self._nearest(at, signed=False), "integer")
        if refusal.code == "42601":
            return self._cast()
        if refusal.code == "42P05":  # left in a session that a pooler shares, by one that was killed in the middle
            await self.transaction.say(_UNDO)
            return True
        return refusal.code == "42P01" and at >= 0 and await self._found(sqltext.name_at(self.text, at))

    def _typed(self, number: int, kind: str) -> bool:
        if not 0 < number <= _MOST or number in self.types:
            return False
        self.types[number] = kind
        self.notes.append(f"${number} was taken for {kind}")
        return True

    def _nearest(self, at: int, *, signed: bool) -> int:
        """The parameter nearest to where the server points, of those not declared yet: behind a sign, or any."""
        blank = sqltext.blanked(self.text)
        near = [
            (abs(start - at), number)
            for start, number in sqltext.parameters(self.text)
            if number not in self.types and (not signed or _SIGNED.search(blank[max(0, start - 20) : start]))
        ]
        return min(near, default=(0, 0))[1]

    def _cast(self) -> bool:
        """``interval $1``, which a literal was, as ``$1::interval``."""
        blank = sqltext.blanked(self.text)
        found = list(_TYPED.finditer(blank))
        for one in reversed(found):
            self.text = f"{self.text[: one.start()]}{one[2]}::{one[1]}{self.text[one.end() :]}"
        return bool(found)

    async def _found(self, name: str) -> bool:
        """Look for a table that is in no schema of the path: sessions may set a path of their own, which nobody else sees."""
        if not name or "." in name:
            return False
        spelt = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
        looked = {part.strip() for part in self.path.split(",")}
        rows = [row for row in await self.transaction.fetch(_WHERE, spelt) if row["schema"] not in looked]
        usable = [row["schema"] for row in rows if row["usable"]]
        if not usable:
            return False
        self.path = f"{self.path}, {usable[0]}"
        more = f", the largest of {len(usable)} such" if len(usable) > 1 else ""
        self.notes.append(f"{name} was taken from schema {usable[0]}{more}: it is not in the search_path that is known of its user")
        return True


@asynccontextmanager
async def prepared(transaction: Transaction, text: str, path: str) -> AsyncIterator[Prepared]:
    """A statement prepared, whatever it takes short of its values; deallocated at the end, for it outlives the transaction.

    Args:
        transaction: Where it is asked.
        text: The statement; foreign: a second command in it is refused.
        path: The search_path of its user.

    Raises:
        RefusedError: What the server said to the last attempt.
    """
    attempt = _Attempt(transaction, text, path)
    for left in reversed(range(_TRIES)):
        try:
            await attempt.prepare()
            break
        except RefusedError as refusal:
            if not left or not await attempt.mend(refusal):
                raise
    async with transaction.undoing(_UNDO):
        types = await transaction.fetch("SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = $1", _NAME)
        yield Prepared(_NAME, attempt.path, tuple(types[0][0]), tuple(attempt.notes))
