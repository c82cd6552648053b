"""What systemd says of its units, as it says it: the lines of real occasions in, the events that a person wants to read out."""

import pytest

from perfconsole.collectors.journal import units
from perfconsole.collectors.journal.courses import FIRST_S, MOST, Courses
from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.journal.units import Units
from perfconsole.collectors.units.names import place
from perfconsole.core.changes import KINDS


class Manager:
    """Process 1, which says things at times; `events` are those told so far."""

    def __init__(self, *, timers=()):
        self.units = Units(lambda stem: stem in timers)
        self.at = 1000.0
        self.events = []

    def say(self, message_id, unit="web.service", message="", after_s=0.1, pid=1, **fields):
        self.at += after_s
        self.units.take(
            Entry(
                self.at,
                f"c{self.at}",
                message,
                identifier="systemd",
                pid=pid,
                uid=0,
                fields={"MESSAGE_ID": message_id, "UNIT": unit, **fields},
            )
        )
        return self

    def crash(self, unit="web.service", restarts=1, after_s=0.1):
        """A service that ends with status 3, and systemd starts it again (Restart=always)."""
        self.say(units.EXITED, unit, "Main process exited, code=exited", after_s, EXIT_CODE="exited", EXIT_STATUS="3")
        self.say(units.FAILED, unit, "Failed with result 'exit-code'.", UNIT_RESULT="exit-code")
        self.say(units.RESTARTING, unit, "Scheduled restart job", N_RESTARTS=str(restarts))
        self.say(units.STOPPED, unit, "Stopped Web.", JOB_TYPE="restart", JOB_RESULT="done")
        return self.say(units.STARTED, unit, "Started Web.", JOB_TYPE="start", JOB_RESULT="done")

    def told(self, after_s=60.0):
        """Texts told since the last time, as of so much later."""
        self.at += after_s
        found = self.units.result(self.at)
        self.events += found
        assert all(event.kind in KINDS and event.source == "systemd" for event in found)
        return [event.text for event in found]


def test_a_start_and_a_stop():
    manager = Manager()
    manager.say(units.STARTED, message="Started Web.", JOB_TYPE="start")
    manager.say(units.ENDED, after_s=30).say(units.STOPPED, message="Stopped Web.", JOB_TYPE="stop", after_s=0.01)
    assert manager.told() == ["web.service started", "web.service was stopped"]
    first = manager.events[0]
    assert (first.kind, first.scope, first.severity) == ("unit", "web.service", "")
    assert first.time_lo == first.time_hi == 1000.1


def test_a_crash_and_its_restart_are_two_events():
    manager = Manager().crash(restarts=7)
    assert manager.told() == ["web.service failed: status 3", "web.service was restarted by systemd, 7 times so far"]
    assert [event.severity for event in manager.events] == ["warning", ""]


def test_a_restart_that_takes_its_time_is_still_one():
    manager = Manager().say(units.FAILED, UNIT_RESULT="watchdog").say(units.RESTARTING, N_RESTARTS="1")
    manager.say(units.STOPPED, JOB_TYPE="restart", message="Stopped Web.")
    assert manager.told(20.0) == ["web.service failed: its watchdog heard nothing of it", "web.service was restarted by systemd"]
    manager.say(units.STARTED, message="Started Web.", after_s=40.0)
    assert manager.told() == []
    manager.say(units.STOPPED, JOB_TYPE="stop", message="Stopped Web.", after_s=5.0)
    assert manager.told() == ["web.service was stopped"]


