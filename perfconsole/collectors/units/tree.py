"""The groups of all hierarchies as one tree: v1 has one a controller, and a unit is wherever it has a directory."""

from collections.abc import Callable

from perfconsole.collectors.loop import paced
from perfconsole.collectors.units.branch import Branch
from perfconsole.collectors.units.files import Files
from perfconsole.collectors.units.hierarchies import Layout
from perfconsole.collectors.units.names import ROOT, Place, place
from perfconsole.collectors.units.node import Counts, Node
from perfconsole.core.globs import Globs


class Tree:
    """All groups that are followed.

    Args:
        layout: Where they are.
        globs: Which are looked at.
        files: Gives back the descriptors of those that ended.
        clock: CLOCK_BOOTTIME.

    Attributes:
        nodes: By path, each after the one above it.
        came: Groups that were not there at the scan before, or are another's now; `went` those that ended.
    """

    def __init__(self, layout: Layout, globs: Globs, files: Files, clock: Callable[[], float]) -> None:
        self._places: dict[str, Place] = {"": ROOT}
        self._branches = [Branch(hierarchy, self._places) for hierarchy in layout.hierarchies]
        self._globs, self._files, self._clock = globs, files, clock
        self._contained = layout.contained
        self._whole = {position for position, hierarchy in enumerate(layout.hierarchies) if hierarchy.whole}
        self._walked_at: float | None = None
        self.nodes: dict[str, Node] = {}
        self.came: list[Node] = []
        self.went: list[Node] = []

    @property
    def cut(self) -> bool:
        """Whether there are more than are looked at."""
        return any(branch.cut for branch in self._branches)

    @property
    def denied(self) -> list[str]:
        """Groups whose children may not be listed."""
        return sorted({path or "/" for branch in self._branches for path in branch.denied})

    async def walk(self, *, whole: bool = True) -> None:
        """Find what came and went; unless `whole`, at a glance, which misses who came to be under a name that was another's."""
        before, self._walked_at = self._walked_at, self._clock()
        for branch in self._branches:
            async for _ in paced(branch.walk(whole=whole), self._clock):
                pass
        self.came, self.went = [], []
        if any(branch.changed for branch in self._branches):
            await self._join(before)

    async def _join(self, before: float | None) -> None:
        """Make nodes of directories; `before` is when they were last looked for."""
        found: dict[str, dict[int, int]] = {}
        for position, branch in enumerate(self._branches):
            for path, known in branch.known.items():
                found.setdefault(path, {})[position] = known.inode
        found[""] = {position: inode for position, inode in found.get("", {}).items() if position not in self._whole}
        old, self.nodes = self.nodes, {}
        async for path in paced(sorted(found, key=lambda path: (path.count("/"), path)), self._clock):
            above = self.nodes.get(path.rpartition("/")[0]) if path else None
            node = old.get(path)
            if node is None or node.above is not above or not _is_same(node.inodes, found[path]):
                node = self._admit(path, above, found[path], node, before)
            elif node.inodes != found[path]:
                node.inodes = found[path]
                self._files.look_again(node)
            node.below = []
            self.nodes[path] = node
            if above is not None:
                above.below.append(node)
        self.went = [node for path, node in old.items() if self.nodes.get(path) is not node]
        for node in self.went:
            self._files.forget(node)
        for path in [path for path in self._places if path and path not in self.nodes]:
            del self._places[path]

    def _admit(self, path: str, above: Node | None, inodes: dict[int, int], old: Node | None, before: float | None) -> Node:
        node = Node(self._places.get(path) or place(path), above, inodes, self._globs)
        node.chosen = node.chosen and (bool(path) or self._contained)  # what the machine's own root uses is the machine's use
        if old is not None and _is_same(old.inodes, inodes):
            # The same group; only what it hangs on was made anew.
            node.counts, node.base, node.oom = old.counts, old.base, old.oom
            return node
        self.came.append(node)
        if before is not None:
            # It was not there at the last look: all that it has used it used since.
            node.counts = node.base = Counts(before, 0.0, 0.0, 0.0, 0.0)
            node.oom = 0.0
        return node


def _is_same(old: dict[int, int], new: dict[int, int]) -> bool:
    """Whether two sights are of one group: v1 may have given it a controller more, or fewer."""
    common = old.keys() & new.keys()
    return old == new or (bool(common) and all(old[position] == new[position] for position in common))
