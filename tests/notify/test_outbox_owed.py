"""Who is owed word of what, and that nobody else hears of it: firing, muted, over, overdue, flapping, and after a start."""

import pytest
from msgspec.structs import replace
from outbox_desk import T0, Desk, FakeChannel, alert, rule

from perfconsole.core.tick import Ack
from perfconsole.notify.channel import SendError


def over(one, at, **more):
    return replace(one, state="resolved", before="firing", at=at, **more)


def test_an_alert_that_fires_is_told_once_to_each_channel_it_is_for():
    ops, boss, dev = FakeChannel("ops"), FakeChannel("boss", wants=frozenset({"critical"})), FakeChannel("dev")
    desk = Desk(ops, boss, dev, rules=[rule("slow", notify=["ops", "boss", "nobody"])])
    made = desk.tell(alert())
    assert [(notice.channel, notice.status, notice.state, notice.tries) for notice in made] == [("ops", "firing", "waiting", 0)]
    desk.run(600)
    desk.tell(alert(before="firing"))
    desk.run(600)
    assert (ops.told(), boss.told(), dev.told()) == ([("firing", "a")], [], [])
    assert desk.states() == {("ops", "a", "firing"): "sent"}


def test_where_a_rule_names_nobody_or_is_not_known_nobody_is_told():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule()], notify=[])
    assert desk.tell(alert(), alert("b", rule="one that was written since")) == []
    desk.run(60)
    assert ops.told() == []


def test_pending_and_thresholds_are_told_to_nobody():
    ops = FakeChannel()
    desk = Desk(ops)
    assert desk.tell(alert(state="pending"), alert("b", colour=True), alert("c", "inactive")) == []
    desk.run(60)
    assert ops.got == []


def test_the_end_is_told_to_who_was_told_and_wants_to_hear_it():
    ops, dev = FakeChannel("ops"), FakeChannel("dev", resolved=False)
    desk = Desk(ops, dev)
    desk.tell(alert())
    desk.run(100)
    desk.tell(over(alert(), desk.at))
    desk.run(100)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]
    assert dev.told() == [("firing", "a")]
    assert len({message.key for message in ops.got}) == 2


def test_a_blip_within_the_wait_is_told_to_nobody():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(4.9)
    desk.tell(over(alert(), desk.at))
    desk.run(600)
    assert ops.got == []
    assert desk.states() == {("ops", "a", "firing"): "dropped"}
    desk.tell(alert(at=T0 + 700, fired_at=T0 + 700))
    desk.run(10)
    assert ops.told() == [("firing", "a")]


def test_a_notice_that_ended_before_it_was_kept_is_not_sent():
    ops = FakeChannel()
    desk = Desk(ops)
    made = desk.outbox.take([alert()], T0)
    desk.at += 1
    desk.tell(over(alert(), desk.at))
    desk.outbox.send(made)
    desk.run(600)
    assert ops.got == []


def test_who_is_muted_is_owed_nothing_until_that_ends():
    ops = FakeChannel()
    desk = Desk(ops)
    assert desk.tell(alert(muted="inhibited by worse")) == []
    desk.run(600)
    desk.tell(alert(before="firing"))
    desk.run(10)
    assert ops.told() == [("firing", "a")]


def test_muted_before_it_was_told_it_is_told_when_the_mute_ends_and_not_twice():
    ops = FakeChannel()
    desk = Desk(ops)
    (first,) = desk.tell(alert())
    desk.run(2)
    desk.tell(alert(before="firing", muted="silenced"))
    desk.run(600)
    assert (ops.got, desk.store[first.key].state) == ([], "dropped")
    desk.tell(alert(before="firing"))
    desk.run(20)
    desk.tell(alert(before="firing", muted="silenced"))
    desk.tell(alert(before="firing"))
    desk.run(600)
    assert ops.told() == [("firing", "a")]
    assert [notice.key for notice in ops.got[0].notices] == [first.key]


