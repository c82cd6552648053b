"""Which share of the checkpoints was requested: over ten minutes and three of them, over resets, restarts and clocks that are set."""

from math import isnan

import pytest

from perfconsole.collectors.postgres.checkpoints import FURTHEST_S, WINDOW_S, Checkpoints, Counted

LOOK_S = 5.0


class Server:
    """Counters that are looked at every few seconds."""

    def __init__(self, timed=100.0, requested=40.0):
        self.at, self.timed, self.requested, self.reset = 1e9, timed, requested, 5e8
        self.checkpoints = Checkpoints()
        self.share = self.look()

    def look(self):
        return self.checkpoints.take(Counted(self.at, self.timed, self.requested, self.reset))

    def run(self, seconds, *, timed_s=0.0, requested_s=0.0):
        """So long, with a checkpoint of a kind every so many seconds."""
        shares = []
        for i in range(1, int(seconds / LOOK_S) + 1):
            self.at += LOOK_S
            self.timed += bool(timed_s and not i * LOOK_S % timed_s)
            self.requested += bool(requested_s and not i * LOOK_S % requested_s)
            shares.append(self.share)
            self.share = self.look()
        return shares


def test_a_first_look_knows_nothing_and_ten_minutes_without_a_request_are_well():
    server = Server()
    assert isnan(server.share)
    assert all(isnan(share) for share in server.run(WINDOW_S, timed_s=300.0))
    assert server.share == 0.0
    server.run(7200.0, timed_s=1800.0)
    assert server.share == 0.0


def test_of_fewer_than_three_nothing_follows_and_from_the_third_on_it_is_known():
    server = Server()
    server.run(120.0, requested_s=60.0)
    assert isnan(server.share)
    server.run(60.0, requested_s=60.0)
    assert server.share == 1.0


def test_a_share_is_that_of_the_last_ten_minutes():
    server = Server()
    server.run(1800.0, requested_s=60.0)
    assert server.share == 1.0
    server.run(300.0, timed_s=60.0)
    assert server.share == pytest.approx(0.5, abs=0.06)
    server.run(WINDOW_S, timed_s=60.0)
    assert server.share == 0.0


def test_where_they_are_seldom_it_is_that_of_the_last_three_and_one_that_was_asked_for_is_not_most():
    server = Server()
    server.run(3600.0, timed_s=900.0)
    server.run(60.0, requested_s=60.0)
    assert server.share == pytest.approx(1 / 3)
    server = Server()
    server.run(1200.0, requested_s=600.0)
    assert isnan(server.share)
    server.run(600.0, requested_s=600.0)
    assert server.share == 1.0


def test_those_of_more_than_an_hour_ago_say_nothing():
    server = Server()
    server.run(300.0, requested_s=60.0)
    server.run(FURTHEST_S, timed_s=0.0)
    server.run(60.0, requested_s=60.0)
    assert isnan(server.share)
    assert len(server.checkpoints._past) < 10


@pytest.mark.parametrize("how", ["fell", "reset", "clock", "forgotten"])
def test_another_count_begins_anew(how):
    server = Server()
    server.run(900.0, requested_s=60.0)
    assert server.share == 1.0
    if how == "fell":
        server.timed = server.requested = 0.0
    elif how == "reset":
        server.reset = server.at
        server.timed, server.requested = server.timed + 50, server.requested + 3
    elif how == "clock":
        server.at -= 3600.0
    else:
        server.checkpoints.forget()
    server.run(LOOK_S)
    assert isnan(server.share)
    server.run(180.0, requested_s=60.0)
    assert server.share == 1.0


def test_what_happened_while_nobody_looked_is_of_the_time_in_which_nobody_did():
    server = Server()
    server.run(900.0, timed_s=300.0)
    server.at, server.timed, server.requested = server.at + 3000.0, server.timed + 10, server.requested + 1
    assert server.look() == pytest.approx(1 / 11, abs=0.03)


def test_without_a_time_of_reset_the_counters_tell():
    checkpoints = Checkpoints()
    assert isnan(checkpoints.take(Counted(100.0, 5.0, 5.0, None)))
    assert checkpoints.take(Counted(800.0, 7.0, 5.0, None)) == 0.0
    assert isnan(checkpoints.take(Counted(805.0, 0.0, 1.0, None)))
    assert checkpoints.take(Counted(1500.0, 2.0, 4.0, None)) == 0.6
