"""Which statements somebody waits for: not what copies or maintains, nor what applications do whose statements may last. Asks nobody.

pg_stat_statements tells neither what kind of statement an entry is nor which application ran it. The kind is told by its text, which is
read seldom; the application by pg_stat_activity, of what is there when it is looked at. What is not known of a statement excuses nothing.
"""

import re
from typing import Final

from perfconsole.collectors.postgres.statements.source import Flights
from perfconsole.collectors.postgres.statements.texts import Place, Texts
from perfconsole.core.tables import Key

# ANALYZE and CREATE INDEX run for as long as a table is large; CREATE TABLE AS and REFRESH are loads, as COPY is. What stands before the
# word is passed for good (*+): tried again in every other way, a text of thirty comments would hold the loop for ever.
_MAY_LAST: Final = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*+"
    r"(?:COPY|VACUUM|ANALY[ZS]E|REINDEX|CLUSTER|REPACK|REFRESH|CREATE|ALTER|DROP|CHECKPOINT)\b",
    re.IGNORECASE | re.DOTALL,
)

_HELD: Final = 10_000
"""Statements of applications that are left out: 1 MB; of what builds its statements there is no end of them."""


class Awaited:
    """Knows which statements may last.

    Args:
        texts: What is known of texts.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._left_out: set[Place] = set()

    def overhear(self, flights: Flights) -> None:
        """Whose statements they are; one that any other application runs as well is somebody's who waits."""
        for key, (_, _, text) in flights.running.items():
            self._texts.overhear(key, text)
        if len(self._left_out) + len(flights.left_out) > _HELD:
            self._left_out.clear()
        self._left_out |= flights.left_out
        self._left_out -= flights.others

    def for_(self, key: Key) -> bool:
        """Whether somebody waits for a statement, as far as is known."""
        return key[:3] not in self._left_out and not _MAY_LAST.match(self._texts.get(key))