def test_who_was_told_hears_of_the_end_under_a_mute_as_well_and_others_do_not():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert(), alert("b", muted="silenced"))
    desk.run(100)
    desk.tell(alert(before="firing", muted="silenced"))
    desk.tell(over(alert(muted="silenced"), desk.at), over(alert("b", muted="silenced"), desk.at))
    desk.run(100)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]


def test_the_end_waits_for_the_beginning():
    ops = FakeChannel()
    ops.answer = refuse
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(20)
    desk.tell(over(alert(), desk.at))
    desk.run(600)
    assert {status for status, _ in ops.told()} == {"firing"}
    ops.answer = lambda message: "ok"
    desk.run(600)
    assert ops.told()[-2:] == [("firing", "a"), ("resolved", "a")]


def refuse(message):
    raise SendError("answered 500")


@pytest.mark.parametrize(("unsure", "told"), [(False, [("firing", "a")]), (True, [("firing", "a"), ("firing", "a"), ("resolved", "a")])])
def test_of_what_was_refused_for_good_the_end_is_not_told_unless_it_may_have_been_taken(unsure, told):
    ops = FakeChannel()
    answers = iter(([SendError("no answer", unsure=True)] if unsure else []) + [SendError("answered 404", final=True)])

    def answer(message):
        error = next(answers, None)
        if error:
            raise error
        return "ok"

    ops.answer = answer
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(10)
    desk.tell(over(alert(), desk.at))
    desk.run(600)
    assert ops.told() == told
    assert desk.states()["ops", "a", "firing"] == "failed"


def test_it_fires_again_under_another_key():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(100)
    desk.tell(over(alert(), desk.at))
    desk.run(100)
    desk.tell(alert(at=desk.at, fired_at=desk.at))
    desk.run(100)
    keys = [notice.key for message in ops.got for notice in message.notices]
    assert [status for status, _ in ops.told()] == ["firing", "resolved", "firing"]
    assert len(set(keys)) == 3


def test_an_end_that_was_missed_is_made_good_when_it_fires_again():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(100)
    desk.tell(alert(at=desk.at, fired_at=desk.at))
    desk.run(100)
    fired = {(notice.status, notice.alert.fired_at) for message in ops.got for notice in message.notices}
    assert fired == {("firing", T0), ("resolved", T0), ("firing", T0 + 100)}


# Overdue --------------------------------------------------------------------------------------------------------------------------


def overdues(desk, channel):
    return [round(message.at - T0) for message in channel.got if message.notices[0].status == "overdue"]


def test_what_nobody_takes_on_is_told_again_and_again_less_and_less_often():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule(respond_s=300)])
    desk.tell(alert())
    desk.run(5000, ticks=1)
    assert overdues(desk, ops) == [305, 605, 1205, 2405, 4805]
    assert len({message.key for message in ops.got}) == len(ops.got) == 6
    desk.run(5 * 86400, ticks=60)
    assert max(b - a for a, b in zip(overdues(desk, ops), overdues(desk, ops)[1:], strict=False)) == 86400


def test_it_is_overdue_at_the_moment_and_not_before():
    desk = Desk(FakeChannel(), rules=[rule(respond_s=300)])
    desk.tell(alert())
    desk.run(299.9)
    assert desk.tell() == []
    desk.at = T0 + 300
    assert [(notice.status, notice.made_at) for notice in desk.tell()] == [("overdue", T0 + 300)]


def test_who_took_it_on_is_left_alone_and_given_back_it_is_overdue_again():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule(respond_s=300)])
    desk.tell(alert())
    desk.run(100)
    desk.tell(alert(before="firing", ack=Ack("eve", desk.at)))
    desk.run(1000, ticks=1)
    assert overdues(desk, ops) == []
    desk.tell(alert(before="firing"))
    desk.run(1000, ticks=1)
    assert overdues(desk, ops) == [1205]


def test_taken_on_before_anybody_was_told_again_nobody_is():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule(respond_s=300)])
    desk.tell(alert())
    desk.run(301, ticks=1)
    desk.tell(alert(before="firing", ack=Ack("eve", desk.at)))
    desk.run(100)
    assert overdues(desk, ops) == []
    assert desk.states()["ops", "a", "overdue"] == "dropped"
    desk.tell(over(alert(ack=Ack("eve", desk.at)), desk.at))
    desk.run(10)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]