@pytest.mark.parametrize(
    ("code", "status", "result", "why"),
    [
        ("killed", "11", "signal", "ended by SIGSEGV"),
        ("dumped", "6", "core-dump", "ended by SIGABRT, core dumped"),
        ("killed", "99", "signal", "ended by signal 99"),
        ("killed", "9", "oom-kill", "a process of it was killed because memory ran out"),
        ("killed", "15", "timeout", "it took too long to start or to stop"),
        ("exited", "1", "something-new", "something-new"),
        ("exited", "1", "", "no reason given"),
    ],
)
def test_why_it_failed(code, status, result, why):
    manager = Manager().say(units.EXITED, EXIT_CODE=code, EXIT_STATUS=status).say(units.FAILED, UNIT_RESULT=result)
    assert manager.told() == [f"web.service failed: {why}"]


def test_the_status_of_one_failure_is_not_that_of_the_next():
    manager = Manager().say(units.EXITED, EXIT_CODE="exited", EXIT_STATUS="4").say(units.ENDED)
    manager.say(units.FAILED, UNIT_RESULT="exit-code", after_s=5)
    assert manager.told() == ["web.service ended by itself", "web.service failed: exit-code"]


def test_a_start_that_fails_is_one_failure():
    manager = Manager().say(units.EXITED, EXIT_CODE="exited", EXIT_STATUS="2").say(units.FAILED, UNIT_RESULT="exit-code")
    manager.say(units.NOT_STARTED, JOB_TYPE="start", JOB_RESULT="failed")
    assert manager.told() == ["web.service failed: status 2"]
    assert manager.told(3600.0) == [], "it was counted twice"


def test_a_start_that_never_came_to_be():
    manager = Manager().say(units.NOT_STARTED, JOB_TYPE="start", JOB_RESULT="dependency")
    assert manager.told() == ["web.service could not be started: a unit that it needs failed"]
    assert manager.events[0].severity == "warning"


def test_one_that_is_given_up_is_told_though_it_failed_before():
    manager = Manager().crash().crash()
    manager.say(units.FAILED, UNIT_RESULT="start-limit-hit")
    assert manager.told()[-1] == "web.service failed: it was started too often and is not started again"


def test_a_restart_by_hand_is_one_event_that_took_a_while():
    manager = Manager().say(units.ENDED).say(units.STOPPED, JOB_TYPE="restart", message="Stopped Web.", after_s=0.1)
    manager.say(units.STARTED, message="Started Web.", JOB_TYPE="start", after_s=2.0)
    assert manager.told() == ["web.service was stopped and started again"]
    event = manager.events[0]
    assert event.time_hi - event.time_lo == pytest.approx(2.0)


def test_a_restart_that_does_not_come_back_is_a_stop():
    manager = Manager().say(units.STOPPED, JOB_TYPE="restart", message="Stopped Web.")
    assert manager.told(5.0) == []
    assert manager.told(6.0) == ["web.service was stopped"]
    manager.say(units.STARTED, message="Started Web.")
    assert manager.told() == ["web.service started"]


def test_one_that_ends_by_itself_is_told_when_nobody_says_why():
    manager = Manager().say(units.ENDED)
    assert manager.told(1.0) == []
    assert manager.told(3.0) == ["web.service ended by itself"]


def test_what_a_timer_runs():
    manager = Manager(timers={"backup"})
    manager.say(units.ENDED, "backup.service").say(units.STARTED, "backup.service", "Finished Backup.", JOB_TYPE="start")
    manager.say(units.STARTED, "other.service", "Finished Other.")
    assert manager.told() == ["backup.service ran (backup.timer)", "other.service ran"]
    assert [(event.kind, event.scope) for event in manager.events] == [("timer", "backup.service"), ("unit", "other.service")]


def test_a_timers_service_that_fails_has_failed():
    manager = Manager(timers={"backup"}).say(units.FAILED, "backup.service", UNIT_RESULT="exit-code")
    assert manager.told() == ["backup.service failed: exit-code"]
    assert manager.events[0].kind == "unit"


def test_reloads():
    manager = Manager().say(units.RELOADED, JOB_TYPE="reload", JOB_RESULT="done")
    manager.say(units.RELOADED, JOB_TYPE="reload", JOB_RESULT="failed")
    assert manager.told() == ["web.service was reloaded", "web.service could not be reloaded"]


