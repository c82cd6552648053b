"""One unit on demand: what systemd says of it (systemctl show), and its newest lines in the journal. Threads wait for both programs."""

import re
from asyncio import gather
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from perfconsole.collectors.journal.access import Trouble
from perfconsole.collectors.journal.answers import WITHIN_S, Answer, answer
from perfconsole.collectors.journal.lines import entry_of
from perfconsole.collectors.journal.parts import FIELDS
from perfconsole.collectors.journal.units import exit_words
from perfconsole.collectors.loop import ask
from perfconsole.collectors.processes.units import unescaped
from perfconsole.core.change_requests import LogLine, UnitArgs, UnitDetail
from perfconsole.core.text import safe
from perfconsole.core.units import size

LINES: Final = 20

_LIST_S: Final = 1.0
_SHOW_S: Final = WITHIN_S - _LIST_S
"""A request is answered within 5 s in all (`requests.Spec`)."""

FACTS: Final = {
    "Description": "description",
    "LoadState": "loaded",
    "ActiveState": "state",
    "Result": "result",
    "MainPID": "main process",
    "ExecMainStatus": "last exit",
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

_ASKED: Final = (*FACTS, "SubState", "NeedDaemonReload", "ExecMainCode")
_NONE: Final = frozenset({"", "[not set]", "infinity", "n/a", "18446744073709551615"})
_SIZES: Final = frozenset({"MemoryMax", "MemoryHigh"})
_CODES: Final = {"1": "exited", "2": "killed", "3": "dumped"}
"""How the main process ended, in numbers as waitid(2) has them; 0 while it runs: then a status is nobody's."""

_SINCE: Final = {
    "ActiveEnterTimestamp": {"active", "reloading", "refreshing", "deactivating"},
    "InactiveEnterTimestamp": {"inactive", "failed"},
}
"""In which states it still holds that a unit is in the state that it entered then."""

_ZERO_IS_NONE: Final = frozenset({"MainPID", "NRestarts"})

_UNIT: Final = re.compile(
    r"(?!-)[A-Za-z0-9:_.\\@-]{1,255}\.(service|socket|target|device|mount|automount|swap|timer|path|slice|scope)", re.ASCII
)
_CONTAINER: Final = re.compile(r"[a-z-]+:([0-9a-f]{12})[0-9a-f]{0,52}", re.ASCII)
_USERS: Final = re.compile(r"/user@(\d{1,10})\.service/")
"""Below it are the units of a user's own manager, which may be called as units of the system's are (user@.service(5))."""


class Named(NamedTuple):
    """What somebody asks about; empty where it is none.

    Attributes:
        unit: As systemd knows it, escaped.
        container: Its id, as the runtimes give it to journald.
        user: Whose manager the unit belongs to: a uid; empty for the system's.
    """

    unit: str = ""
    container: str = ""
    user: str = ""


async def unit_detail(args: UnitArgs, journalctl: str, systemctl: str, trouble: Callable[[], Trouble | None]) -> UnitDetail:
    """Read a unit.

    Args:
        args: Its name and cgroup; nothing of it is believed, and what is no unit's name is handed to no program.
        journalctl: The program.
        systemctl: Likewise.
        trouble: Says why the journal may not be read; may block.
    """
    asked = named(args)
    if not args.path and "-" in asked.unit:
        asked = asked._replace(unit=await ask(lambda: _escaped(asked.unit, systemctl), "perfconsole-unit"))
    (facts, no_facts), (lines, no_lines) = await gather(
        ask(lambda: _facts(asked, systemctl), "perfconsole-unit"),
        ask(lambda: _lines(asked, journalctl, trouble), "perfconsole-unit"),
    )
    return UnitDetail(facts, lines, [safe(reason) for reason in (no_facts, no_lines) if reason])


def named(args: UnitArgs) -> Named:
    """What a row stands for. Its cgroup is called as systemd calls the unit, its name is what that means without escapes."""
    group = args.path.rpartition("/")[2]
    unit = group if args.path else args.name
    user = _USERS.search(args.path)
    container = _CONTAINER.fullmatch(args.name)
    if container and args.path and not re.search(rf"(?:^|-){container[1]}", group):
        container = None  # a pod, whose id may look like one
    return Named(unit if _UNIT.fullmatch(unit) else "", container[1] if container else "", user[1] if user else "")


def _escaped(name: str, systemctl: str) -> str:
    r"""The unit that a row without a cgroup stands for: ``a-b.service`` may be ``a\x2db.service``, which systemd alone can tell."""
    listing = [systemctl, "list-units", "--all", "--full", "--plain", "--no-legend", "--no-pager", "--", name.replace("-", "*")]
    units = [line.partition(" ")[0] for line in answer(listing, _LIST_S).out.decode("utf-8", "replace").splitlines()]
    return next((unit for unit in units if unescaped(unit) == name and _UNIT.fullmatch(unit)), name)


def _facts(asked: Named, systemctl: str) -> tuple[list[tuple[str, str]], str]:
    if not asked.unit:
        return [], "facts: systemd knows units, not what this is"
    if asked.user:
        return [], f"facts: it is of the systemd of uid {asked.user}: as that user, {systemctl} --user status {asked.unit}"
    found = answer([systemctl, "show", "--no-pager", f"--property={','.join(_ASKED)}", "--", asked.unit], _SHOW_S)
    if found.fault:
        return [], f"facts: {systemctl} {found.fault}"
    facts = facts_of(found.out)
    return facts, "" if facts else f"facts: {systemctl} says nothing of {asked.unit}"


def facts_of(shown: bytes) -> list[tuple[str, str]]:
    """Name and text of what ``systemctl show`` wrote, without what is not set."""
    pairs = (line.partition("=") for line in safe_lines(shown))
    known = {name: value for name, _, value in pairs if name in _ASKED}
    if known.get("LoadState") == "not-found":
        return [("loaded", "no: systemd finds no such unit")]
    found = []
    for name, title in FACTS.items():
        value = _value(name, known)
        if value not in _NONE:
            found.append((title, value))
    if known.get("NeedDaemonReload") == "yes":
        found.append(("changed on disk", "yes: in force after systemctl daemon-reload"))
    return found


def _value(name: str, known: Mapping[str, str]) -> str:
    """A property in words; empty where it says nothing, or nothing that still holds."""
    value = known.get(name, "")
    if (value == "0" and name in _ZERO_IS_NONE) or (name == "LoadState" and value == "loaded"):
        return ""
    if name == "ActiveState" and known.get("SubState", "") not in ("", value):
        return f"{value} ({known['SubState']})"
    if name in _SIZES and value.isdigit():
        return size(int(value))
    if name == "ExecMainStatus":
        code = known.get("ExecMainCode", "")
        code = _CODES.get(code, code)
        return exit_words(code, value) if code in _CODES.values() else ""
    if name in _SINCE and known.get("ActiveState") not in _SINCE[name]:
        return ""
    return value


def safe_lines(text: bytes) -> list[str]:
    """Lines of a program's output, each safe."""
    return [safe(line) for line in text.decode("utf-8", "replace").split("\n") if line]


def _lines(asked: Named, journalctl: str, trouble: Callable[[], Trouble | None]) -> tuple[list[LogLine], str]:
    if not asked.unit and not asked.container:
        return [], "log: journald keeps it by unit or by container, and knows this as neither"
    if reason := trouble():
        return [], f"log: {reason}"
    found = _journal(journalctl, _matches(asked))
    lines = log_of(found.out)
    if found.fault:
        return lines, f"log: {journalctl} {found.fault}"
    if not lines and asked.container:
        return [], "log: the journal has no line of this container: its runtime keeps them elsewhere, as with docker's log driver json-file"
    return lines, ""


def _matches(asked: Named) -> list[str]:
    if asked.container:
        return [f"CONTAINER_ID={asked.container}"]
    if asked.user:  # what `--user-unit` asks for, but that is of the user who asks
        return [f"_SYSTEMD_USER_UNIT={asked.unit}", f"_UID={asked.user}", "+", f"USER_UNIT={asked.unit}", f"_UID={asked.user}"]
    return [f"--unit={asked.unit}"]


def _journal(journalctl: str, matches: list[str]) -> Answer:
    fields = f"--output-fields={','.join(FIELDS)}"
    return answer([journalctl, f"--lines={LINES}", "--output=json", fields, "--no-pager", "--quiet", *matches], _SHOW_S)


def log_of(written: bytes) -> list[LogLine]:
    """The last lines of what journalctl wrote, oldest first."""
    entries = (entry_of(line) for line in written.split(b"\n") if line)
    lines = [LogLine(entry.at, entry.priority, entry.identifier or entry.comm, entry.message) for entry in entries if entry]
    return lines[-LINES:]
