"""The small files of cgroups, read through descriptors that are kept while there is room for them. Knows nothing of what is in them.

A kept descriptor answers in half the time, and says with ENODEV that its group is gone, whatever stands at that path now.
"""

import os
import resource
from contextlib import suppress
from errno import EACCES, EMFILE, ENFILE, EPERM
from typing import Final

from perfconsole.collectors.units.hierarchies import Layout
from perfconsole.collectors.units.node import Node

_MOST: Final = 1536
"""Descriptors kept: two of each of 500 groups, and what is read of the 50 on the table besides."""

_SHARE: Final = 4
"""Of the descriptors that this process may have, a quarter: processes, connections and endpoints want theirs."""

_LITTLE: Final = 2048
_MUCH: Final = 16384
"""Bytes of ``memory.stat`` and ``io.stat``, the only files that may be longer than the others together."""


class Files:
    """Reads a node's files.

    Attributes:
        denied: Names of files that may not be read.
    """

    def __init__(self, layout: Layout) -> None:
        self._tops = [hierarchy.top for hierarchy in layout.hierarchies]
        self._kept = 0
        self._budget = -1
        self.denied: set[str] = set()

    def read(self, node: Node, hierarchy: int, name: str) -> bytes:
        """The content of a file that is read again and again; empty when it is not there, or may not be read."""
        key = (hierarchy, name)
        descriptor = node.descriptors.get(key)
        if descriptor is not None:
            if descriptor < 0:
                return b""
            try:
                return os.pread(descriptor, _MUCH if name.endswith((".stat", "bytes_recursive")) else _LITTLE, 0)
            except OSError:
                self._drop(node, key)
                return b""
        return self._open(node, hierarchy, name, keep=True)

    def read_once(self, node: Node, hierarchy: int, name: str) -> bytes:
        """The content of a file that is read seldom."""
        return self._open(node, hierarchy, name, keep=False)

    def _open(self, node: Node, hierarchy: int, name: str, *, keep: bool) -> bytes:
        if hierarchy not in node.inodes:
            return b""
        try:
            descriptor = os.open(f"{self._tops[hierarchy]}{node.place.path}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (EACCES, EPERM):
                self.denied.add(name)
            if error.errno in (EMFILE, ENFILE):
                self._budget = self._kept // 2
            elif keep:
                node.descriptors[hierarchy, name] = -1
            return b""
        content = b""
        try:
            content = os.pread(descriptor, _MUCH, 0)
        except OSError:
            keep = False  # gone between the two; or, of pressure, switched off (EOPNOTSUPP)
            node.descriptors[hierarchy, name] = -1
        if keep and self._has_room():
            node.descriptors[hierarchy, name] = descriptor
            self._kept += 1
        else:
            os.close(descriptor)
        return content

    def _has_room(self) -> bool:
        if self._budget < 0:
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            self._budget = _MOST if soft == resource.RLIM_INFINITY else min(_MOST, soft // _SHARE)
        return self._kept < self._budget

    def look_again(self, node: Node) -> None:
        """Try files again that were not there: a controller may have been enabled."""
        for key in [key for key, descriptor in node.descriptors.items() if descriptor < 0]:
            del node.descriptors[key]

    def release(self, node: Node, names: frozenset[str]) -> None:
        """Close all files of a node but those of these names."""
        for key in [key for key in node.descriptors if key[1] not in names]:
            self._drop(node, key)

    def forget(self, node: Node) -> None:
        """Close all files of a node."""
        self.release(node, frozenset())

    def _drop(self, node: Node, key: tuple[int, str]) -> None:
        descriptor = node.descriptors.pop(key)
        if descriptor >= 0:
            self._kept -= 1
            with suppress(OSError):
                os.close(descriptor)
