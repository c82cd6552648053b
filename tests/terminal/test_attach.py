"""Several consoles of one user: one engine among those that are alike, whichever of them ends, and however."""

import os
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from math import inf
from pathlib import Path
from types import SimpleNamespace

import pytest
from harness import PATIENCE_S
from msgspec.structs import replace

from perfconsole.cli.attach import Seat
from perfconsole.cli.likeness import digest
from perfconsole.config.load import Loaded
from perfconsole.config.schema import Config
from perfconsole.core.change_requests import EventsArgs
from perfconsole.history.events import read_events
from perfconsole.history.lease import Holder, Lease, holder

pytestmark = pytest.mark.slow

LIVE = r"memory\D*\d+%"
BIG = (160, 48)
ENTERED = b"\x1b[?1049h"
"""The alternate screen is taken."""

CHANGED = """
import sys, time
from perfconsole.cli import attach
from perfconsole.history import lease
from perfconsole.sources import connect
{change}
from perfconsole.__main__ import main
sys.exit(main())
"""


def changed(change):
    """The console with something of it changed: how long it is patient, what it finds."""
    return sys.executable, "-c", CHANGED.format(change=change)


HANGING = changed("lease.Lease.take = lambda *_: time.sleep(3600)")
"""A state directory on a server that died."""

SOON = changed("connect.SILENCE_S = 4.5")
"""An engine that is silent is left as soon as one can see that it is: that is said after 3 s, and looked for every 2 s."""

COURTEOUS = changed("attach._COURTESY_S = 20.0")
"""Of two that run on a busy machine the one that is to be first may be late."""


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state" / "perfconsole"


@pytest.fixture(autouse=True)
def always_pending(tmp_path):
    """One alert, and none of those that come with it: without any there is nothing to keep, and no database. On a busy machine others would
    be told in the footer, in place of what is waited for there.
    """
    path = tmp_path / "config" / "perfconsole" / "config.toml"
    path.parent.mkdir(parents=True)
    rule = '[[alert]]\nname = "always"\nseverity = "info"\nmetric = "system.uptime"\nabove = 0\nfor = "24h"\n'
    path.write_text(f"[alerts]\ndefaults = false\n{rule}")


@pytest.fixture
def console(spawn):
    """A console that is live."""

    def console(*arguments, **options):
        pty = spawn(*arguments, size=BIG, **options)
        pty.wait_stream(LIVE)
        return pty

    return console


def holds(directory, pty, within_s=PATIENCE_S):
    pty.until(lambda: getattr(holder(directory), "pid", 0) == pty.pid, within_s)
    assert holder(directory).pid == pty.pid


def newly_live(pty, began):
    """Numbers that another engine measured; the seconds since then."""
    pty.wait_stream(r"\d+%", start=len(pty.raw))
    return pty.now_s - began


def goes_on(pty):
    """What it shows goes on: the clock, which is that of its engine."""
    for _ in range(2):
        before = clock(pty)
        assert pty.until(lambda: clock(pty) != before)  # noqa: B023  asked at once


def clock(pty):
    found = re.search(r"\d\d:\d\d:\d\d", pty.screen().partition("\n")[0])
    return found and found[0]


def let_go_on(pty):
    """Continue one that was stopped, and see it live: what is typed before it has taken its terminal again may be lost.

    What it painted before it was stopped may still wait in the terminal, unread: numbers alone tell nothing.
    """
    taken = pty.raw.count(ENTERED)
    pty.kill(signal.SIGCONT)
    assert pty.until(lambda: pty.raw.count(ENTERED) > taken)
    pty.wait_stream(r"\d+%", start=pty.raw.rindex(ENTERED))


def test_a_second_one_attaches_and_goes_on_when_the_first_is_killed(console, tell, state_dir):
    first = console()
    second = console()
    second.wait_text(f"attached to PID {first.pid}")
    holds(state_dir, first)
    began = second.now_s
    first.kill(signal.SIGKILL)
    second.wait_text(f"PID {first.pid} has ended: this console collects now")
    tell("numbers of the next engine after one is killed", f"{newly_live(second, began) * 1e3:.0f} ms", "2 s")
    holds(state_dir, second)
    third = console()
    third.wait_text(f"attached to PID {second.pid}")
    assert (second.leave()[0], second.unrestored()) == (0, [])
    third.wait_text(f"PID {second.pid} has ended")
    holds(state_dir, third)
    assert third.leave()[0] == 0
    assert (holder(state_dir), (state_dir / "engine.sock").exists()) == (None, False)