def test_muted_for_long_it_is_overdue_counted_from_when_somebody_was_told():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule(respond_s=300)])
    desk.tell(alert(muted="silenced"))
    desk.run(1000, ticks=1)
    desk.tell(alert(before="firing"))
    desk.run(350, ticks=1)
    assert overdues(desk, ops) == [1305]


def test_of_what_nobody_could_be_told_yet_it_is_not_said_that_it_is_overdue():
    ops = FakeChannel()
    ops.answer = refuse
    desk = Desk(ops, rules=[rule(respond_s=300)])
    desk.tell(alert())
    desk.run(4000, ticks=1)
    ops.answer = lambda message: "ok"
    desk.run(400, ticks=1)
    assert {status for status, _ in ops.told()} == {"firing"}


# Flapping -------------------------------------------------------------------------------------------------------------------------


def test_what_flaps_is_told_once_until_it_is_really_over():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule(respond_s=300)])
    for number in range(10):
        one = alert(at=desk.at, fired_at=desk.at, flapping=True)
        desk.tell(one)
        desk.run(90, ticks=1)
        desk.tell(over(one, desk.at))
        desk.run(90, ticks=1)
        assert ops.told() == [("firing", "a")], number
    assert ops.got[0].notices[0].alert.flapping
    desk.run(700, ticks=1)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]
    first, last = (message.notices[0].alert for message in ops.got)
    assert first.fired_at == last.fired_at, "whoever opened something for it finds it again"
    desk.tell(alert(at=desk.at, fired_at=desk.at))
    desk.run(100)
    assert len(ops.got) == 3


def test_what_flapped_and_ends_for_good_is_over_at_once():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert(flapping=True))
    desk.run(900)
    desk.tell(over(alert(), desk.at))
    desk.run(10)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]


def test_what_flaps_and_ended_for_now_is_over_in_the_next_run_too():
    ops = FakeChannel()
    desk = Desk(ops)
    one = alert(flapping=True)
    desk.tell(one)
    desk.run(100)
    desk.tell(over(one, desk.at))
    desk.run(60)
    again = restarted(desk, ops)
    again.resume()
    again.run(590, ticks=10)
    assert ops.told() == [("firing", "a")], "it may fire again: that would be the same one"
    again.run(60, ticks=10)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]
    assert restarted(again, ops).resume() == []


def test_what_flaps_and_fires_again_is_the_same_one_after_a_start():
    ops, late = FakeChannel("ops"), FakeChannel("late", wants=frozenset({"critical"}))
    desk = Desk(ops, late)
    one = alert(flapping=True)
    desk.tell(one)
    desk.run(100)
    desk.tell(over(one, desk.at))
    desk.run(60)
    second = alert(flapping=True, at=desk.at, fired_at=desk.at, severity="critical")  # only now one of them wants to hear of it
    desk.tell(second)
    desk.run(100)
    again = restarted(desk, ops, late)
    again.resume(second)
    again.run(100, ticks=10)
    assert (ops.told(), late.told()) == ([("firing", "a")], [("firing", "a")])
    again.tell(over(replace(second, flapping=False), again.at))
    again.run(100, ticks=10)
    assert (ops.told(), late.told()) == ([("firing", "a"), ("resolved", "a")],) * 2
    assert len({message.notices[0].alert.fired_at for message in ops.got}) == 1


# Muted while it is tried again ----------------------------------------------------------------------------------------------------


def test_what_is_muted_while_its_message_waits_for_its_next_attempt_is_left_out():
    ops = FakeChannel()
    ops.answer = refuse
    desk = Desk(ops)
    desk.tell(alert(), alert("b"))
    desk.run(400)
    desk.tell(alert(before="firing", muted="silenced"))
    ops.answer = lambda message: "ok"
    ops.got.clear()
    desk.run(700, ticks=5)
    assert (ops.told(), desk.states()) == ([("firing", "b")], {("ops", "a", "firing"): "dropped", ("ops", "b", "firing"): "sent"})
    desk.tell(alert(before="firing"))
    desk.run(100)
    desk.tell(over(alert(), desk.at))
    desk.run(100)
    assert ops.told() == [("firing", "b"), ("firing", "a"), ("resolved", "a")]


