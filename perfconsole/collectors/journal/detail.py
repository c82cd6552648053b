"""One unit on demand: what systemd says of it (systemctl show), and its newest lines in the journal. Threads wait for both programs."""

import re
from asyncio import gather
from collections.abc import Callable
from typing import Final

from perfconsole.collectors.journal.access import Trouble
from perfconsole.collectors.journal.answers import Answer, answer
from perfconsole.collectors.journal.lines import entry_of
from perfconsole.collectors.journal.parts import FIELDS
from perfconsole.collectors.loop import ask
from perfconsole.core.change_requests import LogLine, UnitArgs, UnitDetail
from perfconsole.core.text import safe
from perfconsole.core.units import size

LINES: Final = 20

FACTS: Final = {
    "Description": "description",
    "LoadState": "loaded",
    "ActiveState": "state",
    "Result": "result",
    "MainPID": "main process",
    "ExecMainStatus": "last exit status",
    "NRestarts": "restarts by systemd",
    "ActiveEnterTimestamp": "active since",
    "InactiveEnterTimestamp": "inactive since",
    "FragmentPath": "defined in",
    "DropInPaths": "changed by",
    "TriggeredBy": "triggered by",
    "MemoryMax": "memory limit",
    "MemoryHigh": "memory throttled at",
    "CPUQuotaPerSecUSec": "CPU quota",
    "TasksMax": "tasks limit",
    "LimitNOFILE": "descriptor limit",
}
"""Properties that are asked for (org.freedesktop.systemd1(5)), and what they are called; shown in this order."""

_ASKED: Final = (*FACTS, "SubState", "NeedDaemonReload")
_NONE: Final = frozenset({"", "[not set]", "infinity", "n/a", "18446744073709551615"})
_SIZES: Final = frozenset({"MemoryMax", "MemoryHigh"})
_ZERO_IS_NONE: Final = frozenset({"MainPID", "NRestarts"})

_UNIT: Final = re.compile(
    r"(?!-)[A-Za-z0-9:_.\\@-]{1,255}\.(service|socket|target|device|mount|automount|swap|timer|path|slice|scope)", re.ASCII
)
_CONTAINER: Final = re.compile(r"[a-z-]+:([0-9a-f]{12,64})", re.ASCII)


async def unit_detail(args: UnitArgs, journalctl: str, systemctl: str, trouble: Callable[[], Trouble | None]) -> UnitDetail:
    """Read a unit.

    Args:
        args: Its name and cgroup; nothing of it is believed, and what is no unit's name is handed to no program.
        journalctl: The program.
        systemctl: Likewise.
        trouble: Says why the journal may not be read; may block.
    """
    unit, container = named(args)
    (facts, no_facts), (lines, no_lines) = await gather(
        ask(lambda: _facts(unit, systemctl), "perfconsole-unit"),
        ask(lambda: _lines(unit, container, journalctl, trouble), "perfconsole-unit"),
    )
    return UnitDetail(facts, lines, [safe(reason) for reason in (no_facts, no_lines) if reason])


def named(args: UnitArgs) -> tuple[str, str]:
    """The unit that systemd knows, and the id of the container; empty where it is neither."""
    container = _CONTAINER.fullmatch(args.name)
    cgroup = args.path.rpartition("/")[2]
    unit = next((name for name in (args.name, cgroup) if _UNIT.fullmatch(name)), "")
    return unit, container[1][:12] if container else ""


def _facts(unit: str, systemctl: str) -> tuple[list[tuple[str, str]], str]:
    if not unit:
        return [], "facts: systemd knows units, not what this is"
    found = answer([systemctl, "show", "--no-pager", f"--property={','.join(_ASKED)}", "--", unit])
    if found.fault:
        return [], f"facts: {systemctl} {found.fault}"
    facts = facts_of(found.out)
    return facts, "" if facts else f"facts: {systemctl} says nothing of {unit}"


def facts_of(shown: bytes) -> list[tuple[str, str]]:
    """Name and text of what ``systemctl show`` wrote, without what is not set."""
    pairs = (line.partition("=") for line in safe_lines(shown))
    known = {name: value for name, _, value in pairs if name in _ASKED}
    if known.get("LoadState") == "not-found":
        return [("loaded", "no: systemd finds no such unit")]
    found = []
    for name, title in FACTS.items():
        value = known.get(name, "")
        if value in _NONE or (value == "0" and name in _ZERO_IS_NONE) or (name == "LoadState" and value == "loaded"):
            continue
        if name == "ActiveState" and known.get("SubState", "") not in ("", value):
            value = f"{value} ({known['SubState']})"
        elif name in _SIZES and value.isdigit():
            value = size(int(value))
        found.append((title, value))
    if known.get("NeedDaemonReload") == "yes":
        found.append(("changed on disk", "yes: in force after systemctl daemon-reload"))
    return found


def safe_lines(text: bytes) -> list[str]:
    """Lines of a program's output, each safe."""
    return [safe(line) for line in text.decode("utf-8", "replace").split("\n") if line]


def _lines(unit: str, container: str, journalctl: str, trouble: Callable[[], Trouble | None]) -> tuple[list[LogLine], str]:
    if not unit and not container:
        return [], "log: journald keeps it by unit or by container, and knows this as neither"
    if reason := trouble():
        return [], f"log: {reason}"
    match = f"CONTAINER_ID={container}" if container else f"--unit={unit}"
    found = _journal(journalctl, match)
    lines = log_of(found.out)
    if found.fault:
        return lines, f"log: {journalctl} {found.fault}"
    if not lines and container:
        return [], "log: the journal has no line of this container: its runtime keeps them elsewhere, as with docker's log driver json-file"
    return lines, ""


def _journal(journalctl: str, match: str) -> Answer:
    fields = f"--output-fields={','.join(FIELDS)}"
    return answer([journalctl, f"--lines={LINES}", "--output=json", fields, "--no-pager", "--quiet", match])


def log_of(written: bytes) -> list[LogLine]:
    """The last lines of what journalctl wrote, oldest first."""
    entries = (entry_of(line) for line in written.split(b"\n") if line)
    lines = [LogLine(entry.at, entry.priority, entry.identifier or entry.comm, entry.message) for entry in entries if entry]
    return lines[-LINES:]
