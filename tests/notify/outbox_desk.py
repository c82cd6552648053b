"""An outbox whose sender is the test: it is asked what is due, time is a number, and a store is a dictionary."""

from math import inf, nan

from msgspec.structs import replace

from perfconsole.core.tick import Alert, Rule
from perfconsole.notify.channel import SendError
from perfconsole.notify.outbox import Given, Outbox

T0 = 1_700_000_000.0
EVERY = frozenset({"critical", "warning", "info"})


class FakeChannel:
    """Answers what the test says: a text, or an error; the messages it was sent are in `got`."""

    def __init__(self, name="ops", *, wants=EVERY, resolved=True, each=False, refresh_s=0.0):
        self.name, self.wants, self.send_resolved, self.each, self.refresh_s = name, wants, resolved, each, refresh_s
        self.answer = lambda message: "ok"
        self.got = []

    async def send(self, message):
        return self.take(message)

    def take(self, message):
        self.got.append(message)
        return self.answer(message)

    def preview(self, message):
        return message.key

    async def close(self):
        pass

    def told(self):
        """What it was told, flat: (status, alert id) of every notice of every message, in their order."""
        return [(notice.status, notice.alert.id) for message in self.got for notice in message.notices]


class Idle:
    """A sender that does nothing by itself."""

    error = ""

    def __init__(self):
        self.woken = 0

    def wake(self):
        self.woken += 1

    def use(self, channels):
        pass

    def close(self):
        pass


class Desk:
    """An outbox, its store, and time. The steady clock is far from the wall clock: who mixes them up is found out."""

    def __init__(self, *channels, rules=(), notify=None, saved=(), at=T0, chance=lambda: 0.5):
        self.channels = channels
        self.at, self.set_s = at, 0.0
        self.store = {notice.key: notice for notice in saved}
        self.history = []
        names = tuple(channel.name for channel in channels) if notify is None else tuple(notify)
        given = [*rules] if any(one.name == "slow" for one in rules) else [*rules, rule()]
        self.rules = {one.name: one if one.notify else replace(one, notify=names) for one in given}
        self.outbox = Outbox(
            channels, self.rules, self.keep, saved, host="db1",
            given=Given(clock=lambda: self.at, steady=lambda: self.at - self.set_s - T0 + 77.0, chance=chance),
        )  # fmt: skip
        self.outbox._sender = Idle()

    def keep(self, notices, kept=None):
        for notice in notices:
            self.store[notice.key] = notice
            self.history.append(notice)
        if kept:
            kept()

    def tell(self, *alerts):
        """A tick with these alerts, kept and sent at once."""
        notices = self.outbox.take(alerts, self.at)
        self.keep(notices)
        self.outbox.send(notices)
        return notices

    def resume(self, *alerts):
        notices = self.outbox.resume(alerts, self.at)
        self.keep(notices)
        self.outbox.send(notices)
        return notices

    def send(self):
        """What is due now: sent, and answered."""
        parcels, wait_s = self.outbox._due()
        for parcel in parcels:
            try:
                outcome = parcel.channel.take(parcel.message)
            except SendError as error:
                outcome = error
            self.outbox._done(parcel, outcome)
        return bool(parcels), wait_s

    def run(self, seconds, *, ticks=0.0):
        """Let time pass: the sender acts when it said it would; with `ticks` there is an empty tick so often."""
        end, tick = self.at + seconds, self.at + ticks if ticks else inf
        for _ in range(100_000):
            busy, wait_s = self.send()
            if busy:
                continue
            if min(self.at + wait_s, tick) > end:
                self.at = end
                return
            self.at = max(min(self.at + wait_s, tick), self.at + 1e-6)
            if self.at >= tick:
                self.tell()
                tick += ticks
        raise AssertionError("it never rests")

    def set_clock(self, seconds):
        """Somebody sets the wall clock forward, or back."""
        self.at += seconds
        self.set_s += seconds

    def states(self):
        return {(notice.channel, notice.alert.id, notice.status): notice.state for notice in self.store.values()}


def alert(name="a", state="firing", at=T0, *, fired_at=T0, severity="warning", rule="slow", before=None, **given):
    before = before or {"firing": "pending", "resolved": "firing"}.get(state, "inactive")
    told = Alert(
        id=name, rule=rule, metric="httpcheck.duration", labels=(("endpoint", name),), severity=severity, state=state, before=before,
        at=at, since=fired_at - 60.0, value=2.0, limit=1.0, fired_at=nan if state == "pending" else fired_at,
    )  # fmt: skip
    return replace(told, **given)


def rule(name="slow", *, severity="warning", respond_s=nan, notify=(), for_s=60.0):
    return Rule(name, severity, "httpcheck.duration", 1.0, colour=False, respond_s=respond_s, notify=tuple(notify), for_s=for_s)
