"""What can be asked about alerts, and done to them: arguments and results of those operations (see `perfconsole.core.requests`).

Whoever acts says who it is: the peer of a connection is a process, which a shared account may be. The peer is written down beside it.
"""

from msgspec import Struct

from perfconsole.core.notices import Notice
from perfconsole.core.tick import Alert


class AckArgs(Struct, frozen=True, array_like=True):
    """Take an alert on, that occurrence of it whose breach began at `since`; an empty `by` gives it back."""

    id: str
    since: float
    by: str
    text: str = ""


class SilenceArgs(Struct, frozen=True, array_like=True):
    """Silence what matches (see `tick.Silence`) for so many seconds from now on."""

    match: tuple[tuple[str, str], ...]
    for_s: float
    by: str
    reason: str


class UnsilenceArgs(Struct, frozen=True, array_like=True):
    """End a silence, by its id."""

    id: str
    by: str


class AlertArgs(Struct, frozen=True, array_like=True):
    """An alert, by its id; empty for all of them."""

    id: str


class AlertHistory(Struct, frozen=True, array_like=True):
    """What is kept of an alert.

    Attributes:
        told: Its transitions and what was said of it, newest first, at most 200.
        notices: Who was told of it, newest first, at most 200.
    """

    told: tuple[Alert, ...] = ()
    notices: tuple[Notice, ...] = ()


class Waiting(Struct, frozen=True, array_like=True):
    """A rule that cannot judge a series yet: its window holds `n` samples, and `needed` are needed, which takes about so many seconds."""

    rule: str
    labels: tuple[tuple[str, str], ...]
    n: int
    needed: int
    about_s: float


class Watching(Struct, frozen=True, array_like=True):
    """What the rules in force watch.

    Attributes:
        series: How many series each rule is about, by its name.
        waiting: Those that cannot be judged yet, at most 500, the longest wait first.
    """

    series: tuple[tuple[str, int], ...] = ()
    waiting: tuple[Waiting, ...] = ()


class RuleArgs(Struct, frozen=True, array_like=True):
    """Change a rule where it is written: key, and what a person would write for it; an empty text takes the key away."""

    rule: str
    changes: tuple[tuple[str, str], ...]
