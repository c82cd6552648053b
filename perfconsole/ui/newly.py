"""Which alerts fire that did not when somebody looked last: what a banner tells of, and a bell rings for. Pure.

What fired before the engine was started, or before this console was attached to it, is no news: the screen shows it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from perfconsole.core import alert_words
from perfconsole.core.state import State
from perfconsole.core.tick import Alert
from perfconsole.ui.verdict import judge, said

_LATE_S: Final = 300.0
"""What fired longer ago than this, and is heard of now, was restored or comes over a link that was broken: the list tells it."""


class Newly:
    """Remembers which occurrences were seen."""

    def __init__(self) -> None:
        self._seen: dict[str, float] | None = None

    def look(self, state: State) -> list[Alert]:
        """Those that count and fire since the last look, the worst first; none at the first."""
        if state.stream is None:
            return []
        firing = {alert.id: alert.fired_at for alert in state.alerts.values() if alert.state == "firing" and not alert.colour}
        seen, self._seen = self._seen, firing
        if seen is None or firing == seen:
            return []
        fresh = {key for key, at in firing.items() if seen.get(key) != at and at >= state.stream.began and state.at - at < _LATE_S}
        return [alert for alert in judge(state).alerts if alert.id in fresh] if fresh else []


class News(NamedTuple):
    """What a banner says: the worst severity, and the words."""

    severity: str
    text: str


def news(state: State, fresh: Sequence[Alert]) -> News:
    """Some alerts that have just fired, in a few words."""
    crowds = alert_words.gathered(fresh)
    worst = crowds[0]
    text = alert_words.group_line(worst) if len(worst) > 1 else said(state, worst[0])
    more = len(fresh) - len(worst)
    return News(worst[0].severity, text + (f" and {more} more" if more else ""))
