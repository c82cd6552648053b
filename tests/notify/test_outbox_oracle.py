"""Random histories of alerts, mutes, acknowledgements, faults and restarts against what must hold whatever happens.

The world keeps its own books: when what fired, unmuted; what was attempted, and what the receiver did. Nothing of the outbox is asked but
what it sends and what it has kept.
"""

import random
from collections import defaultdict
from copy import copy
from math import inf

import pytest
from msgspec.structs import replace
from outbox_desk import T0, Desk, FakeChannel, alert, rule

from perfconsole.core.tick import Ack
from perfconsole.notify.channel import SendError

WAIT_S = 30 + 60 + 1
"""What fires, unmuted, for longer is told, whatever else goes on."""

RUNS = 40


class DyingDesk(Desk):
    """A process that may be killed after a receiver took a message, before that is written down."""

    dying = 0.0
    dead = False
    batches = frozenset()

    def keep(self, notices, kept=None):
        self.batches.update(notice.batch for notice in notices)
        super().keep(notices, kept)

    def send(self):
        if self.dead:
            return False, inf
        parcels, wait_s = self.outbox._due()
        for parcel in parcels:
            try:
                outcome = parcel.channel.take(parcel.message)
            except SendError as error:
                outcome = error
            if self.dice.random() < self.dying:
                self.dead = True
                return False, inf
            self.outbox._done(parcel, outcome)
        return bool(parcels), wait_s


