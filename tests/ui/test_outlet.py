"""The outlet to the terminal: whatever interrupts a write may write itself."""

import os
import subprocess
import sys
from contextlib import suppress
from time import monotonic

from perfconsole.ui.driver import Outlet

PROGRAM = """
import os, signal
from perfconsole.ui.driver import Outlet

outlet, handled = Outlet(os.open(os.devnull, os.O_WRONLY), "utf-8"), 0
outlet.start()

def handle(*_):
    global handled
    handled += 1
    outlet.write("from the handler")

signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while handled < 600:
    outlet.write("amid this")
signal.setitimer(signal.ITIMER_REAL, 0)
outlet.stop()
"""


def test_a_signal_amid_a_write_may_write():
    """The handler of SIGCONT takes the terminal anew: a lock that is held by what it interrupts would never be free."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_who_goes_on_after_a_stop_writes_although_the_terminal_did_not_read():
    """What waited before is let go: the screen is the shell's by then, and is painted anew."""
    reader, writer = os.pipe()
    outlet = Outlet(writer, "utf-8")
    outlet.start()
    outlet.write("x" * 200_000)
    outlet.write("old")
    outlet.stop()
    assert outlet.is_alive()
    heir = outlet.after()
    heir.start()
    heir.write("new")
    heir.stop()
    os.set_blocking(reader, False)
    got, until = b"", monotonic() + 30
    while (outlet.is_alive() or heir.is_alive()) and monotonic() < until:
        with suppress(BlockingIOError):
            got += os.read(reader, 65_536)
    with suppress(BlockingIOError):
        got += os.read(reader, 65_536)
    assert (got.replace(b"x", b""), len(got)) == (b"new", 200_003)
    assert heir.lost
    os.close(reader)
    os.close(writer)
