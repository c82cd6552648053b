"""A plan as lines: what kind it is and what changed, then its nodes as a tree with what each costs by itself. Pure."""

from collections.abc import Iterator, Sequence
from math import isnan
from textwrap import wrap
from typing import Final, NamedTuple

from perfconsole.core import units
from perfconsole.core.requests import Plan, PlanNode
from perfconsole.ui.line import Parts
from perfconsole.ui.look import Look
from perfconsole.ui.spark import bar

_BAR: Final = 5
_VERDICTS: Final = 2
_MOST_LINES: Final = 3
"""Lines that one condition takes: an IN list of a thousand is known by its beginning."""

_KINDS: Final = {
    "generic": ("generic plan", "as for any values"),
    "live": ("plan for one call", "other values may have another"),
    "analyze": ("measured plan", "it was run, and rolled back"),
}


class Branch(NamedTuple):
    """What is drawn in front of a node, and in front of what is said of it below."""

    own: str
    below: str


def branches(depths: Sequence[int], look: Look) -> list[Branch]:
    """The branches of a tree whose nodes are told in the order of a walk."""
    glyphs = look.glyphs
    followed = _followed(depths)
    open_at: dict[int, bool] = {}
    out = []
    for i, depth in enumerate(depths):
        open_at[depth] = followed[i]
        stem = "".join(glyphs.trunk if open_at.get(level) else "  " for level in range(1, depth))
        own = stem + (glyphs.branch if followed[i] else glyphs.last_branch) if depth else ""
        inner = i + 1 < len(depths) and depths[i + 1] > depth
        below = stem + (glyphs.trunk if followed[i] else "  ") if depth else ""
        out.append(Branch(own, below + (glyphs.trunk if inner else "  ")))
    return out


def _followed(depths: Sequence[int]) -> list[bool]:
    """Whether a later node hangs on the same one."""
    later: set[int] = set()
    out = []
    for depth in reversed(depths):
        out.append(depth in later)
        later = {level for level in later if level <= depth} | {depth}
    return out[::-1]


def plan_lines(plan: Plan, look: Look, width: int, given: Sequence[str] = ()) -> list[Parts]:
    """The whole plan as lines of a width.

    Args:
        plan: The plan.
        look: Styles and glyphs.
        width: Cells.
        given: Values that were given by hand for it.
    """
    tree = _Tree(plan, look, width)
    lines = [
        _head(plan, look, width),
        *_wrapped(f"with {', '.join(given)}" if given else "", width, "dim"),
        *_wrapped(plan.index, width, "accent"),
        *tree.verdicts(),
        tree.titles(),
    ]
    for node, branch in zip(plan.nodes, branches([node.depth for node in plan.nodes], look), strict=True):
        lines += tree.node(node, branch)
    types = ", ".join(f"${number} {name}" for number, name in enumerate(plan.types, 1))
    for text in (types, *plan.notes):
        lines += _wrapped(text, width, "dim")
    return lines


def _head(plan: Plan, look: Look, width: int) -> Parts:
    kind, meaning = _KINDS.get(plan.how, (plan.how, ""))
    told = [f"cost {units.count(plan.nodes[0].cost)}"] if plan.nodes else []
    times = (("planned in", plan.planning_s), ("run in", plan.execution_s))
    told += [f"{title} {units.latency(value)}" for title, value in times if value > 0]
    changed = f"  {look.glyph('warning')} not the plan of the last look" if plan.changed else ""
    rest = f"  {plan.hash[:8]}  {'  '.join(told)}"
    meant = "" if plan.changed or len(kind) + len(rest) + len(meaning) + 4 > width else f"  {meaning}"
    return [(kind, 0, "title"), (changed, 0, "warning"), (rest, 0, "dim"), (meant, 0, "dim")]


def _wrapped(text: str, width: int, role: str) -> list[Parts]:
    return [[(part, 0, role)] for part in wrap(text, max(1, width - 2))]


class _Tree:
    """The nodes of one plan."""

    def __init__(self, plan: Plan, look: Look, width: int) -> None:
        self._look = look
        self._width = width
        self._nodes = plan.nodes
        self._measured = any(not isnan(node.own_s) for node in plan.nodes)
        self._whole = sum(map(self._own, plan.nodes))
        self._aside = _BAR + 5 + 6 + (14 if self._measured else 0) + 2
        self._stem = max(8, (width - self._aside) // 2)

    def _own(self, node: PlanNode) -> float:
        own = node.own_s if self._measured else node.own_cost
        return 0.0 if isnan(own) else own

    def verdicts(self) -> Iterator[Parts]:
        """What deserves a look, on top of a tree that does not fit: the dearest first."""
        found = sorted((node for node in self._nodes if node.findings), key=self._own, reverse=True)
        for node in found[:_VERDICTS]:
            sign = self._look.glyph("warning")
            yield [
                (f"{sign} {units.percent(self._share(node))} ", 0, "warning_bar"),
                (node.name, 0, "foreground"),
                (f"  {', '.join(node.findings)}", 0, "warning_bar"),
            ]

    def _share(self, node: PlanNode) -> float:
        return self._own(node) / self._whole if self._whole else 0.0

    def titles(self) -> Parts:
        """The heads of the columns."""
        heads = [_right("OWN TIME" if self._measured else "OWN COST", _BAR + 5)]
        heads += [_right("TIME", 7)] if self._measured else []
        heads.append(_right("ROWS", 6))
        heads += [_right("REAL", 7)] if self._measured else []
        return [*heads, ("", 2, "dim"), ("NODE", 0, "dim")]

    def node(self, node: PlanNode, branch: Branch) -> Iterator[Parts]:
        """A node, what is found of it, and its conditions."""
        share = self._share(node)
        worst = "costliest" in node.findings
        yield [
            (bar(self._look, share, _BAR), _BAR, "warning_bar" if worst else "chart"),
            _right(units.percent(share), 5, "warning" if worst else "foreground"),
            *([_right(units.latency(node.own_s), 7, "foreground")] if self._measured else ()),
            _right(units.count(node.rows), 6),
            *([_right(units.count(node.actual_rows), 7)] if self._measured else ()),
            ("", 2, "dim"), (self._bounded(branch.own), 0, "border"), (node.name, 0, "title" if worst else "foreground"),
            (f"  {units.count(node.loops)} times" if node.loops > 1 else "", 0, "dim"),
        ]  # fmt: skip
        for found in node.findings:
            yield from self._below(branch, f"{self._look.glyph('warning')} {found}", "warning_bar")
        for title, text in node.details:
            yield from self._below(branch, f"{title}: {text}", "dim")

    def _below(self, branch: Branch, text: str, role: str) -> Iterator[Parts]:
        stem = self._bounded(branch.below)
        room = max(10, self._width - self._aside - len(stem) - 2)
        parts = [text] if len(text) <= room else wrap(text[: room * (_MOST_LINES + 1)], room) or [""]
        if len(parts) > _MOST_LINES:
            parts = [*parts[: _MOST_LINES - 1], parts[_MOST_LINES - 1][: room - 1] + self._look.glyphs.ellipsis]
        for part in parts:
            yield [("", self._aside, "dim"), (stem, 0, "border"), (part, 0, role)]

    def _bounded(self, stem: str) -> str:
        """The branches of a node so deep that nothing would be left for its name, cut at the left."""
        return stem if len(stem) <= self._stem else self._look.glyphs.ellipsis + stem[1 - self._stem :]


def _right(text: str, cells: int, role: str = "dim") -> tuple[str, int, str]:
    return (text.rjust(cells), cells, role)
