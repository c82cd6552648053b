"""When notices go, and which together: bursts, storms, limits, retries, channels that want each alert alone, channels told again."""

from math import inf

import pytest
from msgspec.structs import replace
from outbox_desk import T0, Desk, FakeChannel, alert, rule

from perfconsole.notify.channel import SendError
from perfconsole.notify.outbox_batch import TRIES, Bucket


def over(one, at):
    return replace(one, state="resolved", before="firing", at=at)


def fails(error):
    def answer(message):
        raise error

    return answer


def times(channel):
    return [round(message.at - T0, 3) for message in channel.got]


def sizes(channel):
    return [len(message.notices) for message in channel.got]


# Together -------------------------------------------------------------------------------------------------------------------------


def test_a_message_goes_when_nothing_came_for_a_moment():
    ops = FakeChannel()
    desk = Desk(ops)
    for name in "abc":
        desk.tell(alert(name))
        desk.run(3)
    desk.run(1.999)
    assert ops.got == []
    desk.run(0.001)
    assert (times(ops), ops.told()) == ([11.0], [("firing", name) for name in "abc"])


def test_a_storm_is_one_message():
    ops, hook = FakeChannel("ops"), FakeChannel("hook")
    desk = Desk(ops, hook)
    for beat in range(25):
        desk.tell(*(alert(f"e{beat * 20 + number}", at=desk.at, fired_at=desk.at) for number in range(20)))
        desk.run(0.5)
    desk.run(600)
    assert (sizes(ops), sizes(hook), times(ops)) == ([500], [500], [17.0])


def test_what_never_ends_to_come_does_not_keep_the_rest():
    ops = FakeChannel()
    desk = Desk(ops)
    for number in range(100):
        desk.tell(alert(f"e{number}", at=desk.at, fired_at=desk.at))
        desk.run(1)
    assert (times(ops), sizes(ops)) == ([30.0, 90.0], [30, 60])


def test_worst_first_then_oldest():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(
        alert("mild", severity="info"), alert("young", at=T0 + 1, fired_at=T0 + 1), alert("old"),
        alert("bad", at=T0 + 2, fired_at=T0 + 2, severity="critical"),
    )  # fmt: skip
    desk.run(10)
    assert [name for _, name in ops.told()] == ["bad", "old", "young", "mild"]


def test_what_fires_soon_after_a_message_waits_with_others():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert("a"))
    desk.run(20)
    desk.tell(alert("b"))
    desk.run(30)
    desk.tell(alert("c"))
    desk.run(14)
    assert len(ops.got) == 1
    desk.run(1)
    assert (times(ops), sizes(ops)) == ([5.0, 65.0], [1, 2])


@pytest.mark.parametrize("first", ["warning", "critical"])
@pytest.mark.parametrize("name", ["slow", "down"])
def test_a_critical_one_that_nobody_was_told_of_does_not_wait(first, name):
    """Whether it is another rule's, or the same one's about another target: who looks at the first does not know of it."""
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule("slow"), rule("down")])
    desk.tell(alert("a", severity=first))
    desk.run(20)
    desk.tell(alert("b", severity="critical", rule=name))
    desk.run(600)
    assert times(ops) == [5.0, 25.0]


def test_critical_ones_without_end_go_together_after_the_first_messages():
    ops = FakeChannel()
    desk = Desk(ops)
    for number in range(12):
        desk.tell(alert(f"e{number}", at=desk.at, fired_at=desk.at, severity="critical"))
        desk.run(10)
    desk.run(600)
    assert (times(ops), sizes(ops)) == ([5.0, 15.0, 25.0, 65.0, 75.0, 85.0, 125.0], [1, 1, 1, 4, 1, 1, 3])


def test_a_critical_one_that_was_told_just_now_and_fires_again_waits():
    ops = FakeChannel(resolved=False)
    desk = Desk(ops)
    desk.tell(alert("a", severity="critical"))
    desk.run(10)
    desk.tell(over(alert("a", severity="critical"), desk.at))
    desk.run(10)
    desk.tell(alert("a", at=desk.at, fired_at=desk.at, severity="critical"))
    desk.run(600)
    assert times(ops) == [5.0, 65.0]


