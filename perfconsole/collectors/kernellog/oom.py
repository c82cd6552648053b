"""Processes that the kernel killed because memory ran out: several lines that make one finding. Pure.

The forms (mm/oom_kill.c): ``oom-kill:constraint=...`` since Linux 5.0; ``Killed process PID (NAME) total-vm:..., anon-rss:...`` in all of
them; until 4.20 ``Task in CGROUP killed as a result of limit of CGROUP`` before it (mm/memcontrol.c). A process and whoever made a cgroup
may choose their names: where a line could be read in two ways, what it says of cgroups is not believed.
"""

import re
from typing import Final, NamedTuple

from perfconsole.collectors.kernellog.lines import compiled
from perfconsole.collectors.kernellog.meanings import Finding
from perfconsole.collectors.processes.units import unit_of
from perfconsole.core.units import size

_CONTEXT: Final = "oom-kill:constraint=CONSTRAINT_"
_UNIQUE: Final = (",oom_memcg=", ",global_oom", ",task_memcg=", ",task=")
_KILLED: Final = (
    r"(?:(Memory cgroup out of memory|Out of memory)[^:]*: )?"
    r"Killed process (\d+),? (?:UID (\d+), )?\((.*)\),? (?:UID (\d+), )?total-vm:\d+kB(.*)"
)
_CHOSEN: Final = r"Out of memory[^:]*: Kill process \d+ \(.*\) score \d+ or sacrifice child"
_OLD: Final = r"Task in (.*) killed as a result of limit of (.*)"
_GROUP: Final = r"Tasks in (.*) are going to be killed due to memory\.oom\.group set"
_RESIDENT: Final = r"(?:anon|file|shmem)-rss:(\d+)kB"
_UID: Final = r" UID:(\d+)"
_WORDS: Final = ("oom-kill:", "Killed process ", "Kill process ", "killed as a result of limit of", "memory.oom.group")
_CAUSES: Final = {"Memory cgroup out of memory": "MEMCG", "Out of memory": "NONE"}

_JOINED_S: Final = 5.0
"""The lines of one kill come within milliseconds, longer only where a slow serial console is waited for."""


class _Context(NamedTuple):
    """What is said before a kill: why, the cgroups of the limit and of the victim, and who."""

    at: float
    constraint: str
    limit: str = ""
    victim: str = ""
    name: str = ""
    pid: str = ""
    uid: str = ""


class Kills:
    """Joins the lines of each kill.

    Attributes:
        seen: How many kills were told of.
    """

    def __init__(self) -> None:
        """Nothing has been killed yet."""
        self.seen = 0
        self._context: _Context | None = None
        self._group: _Context | None = None
        self._last: _Context | None = None

    def take(self, at: float, message: str) -> Finding | None:
        """A line; what is found out by it.

        Args:
            at: When it was written, on any clock that all lines share.
            message: Safe text.
        """
        if not any(word in message for word in _WORDS):
            return None
        if killed := compiled(_KILLED).match(message):
            return self._found(at, killed)
        if new := _context(at, message):
            earlier = self._given_up()
            self._context = new
            return earlier
        if old := compiled(_OLD).match(message):
            clear = message.count(" killed as a result of limit of ") == 1
            self._context = _Context(at, "MEMCG", old[2] if clear else "", old[1] if clear else "")
        elif compiled(_CHOSEN).match(message):
            self._context = _Context(at, "NONE")
        elif group := compiled(_GROUP).match(message):
            last = self._fresh(at, self._last)
            self._group = _Context(at, "MEMCG", last.limit if last else "", group[1])
        return None

    def leftover(self, at: float) -> tuple[float, Finding] | None:
        """The kill of which the second line has not come within the time it may take, and when its first was written."""
        context = self._context
        if context is None or self._fresh(at, context):
            return None
        finding = self._given_up()
        return (context.at, finding) if finding else None

    def _given_up(self) -> Finding | None:
        context, self._context = self._context, None
        return self._finding(context, context.name, context.pid, context.uid, None) if context and context.pid else None

    def _found(self, at: float, killed: re.Match[str]) -> Finding:
        why, pid, uid, name, later_uid, rest = killed.groups()
        held = [int(found) * 1024 for found in compiled(_RESIDENT).findall(rest)]
        said = compiled(_UID).search(rest)
        context = self._context_of(at, pid, _CAUSES.get(why or "", ""))
        uid = uid or later_uid or (said[1] if said else context.uid)
        return self._finding(context, name, pid, uid, sum(held) if held else None)

    def _context_of(self, at: float, pid: str, cause: str) -> _Context:
        """What was said of a kill before; with memory.oom.group others follow the first, without lines of their own."""
        context = self._fresh(at, self._context)
        if context and context.pid in ("", pid):
            self._context, self._last = None, context
            return context
        group = self._fresh(at, self._group)
        return group if group and cause == "MEMCG" else _Context(at, cause)

    def _fresh(self, at: float, context: _Context | None) -> _Context | None:
        return context if context and at - context.at < _JOINED_S else None

    def _finding(self, context: _Context, name: str, pid: str, uid: str, held: int | None) -> Finding:
        self.seen += 1
        unit = unit_of(f"0::{context.victim}") if context.victim else ""
        limit = unit_of(f"0::{context.limit}") if context.limit else ""
        who = f"{name} of {unit}" if unit and unit != limit else name
        text = f"{who} was killed: {_reason(context.constraint, limit)}" + (f"; it held {size(held)}" if held is not None else "")
        text += f" (pid {pid}{f', uid {uid}' if uid else ''})"  # last: where there is little room, it says least
        return Finding("oom", unit or "host", text, "critical", "")


def _context(at: float, message: str) -> _Context | None:
    """The line before a kill; from its end, where only numbers and a name of 15 bytes stand, for a cgroup's path may imitate the rest.

    By hand: a pattern that looks for six words of which each may come a hundred times held the loop for 90 ms.
    """
    if not message.startswith(_CONTEXT):
        return None
    rest, _, uid = message.rpartition(",uid=")
    rest, _, pid = rest.rpartition(",pid=")
    rest, task, name = rest.rpartition(",task=")
    if not (task and pid.isdigit() and uid.isdigit()):
        return None
    constraint = rest.removeprefix(_CONTEXT).partition(",")[0]
    if any(message.count(word) > 1 for word in _UNIQUE):
        return _Context(at, constraint, "", "", name, pid, uid)
    rest, _, victim = rest.partition(",task_memcg=")
    return _Context(at, constraint, rest.partition(",oom_memcg=")[2], victim, name, pid, uid)


def _reason(constraint: str, limit: str) -> str:
    if constraint == "MEMCG":
        return f"the memory limit of {limit} was reached" if limit else "the memory limit of its cgroup was reached"
    if constraint == "NONE":
        return "the machine ran out of memory"
    if constraint in ("CPUSET", "MEMORY_POLICY"):
        return "the NUMA nodes that it may use ran out of memory"
    return "memory ran out"