class World:
    """Alerts, channels on good and bad days, and a process that is started again and again."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        critical = frozenset({"critical"})
        self.channels = [FakeChannel("ops"), FakeChannel("pager", each=True, wants=critical), FakeChannel("manager", refresh_s=60)]
        self.rules = [rule("slow", respond_s=300), rule("down", severity="critical", respond_s=120)]
        self.attempts = {channel.name: [] for channel in self.channels}  # (at, message, what the receiver did)
        self.mood = dict.fromkeys(self.attempts, "ok")
        for channel in self.channels:
            channel.answer = lambda message, name=channel.name: self.answer(name, message)
        self.alerts = {}
        self.longest = defaultdict(float)  # of occurrences: how long unmuted at a stretch
        self.unmuted = set()
        self.silenced = set()  # occurrences that were muted at some time after they were not
        self.flapped = set()
        self.restarts = self.exchanged = 0
        self.batches = set()
        self.begin({}, T0)

    def answer(self, name, message):
        mood = self.mood[name]
        bad = mood != "ok" and self.dice.random() < 0.9
        self.attempts[name].append((self.desk.at, message, mood if bad else "ok"))
        if bad:
            after_s = self.dice.choice([None, None, 20.0])
            raise SendError(f"answered {mood}", final=mood == "final", unsure=mood == "unsure", after_s=after_s)
        return "ok"

    # What happens -----------------------------------------------------------------------------------------------------------------

    def live(self, steps):
        acts = [self.fire, self.fire, self.end, self.mute, self.take_on, self.turn, self.restart, self.storm, self.exchange]
        for _ in range(steps):
            self.dice.choice(acts)()
            self.rest(self.dice.choice([0.5, 3, 7, 40, 150, 1000]))

    def calm_down(self):
        """All is well at last: what is owed is told."""
        self.mood = dict.fromkeys(self.attempts, "ok")
        self.rest(8000)
        while self.alerts:
            self.end()
        for _ in range(3):
            self.desk.dying = 0.0
            self.rest(8000)

    def rest(self, seconds):
        end = self.desk.at + seconds
        while self.desk.at < end:
            before = self.desk.at
            self.desk.run(min(end - before, 20.0), ticks=10.0)
            for key in self.unmuted:
                self.longest[key] += self.desk.at - before
            if self.desk.dead:
                self.restart()

    def fire(self, name=None, severity=None):
        at = self.desk.at
        name = name or f"a{self.dice.randrange(12)}"
        if name in self.alerts:
            return
        severity = severity or ("critical" if int(name[1:]) % 2 else "warning")
        flapping = name == "a3" and self.dice.random() < 0.8
        one = alert(
            name, at=at, fired_at=at, severity=severity, rule="down" if severity == "critical" else "slow", flapping=flapping,
            muted=self.dice.choice(["", "", "", "silenced"]),
        )  # fmt: skip
        self.tell(one)

    def storm(self):
        for number in range(100, 100 + self.dice.choice([3, 15, 40])):
            self.fire(f"a{number}", "critical")

    def end(self):
        if self.alerts:
            one = self.alerts[self.dice.choice(list(self.alerts))]
            self.tell(replace(one, state="resolved", before="firing", at=self.desk.at))

    def mute(self):
        if self.alerts:
            one = self.alerts[self.dice.choice(list(self.alerts))]
            self.tell(replace(one, before="firing", at=self.desk.at, muted="" if one.muted else "silenced"))

    def take_on(self):
        if self.alerts:
            one = self.alerts[self.dice.choice(list(self.alerts))]
            self.tell(replace(one, before="firing", at=self.desk.at, ack=None if one.ack else Ack("eve", self.desk.at)))

    def tell(self, one):
        self.note(one)
        self.desk.tell(one)

    def note(self, one):
        key = (one.id, one.fired_at)
        self.unmuted.discard(key)
        self.alerts.pop(one.id, None)
        self.flapped |= {one.id} if one.flapping else set()
        if one.state == "firing":
            self.alerts[one.id] = one
            if one.muted and key in self.longest:
                self.silenced.add(key)
            elif not one.muted:
                self.unmuted.add(key)
                self.longest[key] = max(self.longest[key], 0.0)

    def turn(self):
        name = self.dice.choice(list(self.mood))
        self.mood[name] = self.dice.choice(["ok", "ok", "500", "unsure", "500", "unsure", "final"])

    def exchange(self):
        """The configuration is read again: a channel is another one of the same name, which tells the same people."""
        self.exchanged += 1
        number = self.dice.randrange(len(self.channels))
        self.channels[number] = copy(self.channels[number])
        assert self.desk.outbox.use(self.channels) == []
        self.desk.tell(*self.alerts.values())

    def restart(self):
        """Killed: some time passes, and some alerts are gone when it is back."""
        self.restarts += 1
        for one in [one for one in self.alerts.values() if self.dice.random() < 0.2]:
            self.note(replace(one, state="resolved"))
        self.begin(self.desk.store, self.desk.at + self.dice.choice([0.1, 30.0, 3000.0]))
        self.desk.resume(*self.alerts.values())

    def begin(self, store, at):
        """Another process. Of notices it finds those that wait, and those that were sent of occurrences whose end is owed to nobody."""
        over = {(one.channel, one.alert.id, one.alert.fired_at) for one in store.values() if one.status == "resolved"}
        saved = [
            one for one in store.values()
            if one.state == "waiting" or (one.state == "sent" and (one.channel, one.alert.id, one.alert.fired_at) not in over)
        ]  # fmt: skip
        self.desk = DyingDesk(*self.channels, rules=self.rules, saved=saved, at=at, chance=self.dice.random)
        self.desk.store, self.desk.dice, self.desk.batches = store, self.dice, self.batches
        self.desk.dying = self.dice.choice([0.0, 0.0, 0.02])

    # What must hold ---------------------------------------------------------------------------------------------------------------

    def check(self):
        for channel in self.channels:
            self.check_messages(channel)
            self.check_order(channel)
            self.check_told(channel)
            self.check_pace(channel)
        lanes, books = self.desk.outbox._lanes.values(), self.desk.outbox._books
        assert [lane.waiting for lane in lanes] == [0, 0, 0]
        assert not any(lane._members or lane._ends or lane.standing for lane in lanes)
        assert books._made == books._standing == {}
        assert {one.state for one in self.desk.store.values()} <= {"sent", "failed", "dropped"}

    def real(self, channel):
        """Its attempts, but for what was only said again."""
        return [(at, message, did) for at, message, did in self.attempts[channel.name] if message.key in self.batches]

    def check_messages(self, channel):
        """A notice goes with one message, which is the same at every attempt; taken, it is tried again only after a death.

        But for what was muted in between: it is left out where no attempt can have been taken, and may be told later.
        """
        of, within, taken, maybe = {}, {}, defaultdict(int), set()
        for _, message, did in self.real(channel):
            keys = tuple(notice.key for notice in message.notices)
            before = within.setdefault(message.key, {})
            if before and tuple(before) != keys:
                assert not maybe & before.keys()
                assert keys == tuple(key for key in before if key in keys)
                assert {before[key] for key in before if key not in keys} <= self.silenced
            within[message.key] = {notice.key: (notice.alert.id, notice.alert.fired_at) for notice in message.notices}
            for notice in message.notices:
                if of.get(notice.key, message.key) != message.key:
                    assert notice.key not in maybe
                    assert (notice.alert.id, notice.alert.fired_at) in self.silenced
                of[notice.key] = message.key
                maybe |= {notice.key} if did in {"ok", "unsure"} else set()
                taken[notice.key] += did == "ok"
                if did == "final" and (self.restarts or self.exchanged):
                    maybe.discard(notice.key)
                    del of[notice.key]  # a new run, maybe with another address or secret, owes it anew while it fires
                assert notice.channel == channel.name
                assert notice.alert.severity in channel.wants
            ranks = [["critical", "warning", "info"].index(notice.alert.severity) for notice in message.notices]
            assert ranks == sorted(ranks)
            if channel.each and not message.thread:
                assert len(keys) == 1
        assert max(taken.values(), default=0) <= 1 + self.restarts
        if not self.restarts:
            assert set(taken.values()) <= {0, 1}

    def check_order(self, channel):
        """No end without a beginning that was taken, or may have been; and none before it."""
        begun = defaultdict(set)
        for _, message, did in self.real(channel):
            for notice in message.notices:
                key = (notice.alert.id, round(notice.alert.fired_at, 3))
                if notice.status == "resolved":
                    assert begun[key] & {"ok", "unsure"} or (self.restarts and begun[key]), (channel.name, key)
            for notice in message.notices:
                if notice.status != "resolved":
                    begun[notice.alert.id, round(notice.alert.fired_at, 3)].add(did)

    def check_told(self, channel):
        """Who was told of what, and of its end; nobody of what was muted all the time."""
        told, ended, refused = set(), set(), set()
        for _, message, did in self.real(channel):
            for notice in message.notices:
                key = (notice.alert.id, notice.alert.fired_at)
                into = ended if notice.status == "resolved" else told if did == "ok" else refused if did == "final" else set()
                into.add(key)
                assert key in self.longest, "it was muted all the time"
        for key, lasted_s in self.longest.items():
            critical = key[0][1:].isdecimal() and (int(key[0][1:]) % 2 or int(key[0][1:]) >= 100)
            wanted = critical or "warning" in channel.wants
            if lasted_s > WAIT_S and wanted and key[0] not in self.flapped and key not in self.silenced:
                assert key in told | refused, (channel.name, key, lasted_s)
        # taken, killed before that was written down, tried again and refused for good: then it counts as refused
        refused = refused if self.restarts else set()
        assert {key for key in told if key[0] not in self.flapped} <= ended | refused

    def check_pace(self, channel):
        """Not more new messages than the limit allows; each run has a limit of its own."""
        burst, rate_s = (10, 2.0) if channel.each else (5, 6.0)
        first = {}
        for at, message, _ in self.real(channel):
            first.setdefault(message.key, at)
        times = sorted(first.values())
        for start in range(len(times)):
            for end in range(start, min(start + 60, len(times))):
                assert end - start + 1 <= (burst + 1) * (1 + self.restarts) + (times[end] - times[start]) / rate_s


@pytest.mark.parametrize("seed", range(RUNS))
def test_whatever_happens_everybody_who_should_know_is_told(seed):
    world = World(seed)
    if seed % 3 == 0:
        world.restart = lambda: None  # a third of them in one run: then nothing is excused
        world.desk.dying = 0.0
    world.live(60)
    world.calm_down()
    world.check()
    assert any(world.attempts.values()), "nothing happened: this proves nothing"