@pytest.mark.parametrize("severity", ["warning", "critical"])
@pytest.mark.parametrize("status", ["overdue", "resolved"])
def test_what_says_nothing_new_fires_does_not_delay_what_does(severity, status):
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule("slow", respond_s=180.0)])
    desk.tell(alert("old", severity="critical"))
    desk.run(175.0, ticks=0.5)
    if status == "resolved":
        desk.tell(over(alert("old", severity="critical"), desk.at))
    desk.run(10.0, ticks=0.5)
    assert [status for status, _ in ops.told()] == ["firing", status]
    last, before = times(ops)[-1], desk.at
    assert before - T0 - last < 10.0, "just now"
    desk.tell(alert("x", at=before, fired_at=before, severity=severity), alert("y", at=before, fired_at=before, severity=severity))
    desk.run(60.0, ticks=0.5)
    assert (times(ops)[2:], ops.told()[2:]) == ([before - T0 + 5.0], [("firing", "x"), ("firing", "y")])


def test_what_was_held_hurries_no_critical_one_out_of_those_that_come_with_it():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert("a"))
    desk.run(10)
    desk.tell(alert("held"))
    desk.run(40)
    for name in "bcd":
        desk.tell(alert(name, at=desk.at, fired_at=desk.at, severity="critical"))
        desk.run(2)
    desk.run(600)
    assert (times(ops), sizes(ops)) == ([5.0, 59.0], [1, 4])


def test_a_critical_one_that_was_a_blip_takes_nobody_along():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert("a"))
    desk.run(20)
    desk.tell(alert("b"), alert("c", severity="critical"))
    desk.run(2)
    desk.tell(over(alert("c", severity="critical"), desk.at))
    desk.run(600)
    assert times(ops) == [5.0, 65.0]


def test_the_end_does_not_wait_for_a_minute():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert("a"))
    desk.run(10)
    desk.tell(over(alert("a"), desk.at))
    desk.run(10)
    assert times(ops) == [5.0, 15.0]


def test_an_end_gathers_with_others_though_something_waits_longer():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(*(alert(name) for name in "abc"))
    desk.run(6)
    desk.tell(alert("late"))
    desk.run(40)
    for name in "abc":
        desk.tell(over(alert(name), desk.at))
        desk.run(2)
    desk.run(60)
    assert sizes(ops) == [3, 4]


def test_held_longer_than_the_wait_it_is_still_a_blip():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert("a"))
    desk.run(10)
    desk.tell(alert("b"))
    desk.run(50)
    desk.tell(over(alert("b"), desk.at))
    desk.run(600)
    assert ops.told() == [("firing", "a")]


# Limits ---------------------------------------------------------------------------------------------------------------------------


def test_a_bucket():
    bucket = Bucket(3, 6.0)
    now = 1_700_000_000.1
    assert [bucket.take(now) for _ in range(4)] == [True, True, True, False]
    assert bucket.ready() == pytest.approx(now + 6, rel=0, abs=1e-3)
    assert not bucket.take(now + 5.9)
    assert bucket.take(bucket.ready())
    assert [bucket.take(now + 1000) for _ in range(4)] == [True, True, True, False]


def test_a_channel_is_told_so_often_and_what_is_held_back_goes_together():
    ops = FakeChannel()
    desk = Desk(ops)
    started = desk.at
    for number in range(100):
        desk.tell(alert(f"e{number}"))
        desk.run(70)
        desk.tell(over(alert(f"e{number}"), desk.at))
        desk.run(6)
    assert len(ops.got) == 200, "slower than the limit"
    ops.got.clear()
    desk.tell(*(alert(f"e{number}", at=desk.at, fired_at=desk.at) for number in range(200)))
    desk.run(100)
    started = desk.at
    ops.got.clear()
    for number in range(200):  # one ends every 5.5 s: as soon as the wait allows, faster than one in 6 s
        desk.tell(over(alert(f"e{number}", fired_at=T0), desk.at))
        desk.run(5.5)
    desk.run(60)
    assert sum(sizes(ops)) == 200
    assert len(ops.got) <= 6 + (desk.at - started) / 6
    assert len(ops.got) < 200


def test_no_limit_drops_what_ended_meanwhile():
    """What was held back by the limit alone is told, with its end: only the wait is there to let blips pass."""
    ops = FakeChannel(refresh_s=3600)  # groups for itself: nothing is held for a minute
    desk = Desk(ops)
    for number in range(12):
        desk.tell(alert(f"e{number}"))
        desk.run(5)
    desk.run(600)
    ops.got.clear()
    for number in range(40):
        one = alert(f"f{number}", at=desk.at, fired_at=desk.at)
        desk.tell(one)
        desk.run(5)
    desk.run(60)
    names = [name for status, name in ops.told() if status == "firing" and name[0] == "f"]
    assert sorted(set(names)) == sorted(f"f{number}" for number in range(40))


