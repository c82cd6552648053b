"""Channels come, change and go while an outbox tells: nothing is lost that is owed to who stays, and nothing is told twice."""

from math import inf

from msgspec.structs import replace
from outbox_desk import T0, Desk, FakeChannel, alert, rule

from perfconsole.notify.channel import SendError


def over(one, at):
    return replace(one, state="resolved", before="firing", at=at)


def refuses(**how):
    def answer(message):
        raise SendError("answered 500", **how)

    return answer


def use(desk, *channels, standing=()):
    """The configuration is read again; then what stands is told again, as `assembly.telling` does."""
    dropped = desk.outbox.use(channels)
    desk.tell(*standing)
    return dropped


def test_one_that_is_as_it_was_notices_nothing():
    ops, dev = FakeChannel("ops"), FakeChannel("dev")
    desk = Desk(ops, dev)
    desk.tell(alert("a"))
    desk.run(2)
    assert use(desk, ops, FakeChannel("new"), standing=[alert("a", before="firing")]) == desk.history[-1:]
    desk.run(600)
    desk.tell(over(alert("a"), desk.at))
    desk.run(600)
    assert (ops.told(), dev.told()) == ([("firing", "a"), ("resolved", "a")], [])


def test_what_is_owed_goes_to_the_changed_one_at_once_and_under_the_same_key():
    ops, mended = FakeChannel("ops"), FakeChannel("ops")
    ops.answer = refuses()
    desk = Desk(ops)
    desk.tell(alert("a"), alert("b"))
    desk.run(2000)
    desk.tell(over(alert("b"), desk.at))
    desk.run(100)
    assert use(desk, mended, standing=[alert("a", before="firing")]) == []
    assert desk.outbox.health() == [("ops", "ok", "3 notices wait")]
    desk.run(0.001)
    assert [message.key for message in mended.got] == [ops.got[0].key]
    desk.run(600)
    assert mended.told() == [("firing", "a"), ("firing", "b"), ("resolved", "b")]
    assert set(desk.states().values()) == {"sent"}


def test_what_the_receiver_asked_to_wait_for_is_not_asked_of_another():
    ops, mended = FakeChannel("ops"), FakeChannel("ops")
    ops.answer = refuses(after_s=3600.0)
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(10)
    use(desk, mended)
    desk.tell(alert("b"))
    desk.run(120)
    assert mended.told() == [("firing", "a"), ("firing", "b")]


def test_what_was_refused_for_good_is_owed_anew_to_one_that_changed():
    ops, mended = FakeChannel("ops"), FakeChannel("ops")
    ops.answer = refuses(final=True)
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(10)
    assert desk.states() == {("ops", "a", "firing"): "failed"}
    use(desk, ops, standing=[alert(before="firing")])
    desk.run(100)
    assert len(ops.got) == 1, "it is as it was"
    use(desk, mended, standing=[alert(before="firing")])
    desk.run(100)
    desk.tell(over(alert(), desk.at))
    desk.run(100)
    assert mended.told() == [("firing", "a"), ("resolved", "a")]


def test_what_was_told_is_not_told_again_and_its_end_goes_to_the_changed_one():
    ops, other = FakeChannel("ops"), FakeChannel("ops", each=True)
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(10)
    use(desk, other, standing=[alert(before="firing")])
    desk.run(100)
    desk.tell(over(alert(), desk.at))
    desk.run(100)
    assert (ops.told(), other.told()) == ([("firing", "a")], [("resolved", "a")])


def test_what_is_owed_to_one_that_is_gone_is_dropped():
    ops, dev = FakeChannel("ops"), FakeChannel("dev")
    ops.answer = refuses()
    desk = Desk(ops, dev)
    desk.tell(alert("a"))
    desk.run(10)
    desk.tell(alert("b"))
    desk.run(1)
    desk.tell(over(alert("a"), desk.at))
    made = desk.outbox.take([alert("c")], desk.at)  # and one that the store has not kept yet
    dropped = use(desk, dev)
    assert sorted((one.alert.id, one.status, one.state) for one in dropped) == [
        ("a", "firing", "dropped"), ("a", "resolved", "dropped"), ("b", "firing", "dropped"), ("c", "firing", "dropped"),
    ]  # fmt: skip
    assert {one.error for one in dropped} == {"there is no such channel any more"}
    tried = len(ops.got)
    desk.outbox.send(made)
    desk.run(5000)
    desk.tell(over(alert("b"), desk.at), over(alert("c"), desk.at))
    desk.run(5000)
    assert len(ops.got) == tried
    assert len(dev.told()) == 6
    assert desk.outbox.health() == [("dev", "ok", "")]
    assert {state for (channel, *_), state in desk.states().items() if channel == "ops"} == {"dropped"}


def test_what_is_under_way_when_it_goes_may_arrive_and_is_not_tried_again():
    for outcome, state in (("ok", "sent"), (SendError("answered 500"), "dropped"), (SendError("no answer", unsure=True), "dropped")):
        ops = FakeChannel()
        desk = Desk(ops)
        desk.tell(alert())
        desk.at += 5.0
        parcels = desk.outbox._due()[0] or desk.outbox._due()[0]
        assert len(parcels) == 1
        assert use(desk) == []
        desk.outbox._done(parcels[0], outcome)
        desk.run(1000)
        desk.tell(over(alert(), desk.at))
        desk.run(1000)
        assert desk.states() == {("ops", "a", "firing"): state}
        assert desk.outbox._due()[1] == inf


