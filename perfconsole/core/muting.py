"""What is said of alerts beside their transitions: why one notifies nobody, and who has taken it on. Pure; follows the alert stage.

An alert goes on whether anybody is told of it or not. It is muted by a graver one about the same thing (the stage says so), while the
endpoint or the database it is about is down, in maintenance or fails by the fault of another, while what its rule depends on is down, and
by silences. What began in an outage that an alert told of is not told again when that is over, while its window still holds it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from math import inf, isnan
from typing import Final

from msgspec.structs import replace

from perfconsole.core import endpoint_alerts
from perfconsole.core.endpoints import EndpointRow
from perfconsole.core.shipped import KEPT_S
from perfconsole.core.state import State
from perfconsole.core.tick import SEVERITIES, Ack, Alert, Rule, Silence

LOOK_S: Final = 2.0
"""How often is looked whether a reason came or went where no alert and no silence did: the states of endpoints, and what is depended on."""

_CERTIFICATE: Final = "httpcheck.tls.expiry"
_SERVER_UP: Final = "postgresql.up"

_NOT_UP: Final = frozenset({"down", "suppressed"})
"""States of an endpoint that fails, by its own fault or that of what it depends on."""

_Labels = tuple[tuple[str, str], ...]


class Muting:
    """Knows silences, acknowledgements, and the alerts that stand, each as it was told last.

    Args:
        rules: Those in force.

    Attributes:
        silences: Those in force, by id.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._depends: dict[str, tuple[str, ...]] = {}
        self.use(rules)
        self.silences: dict[str, Silence] = {}
        self._covers: dict[str, Silence | None] = {}
        self._told_silences: tuple[Silence, ...] = ()
        self._standing: dict[str, Alert] = {}
        self._by_stage: dict[str, str] = {}
        self._acks: dict[str, tuple[float, Ack]] = {}
        self._outages: dict[_Labels, Alert] = {}
        self._changed = False
        self._look_at = -inf

    @property
    def standing(self) -> Mapping[str, Alert]:
        """The alerts that pend or fire, by id, as they were told last."""
        return self._standing

    def use(self, rules: Sequence[Rule]) -> None:
        """Go on with other rules."""
        self._depends = {rule.name: rule.depends_on for rule in rules if rule.depends_on}
        self._changed = True

    # What is done to it -----------------------------------------------------------------------------------------------------------

    def resume(self, alerts: Iterable[Alert], silences: Iterable[Silence]) -> None:
        """Go on with what an earlier run knew: its silences, and who had taken on what of what it left."""
        self.silences |= {silence.id: silence for silence in silences}
        self._acks |= {alert.id: (alert.since, alert.ack) for alert in alerts if alert.ack}
        self._covers.clear()
        self._changed = True

    def recall(self, told: Iterable[Alert]) -> None:
        """Know of outages that ended in an earlier run.

        Args:
            told: Alerts that resolved lately, oldest first.
        """
        for alert in told:
            self._note_outage(alert)

    def hold(self, alerts: Iterable[Alert]) -> None:
        """Take alerts for standing, though no stage tells of them."""
        for alert in alerts:
            self._hold(alert)

    def acknowledge(self, alert_id: str, since: float, ack: Ack | None) -> bool:
        """Note who has taken on an occurrence of an alert, or that nobody has; whether there is such an occurrence."""
        alert = self._standing.get(alert_id)
        if alert is None or abs(alert.since - since) > 0.001:
            return False
        self._acks.pop(alert_id, None)
        if ack:
            self._acks[alert_id] = (alert.since, ack)
        self._changed = True
        return True

    def ack_of(self, alert_id: str) -> Ack | None:
        """Who has taken on an alert that stands."""
        return self._acks.get(alert_id, (0.0, None))[1]

    def silence(self, silence: Silence) -> int:
        """Begin a silence; how many of the alerts that stand it is about."""
        self.silences[silence.id] = silence
        self._changed = True
        covered = [alert_id for alert_id, alert in self._standing.items() if silence.covers(alert)]
        for alert_id in covered:
            if alert_id in self._covers:  # else it is found out when it is told of
                other = self._covers[alert_id]
                self._covers[alert_id] = silence if other is None or other.until < silence.until else other
        return len(covered)

    def unsilence(self, silence_id: str) -> Silence | None:
        """End a silence; None where there is none of that id."""
        ended = self.silences.pop(silence_id, None)
        if ended:
            self._changed = True
            for alert_id in [alert_id for alert_id, silence in self._covers.items() if silence == ended]:
                del self._covers[alert_id]  # another one may cover it
        return ended

    # Following the stage ----------------------------------------------------------------------------------------------------------

    def step(self, state: State, alerts: Sequence[Alert]) -> list[Alert]:
        """What is to be told after a tick.

        Args:
            state: As of the tick, but for its alerts.
            alerts: What the stage made of it, thresholds among them.

        Returns:
            The same, with what is said of them; behind them those that a reason came to, or went from.
        """
        for silence in [silence for silence in self.silences.values() if silence.until <= state.at]:
            self.unsilence(silence.id)
        lasting = [alert for alert in alerts if not alert.colour]
        for alert in lasting:
            self._hold(alert)
        if not self._standing and not lasting:
            self._changed = False
            return list(alerts)
        if not (lasting or self._changed or abs(state.boot - self._look_at) >= LOOK_S):
            return list(alerts)
        self._changed, self._look_at = False, state.boot
        return self._said_of(state, alerts)

    def told_silences(self) -> tuple[Silence, ...] | None:
        """All silences, where they are others than those that were told last; else None."""
        silences = tuple(sorted(self.silences.values(), key=lambda silence: (silence.until, silence.id)))
        if silences == self._told_silences:
            return None
        self._told_silences = silences
        return silences

    def _hold(self, alert: Alert) -> None:
        if alert.state in {"pending", "firing"}:
            self._standing[alert.id] = alert
            self._by_stage[alert.id] = alert.muted
        else:
            self._standing.pop(alert.id, None)
            self._by_stage.pop(alert.id, None)
            self._note_outage(alert)

    def _note_outage(self, alert: Alert) -> None:
        if alert.state == "resolved" and not alert.text and endpoint_alerts.of_state(alert):
            self._outages[alert.labels] = alert

    def _said_of(self, state: State, alerts: Sequence[Alert]) -> list[Alert]:
        reasons = _Reasons(state, self._depends, self._standing.values(), self._outages)
        out, fresh = [], set()
        for told in alerts:  # first: who had it on when it ended is told of an occurrence that another one follows in the same tick
            fresh.add(told.id)
            out.append(told if told.colour else self._annotated(told, reasons))
            if told.state in {"resolved", "inactive"}:
                self._acks.pop(told.id, None)
                self._covers.pop(told.id, None)
        for alert_id, alert in list(self._standing.items()):
            said = self._annotated(alert, reasons)
            if alert_id not in fresh and not _same(said, alert):
                said = replace(said, before=alert.state, at=state.at)
                out.append(said)
            self._standing[alert_id] = said
        return out

    def _annotated(self, alert: Alert, reasons: "_Reasons") -> Alert:
        since, ack = self._acks.get(alert.id, (0.0, None))
        if ack and abs(alert.since - since) > 0.001:
            del self._acks[alert.id]  # another occurrence
            ack = None
        muted, silence = reasons.of(alert, self._by_stage.get(alert.id, "")), self._silence_of(alert)
        if silence and not muted:
            muted = f"silenced by {silence.by}: {silence.reason}"
        return replace(alert, ack=ack, muted=muted, silence=silence.id if silence else "")

    def _silence_of(self, alert: Alert) -> Silence | None:
        """The silence that covers an alert, which no tick changes; of several the one that lasts longest."""
        if alert.id not in self._covers:
            covering = [silence for silence in self.silences.values() if silence.covers(alert)]
            self._covers[alert.id] = max(covering, key=lambda silence: silence.until, default=None)
        return self._covers[alert.id]