# Again ----------------------------------------------------------------------------------------------------------------------------


def test_the_same_message_again_and_again_ever_more_slowly():
    ops = FakeChannel()
    ops.answer = fails(SendError("answered 500"))
    desk = Desk(ops)
    desk.tell(alert("a"), alert("b"))
    desk.run(3000)
    waits = [b - a for a, b in zip(times(ops), times(ops)[1:], strict=False)]
    assert [round(wait) for wait in waits[:11]] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert len({message.key for message in ops.got}) == 1
    assert {tuple(notice.key for notice in message.notices) for message in ops.got} == {tuple(notice.key for notice in ops.got[0].notices)}
    (notice,) = (notice for notice in desk.store.values() if notice.alert.id == "a")
    assert (notice.state, notice.tries, notice.error) == ("waiting", len(ops.got), "answered 500")
    assert notice.due_at == pytest.approx(ops.got[-1].at + 300, rel=0, abs=1e-3)


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_no_two_are_tried_again_at_the_same_moment(chance):
    ops = FakeChannel()
    ops.answer = fails(SendError("answered 500"))
    desk = Desk(ops, chance=lambda: chance)
    desk.tell(alert())
    desk.run(10)
    assert times(ops)[:3] == [5.0, pytest.approx(5 + 0.75 + 0.5 * chance), pytest.approx(5 + 3 * (0.75 + 0.5 * chance))]


def test_given_up_after_a_day():
    ops = FakeChannel()
    ops.answer = fails(SendError("answered 500"))
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(2 * 86400)
    assert 86400 <= times(ops)[-1] - times(ops)[0] < 86400 + 600
    assert abs(len(ops.got) - TRIES) < 5
    assert desk.states() == {("ops", "a", "firing"): "failed"}
    assert desk.outbox.health() == [("ops", "error", "failing for 1d23h: answered 500")]


def test_what_is_refused_for_good_is_not_tried_again():
    ops = FakeChannel()
    ops.answer = fails(SendError("answered 404", final=True))
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(600)
    assert len(ops.got) == 1
    assert desk.states() == {("ops", "a", "firing"): "failed"}


@pytest.mark.parametrize(("after_s", "waits_s"), [(0.0, 1), (120.0, 120), (1e9, 3600)])
def test_the_receiver_says_when_to_come_again(after_s, waits_s):
    ops = FakeChannel()
    ops.answer = fails(SendError("answered 429", after_s=after_s))
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(6)
    desk.tell(alert("b", severity="critical"))
    desk.run(4000)
    assert times(ops)[1] == pytest.approx(5 + waits_s)


def test_a_message_that_is_choked_on_is_not_in_the_way_of_others():
    ops = FakeChannel()

    def answer(message):
        if any(notice.alert.id == "poison" for notice in message.notices):
            raise SendError("answered 500")
        return "ok"

    ops.answer = answer
    desk = Desk(ops)
    desk.tell(alert("poison"))
    desk.run(100)
    desk.tell(alert("b"))
    desk.run(10)
    assert desk.states()["ops", "b", "firing"] == "sent"
    assert desk.outbox.health() == [("ops", "ok", "1 notice waits")]


def test_while_nothing_is_taken_few_messages_are_tried_and_none_is_lost():
    ops = FakeChannel()
    ops.answer = fails(SendError("answered 500"))
    desk = Desk(ops)
    for number in range(30):
        desk.tell(alert(f"e{number}", at=desk.at, fired_at=desk.at))
        desk.run(70)
        if number > 10:
            desk.tell(over(alert(f"e{number}", fired_at=desk.at - 70), desk.at))
    assert len({message.key for message in ops.got}) == 4 + 6, "four, and one ever more seldom"
    ops.answer = lambda message: "ok"
    ops.got.clear()
    desk.run(1000)
    told = ops.told()
    assert sorted(name for status, name in told if status == "firing") == sorted(f"e{number}" for number in range(30))
    for number in range(11, 30):
        assert told.index(("firing", f"e{number}")) < told.index(("resolved", f"e{number}"))