def test_a_mark_in_one_is_on_the_timeline_of_all_and_outlives_who_kept_it(console, state_dir):
    """One list of what changed, whoever adds to it; the heir knows what the killed one kept, and tells it once."""

    def lists(pty):
        """The screen of all that changed: whatever this machine's kernel has to say, what is newest is on it."""
        pty.send("8")
        pty.wait_text("further back")
        for label in marks:
            pty.wait_text(f"mark .*{label}")
        return [len(re.findall(f"mark .*{label}", pty.screen())) for label in marks]

    first = console()
    holds(state_dir, first)
    second = console()
    marks = {"deploy 1.4.2": first, "rolled back": second}
    for label, pty in marks.items():
        pty.send("m")
        pty.wait_text("mark: what was done")
        pty.send(f"{label}\r")
    assert lists(first) == lists(second) == [1, 1]
    wanted = EventsArgs(0.0, inf, kinds=("mark",))
    assert second.until(lambda: len(read_events(state_dir, wanted, alone=False).events) == len(marks))
    first.kill(signal.SIGKILL)
    holds(state_dir, second)
    third = console()
    assert lists(third) == lists(second) == [1, 1]


def test_an_attached_one_collects_nothing_itself(console):
    """What it shows stands still with the engine it is attached to."""
    first = console()
    second = console()
    second.wait_text("attached to PID")
    first.kill(signal.SIGSTOP)
    second.wait_text("no data since")
    first.kill(signal.SIGCONT)
    second.wait_text(r"SYS . (OK|WARN|CRIT)")


def test_an_engine_that_stays_stopped_is_left(console):
    """ctrl+z in the first console, and forgotten: the second collects for itself, and the alerts stay where the lease is."""
    first = console()
    second = console(program=SOON)
    second.wait_text("attached to PID")
    first.kill(signal.SIGSTOP)
    second.wait_text(f"alerts are kept by PID {first.pid}, which lets nobody attach")
    assert second.until(lambda: "no data since" not in second.screen())  # told before the first of its own numbers are painted
    let_go_on(first)
    assert first.leave()[0] == 0
    second.wait_text("alerts are kept here now")


def test_of_three_one_succeeds_and_the_other_attaches_to_it(console, state_dir):
    first = console()
    others = [console(), console()]
    for other in others:
        other.wait_text("attached to PID")
    assert first.leave()[0] == 0
    next_ones = {other.pid: other for other in others}
    others[0].until(lambda: getattr(holder(state_dir), "pid", 0) in next_ones)
    heir = next_ones.pop(holder(state_dir).pid)
    (last,) = next_ones.values()
    heir.wait_text("this console collects now")
    last.wait_text(f"attached to PID {heir.pid}")
    newly_live(last, last.now_s)