def test_muted_to_its_end_nobody_hears_of_it():
    ops = FakeChannel()
    ops.answer = refuse
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(400)
    desk.tell(alert(before="firing", muted="silenced"))
    ops.answer = lambda message: "ok"
    ops.got.clear()
    desk.run(700, ticks=5)
    desk.tell(over(alert(muted="silenced"), desk.at))
    desk.run(700, ticks=5)
    assert (ops.got, desk.outbox.health()[0][2].partition(";")[2]) == ([], "")


def test_what_may_have_been_taken_goes_again_though_it_is_muted():
    ops = FakeChannel()
    ops.answer = unanswered
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(20)
    desk.tell(alert(before="firing", muted="silenced"))
    ops.answer = lambda message: "ok"
    desk.run(100)
    assert desk.states() == {("ops", "a", "firing"): "sent"}


def unanswered(message):
    raise SendError("no answer", unsure=True)


# The clock is set -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_makes_nothing_overdue_nor_late(step_s):
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule(respond_s=300)])
    desk.tell(alert())
    desk.run(20, ticks=1)
    desk.set_clock(step_s)
    desk.run(279, ticks=1)
    assert ops.told() == [("firing", "a")]
    desk.run(10, ticks=1)
    assert ops.told() == [("firing", "a"), ("overdue", "a")]


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_does_not_end_what_flaps(step_s):
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert(flapping=True))
    desk.run(20, ticks=1)
    desk.tell(over(alert(flapping=True), desk.at))
    desk.set_clock(step_s)
    desk.run(590, ticks=1)
    assert ops.told() == [("firing", "a")]
    desk.run(20, ticks=1)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]


# After a start --------------------------------------------------------------------------------------------------------------------


def restarted(desk, *channels, **given):
    """Another run: of notices, those that wait and those that were sent of what nobody is owed the end of."""
    over = {(one.channel, one.alert.id, one.alert.fired_at) for one in desk.store.values() if one.status == "resolved"}
    saved = [
        one for one in desk.store.values()
        if one.state == "waiting" or (one.state == "sent" and (one.channel, one.alert.id, one.alert.fired_at) not in over)
    ]  # fmt: skip
    return Desk(*channels, rules=desk.rules.values(), saved=saved, at=desk.at, **given)


def test_what_was_sent_is_not_sent_again():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(100)
    again = restarted(desk, ops)
    assert again.resume(alert()) == []
    again.tell(alert(before="firing"))
    again.run(100)
    again.tell(over(alert(), again.at))
    again.run(100)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]


def test_what_was_never_written_down_is_owed_and_what_ended_meanwhile_too():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert("ended"), alert("gone"))
    desk.run(100)
    again = restarted(desk, ops)
    again.resume(alert("new"), over(alert("ended"), T0 + 90))
    again.run(100)
    assert sorted(ops.told()[2:]) == [("firing", "new"), ("resolved", "ended"), ("resolved", "gone")]
    said = {notice.alert.id: notice.alert for message in ops.got for notice in message.notices if notice.status == "resolved"}
    assert (said["ended"].at, said["ended"].text) == (T0 + 90, "")
    assert said["gone"].text


def test_what_was_owed_but_never_told_when_it_ended_is_dropped():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    again = restarted(desk, ops)
    again.resume()
    again.run(100)
    assert (ops.got, again.states()) == ([], {("ops", "a", "firing"): "dropped"})