@pytest.mark.parametrize("poisoned", [4, 9])
def test_messages_that_are_choked_on_are_not_in_the_way_of_a_good_one(poisoned):
    ops = FakeChannel()

    def answer(message):
        if any(notice.alert.id.startswith("poison") for notice in message.notices):
            raise SendError("answered 500")
        return "ok"

    ops.answer = answer
    desk = Desk(ops)
    for number in range(poisoned):
        desk.tell(alert(f"poison{number}", at=desk.at, fired_at=desk.at))
        desk.run(70 if number < 4 else 900)
    before = desk.at
    desk.tell(alert("good", at=desk.at, fired_at=desk.at, severity="critical"))
    while ("firing", "good") not in ops.told() and desk.at < before + 1000:
        desk.run(1)
    assert desk.at - before <= (6 if poisoned == 4 else 906)
    desk.run(60)
    desk.tell(alert("next", at=desk.at, fired_at=desk.at, severity="critical"))
    desk.run(6)
    assert ("firing", "next") in ops.told(), "one was taken: those that fail are at fault themselves"


def test_one_channel_that_fails_is_nothing_to_another():
    ops, dev = FakeChannel("ops"), FakeChannel("dev")
    ops.answer = fails(SendError("answered 500"))
    desk = Desk(ops, dev)
    desk.tell(alert())
    desk.run(10)
    assert desk.states() == {("ops", "a", "firing"): "waiting", ("dev", "a", "firing"): "sent"}
    assert [state for _, state, _ in desk.outbox.health()] == ["error", "ok"]


def test_a_store_that_says_nothing_holds_up_no_message_for_long():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.outbox._keep = lambda notices, kept=None: None
    desk.tell(alert())
    desk.run(6.9)
    assert ops.got == []
    desk.run(0.2)
    assert len(ops.got) == 1


def test_a_store_at_fault_holds_up_no_message_either():
    def keep(notices, kept=None):
        raise OSError("disk on fire")

    ops = FakeChannel()
    desk = Desk(ops)
    desk.outbox._keep = keep
    desk.tell(alert())
    desk.run(10)
    assert len(ops.got) == 1


# Each alone -----------------------------------------------------------------------------------------------------------------------


def test_each_alert_goes_alone():
    pager = FakeChannel(each=True)
    desk = Desk(pager)
    desk.tell(*(alert(f"e{number}") for number in range(10)))
    desk.run(20)
    assert sizes(pager) == [1] * 10
    desk.tell(*(over(alert(f"e{number}"), desk.at) for number in range(10)))
    desk.run(100)
    assert sizes(pager) == [1] * 20
    assert {message.thread for message in pager.got} == {""}
    assert len({message.key for message in pager.got}) == 20


def test_very_many_are_one_message_and_over_when_all_are():
    pager = FakeChannel(each=True)
    desk = Desk(pager)
    storm = [alert(f"e{number}") for number in range(11)]
    desk.tell(*storm)
    desk.run(20)
    assert sizes(pager) == [11]
    thread = pager.got[0].thread
    assert thread
    desk.tell(*(over(one, desk.at) for one in storm[:10]), alert("single"))
    desk.run(600)
    assert (sizes(pager), pager.got[1].thread) == ([11, 1], ""), "nobody is told that a part is over"
    desk.tell(over(storm[10], desk.at))
    desk.run(100)
    assert sizes(pager) == [11, 1, 11]
    assert (pager.got[2].thread, {notice.status for notice in pager.got[2].notices}) == (thread, {"resolved"})
    assert pager.got[2].key != pager.got[0].key
    desk.tell(over(alert("single"), desk.at))
    desk.run(100)
    assert (pager.told()[-1], pager.got[-1].thread) == (("resolved", "single"), "")


def test_many_that_nobody_takes_on_stay_one_thread():
    pager = FakeChannel(each=True)
    desk = Desk(pager, rules=[rule(respond_s=300)])
    storm = [alert(f"e{number}") for number in range(20)]
    desk.tell(*storm)
    desk.run(20)
    desk.tell(*(over(one, desk.at) for one in storm[:19]))
    desk.run(900, ticks=1)
    assert sizes(pager) == [20, 1, 1]
    assert len({message.thread for message in pager.got}) == 1
    assert len({message.key for message in pager.got}) == 3


@pytest.mark.parametrize("answered", [True, False])
def test_many_are_over_together_after_a_start_too(answered):
    pager = FakeChannel(each=True)
    desk = Desk(pager)
    storm = [alert(f"e{number}") for number in range(20)]
    pager.answer = (lambda message: "ok") if answered else fails(SendError("answered 500"))
    desk.tell(*storm)
    desk.run(20)
    pager.answer = lambda message: "ok"
    desk.tell(*(over(one, desk.at) for one in storm[:15]))
    thread = pager.got[0].thread
    pager.got.clear()
    standing = {one.id for one in storm[15:]}
    saved = [one for one in desk.store.values() if one.state == "waiting" or one.alert.id in standing]
    again = Desk(pager, saved=saved, at=desk.at)
    again.resume(*storm[15:])
    again.run(600)
    assert sizes(pager) == ([] if answered else [20])
    again.tell(*(over(one, again.at) for one in storm[15:]))
    again.run(100)
    assert {message.thread for message in pager.got} == {thread}
    assert (len(pager.got[-1].notices), {notice.status for notice in pager.got[-1].notices}) == (20, {"resolved"})


