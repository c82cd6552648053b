"""What a cgroup is and what it is called, by its directory's name: systemd's, the kubelet's and the runtimes' habits. Parsing only.

Names are those that a process row has as its unit, so that one leads to the other.
"""

import re
from typing import Final, NamedTuple

from perfconsole.collectors.processes.units import container_of, unescaped
from perfconsole.core.text import safe

OWN: Final = "(this container)"
"""The name of the root where it is not the machine's: all that is seen is a container's own subtree (cgroup_namespaces(7))."""

LIMIT: Final = 200
"""Characters kept of a name: what process rows keep."""

_POD: Final = re.compile(r"(?:kubepods-(?:burstable-|besteffort-)?)?pod([0-9a-f]{8}[-_][0-9a-f]{4}|[0-9a-f]{12})[0-9a-f_-]*(?:\.slice)?")
_SUFFIXES: Final = {".service": "service", ".scope": "scope", ".slice": "slice"}


class Place(NamedTuple):
    """A cgroup by name.

    Attributes:
        path: From the root of what is seen, as the kernel has it; empty for that root.
        raw: The directory's own name.
        name: As it is shown; `kind` as `UnitRow.kind`.
    """

    path: str
    raw: str
    name: str
    kind: str

    @property
    def shown_path(self) -> str:
        """The path as a row has it."""
        return safe(self.path) or "/"


ROOT: Final = Place("", "", OWN, "container")


def place(path: str) -> Place:
    """What the cgroup at a path is."""
    above, _, raw = path.rpartition("/")
    parent = above.rpartition("/")[2]
    inside = "kubepods" in above
    pod = _POD.fullmatch(raw) if "kubepods" in path else None
    if pod:
        return Place(path, raw, f"pod:{pod[1].replace('_', '-')}", "pod")
    found = container_of(raw, parent)
    if found:
        engine, name = found
        shown = f"pod:{name}" if inside and engine != "lxc" else f"{engine}:{name}"
        # The monitor beside a container has its id too, and is none.
        return Place(path, raw, safe(shown, LIMIT), "scope" if "conmon" in raw or ".monitor." in raw else "container")
    kind = _SUFFIXES.get("." + raw.rpartition(".")[2], "group")
    if kind == "group":
        return Place(path, raw, safe(path.strip("/"), LIMIT), kind)
    return Place(path, raw, safe(unescaped(raw), LIMIT), kind)


def is_followed(above: Place, below: Place) -> bool:
    """Whether a cgroup is looked at by itself, or as a part of the one above it.

    What a service, a scope or a container makes of its own group is its own affair, unless it runs units or containers: ``user@.service``
    does, and a container engine that was not told better.
    """
    if above.kind == "container":
        return above is ROOT
    return above.kind not in {"service", "scope"} or below.kind != "group"