def test_what_waits_goes_on_with_its_tries_and_its_message():
    ops = FakeChannel()
    ops.answer = refuse
    desk = Desk(ops)
    desk.tell(alert(), alert("b"))
    desk.run(20)
    tries = len(ops.got)
    again = restarted(desk, ops)
    again.resume(alert(), alert("b"))
    again.tell(alert("c"))
    ops.answer = lambda message: "ok"
    again.run(30)
    of_both = [message for message in ops.got if len(message.notices) == 2]
    assert len({message.key for message in of_both}) == 1
    assert (len(of_both), of_both[-1].notices[0].tries) == (tries + 1, tries)
    assert [notice.tries for notice in again.store.values() if notice.alert.id == "a"] == [tries + 1]


def test_a_message_that_was_made_but_may_not_have_been_tried_keeps_its_key():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert(), alert("b"))
    desk.at += 5
    (parcel,), _ = desk.outbox._due()
    assert {notice.batch for notice in desk.store.values()} == {parcel.message.key}
    again = restarted(desk, ops)
    again.resume(alert(), alert("b"), alert("c"))
    again.run(1)
    assert [(message.key, len(message.notices)) for message in ops.got] == [(parcel.message.key, 2)]


@pytest.mark.parametrize(("due_s", "waits_s"), [(-100, 0), (12, 12), (86400, 30)])
def test_it_is_tried_again_when_it_was_to_be_and_soon_where_the_clock_was_set(due_s, waits_s):
    ops = FakeChannel()
    ops.answer = refuse
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(20)
    ops.got.clear()
    saved = [replace(notice, due_at=desk.at + due_s) for notice in desk.store.values()]
    again = Desk(ops, saved=saved, at=desk.at)
    again.resume(alert())
    again.run(31)
    assert ops.got[0].at == pytest.approx(desk.at + waits_s, rel=0, abs=1e-3)


def test_what_may_have_been_taken_before_the_start_is_told_the_end():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    desk.at += 5
    desk.outbox._due()  # killed in the middle of it
    ops.answer = lambda message: refuse_for_good() if message.notices[0].status == "firing" else "ok"
    again = restarted(desk, ops)
    again.resume(alert())
    again.run(10)
    again.tell(over(alert(), again.at))
    again.run(10)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]


def refuse_for_good():
    raise SendError("answered 404", final=True)


def test_overdue_goes_on_where_it_was_and_says_once_what_passed_meanwhile():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule(respond_s=300)])
    desk.tell(alert())
    desk.run(700, ticks=1)
    assert overdues(desk, ops) == [305, 605]
    desk.at += 2000
    again = restarted(desk, ops)
    again.resume(alert())
    again.run(2000, ticks=1)
    assert overdues(again, ops) == [305, 605, 2705]
    third = restarted(again, ops)
    third.resume(alert(ack=Ack("eve", third.at)))
    third.run(9000, ticks=1)
    assert len(overdues(third, ops)) == 3


def test_who_took_it_on_before_the_start_is_not_told_that_it_is_overdue():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule(respond_s=300)])
    desk.tell(alert(), alert("b"))
    desk.run(100)
    desk.at += 3600
    again = restarted(desk, ops)
    acked = alert(ack=Ack("eve", T0 + 60))
    assert again.resume(alert("b", at=again.at, ack=Ack("eve", T0 + 60)), acked) == []
    again.run(100, ticks=1)
    assert overdues(again, ops) == []


def test_word_of_an_end_that_waits_is_sent_after_a_start():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(100)
    desk.tell(over(alert(), desk.at))
    again = restarted(desk, ops)
    again.resume()
    again.run(100)
    assert ops.told() == [("firing", "a"), ("resolved", "a")]


def test_of_a_channel_that_is_gone_nothing_waits_for_ever():
    desk = Desk(FakeChannel("old"))
    desk.tell(alert())
    again = restarted(desk, FakeChannel("ops"))
    dropped = [notice for notice in again.resume(alert()) if notice.channel == "old"]
    assert [(notice.state, notice.error) for notice in dropped] == [("dropped", "there is no such channel any more")]


def test_without_a_word_to_resume_the_first_tick_goes_on():
    ops = FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    again = restarted(desk, ops)
    again.tell()
    assert again.outbox._sender.woken == 1
    again.run(10)
    assert ops.told() == [("firing", "a")]
