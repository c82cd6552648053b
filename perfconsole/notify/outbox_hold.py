"""How long what fires waits with others, so soon after a message. Pure: `now` is seconds of a clock that is never set."""

from collections import deque
from collections.abc import Iterable
from math import inf
from typing import Final

from perfconsole.core.tick import Alert

HOLD_S: Final = 60.0
"""What fires so soon after a message that something fires waits with others: who was just told is looking already. Of critical ones, only
what was told within it, and what comes after `PROMPT` messages."""

PROMPT: Final = 3
"""Messages with news that is critical which may go within `HOLD_S`: another thing that is down is not known to who looks at the first one.
What goes on and on is a storm, and goes together."""


class Hold:
    """Knows what one channel was told lately."""

    __slots__ = ("_last", "_prompt", "_told")

    def __init__(self) -> None:
        self._last = -inf
        self._prompt: deque[float] = deque(maxlen=PROMPT)
        self._told: dict[str, float] = {}

    def made(self, fires: Iterable[Alert], now: float) -> None:
        """A message is made that says that these fire; one that says it of none holds nothing up."""
        for alert in fires:
            self._last = now
            if alert.severity == "critical":
                if not self._prompt or self._prompt[-1] != now:
                    self._prompt.append(now)
                self._told[alert.id] = now
        self._told = {key: at for key, at in self._told.items() if now - at < HOLD_S}

    def urgent(self, alert: Alert, now: float) -> bool:
        """Whether it is critical, and nobody was told of it lately."""
        return alert.severity == "critical" and now - self._told.get(alert.id, -inf) >= HOLD_S

    def until(self, *, urgent: bool) -> float:
        """Until when what fires waits; `urgent` where something among it is."""
        if urgent:
            return self._prompt[0] + HOLD_S if len(self._prompt) == PROMPT else -inf
        return self._last + HOLD_S