def keeps(pty):
    """Whether it has alerts kept: it has the file open."""
    for fd in Path(f"/proc/{pty.pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            if "events.db" in str(fd.readlink()):
                return True
    return False


def test_a_state_directory_that_is_taken_away_leaves_one_that_keeps_alerts(console, state_dir):
    """A second console makes a new one, with a lease of its own, before the first has noticed."""
    first = console()
    holds(state_dir, first)
    first.until(lambda: keeps(first))
    first.kill(signal.SIGSTOP)
    shutil.rmtree(state_dir)
    second = console()
    holds(state_dir, second)
    let_go_on(first)
    first.wait_text("the state directory was taken away: alerts are not kept here any more")
    first.until(lambda: not keeps(first))
    second.until(lambda: keeps(second))
    assert (keeps(first), keeps(second)) == (False, True)
    assert (state_dir / "engine.sock").exists()  # the second's is not taken away by who gives up
    third = console()
    third.wait_text(f"attached to PID {second.pid}")
    assert third.leave()[0] == 0
    assert second.leave()[0] == 0
    first.wait_text("alerts are kept here now")
    holds(state_dir, first)
    assert (first.leave()[0], first.unrestored()) == (0, [])


def test_a_state_directory_that_is_taken_away_is_made_anew(console, state_dir):
    first = console()
    holds(state_dir, first)
    first.kill(signal.SIGSTOP)  # nothing is written there while it is taken away
    shutil.rmtree(state_dir)
    let_go_on(first)
    first.wait_text("the state directory was taken away; alerts are kept here now")
    holds(state_dir, first)
    second = console()
    second.wait_text(f"attached to PID {first.pid}")


def test_a_line_that_the_holder_before_left_is_no_other_configuration(tmp_path):
    """Who has just locked it has not yet written itself down; it is asked again then, and no engine is made."""
    loaded = Loaded(replace(Config(), history=replace(Config().history, dir=str(tmp_path))), None)
    lease = Lease.take(tmp_path, Holder(1, "box", 1.0, "another"))
    made = []
    seat = Seat(loaded, None, read=lambda: loaded, build=lambda *_: made.append(True), keep=lambda *_: "", tell=lambda *_: None)
    newer = Holder(2, "box", 2.0, digest(loaded.config, None), str(tmp_path / "engine.sock"))
    seat._closed = SimpleNamespace(wait=lambda _: lease.tell(newer), is_set=lambda: False)  # while it waits
    try:
        assert seat._next() is None
        assert made == []
    finally:
        lease.release()


def test_two_that_are_opened_at_once(spawn, state_dir):
    """As a terminal multiplexer does it: the second finds a lease whose holder does not listen yet."""
    consoles = [spawn(size=BIG), spawn(size=BIG)]
    for pty in consoles:
        pty.wait_stream(LIVE)
    at = holder(state_dir).pid
    (attached,) = (pty for pty in consoles if pty.pid != at)
    attached.wait_text(f"attached to PID {at}")


def test_another_configuration_collects_for_itself_until_the_lease_is_free(console, state_dir):
    first = console()
    second = console("--interval", "5s")
    second.wait_text(rf"alerts are kept by PID {first.pid} \(another configuration\)")
    first.kill(signal.SIGSTOP)
    goes_on(second)
    assert "no data since" not in second.screen()
    let_go_on(first)
    assert first.leave()[0] == 0
    second.wait_text("alerts are kept here now")
    holds(state_dir, second)


def test_what_only_a_screen_is_about_is_no_other_configuration(console):
    console()
    second = console("--theme", "mono", "--read-only")
    second.wait_text("attached to PID")


def test_who_may_act_does_not_attach_to_an_engine_that_may_not(console):
    first = console("--read-only")
    second = console()
    second.wait_text(rf"alerts are kept by PID {first.pid} \(another configuration\)")


def test_who_may_act_succeeds_before_who_may_not(console, state_dir):
    first = console()
    watching = console("--read-only", program=COURTEOUS)
    watching.wait_text("attached to PID")
    acting = console()
    acting.wait_text("attached to PID")
    first.kill(signal.SIGKILL)
    holds(state_dir, acting)
    watching.wait_text(f"attached to PID {acting.pid}")


def test_a_holder_that_is_stopped_holds_nobody_up(console, spawn):
    first = console()
    first.kill(signal.SIGSTOP)
    second = spawn(size=BIG)
    second.wait_text(f"alerts are kept by PID {first.pid}, which lets nobody attach")
    newly_live(second, second.now_s)
    first.kill(signal.SIGCONT)


def test_a_state_directory_that_hangs_holds_nobody_up(spawn):
    pty = spawn(size=BIG, program=HANGING)
    pty.wait_stream(LIVE)
    pty.wait_text("alerts are not kept: .* does not answer")
    assert (pty.leave()[0], pty.unrestored()) == (0, [])


def test_a_state_directory_that_cannot_be_one(console, state_dir):
    state_dir.parent.mkdir()
    state_dir.write_text("a file")
    pty = console()
    pty.wait_text("alerts are not kept: cannot use")
    assert pty.leave()[0] == 0


def test_a_state_directory_with_a_long_name(console, tmp_path):
    place = tmp_path / ("x" * 120)
    first = console(XDG_STATE_HOME=str(place))
    second = console(XDG_STATE_HOME=str(place))
    second.wait_text(f"attached to PID {first.pid}")


@pytest.mark.parametrize("delay_s", [0.05, 0.15, 0.3, 0.6])
def test_a_holder_that_ends_while_another_starts(spawn, state_dir, delay_s):
    first = spawn(size=BIG)
    first.wait_stream(LIVE)
    second = spawn(size=BIG)
    time.sleep(delay_s)
    os.kill(first.pid, signal.SIGTERM)
    second.wait_stream(LIVE)
    holds(state_dir, second)
    assert first.wait_exit() == 143
    assert second.leave()[0] == 0


def test_leaving_while_there_is_no_engine(console):
    """Between two engines the keys still work."""
    first = console()
    second = console()
    second.wait_text("attached to PID")
    first.kill(signal.SIGKILL)
    assert (second.leave()[0], second.unrestored()) == (0, [])
