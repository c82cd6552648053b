"""What of this machine cannot be seen, and the right that would show it. Not to see something is no trouble, and is not hidden. Pure."""

from typing import Final

from perfconsole.core.requests import Fact, FactSection
from perfconsole.core.state import State
from perfconsole.core.tick import Health

TITLE: Final = "Not seen"

_OBSERVERS: Final = frozenset({"kernel log", "journal", "logins", "access", "changes", "units", "postgres.log"})
"""Collectors that an ordinary user, or a container, always sees less with: told once where one looks for it, not on the first screen."""

_UNSEEN: Final = frozenset({"denied", "off"})


def unseen(state: State) -> list[Health]:
    """What the observers may not see, or is not there to be seen."""
    return [health for health in state.health.values() if is_unseen(health) and health.error]


def is_unseen(health: Health) -> bool:
    """Whether it says that an observer is kept from seeing something; one that fails is another matter."""
    return health.collector in _OBSERVERS and health.state in _UNSEEN


def section(state: State) -> FactSection | None:
    """A fact each with its fix; None where nothing is hidden."""
    facts = [
        Fact(health.collector if health.target == "host" else f"{health.collector}: {health.target}", health.error, health.fix, "unknown")
        for health in unseen(state)
    ]
    return FactSection(TITLE, facts, "what is not seen is not counted as well") if facts else None
