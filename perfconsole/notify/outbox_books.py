"""Who is owed word of what: alerts in, notices out. Pure; what becomes of the notices is for the lanes.

Each channel that an alert is for is owed word that it fires, again when nobody takes it on, and, if it was told, that it is over. Who is
muted is owed nothing until that ends.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from math import inf
from typing import Final

from msgspec.structs import replace

from perfconsole.core.notices import Notice
from perfconsole.core.tick import Alert, Rule
from perfconsole.notify.outbox_lane import GATHER_MOST_S, Lane
from perfconsole.notify.outbox_occurrence import Occurrence, over, place, thread
from perfconsole.notify.outbox_owed import (
    DROPPED,
    FAILED,
    FIRING,
    OVERDUE,
    RESOLVED,
    SENT,
    WAITING,
    Owed,
    Place,
    end_name,
    is_bound,
    new_notice,
)

GONE: Final = "there is no such channel any more"


class Books:
    """Decides who is owed what.

    Args:
        lanes: Of each channel, by its name.
        rules: By name: whom they tell, and within what time somebody should answer.

    Attributes:
        due: When time alone changes something, by the clock of the lanes.
    """

    def __init__(self, lanes: Mapping[str, Lane], rules: Mapping[str, Rule]) -> None:
        self._lanes, self._rules = lanes, rules
        self._standing: dict[str, Occurrence] = {}
        self._left: list[Occurrence] = []
        self._orphans: list[Notice] = []
        self._times: list[tuple[float, str]] = []  # of alerts, by id: what is over is not held for it
        self._changed: dict[str, Notice] = {}
        self._made: dict[str, Owed] = {}
        self.due = inf

    # What comes in ----------------------------------------------------------------------------------------------------------------

    def take(self, alerts: Sequence[Alert], at: float, now: float) -> list[Notice]:
        """Take what was told of alerts; see `core.notices.Outbox.take`.

        Args:
            alerts: In their order.
            at: The moment, epoch seconds.
            now: The same moment, by the clock of the lanes.
        """
        for alert in alerts:
            if not alert.colour:
                self._pass_time(now - max(at - alert.at, 0.0), at, now)
                self._take_one(alert, at, now)
        self._pass_time(now, at, now)
        self.due = self._times[0][0] if self._times else inf
        changed, self._changed = self._changed, {}
        return list(changed.values())

    def keep(self, keys: Iterable[str], now: float) -> list[Notice]:
        """Put notices on their lanes, now that they are kept; returns those that changed by that."""
        touched: dict[str, Lane] = {}
        for key in keys:
            owed = self._made.pop(key, None)
            if owed:
                lane = touched[owed.notice.channel] = self._lanes[owed.notice.channel]
                lane.add(owed, now)
        return [notice for lane in touched.values() for notice in lane.promote(now)]

    # Other channels ---------------------------------------------------------------------------------------------------------------

    def leave(self, name: str, owed: Iterable[Owed]) -> list[Notice]:
        """Drop what is owed to a channel that is no more; what it was told is remembered, should it come back.

        Args:
            name: The channel's.
            owed: What its lane let go of.

        Returns:
            The notices that were dropped.
        """
        made = [one for one in self._made.values() if one.notice.channel == name]
        for one in made:
            del self._made[one.notice.key]
        dropped = [one.become(state=DROPPED, error=GONE) for one in (*owed, *made)]
        for occurrence in self._standing.values():
            left = [one for one in occurrence.told.pop(name, ()) if one.told or not one.settled]
            if left:
                occurrence.told[name] = left
        return dropped

    def join(self, name: str) -> None:
        """Take a channel in that is new, or another than it was: what was told under its name was told, what was refused is owed anew."""
        for occurrence in self._standing.values():
            chain = occurrence.told.get(name, [])
            if chain and all(one.notice.state == FAILED for one in chain):
                del occurrence.told[name]
            self._lanes[name].join(one for one in chain if one.notice.state == SENT)

    # After a start ----------------------------------------------------------------------------------------------------------------

    def restore(self, notices: Iterable[Notice], at: float, now: float) -> None:
        """Take up what earlier runs left: what was sent and whose end was not told, and what waits."""
        found: dict[tuple[str, int], Occurrence] = {}
        ended: set[tuple[str, int]] = set()
        order = (FIRING, OVERDUE, RESOLVED)
        waiting: list[Owed] = []
        for notice in sorted(notices, key=lambda notice: (order.index(notice.status), notice.made_at)):
            if notice.channel not in self._lanes:
                self._orphans += [notice] if notice.state == WAITING else []
            elif notice.state != DROPPED:
                owed = self._restored(notice, found.setdefault(place(notice.alert), Occurrence(notice.alert)))
                waiting += [] if owed.settled else [owed]
                if notice.status == RESOLVED:
                    ended.add(place(notice.alert))
        for where in sorted(found.keys() - ended, key=lambda where: where[1]):
            self._stand(found[where], at, now)
        self._go_on(waiting, at, now)

    def resume(self, alerts: Sequence[Alert], at: float, now: float) -> list[Notice]:
        """Make good what is owed after a start; see `outbox.Outbox.resume`."""
        known = {alert.id: alert for alert in alerts}
        for left in self._left:
            self._end(left, over(left.alert, at), at, now)
        self._left.clear()
        for occurrence in [*self._standing.values()]:
            alert = known.get(occurrence.alert.id)
            if not alert or not occurrence.is_that_of(alert) or alert.state not in {FIRING, RESOLVED}:
                if not alert or alert.state != FIRING:
                    self._ended(occurrence, over(occurrence.alert, at), at, now)  # one that flaps may be over for now only
            elif alert.state == RESOLVED:
                self._ended(occurrence, alert, at, now)
            else:
                occurrence.alert = alert  # before time passes: who took it on, took it on then
        self._changed.update((orphan.key, replace(orphan, state=DROPPED, error=GONE)) for orphan in self._orphans)
        self._orphans.clear()
        return self.take([alert for alert in alerts if alert.state == FIRING], at, now)

    def _restored(self, notice: Notice, occurrence: Occurrence) -> Owed:
        chain = occurrence.told.get(notice.channel, [])
        begun = bool(notice.batch) and not is_bound(notice)
        if notice.status == RESOLVED:
            # of what does not stand any more, what was sent is not saved: without word that it fires, that was sent
            heard = any(one.told for one in chain) or not any(one.notice.status == FIRING for one in chain)
            return Owed(notice, [one for one in chain if not one.settled], heard=heard, doubt=begun)
        owed = Owed(notice, doubt=begun and notice.state == WAITING)
        occurrence.told.setdefault(notice.channel, []).append(owed)
        if owed.settled:
            self._lanes[notice.channel].join([owed])
        return owed

    def _stand(self, occurrence: Occurrence, at: float, now: float) -> None:
        """Go on with an occurrence of an earlier run; an older one of the same alert is over, unless it flaps: then they are the same."""
        key = occurrence.alert.id
        older = self._standing.get(key)
        if older and older.join(occurrence):
            occurrence = older
        elif older:
            self._left.append(older)
        self._standing[key] = occurrence
        for channel, chain in occurrence.told.items():
            if self._lanes[channel].channel.refresh_s:
                self._lanes[channel].standing[key] = chain[0]
        notices = [owed.notice for owed in occurrence.owed()]
        if notices:
            occurrence.begin_overdue(self._rules.get(occurrence.alert.rule), min(notice.made_at for notice in notices), at, now)
            last = max((notice.made_at for notice in notices if notice.status == OVERDUE), default=-inf)
            occurrence.pass_overdue(now + (last - at), at, now)
            self._note_time(occurrence.overdue_at, occurrence)

    def _go_on(self, waiting: Iterable[Owed], at: float, now: float) -> None:
        """Have those sent that wait: in the message they were in, if they were; what waited for long waits no longer."""
        batches: dict[tuple[str, str], list[Owed]] = {}
        for owed in waiting:
            notice = owed.notice
            if notice.batch and not is_bound(notice):
                batches.setdefault((notice.channel, notice.batch), []).append(owed)
            else:
                self._lanes[notice.channel].add(owed, now - max(at - notice.made_at, 0.0))
        for (channel, name), members in batches.items():
            wait_s = min(one.notice.due_at for one in members) - at
            self._lanes[channel].go_on(name, members, now + min(max(wait_s, 0.0), GATHER_MOST_S))  # the clock may have been set meanwhile
        for lane in self._lanes.values():
            self._changed.update((notice.key, notice) for notice in lane.promote(now))

    # One alert --------------------------------------------------------------------------------------------------------------------

    def _take_one(self, alert: Alert, at: float, now: float) -> None:
        occurrence = self._standing.get(alert.id)
        if alert.state != FIRING:
            if occurrence and occurrence.quiet_at == inf:
                self._ended(occurrence, alert, at, now)
            return
        if occurrence and not occurrence.is_that_of(alert):
            if occurrence.flaps and alert.flapping:
                occurrence.quiet_at = inf
            else:
                self._end(occurrence, occurrence.alert if occurrence.quiet_at < inf else over(occurrence.alert, at), at, now)
                occurrence = None
        if not occurrence:
            occurrence = Occurrence(alert)
            if not self._channels(alert):
                return
            self._standing[alert.id] = occurrence
        occurrence.alert = alert
        for channel in self._channels(alert):
            self._settle(occurrence, channel, at, now)

    def _settle(self, occurrence: Occurrence, channel: str, at: float, now: float) -> None:
        """Owe a channel what an alert that fires gives cause to, and take back what it does not any more."""
        alert, lane, chain = occurrence.alert, self._lanes[channel], occurrence.told.get(channel)
        if chain and (alert.muted or alert.ack):
            self._withdraw(chain, OVERDUE, at, now)
        for one in chain or ():
            one.latest = alert
        if chain and all(one.notice.state == DROPPED for one in chain):  # left out of its message, muted: that is over
            chain = None
        if alert.muted:
            lane.standing.pop(alert.id, None)
            if chain is None or not self._withdraw(chain, FIRING, at, now):
                occurrence.told.pop(channel, None)
            return
        if not chain:
            chain = occurrence.told[channel] = [self._owe(Owed(new_notice(channel, alert, FIRING, at)))]
            occurrence.begin_overdue(self._rules.get(alert.rule), at, at, now)
            self._note_time(occurrence.overdue_at, occurrence)
        if lane.channel.refresh_s:
            lane.standing[alert.id] = chain[0]

    def _channels(self, alert: Alert) -> list[str]:
        """Whom an alert is for."""
        rule = self._rules.get(alert.rule)
        names = dict.fromkeys(rule.notify if rule else ())
        return [name for name in names if name in self._lanes and alert.severity in self._lanes[name].channel.wants]

    def _ended(self, occurrence: Occurrence, alert: Alert, at: float, now: float) -> None:
        if alert.state != RESOLVED:
            alert = over(occurrence.alert, at)
        if occurrence.flaps and alert.flapping:
            occurrence.calm(alert, self._rules.get(alert.rule), at, now)
            self._note_time(occurrence.quiet_at, occurrence)
        else:
            self._end(occurrence, alert, at, now)

    def _end(self, occurrence: Occurrence, alert: Alert, at: float, now: float) -> None:
        """Owe word that it is over to who was told, or is being told; nobody else ever hears of it."""
        alert = occurrence.end(alert)
        if self._standing.get(alert.id) is occurrence:
            del self._standing[alert.id]
        for channel, chain in occurrence.told.items():
            lane = self._lanes.get(channel)
            if lane is None:  # it is no more
                continue
            if chain and lane.standing.get(alert.id) is chain[0]:
                del lane.standing[alert.id]
            self._withdraw(chain, OVERDUE, at, now)
            self._withdraw(chain, FIRING, at, now)
            heard = any(one.told for one in chain)
            pending = [one for one in chain if not one.settled]
            if lane.channel.send_resolved and (heard or pending):
                notice = new_notice(channel, alert, RESOLVED, at, batch=end_name(thread(chain)))
                self._owe(Owed(notice, pending, heard=heard))
            else:
                lane.leave(chain, now)

    def _withdraw(self, chain: list[Owed], status: str, at: float, now: float) -> bool:
        """Take back what of a status nobody was told yet; whether anything is left."""
        for one in [one for one in chain if one.notice.status == status and not one.settled]:
            late = one.place is Place.MADE and at - one.notice.made_at >= GATHER_MOST_S
            if not late and self._lanes[one.notice.channel].withdraw(one, now):
                self._made.pop(one.notice.key, None)
                self._change(one.become(state=DROPPED))
                chain.remove(one)
        return bool(chain)

    # Time -------------------------------------------------------------------------------------------------------------------------

    def _note_time(self, due: float, occurrence: Occurrence) -> None:
        if due < inf:
            heappush(self._times, (due, occurrence.alert.id))
            self.due = self._times[0][0]

    def _pass_time(self, until: float, at: float, now: float) -> None:
        times = self._times
        while times and times[0][0] <= until:
            due, key = heappop(times)
            occurrence = self._standing.get(key)
            if not occurrence:
                continue
            if due == occurrence.quiet_at:
                self._end(occurrence, occurrence.alert, at, now)
            elif due == occurrence.overdue_at:
                occurrence.pass_overdue(until, at, now)  # of all that passed unseen, one
                self._note_time(occurrence.overdue_at, occurrence)
                for owed in self._overdue(occurrence, at):
                    self._owe(owed)

    def _overdue(self, occurrence: Occurrence, at: float) -> Iterator[Owed]:
        """Word that nobody has taken an alert on, for who has heard that it fires, and has not that word before it still on the way."""
        alert = occurrence.alert
        if alert.muted or alert.ack or occurrence.flaps:
            return
        for channel, chain in occurrence.told.items():
            if channel in self._lanes and all(one.settled for one in chain):
                chain.append(Owed(new_notice(channel, alert, OVERDUE, at, occurrence.ordinal, batch=thread(chain))))
                yield chain[-1]

    # Notices ----------------------------------------------------------------------------------------------------------------------

    def _owe(self, owed: Owed) -> Owed:
        self._made[owed.notice.key] = owed
        self._change(owed.notice)
        return owed

    def _change(self, notice: Notice) -> None:
        self._changed[notice.key] = notice