def under_way(desk):
    """The one attempt that is due, not answered yet."""
    desk.at += 5.0
    parcels = desk.outbox._due()[0] or desk.outbox._due()[0]
    assert len(parcels) == 1
    return parcels[0]


def test_what_is_under_way_when_it_goes_is_owed_still_where_it_is_back_before_that_ends():
    for outcome in ("ok", SendError("answered 500"), SendError("no answer", unsure=True)):
        ops, back = FakeChannel(), FakeChannel()
        desk = Desk(ops)
        desk.tell(alert())
        parcel = under_way(desk)
        use(desk)
        use(desk, back, standing=[alert(before="firing")])
        made = desk.outbox.take([alert("b")], desk.at)  # the store has not kept it yet
        desk.outbox._done(parcel, outcome)
        desk.keep(made)
        desk.outbox.send(made)
        desk.run(1000)
        desk.tell(over(alert(), desk.at))
        desk.run(1000)
        told = back.told() if outcome == "ok" else back.told()[1:]
        assert told == [("firing", "b"), ("resolved", "a")]
        assert outcome == "ok" or (back.got[0].key, back.told()[0]) == (parcel.message.key, ("firing", "a"))
        assert set(desk.states().values()) == {"sent"}


def test_what_ended_meanwhile_is_told_to_the_one_that_is_back():
    ops, back = FakeChannel(), FakeChannel()
    desk = Desk(ops)
    desk.tell(alert())
    parcel = under_way(desk)
    use(desk)
    use(desk, back, standing=[alert(before="firing")])
    desk.tell(over(alert(), desk.at))
    desk.run(1)
    desk.outbox._done(parcel, "ok")
    desk.run(1000)
    assert back.told() == [("resolved", "a")]


def test_a_change_hurries_nothing_that_is_not_kept_yet():
    """Whoever is killed meanwhile is to go on with the same message under the same key."""
    ops, mended = FakeChannel(), FakeChannel()
    desk = Desk(ops)
    desk.tell(alert("a"), alert("b"))
    desk.at += 5.0
    slow = []
    desk.outbox._keep = lambda notices, kept=None: slow.append((notices, kept))
    assert desk.outbox._due()[0] == []
    use(desk, mended)
    assert desk.outbox._due()[0] == []
    slow[0][1]()
    assert len(desk.outbox._due()[0]) == 1


def test_who_is_new_is_told_of_what_stands():
    ops, dev = FakeChannel("ops"), FakeChannel("dev", wants=frozenset({"critical"}))
    desk = Desk(ops, notify=["ops", "dev"])
    desk.tell(alert("a"), alert("b", severity="critical"), alert("c", severity="critical", muted="silenced"))
    desk.run(600)
    use(desk, ops, dev, standing=[alert("a"), alert("b", severity="critical"), alert("c", severity="critical", muted="silenced")])
    desk.run(600)
    assert (len(ops.got), dev.told()) == (1, [("firing", "b")])


def test_one_that_went_and_comes_again_is_not_told_again_and_hears_of_the_end():
    ops = FakeChannel(each=True)
    desk = Desk(ops)
    storm = [alert(f"e{number}") for number in range(11)]
    desk.tell(*storm)
    desk.run(100)
    use(desk)
    desk.run(100)
    again = FakeChannel(each=True)
    use(desk, again, standing=storm)
    desk.run(100)
    assert again.got == []
    desk.tell(*(over(one, desk.at) for one in storm[:10]))
    desk.run(100)
    assert again.got == [], "nobody is told that a part is over"
    desk.tell(over(storm[10], desk.at))
    desk.run(100)
    assert [(len(message.notices), message.thread) for message in again.got] == [(11, ops.got[0].thread)]


def test_one_that_wants_to_be_told_again_and_again_is_from_then_on_and_no_longer():
    ops, manager = FakeChannel(), FakeChannel(refresh_s=60.0)
    desk = Desk(ops)
    desk.tell(alert())
    desk.run(100)
    use(desk, manager, standing=[alert(before="firing")])
    desk.run(300)
    assert 4 <= len(manager.got) <= 6
    use(desk, FakeChannel(), standing=[alert(before="firing")])
    desk.run(300)
    assert len(manager.got) <= 6


def test_nobody_is_left_and_then_somebody():
    ops = FakeChannel()
    desk = Desk(ops, rules=[rule("slow", respond_s=300.0)])
    desk.tell(alert())
    desk.run(100, ticks=1.0)
    use(desk)
    desk.run(1000, ticks=1.0)
    assert desk.outbox.health() == []
    again = FakeChannel()
    use(desk, again, standing=[alert(before="firing")])
    desk.run(2000, ticks=1.0)
    assert set(again.told()) == {("overdue", "a")}
    assert desk.at > T0