def test_killed_for_memory():
    manager = Manager().say(units.KILLED).say(units.OOMD, "docker-1a2b.scope")
    assert manager.told() == [
        "web.service: the kernel killed a process of it because memory ran out",
        "docker-1a2b.scope: systemd-oomd killed a process of it because memory ran out",
    ]
    assert {event.severity for event in manager.events} == {"warning"}


@pytest.mark.parametrize(
    "unit",
    [
        "session-3.scope", "user@1000.service", "user-runtime-dir@1000.service", "user.slice", "dev-sda1.device", "multi-user.target",
        "run-docker-netns-1.mount", "systemd-coredump@0-123-0.service", "ssh@3-192.0.2.1:22-192.0.2.9:51234.service", "", "x",
    ],
)  # fmt: skip
def test_noise_is_left_out(unit):
    manager = Manager().say(units.STARTED, unit, "Started X.").say(units.ENDED, unit).say(units.STOPPED, unit, JOB_TYPE="stop")
    assert manager.told() == []


def test_of_mounts_only_what_went_wrong():
    manager = Manager().say(units.FAILED, "srv-data.mount", UNIT_RESULT="exit-code")
    assert manager.told() == ["srv-data.mount failed: exit-code"]


def test_a_connections_failure_is_told_without_its_address():
    manager = Manager()
    for number in range(9):
        manager.say(units.FAILED, f"ssh@{number}-192.0.2.1:22-192.0.2.9:5123{number}.service", UNIT_RESULT="exit-code")
    assert manager.told() == ["ssh@*.service failed: exit-code"] * 3


@pytest.mark.parametrize(
    "message",
    [
        "Condition check resulted in Web being skipped.",
        "Web was skipped because of an unmet condition check (ConditionPathExists=/x).",
        "web.service - Web was skipped because no trigger condition checks were met.",
    ],
)
def test_a_condition_that_is_not_met_is_no_start(message):
    assert Manager().say(units.STARTED, message=message).told() == []


def test_a_start_may_be_described_in_any_words():
    assert Manager().say(units.STARTED, message="Started Mail that was skipped because of greylisting.").told() == ["web.service started"]


def test_only_process_1_is_believed():
    manager = Manager().say(units.FAILED, pid=4711, UNIT_RESULT="exit-code").say(units.STARTED, pid=-1, message="Started Web.")
    assert manager.told() == []


def test_a_loop_is_told_a_few_times_and_then_in_sums():
    manager = Manager()
    told = []
    for number in range(20):
        manager.crash(restarts=number + 1, after_s=60.0)
        told += manager.told(0.0)
    assert told[:2] == ["web.service failed: status 3", "web.service was restarted by systemd"]
    assert [text for text in told if "more" not in text] == told[:6], "three of each"
    assert told[6:] == ["web.service: failed 8 more times (status 3), restarted 8 more times within 7m03s"]
    summed = manager.events[-1]
    assert summed.severity == "warning"
    assert summed.time_hi - summed.time_lo == pytest.approx(7 * 60.4 + 0.1)
    assert manager.told(3600.0) == ["web.service: failed 9 more times (status 3), restarted 9 more times within 8m03s"]
    assert manager.told(3600.0) == []
    assert len(manager.units._courses) == 0
    assert manager.crash(after_s=1).told()[0] == "web.service failed: status 3"


