"""Whom an engine tells of alerts, now and after its configuration was read again: channels come, change and go while it runs."""

from collections import Counter
from collections.abc import Callable, Sequence
from operator import eq
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from perfconsole.assembly.endpoints import difference
from perfconsole.collectors.blindness import METRIC
from perfconsole.collectors.loop import ask
from perfconsole.config.schema import Config
from perfconsole.core.notices import Changes, EventStore, Notice, Saved
from perfconsole.core.text import safe
from perfconsole.core.tick import Alert
from perfconsole.engine.engine import Engine

if TYPE_CHECKING:
    from perfconsole.notify.channel import Channel
    from perfconsole.notify.making import Making
    from perfconsole.notify.outbox import Outbox


_ELSEWHERE: Final = "channels: none is told from here, where no alerts are kept"


class Telling:
    """An outbox (`core.notices.Outbox`) whose channels change; without any it costs nothing, and imports none of what sends.

    All but what says otherwise is called on the engine's thread.

    Args:
        engine: Whose alerts they are.
        store: Keeps notices.
        saved: What an earlier run left.
    """

    def __init__(self, engine: Engine, store: EventStore, saved: Saved) -> None:
        self._rules, self._host = engine.alerting.rules, engine.stream.host
        self._state = engine.state
        self._store, self._left = store, saved.notices
        self._config = Config()
        self._making: Making | None = None
        self._outbox: Outbox | None = None
        self._standing: dict[str, Alert] = {}
        self._gone: set[str] = set()
        self._anew = ""
        _BY_ENGINE[engine] = self

    # Whom it tells ----------------------------------------------------------------------------------------------------------------

    def ready(self, config: Config) -> "tuple[Channel, ...]":
        """The channels of a configuration, for `use`. Imports what they need: not on a loop.

        Raises:
            PerfconsoleError: When they cannot be made.
        """
        if not config.notify and self._making is None:
            return ()
        from perfconsole.notify import outbox  # noqa: F401  `use` is not to wait for it
        from perfconsole.notify.making import Making

        self._making = self._making or Making()
        return self._making.channels(config)

    def use(self, config: Config, channels: "Sequence[Channel]") -> tuple[str, list[str]]:
        """Tell these from now on.

        Returns:
            What changed; and what was owed to channels that are gone, each in words.
        """
        before = {notify.name: notify for notify in self._config.notify}
        after = {notify.name: notify for notify in config.notify}
        self._config = config
        dropped: list[Notice] = []
        if self._outbox:
            dropped = self._outbox.use(channels)
            self._anew = self._anew or "take"
        elif channels:
            self._make(channels)
            self._anew = "resume"
        self._gone = (self._gone | before.keys()) - after.keys()
        return difference("channels", before, after, eq), _dropped(dropped)

    def begin(self, config: Config) -> None:
        """Tell those of the configuration that the engine began with, before that has it. Takes its time.

        Raises:
            PerfconsoleError: As `ready`.
        """
        channels = self.ready(config)
        if channels:
            self._config = config
            self._make(channels)

    def _make(self, channels: "Sequence[Channel]") -> None:
        from perfconsole.notify.outbox import Outbox

        left, self._left = self._left, ()
        self._outbox = Outbox(channels, self._rules, self._keep, left, host=self._host)

    def _keep(self, notices: Sequence[Notice], kept: Callable[[], None] | None = None) -> None:
        self._store.put(Changes(notices=notices), kept)

    # As an outbox -----------------------------------------------------------------------------------------------------------------

    def take(self, alerts: Sequence[Alert], at: float) -> list[Notice]:
        """See `core.notices.Outbox.take`; the first time after `use`, whoever is new is owed word of what stands."""
        alerts = [self._noted(alert) for alert in alerts]
        if self._outbox is None:
            return []
        anew, self._anew = self._anew, ""
        if not anew:
            return self._outbox.take(alerts, at)
        left = self._outbox.resume([*self._standing.values()], at) if anew == "resume" else []
        told = {alert.id for alert in alerts}
        again = [alert for alert in self._standing.values() if alert.id not in told]
        return [*left, *self._outbox.take([*alerts, *again], at)]

    def _noted(self, alert: Alert) -> Alert:
        """An alert as it is told, with why where only health knows that: whoever is woken sees no pane."""
        if alert.state != "firing" or alert.colour:
            self._standing.pop(alert.id, None)
            return alert
        if alert.metric == METRIC:
            health = self._state.health.get((alert.labels[0][1], alert.labels[1][1]))
            alert = replace(alert, text=": ".join(filter(None, (health.error, health.fix))) if health else "")
        self._standing[alert.id] = alert
        return alert

    def resume(self, alerts: Sequence[Alert], at: float) -> list[Notice]:
        """See `core.notices.Outbox.resume`."""
        alerts = [self._noted(alert) for alert in alerts]
        return self._outbox.resume(alerts, at) if self._outbox else []

    def health(self) -> list[tuple[str, str, str]]:
        """See `core.notices.Outbox.health`; nothing is wrong with a channel any more that is gone."""
        told = self._outbox.health() if self._outbox else []
        return [*told, *((name, "ok", "") for name in sorted(self._gone))]

    def send(self, notices: Sequence[Notice]) -> None:
        """See `core.notices.Outbox.send`. From any thread."""
        if self._outbox:
            self._outbox.send(notices)

    def close(self) -> None:
        """See `core.notices.Outbox.close`. From any thread."""
        if self._outbox:
            self._outbox.close()


_BY_ENGINE: "WeakKeyDictionary[Engine, Telling]" = WeakKeyDictionary()
"""Who tells, of engines that keep their alerts: what reads a configuration again is made before that is known."""


async def ready(engine: Engine, config: Config) -> Callable[[], str]:
    """What an engine tells its channels by, ready for another configuration, so far as it is this one's to tell anybody.

    Returns:
        Brings that into force, on the engine's loop, and says what changed, in words.

    Raises:
        PerfconsoleError: When a channel cannot be made: then everything is as it was.
    """
    telling = _BY_ENGINE.get(engine)
    if telling is None:
        return lambda: _ELSEWHERE if config.notify else ""
    channels = await ask(lambda: telling.ready(config), "channels")

    def use() -> str:
        changed, dropped = telling.use(config, channels)
        for text in dropped:
            engine.note("alert", text, "warning")
        return "; ".join([changed, *dropped])

    return use


def untold(config: Config) -> list[str]:
    """Of each channel that is never told anything that it is not."""
    if not config.notify:
        return []
    from perfconsole.config.check_notify import unnamed

    return unnamed(config)


def _dropped(notices: Sequence[Notice]) -> list[str]:
    """``the channel ops is gone: 3 notices that it was owed are dropped``, one a channel."""
    counts = Counter(notice.channel for notice in notices)
    return [
        f"the channel {safe(name, 100)} is gone: {count} notice{'s' * (count > 1)} that it was owed {'are' if count > 1 else 'is'} dropped"
        for name, count in counts.items()
    ]
