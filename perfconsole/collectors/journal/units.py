"""What systemd says of its units, as events. Pure: lines of process 1 go in, known by the id of their message (systemd.catalog).

The ids are the same in every version and language. Sessions, slices, devices and what has an instance for every connection are left out;
of mounts and the like only failures are told. One thing that happens is several lines: a service that crashes is "Main process exited",
"Failed with result", "Scheduled restart job", "Stopped", "Started"; it is told as a failure, with its status, and a restart.
"""

import re
from collections.abc import Callable
from signal import Signals
from typing import Final, NamedTuple

from perfconsole.collectors.journal.courses import Courses
from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.processes.units import unescaped
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

STARTED: Final = "39f53479d3a045ac8e11786248231fbf"
NOT_STARTED: Final = "be02cf6855d2428ba40df7e9d022f03d"
STOPPED: Final = "9d1aaa27d60140bd96365438aad20286"
RELOADED: Final = "7b05ebc668384222baa8881179cfda54"
EXITED: Final = "98e322203f7a4ed290d09fe03c09fe15"
FAILED: Final = "d9b373ed55a64feb8242e02dbe79a49c"
ENDED: Final = "7ad2d189f7e94e70a38c781354912448"
RESTARTING: Final = "5eb03494b6584870a536b337290809b3"
KILLED: Final = "fe6faa94e7774663a0da52717891d8ef"
OOMD: Final = "d989611b15e44c9dbf31e3c81256e4ed"

IDS: Final = frozenset({STARTED, NOT_STARTED, STOPPED, RELOADED, EXITED, FAILED, ENDED, RESTARTING, KILLED, OOMD})
"""All that anything is made of here."""

_ALWAYS: Final = frozenset({KILLED, OOMD})
_WRONG: Final = frozenset({FAILED, NOT_STARTED})
_BY_EXIT: Final = frozenset({"exit-code", "signal", "core-dump"})

RESULTS: Final = {
    "timeout": "it took too long to start or to stop",
    "watchdog": "its watchdog heard nothing of it",
    "start-limit-hit": "it was started too often and is not started again",
    "oom-kill": "a process of it was killed because memory ran out",
    "resources": "it could not be given what it is configured to have",
    "protocol": "it did not do what its type of service promises",
    "exec-condition": "its condition failed",
    "dependency": "a unit that it needs failed",
    "assert": "an assertion of its unit file failed",
    "unsupported": "this machine has no such thing",
}
"""In words, by systemd's ``Result=`` (org.freedesktop.systemd1(5)) or the result of a job; others are told as they are."""

_TOLD: Final = frozenset({"service", "socket", "timer", "path"})
_NEVER: Final = frozenset({"scope", "slice", "device", "target"})
_NOISE: Final = re.compile(r"(user|user-runtime-dir|systemd-coredump)@|session-|dbus-:")
_CONNECTION: Final = re.compile(r"@\d+-[^@]*(?=\.service$)")
"""The instance of a socket's service for one connection: ``ssh@3-192.0.2.1:22-192.0.2.9:51234.service`` (systemd.socket(5): Accept=)."""

_SETTLE_S: Final = 3.0
"""That a unit ended by itself is known when by then nobody said that it was stopped, that it is restarted, that it finished."""

_RESTART_S: Final = 10.0
"""Stopped in order to be started: one event, if that takes no longer."""

_SAME_S: Final = 5.0
"""A failure, and the start that failed by it, are one."""

_AGAIN_S: Final = 120.0
"""Systemd's own restart is over: longer than a service may take to start (DefaultTimeoutStartSec=90s)."""

_NAME: Final = 200
"""Characters kept of a name: what rows of units keep."""

_MOST: Final = 100
"""Events of one run, of failures five times as many: a package that starts a thousand units is one line."""

_MOST_HELD: Final = 1000


class _Held(NamedTuple):
    """What is told when it is clear what it belongs to: ``ended`` or ``stopped``."""

    verb: str
    at: float