def test_a_deploy_its_rollback_and_the_crash_after_it_are_told_as_they_happen():
    manager = Manager()
    for after_s in (1.0, 300.0):
        manager.say(units.STOPPED, message="Stopped Web.", JOB_TYPE="restart", after_s=after_s)
        manager.say(units.STARTED, message="Started Web.", JOB_TYPE="restart")
        assert manager.told(0.0) == ["web.service was stopped and started again"]
    manager.say(units.EXITED, after_s=120.0, EXIT_CODE="killed", EXIT_STATUS="11").say(units.FAILED, UNIT_RESULT="signal")
    assert manager.told(0.0) == ["web.service failed: ended by SIGSEGV"]
    for status in (78, 3, 78):
        manager.say(units.EXITED, after_s=20.0, EXIT_CODE="exited", EXIT_STATUS=str(status)).say(units.FAILED, UNIT_RESULT="exit-code")
    assert manager.told(0.0) == ["web.service failed: status 78", "web.service failed: status 3"]
    assert manager.told(900.0) == ["web.service: failed once more (status 78)"]


def test_starts_and_stops_that_repeat_are_no_warning():
    courses = Courses()
    for second in range(3):
        assert courses.is_new("a.service", "started", second / 10)
        assert courses.is_new("a.service", "stopped", second / 10)
    assert not courses.is_new("a.service", "started", 2.0)
    assert courses.sums(FIRST_S - 1) == []
    (event,) = courses.sums(FIRST_S)
    assert not courses.is_new("a.service", "started", FIRST_S + 1)
    assert courses.sums(3 * FIRST_S - 1) == [], "what goes on is told less often"
    assert len(courses.sums(3 * FIRST_S)) == 1
    assert (event.text, event.severity, event.time_lo, event.time_hi) == ("a.service: started once more", "", 2.0, 2.0)


def test_a_clock_set_back_leaves_nothing_waiting():
    manager = Manager().crash().crash().crash().crash().say(units.ENDED, "x.service")
    manager.at -= 10_000.0
    assert len(manager.told(0.0)) == 8  # what was held is told, and the sum


def test_units_without_number_cost_no_memory():
    courses = Courses()
    for number in range(5 * MOST):
        courses.is_new(f"run-u{number}.service", "started", float(number))
    assert len(courses) == MOST
    manager = Manager()
    for number in range(3000):
        unit = f"run-u{number}.service"
        manager.say(units.EXITED, unit).say(units.FAILED, unit).say(units.RESTARTING, unit).say(units.ENDED, unit)
    held = (manager.units._held, manager.units._exits, manager.units._failed, manager.units._restarting)
    assert max(map(len, held)) <= 1000


def test_a_thousand_at_once_are_a_hundred_and_a_number():
    manager = Manager()
    for number in range(1000):
        manager.say(units.STARTED, f"u{number}.service", "Started U.", after_s=0.001)
    manager.say(units.FAILED, "bad.service", UNIT_RESULT="exit-code")
    told = manager.told()
    assert len(told) == 102
    assert "bad.service failed: exit-code" in told
    assert told[-1] == "900 further changes of units at that time"
    assert manager.told(0.0) == []


def test_the_order_is_that_of_time():
    manager = Manager().say(units.ENDED, "a.service").say(units.STARTED, "b.service", "Started B.", after_s=1.0)
    assert manager.told() == ["a.service ended by itself", "b.service started"]


def test_a_unit_is_called_as_its_row_is():
    raw = "disk\\x2dcheck@dev-a\\x1b\\x2db.service"
    manager = Manager(timers={raw.removesuffix(".service")})
    manager.say(units.FAILED, raw, UNIT_RESULT="timeout").say(units.STARTED, raw, "Started Check.", after_s=20)
    shown = place(f"/system.slice/{raw}").name
    assert shown == "disk-check@dev-a\u241b-b.service"
    assert manager.told() == [
        f"{shown} failed: it took too long to start or to stop",
        f"{shown} started ({shown.removesuffix('.service')}.timer)",
    ]
    assert {event.scope for event in manager.events} == {shown}
    for _ in range(5):
        manager.say(units.FAILED, raw, UNIT_RESULT="timeout", after_s=10)
    assert f"{shown}: failed 3 more times" in manager.told(700)[-1]
    assert {event.scope for event in manager.events} == {shown}