# Told again -----------------------------------------------------------------------------------------------------------------------


def test_what_fires_is_told_again_and_again_to_who_wants_that():
    manager = FakeChannel(refresh_s=60)
    desk = Desk(manager)
    desk.tell(alert("a"), alert("b"))
    desk.run(70)
    desk.tell(over(alert("a"), desk.at))
    desk.tell(alert("b", before="firing", value=9.0))
    desk.run(120)
    assert times(manager) == [5.0, 65.0, 75.0, 125.0, 185.0]
    assert sizes(manager) == [2, 2, 1, 1, 1]
    assert manager.got[3].notices[0].alert.value == 9.0, "as it is now"
    assert len({message.key for message in manager.got}) == 5
    assert [notice.tries for notice in desk.store.values() if notice.status == "firing"] == [1, 1]
    desk.tell(alert("b", before="firing", muted="silenced"))
    desk.run(600)
    assert len(manager.got) == 5
    desk.tell(alert("b", before="firing"))
    desk.run(1)
    assert times(manager)[5:] == [790.0]


def test_what_was_not_told_yet_is_not_told_again():
    manager = FakeChannel(refresh_s=60)
    desk = Desk(manager)
    desk.tell(alert("a"))
    desk.run(62)
    desk.tell(alert("b"))
    desk.run(10)
    assert times(manager) == [5.0, 65.0, 67.0]
    assert sizes(manager) == [1, 1, 1]


def test_telling_again_goes_on_after_a_start_and_after_a_fault():
    manager = FakeChannel(refresh_s=60)
    desk = Desk(manager)
    desk.tell(alert())
    desk.run(20)
    again = Desk(manager, saved=desk.store.values(), at=desk.at)
    again.resume(alert())
    assert again.outbox._sender.woken
    again.run(1)
    manager.answer = fails(SendError("answered 500"))
    again.run(180)
    assert times(manager) == [5.0, 20.0, 80.0, 140.0, 200.0]
    assert again.outbox.health()[0][1] == "error"
    assert again.states() == {("ops", "a", "firing"): "sent"}
    manager.answer = lambda message: "ok"
    again.run(60)
    assert again.outbox.health() == [("ops", "ok", "")]


def test_no_end_goes_beside_word_that_it_still_fires():
    manager = FakeChannel(refresh_s=60)
    desk = Desk(manager)
    desk.tell(alert("a"), alert("b"))
    desk.run(10)
    desk.at = T0 + 70
    (again,), _ = desk.outbox._due()
    assert [notice.status for notice in again.message.notices] == ["firing", "firing"]
    desk.tell(over(alert("a"), desk.at))
    desk.at += 6
    parcels, wait_s = desk.outbox._due()
    _, wait_s = desk.outbox._due()
    assert (parcels, wait_s > 1) == ([], True), "it neither goes nor keeps the sender busy"
    desk.outbox._done(again, SendError("no answer", unsure=True))
    desk.run(1)
    assert manager.told()[-1] == ("resolved", "a")


# For the screens ------------------------------------------------------------------------------------------------------------------


def test_how_a_channel_does():
    ops = FakeChannel()
    desk = Desk(ops)
    assert desk.outbox.health() == [("ops", "ok", "")]
    desk.tell(alert("a"), alert("b"))
    assert desk.outbox.health() == [("ops", "ok", "2 notices wait")]
    ops.answer = fails(SendError("answered 500 \x1b[31m\nred"))
    desk.run(65)
    assert desk.outbox.health() == [("ops", "error", "failing for 1m00s: answered 500 ␛[31m red; 2 notices wait")]
    ops.answer = lambda message: "ok"
    desk.run(600)
    assert desk.outbox.health() == [("ops", "ok", "")]


def test_nobody_to_tell_costs_nothing():
    desk = Desk(notify=["ops"])
    assert desk.tell(alert()) == []
    assert desk.outbox._due() == ([], inf)
    assert desk.outbox._sender.woken == 0
