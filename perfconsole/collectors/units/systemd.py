"""Asks systemd for its units, now and then: two children a time, ``systemctl show`` of what is not inactive, read by the loop.

A pattern matches the units in memory that are neither inactive nor absent (``systemctl show '*.service'``): those that run, those that
failed, those that wait to be restarted, in one go. What failed of the other types is a second, short answer.
"""

import os
from collections.abc import Callable
from math import inf
from typing import Final

from perfconsole.collectors.system.files import is_there
from perfconsole.collectors.units.child import Child
from perfconsole.collectors.units.states import PROPERTIES, UnitState, parse
from perfconsole.core.text import safe

EVERY_S: Final = 30.0
SOON_S: Final = 10.0
"""After a service's group came or went it is asked sooner, but never within so long of the last time."""

LIMIT_S: Final = 5.0
"""How long it may take to answer: systemd itself waits behind nothing, unless the machine stands still."""

_SHARE: Final = 0.002
"""Of a core, what asking may cost, systemd's own part included: of 300 services an answer takes 0.1 s, and is asked for once a minute."""

_SHARE_SOON: Final = 0.01
"""The same where groups come and go all the time, as where timers and builds run: sooner, but not at any price."""

_LONGEST_S: Final = 300.0
_SERVICES: Final = ("*.service",)
_FAILED: Final = ("--state=failed", "*")
_NO_STAMPS: Final = (b"unrecognized option", b"Failed to parse timestamp", b"nvalid")


class Systemd:
    """What systemd says.

    Args:
        run: Where ``/run`` is.
        clock: CLOCK_BOOTTIME.

    Attributes:
        states: By id, as of the last answer; None before that.
        error: Why there is none, in words; empty while all is well.
        state: Of its health: ``ok``, ``off`` or ``error``.
    """

    def __init__(self, run: str, clock: Callable[[], float]) -> None:
        self._there = f"{run}/systemd/system"
        self._clock = clock
        self._child: Child | None = None
        self._began = -inf
        self._due = -inf
        self._took_s = 0.0
        self._soon_s = SOON_S
        self._unix = True
        self._found: list[UnitState] = []
        self._patterns: tuple[str, ...] = _SERVICES
        self._round_at = -inf
        self.states: dict[str, UnitState] | None = None
        self.error = ""
        self.fix = ""
        self.state = "ok"

    @property
    def asks(self) -> bool:
        """Whether an answer is under way."""
        return self._child is not None

    def hurry(self) -> None:
        """Something came or went: ask soon."""
        self._due = min(self._due, self._round_at + self._soon_s)

    def step(self) -> bool:
        """Go on: ask when it is time to, take what was answered, end what does not answer.

        Returns:
            Whether `states` are new.
        """
        now = self._clock()
        if self._child is not None:
            return self._take(self._child, now)
        if now < self._due:
            return False
        self._round_at = now
        self._due = now + EVERY_S
        if not is_there(self._there):
            self._fail("no systemd runs here: nothing is known of states, failures and restarts of units", "", "off")
            self.states = None
            return False
        self._patterns, self._found, self._took_s = _SERVICES, [], 0.0
        self._ask(now)
        return False

    def _ask(self, now: float) -> None:
        program = _program("systemctl")
        if program is None:
            self._fail("systemctl was not found: nothing is known of states and failures of units", "install systemd's systemctl", "off")
            return
        stamps = ["--timestamp=unix"] if self._unix else []
        arguments = [program, "--no-pager", *stamps, f"--property={','.join(PROPERTIES)}", "show", *self._patterns]
        environment = dict(os.environ) | {"LC_ALL": "C", "TZ": "UTC", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
        try:
            self._child, self._began = Child(arguments, environment), now
        except OSError as error:
            self._fail(f"systemctl could not be run: {error.strerror}", "", "error")

    def _take(self, child: Child, now: float) -> bool:
        code = child.code
        if code is None:
            if now - self._began > LIMIT_S:
                self._end()
                self._fail(f"systemctl did not answer within {LIMIT_S:g} s", "", "error")
            return False
        output = child.output
        self._took_s += child.took_s
        self._end()
        if code and self._unix and any(words in output for words in _NO_STAMPS):  # systemd before 247
            self._unix = False
            self._ask(now)
            return False
        if code:
            self._fail(_complaint(output), "see that systemctl show works for this user", "error")
            return False
        self._found += parse(output)
        if self._patterns is _SERVICES:
            self._patterns = _FAILED
            self._ask(now)
            return False
        self.states = {state.id: state for state in self._found}
        self._found = []
        self._due = self._round_at + min(_LONGEST_S, max(EVERY_S, self._took_s / _SHARE))
        self._soon_s = min(_LONGEST_S, max(SOON_S, self._took_s / _SHARE_SOON))
        self.state, self.error, self.fix = "ok", "", ""
        return True

    def _fail(self, error: str, fix: str, state: str) -> None:
        self.error, self.fix, self.state = error, fix, state

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def close(self) -> None:
        """End the child, if there is one."""
        self._end()


def _program(name: str) -> str | None:
    """Where a program is; `shutil.which` would bring 5 ms of archive formats along."""
    paths = (f"{folder}/{name}" for folder in os.environ.get("PATH", os.defpath).split(":") if folder.startswith("/"))
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def _complaint(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip() and "=" not in line]
    return f"systemctl: {safe(lines[-1], 200)}" if lines else "systemctl failed without a word"
