"""Rows of the table of logins: who tried to get in, from where, and how it went. Observations, no intrusion detection."""

from math import nan
from typing import ClassVar
from zlib import crc32

from msgspec import Struct


class LoginRow(Struct, frozen=True, array_like=True, gc=False):
    """What one source did at one service, over the time that the table is of.

    Attributes:
        service: ``sshd``, ``sudo``, ``su``, ``postgresql``.
        source: Address, or the user who acted (sudo, su); masked where `privacy.mask_ips` says so.
        users: Whom it tried to be, the most frequent first, at most five; `more` how many others.
        failed: Attempts that failed; `succeeded` that did not.
        first, last: Epoch seconds.
        breached: A success over the network after at least as many failures as count, but for one with a key, which nobody guesses: the
            one line worth waking for.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"service", "source"})
    DERIVED: ClassVar[frozenset[str]] = frozenset()
    ASCENDING: ClassVar[frozenset[str]] = frozenset({"first", "last"})
    FIRST: ClassVar[str] = "failed"
    TIES: ClassVar[str] = "succeeded"

    service: str
    source: str
    users: tuple[str, ...] = ()
    more: int = 0
    failed: int = 0
    succeeded: int = 0
    first: float = nan
    last: float = nan
    breached: bool = False

    @property
    def key(self) -> tuple[int, ...]:
        """Identity."""
        encoded = f"{self.service}\0{self.source}".encode(errors="surrogatepass")
        return (crc32(encoded), len(encoded), crc32(encoded[::-1]))

    def text(self) -> str:
        """Everything a filter looks at."""
        return f"{self.service} {self.source} {' '.join(self.users)}"


class LoginTable(Struct, frozen=True, array_like=True, tag="login"):
    """The logins of the last `span_s` seconds, those of the most failures first.

    Attributes:
        since: From when on they were seen, epoch seconds: before that nobody looked.
        total: Sources there were, of which `rows` may be a selection.
        failed: Attempts that failed, of all sources; `succeeded` likewise.
        users: Names most often tried, with how often.
        sampled: Share of the lines that were read; below 1 while more came than may be looked at.
        notes: What cannot be seen, in words, each with its fix.
    """

    window: ClassVar[str] = ""

    target: str
    at: float
    since: float
    span_s: float
    total: int
    rows: list[LoginRow]
    failed: int = 0
    succeeded: int = 0
    users: tuple[tuple[str, int], ...] = ()
    sampled: float = 1.0
    notes: tuple[str, ...] = ()
