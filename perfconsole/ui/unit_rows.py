"""Units as they are shown: in what order, as a tree, what of them is out of the ordinary; and one followed through states. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from math import isnan, nan
from typing import Final

from perfconsole.core import units
from perfconsole.core.ordering import ordered
from perfconsole.core.state import Series, State
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.unit_rows import REST, UnitRow, UnitTable, identity
from perfconsole.ui.arrange import Item
from perfconsole.ui.look import Glyphs
from perfconsole.ui.subject import ENDED, LIVE, UNSEEN, Followed

COLLECTOR: Final = "units"
"""Who measures them, as health and groups name it."""

ROOT: Final = "/"
"""The path of the row of a container that sees no more than its own groups."""

REST_KEY: Final = identity(REST)

THROTTLED: Final = 0.25
"""Share of the quota's periods from which on a unit is held back so often that whoever waits for it notices."""

NEAR_LIMIT: Final = 0.90
"""Share of its memory limit from which on the kernel is about to take pages away, or to kill."""

_STATES: Final = ("failed", "activating", "reloading", "deactivating", "maintenance", "active", "inactive", "")
"""What deserves a look first."""

_CHANGING: Final = frozenset({"activating", "reloading", "deactivating", "maintenance", "auto-restart"})

_PRESENT_S: Final = 15.0
_RECORDED_S: Final = 90.0
"""What is older than this was: told every few seconds while somebody looks, and seldom where it is only recorded."""


def state_role(row: UnitRow) -> str:
    """What its state is drawn with."""
    if row.state == "failed":
        return "critical_bar"
    return "warning" if row.state in _CHANGING else "foreground" if row.state == "active" else "dim"


def severities(row: UnitRow) -> dict[str, str]:
    """The fields that are out of the ordinary, with how grave that is, by fixed rules."""
    found = {
        "state": "critical" if row.state == "failed" else "",
        "throttled": "warning" if row.throttled > THROTTLED else "",
        "memory": "warning" if row.memory > NEAR_LIMIT else "",
        "oom_kills": "warning" if row.oom_kills > 0 else "",
    }
    return {field: severity for field, severity in found.items() if severity}


def ailing(rows: Iterable[UnitRow]) -> list[tuple[str, str]]:
    """``1 failed``, ``2 throttled``: how many units of each, with the severity, the gravest first."""
    names = {"state": "failed", "oom_kills": "OOM", "throttled": "throttled", "memory": "near limit"}
    every = [severities(row) for row in rows if row.name != REST]
    counted = [(field, [found[field] for found in every if field in found]) for field in names]
    return [(f"{len(grave)} {names[field]}", grave[0]) for field, grave in counted if grave]


# Order ----------------------------------------------------------------------------------------------------------------------------


def listed(rows: Sequence[UnitRow], field: str, *, reverse: bool) -> list[UnitRow]:
    """Rows in the order of a field, the sum of the others last; by state those first that deserve a look."""
    own = [row for row in rows if row.name != REST]
    if field == "state":
        found = sorted(
            ordered(own, "cpu", reverse=False), key=lambda row: _STATES.index(row.state if row.state in _STATES else ""), reverse=reverse
        )
    else:
        found = ordered(own, field, reverse=reverse)
    return found + [row for row in rows if row.name == REST]


def without_sums(rows: Sequence[UnitRow]) -> list[UnitRow]:
    """Without slices that say no more than what is in them does: in a list they would stand above their own members.

    One stays that has a limit of its own, that something is the matter with, or of which no member is among the rows.
    """
    above = {ancestor for row in rows for ancestor in _ancestors(row.path)}
    return [row for row in rows if not _sums(row) or row.path not in above or _limited(row) or severities(row)]


def _sums(row: UnitRow) -> bool:
    return row.kind == "slice" or row.path == ROOT


def _limited(row: UnitRow) -> bool:
    return not (isnan(row.cpu_limit) and isnan(row.memory_limit))


def _ancestors(path: str) -> Iterator[str]:
    """The paths above one, the nearest first."""
    here = path
    while here and here != ROOT:
        here = here.rpartition("/")[0] or ROOT
        yield here