class Units:
    """Makes events of lines.

    Args:
        has_timer: Whether a unit (its name without a suffix) has a timer: what that runs is no change of the machine.
    """

    def __init__(self, has_timer: Callable[[str], bool] = lambda _: False) -> None:
        self._has_timer = has_timer
        self._courses = Courses()
        self._held: dict[str, _Held] = {}
        self._exits: dict[str, str] = {}
        self._failed: dict[str, float] = {}
        self._restarting: dict[str, float] = {}
        self._events: list[Event] = []
        self._untold = 0
        self._steps: dict[str, Callable[[Entry, str], None]] = {
            STARTED: self._start,
            NOT_STARTED: self._not_started,
            STOPPED: self._stop,
            RELOADED: self._reload,
            EXITED: self._exit,
            FAILED: self._fail,
            ENDED: self._end,
            RESTARTING: self._restart,
            KILLED: self._killed,
            OOMD: self._killed,
        }

    def take(self, entry: Entry) -> None:
        """Look at a line; those not of process 1 are nobody's word about units."""
        raw, id_ = entry.fields.get("UNIT", ""), entry.fields.get("MESSAGE_ID", "")
        step = self._steps.get(id_)
        if entry.pid != 1 or not raw or step is None:
            return
        kind = raw.rpartition(".")[2]
        noise = kind in _NEVER or _NOISE.match(raw) is not None
        if kind in _TOLD and not noise and not _CONNECTION.search(raw):
            step(entry, _shown(raw))
        elif id_ in _ALWAYS or (not noise and id_ in _WRONG):
            step(entry, _shown(_CONNECTION.sub("@*", raw)))
        self._forget()

    def result(self, at: float) -> list[Event]:
        """What is to be told by now, oldest first.

        Args:
            at: Epoch seconds.
        """
        for unit, held in list(self._held.items()):
            if not 0 <= at - held.at < (_SETTLE_S if held.verb == "ended" else _RESTART_S):
                self._release(unit)
        events = self._events + self._courses.sums(at)
        if self._untold:
            events.append(Event(at, at, "unit", "host", f"{self._untold} further changes of units at that time", "systemd"))
        self._events, self._untold = [], 0
        return sorted(events, key=lambda event: event.time_hi)

    def _start(self, entry: Entry, unit: str) -> None:
        held, restarted = self._held.pop(unit, None), self._restarts(unit, entry.at)
        self._restarting.pop(unit, None)
        # "Condition check resulted in X being skipped.", "X was skipped because of ..." have the id of a start, and are none.
        if restarted or (not entry.message.startswith(("Started ", "Finished ")) and " skipped" in entry.message):
            return
        verb = "ran" if entry.message.startswith("Finished ") else "started"
        stem, _, kind = entry.fields["UNIT"].rpartition(".")  # files are called as systemd calls it
        if held and held.verb == "stopped":
            self._tell(unit, "restarted by hand", f"{unit} was stopped and started again", (held.at, entry.at))
        elif kind == "service" and self._has_timer(stem):
            self._tell(unit, verb, f"{unit} {verb} ({_shown(stem)}.timer)", (entry.at, entry.at), kind="timer")
        else:
            self._tell(unit, verb, f"{unit} {verb}", (entry.at, entry.at))

    def _stop(self, entry: Entry, unit: str) -> None:
        self._held.pop(unit, None)
        if self._restarts(unit, entry.at):
            return
        if entry.fields.get("JOB_TYPE") == "restart":
            self._held[unit] = _Held("stopped", entry.at)
        else:
            self._tell(unit, "stopped", f"{unit} was stopped", (entry.at, entry.at))

    def _end(self, entry: Entry, unit: str) -> None:
        self._exits.pop(unit, None)
        self._held[unit] = _Held("ended", entry.at)

    def _exit(self, entry: Entry, unit: str) -> None:
        self._exits[unit] = exit_words(entry.fields.get("EXIT_CODE", ""), entry.fields.get("EXIT_STATUS", ""))

    def _fail(self, entry: Entry, unit: str) -> None:
        self._release(unit)
        self._restarting.pop(unit, None)
        self._failed[unit] = entry.at
        result, exited = entry.fields.get("UNIT_RESULT", ""), self._exits.pop(unit, "")
        why = exited if exited and result in _BY_EXIT else RESULTS.get(result, result or "no reason given")
        verb = "given up" if result == "start-limit-hit" else "failed"
        severity = "critical" if verb == "given up" else "warning"
        self._tell(unit, verb, f"{unit} failed: {why}", (entry.at, entry.at), severity=severity, cause=why)

    def _not_started(self, entry: Entry, unit: str) -> None:
        self._release(unit)
        self._restarting.pop(unit, None)
        if abs(entry.at - self._failed.get(unit, 0.0)) <= _SAME_S:
            return
        result = entry.fields.get("JOB_RESULT", "")
        why = RESULTS.get(result, result or "no reason given")
        self._tell(unit, "failed", f"{unit} could not be started: {why}", (entry.at, entry.at), severity="warning", cause=why)

    def _restart(self, entry: Entry, unit: str) -> None:
        self._held.pop(unit, None)
        self._restarting[unit] = entry.at
        number = entry.fields.get("N_RESTARTS", "")
        counted = f", {number} times so far" if number.isdigit() and number not in ("0", "1") else ""
        self._tell(unit, "restarted", f"{unit} was restarted by systemd{counted}", (entry.at, entry.at))

    def _reload(self, entry: Entry, unit: str) -> None:
        if entry.fields.get("JOB_RESULT", "done") == "done":
            self._tell(unit, "reloaded", f"{unit} was reloaded", (entry.at, entry.at))
        else:
            self._tell(unit, "not reloaded", f"{unit} could not be reloaded", (entry.at, entry.at), severity="warning")

    def _killed(self, entry: Entry, unit: str) -> None:
        by = "systemd-oomd" if entry.fields.get("MESSAGE_ID") == OOMD else "the kernel"
        text = f"{unit}: {by} killed a process of it because memory ran out"
        self._tell(unit, "killed", text, (entry.at, entry.at), severity="warning")

    def _restarts(self, unit: str, at: float) -> bool:
        """Whether a stop and a start are those of a restart that was told of."""
        return abs(at - self._restarting.get(unit, float("-inf"))) <= _AGAIN_S

    def _release(self, unit: str) -> None:
        """Tell what was held: it belongs to nothing else."""
        held = self._held.pop(unit, None)
        if held:
            text = f"{unit} ended by itself" if held.verb == "ended" else f"{unit} was stopped"
            self._tell(unit, held.verb, text, (held.at, held.at))

    def _tell(
        self, unit: str, verb: str, text: str, time: tuple[float, float], *, kind: str = "unit", severity: str = "", cause: str = ""
    ) -> None:
        if not self._courses.is_new(unit, verb, time[1], cause):
            return
        if len(self._events) >= (5 * _MOST if severity else _MOST):
            self._untold += 1
            return
        self._events.append(Event(*time, kind, unit, text, "systemd", severity))

    def _forget(self) -> None:
        """Keep little, whatever is said: the oldest goes."""
        known: dict[str, _Held] | dict[str, str] | dict[str, float]
        for known in (self._held, self._exits, self._failed, self._restarting):
            while len(known) > _MOST_HELD:
                del known[next(iter(known))]


def _shown(raw: str) -> str:
    """As the row of a unit is called."""
    return safe(unescaped(raw), _NAME)


def exit_words(code: str, status: str) -> str:
    """``status 1``, ``ended by SIGSEGV``: of EXIT_CODE (exited, killed, dumped) and EXIT_STATUS (a status, or a signal's number)."""
    if code == "exited":
        return f"status {status}"
    try:
        name = Signals(int(status)).name
    except ValueError:
        name = f"signal {status}"
    return f"ended by {name}" + (", core dumped" if code == "dumped" else "")
