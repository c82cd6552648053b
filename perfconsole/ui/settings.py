"""What the app is told about how to be."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from perfconsole.config.abilities import Abilities
from perfconsole.config.themes import ThemeSpec


class Settings(NamedTuple):
    """Made from a configuration by whoever opens the console.

    Attributes:
        theme: The theme to begin with.
        themes: Names of all themes, and `load` to get one.
        keys: Action id to keys.
        columns: Columns of the process table; empty for those that fit.
        per_core: CPU of a process as a share of one core, not of the machine.
        started: Called a second after the first frame: nothing of the start waits for it.
        reload: Reads the configuration again: gives new settings; None where there is nothing to read.
        notices: To be told at the start.
        user: Who acts here: stands in acknowledgements and silences.
        bell: How the console calls somebody when an alert fires (`bell.KINDS`).
    """

    theme: ThemeSpec
    themes: Sequence[str]
    load: Callable[[str], ThemeSpec]
    keys: Mapping[str, tuple[str, ...]]
    abilities: Abilities
    host: str = ""
    screen: str = "operations"
    columns: Sequence[str] = ()
    sort: str = "cpu"
    tree: bool = False
    per_core: bool = False
    started: Callable[[], None] | None = None
    reload: Callable[[], "Settings"] | None = None
    notices: Sequence[str] = ()
    user: str = ""
    bell: Sequence[str] = ()