def tree(rows: Sequence[UnitRow], glyphs: Glyphs) -> list[Item]:
    """Each below the nearest of its ancestors that is among the rows, siblings in the order of `rows`; the sum of the others last."""
    paths = {row.path for row in rows if row.path}
    children: dict[str, list[UnitRow]] = {}
    for row in rows:
        children.setdefault(next((path for path in _ancestors(row.path) if path in paths), ""), []).append(row)
    out: list[Item] = []
    stack = [(row, "", "") for row in reversed(children.get("", []))]
    while stack:  # paths only grow on the way down: there is no loop to end
        row, prefix, trunk = stack.pop()
        out.append(Item(row, prefix))
        below = children.get(row.path, []) if row.path else []
        for i, child in enumerate(reversed(below)):
            branch, on = (glyphs.last_branch, "  ") if i == 0 else (glyphs.branch, glyphs.trunk)
            stack.append((child, trunk + branch, trunk + on))
    return out


# Texts ----------------------------------------------------------------------------------------------------------------------------


def quota_text(row: UnitRow) -> str:
    """CPU use against its quota in cores: ``92% of 0.5``; empty without one."""
    return f"{units.percent(row.cpu / row.cpu_limit)} of {row.cpu_limit:.3g}" if row.cpu_limit > 0 else ""


def limit_text(row: UnitRow) -> str:
    """Memory against its limit: ``88% of 512M``; empty without one."""
    return "" if isnan(row.memory_limit) else f"{units.percent(row.memory)} of {units.size(row.memory_limit)}"


# One unit -------------------------------------------------------------------------------------------------------------------------


_SYSTEMDS: Final = frozenset({"service", "scope", "slice"})


def row_of(name: str) -> UnitRow:
    """A unit of which nothing but the name is known, as an event or an alert has it; `Unit` finds the rest."""
    name = name.partition(" (")[0]  # of two with one name a series has what the second belongs to beside it
    kind = name.rpartition(".")[2]
    return UnitRow("", name, kind if kind in _SYSTEMDS else "container")


class Unit(Followed[UnitRow]):
    """A unit, by the path of its cgroup; one that does not run, by its name."""

    BEGAN = "since"

    def follow(self, state: State) -> None:
        """Take what a state says of it; among the busiest it need not be."""
        table = state.table(UnitTable)
        if table is None:
            return
        found = next((row for row in table.rows if row.key == self.row.key), None) or self._elsewhere(table)
        if found is not None:
            self.row, self.status, self.ended_at = found, LIVE, nan
        elif any(row.name == REST for row in table.rows) or len(table.rows) < table.total:
            self.status, self.ended_at = UNSEEN, nan
        elif self.status != ENDED:
            self.status, self.ended_at = ENDED, table.at

    def _elsewhere(self, table: UnitTable) -> UnitRow | None:
        """A unit of systemd that has ended has no cgroup, and one that was started again has one: its name is the same."""
        if self.row.path and self.row.kind not in _SYSTEMDS:
            return None
        return next((row for row in table.rows if row.name == self.row.name and (not row.path or not self.row.path)), None)

    def series(self, state: State, metric: str, **labels: str) -> Series | None:
        """The history of one of its values, which is held of the busiest."""
        return state.find(metric, **labels, unit=self.row.name)

    def names(self, state: State) -> frozenset[str]:
        """Its name and those of all units in it, as processes are labelled with them: a group's by its path."""
        table = state.table(UnitTable)
        inside = [row for row in table.rows if self.row.path in _ancestors(row.path)] if table and self.row.path else []
        return frozenset(name for row in (self.row, *inside) for name in (row.name, row.path.strip("/")))

    def processes(self, state: State) -> list[ProcessRow]:
        """The processes in it, and in what is in it. In none are the kernel's own; in a container, those that are nowhere else."""
        table = state.table(ProcessTable)
        names = self.names(state) if self.row.path == ROOT else self.names(state) - {""}
        return [row for row in table.rows if row.unit in names] if table else []


def trouble(state: State, table: UnitTable) -> list[str]:
    """Why what is shown is not what is, in words, with the fix."""
    health = state.health.get((COLLECTOR, table.target))
    age_s = state.at - table.at
    was = f"shown is what was known {units.duration(age_s)} ago" if age_s > (_RECORDED_S if state.past else _PRESENT_S) else ""
    if health and health.state in {"error", "denied", "stale"} and health.error:
        return [": ".join(filter(None, (health.error, health.fix, was)))]
    return [was] if was else []


def outdated(state: State, table: UnitTable) -> bool:
    """Whether what is shown was."""
    return state.at - table.at > (_RECORDED_S if state.past else _PRESENT_S)