def _same(one: Alert, other: Alert) -> bool:
    return (one.ack, one.muted, one.silence) == (other.ack, other.muted, other.silence)


class _Reasons:
    """Why alerts notify nobody whatever anybody silences, as of one moment."""

    def __init__(
        self, state: State, depends: Mapping[str, Sequence[str]], standing: Iterable[Alert], outages: Mapping[_Labels, Alert]
    ) -> None:
        self._state = state
        self._depends = depends
        self._outages = outages
        self._rows = endpoint_alerts.fresh(state)
        firing = [alert for alert in standing if alert.state == "firing"]
        self._down = {alert.labels: alert for alert in firing if endpoint_alerts.of_state(alert)}
        downs = (alert for alert in firing if alert.metric == _SERVER_UP and alert.stat == "last")  # not how it was for an hour
        self._servers = {dict(alert.labels).get("server"): alert for alert in downs}
        wanted = {name for names in depends.values() for name in names}
        self._depended = {name for name in wanted if _is_down(state, name, self._rows)}

    def of(self, alert: Alert, by_stage: str) -> str:
        """Why this one does, in words; empty where nothing does. `by_stage` is what the stage says."""
        return by_stage or self._by_target(alert) or self._by_dependency(alert)

    def _by_target(self, alert: Alert) -> str:
        if alert.metric.startswith("postgresql."):
            return _inhibited(alert, self._servers.get(dict(alert.labels).get("server")))
        if alert.metric.startswith("httpcheck.") and alert.metric != _CERTIFICATE:
            inhibited = _inhibited(alert, self._down.get(alert.labels)) or self._by_outage(alert)
            if inhibited:
                return inhibited
        return endpoint_alerts.calm(self._state, alert, self._rows)

    def _by_outage(self, alert: Alert) -> str:
        outage = self._outages.get(alert.labels)
        if not (alert.over_s and outage and outage.since <= alert.since <= outage.at and _as_grave(outage, alert)):
            return ""
        # By then it has left the window, and it was quiet for as long as that takes: what is still amiss is something else.
        return f"of an outage that {outage.rule} told of" if self._state.at < outage.at + alert.over_s + KEPT_S else ""

    def _by_dependency(self, alert: Alert) -> str:
        return next((f"{name} is down" for name in self._depends.get(alert.rule, ()) if name in self._depended), "")


def _inhibited(alert: Alert, down: Alert | None) -> str:
    """That it is superfluous, for what it is about is down, and an alert that is as grave says so."""
    return f"inhibited by {down.rule}" if down and down.id != alert.id and _as_grave(down, alert) else ""


def _as_grave(one: Alert, other: Alert) -> bool:
    return SEVERITIES.index(one.severity) >= SEVERITIES.index(other.severity)


def _is_down(state: State, name: str, rows: Mapping[str, EndpointRow]) -> bool:
    """Whether something that is depended on is known to be down: an endpoint as its row says, which one failed check does not make so."""
    kind, _, called = name.partition(":")
    if kind == "http" and called in rows:
        return rows[called].state in _NOT_UP
    metric, label = {"http": ("httpcheck.up", "endpoint"), "postgres": (_SERVER_UP, "server")}.get(kind, ("", ""))
    for series in state.every(metric) if metric else ():
        if series.labels.get(label) == called:
            needed = next((group.failures for group in state.groups.values() if series.definition in group.series), 0) or 1
            known = list(islice((up for up in reversed(series.points()[1]) if not isnan(up)), needed))
            return len(known) == needed and max(known) < 1
    return False
