"""What can be done by key: the one table of actions, their keys and their words. Screens, help, remapping and `keys` all read it.

Pure data: knows nothing of the terminal UI, so that a keymap can be checked and printed without one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

GLOBAL: Final = "global"
REPLAY: Final = "replay"
_EVERYWHERE: Final = frozenset({GLOBAL, REPLAY})
"""Scopes that hold on every screen: nothing else may use their keys."""


class Action(NamedTuple):
    """Something a key does.

    Attributes:
        id: Its name in ``[keys]``.
        keys: The keys that do it, as a person writes them: ``j``, ``?``, ``ctrl+s``, ``pagedown``, ``f5``.
        title: What it does, in few words.
        scope: ``global``, ``replay`` (any screen over a recording) or the name of a screen.
    """

    id: str
    keys: tuple[str, ...]
    title: str
    scope: str = GLOBAL


ACTIONS: Final = (
    Action("screen.operations", ("1",), "Operations screen"),
    Action("screen.queries", ("4",), "Queries screen"),
    Action("screen.endpoints", ("5",), "Endpoints screen"),
    Action("screen.processes", ("6",), "Processes screen"),
    Action("screen.alerts", ("7",), "Alerts screen"),
    Action("screen.changes", ("8",), "Changes screen"),
    Action("help", ("?",), "Help"),
    Action("quit", ("q",), "Quit"),
    Action("back", ("escape",), "Back"),
    Action("open", ("enter",), "Open what is selected"),
    Action("pane.next", ("tab",), "Next pane"),
    Action("nav.down", ("j", "down"), "Down"),
    Action("nav.up", ("k", "up"), "Up"),
    Action("nav.first", ("g", "home"), "First row"),
    Action("nav.last", ("G", "end"), "Last row"),
    Action("nav.page_down", ("pagedown",), "A page down"),
    Action("nav.page_up", ("pageup",), "A page up"),
    Action("filter", ("/",), "Filter"),
    Action("palette", (":", "ctrl+p"), "Command palette"),
    Action("sort", ("s",), "Sort by the next column"),
    Action("reverse", ("r",), "Reverse the order"),
    Action("freeze", ("space",), "Freeze, go on"),
    Action("expand", ("e",), "Expand the pane"),
    Action("copy", ("y",), "Copy what is selected"),
    Action("alert.ack", ("a",), "Acknowledge an alert, or give it back"),
    Action("alert.silence", ("z",), "Silence an alert, or end a silence"),
    Action("alert.next", ("n",), "Next alert or mark"),
    Action("alert.previous", ("N",), "Previous alert or mark"),
    Action("time.back", ("[",), "A step back in time"),
    Action("time.forward", ("]",), "A step forward in time"),
    Action("time.narrower", (",",), "Narrower time window"),
    Action("time.wider", (".",), "Wider time window"),
    Action("time.go", ("@",), "Go to a time"),
    Action("time.live", ("L",), "Back to live"),
    Action("mark", ("m",), "Mark: say what was done, and count from here"),
    Action("note", ("i",), "Note: say what was found out"),
    Action("theme", ("T",), "Next theme"),
    Action("screenshot", ("ctrl+s",), "Screenshot to an SVG file"),
    Action("reload", ("ctrl+r",), "Reload the configuration"),
    Action("replay.play", (">",), "Play, pause", REPLAY),
    Action("system.detail", ("d",), "This machine in detail: sockets, listeners, writers, devices", "operations"),
    Action("query.plan", ("p",), "Plan", "queries"),
    Action("query.live_plan", ("V",), "Plan with live values", "queries"),
    Action("query.analyze", ("A",), "Run it and measure the plan", "queries"),
    Action("postgres.end", ("x",), "Cancel or terminate", "queries"),
    Action("postgres.detail", ("d",), "Sizes, maintenance, advice", "queries"),
    Action("postgres.server", ("S",), "Next server", "queries"),
    Action("postgres.connect", ("c",), "Connect to a server that was found", "queries"),
    Action("endpoint.check", ("c",), "Check now", "endpoints"),
    Action("endpoint.group", ("b",), "Group by service", "endpoints"),
    Action("endpoint.runbook", ("o",), "Copy the runbook's address", "endpoints"),
    Action("alert.target", ("w",), "Go where it is: the target's own screen", "alerts"),
    Action("alert.runbook", ("o",), "Copy the runbook's address", "alerts"),
    Action("alert.edit", ("E",), "Change its rule where it is written", "alerts"),
    Action("process.tree", ("t", "f5"), "Tree", "processes"),
    Action("process.signal", ("x", "f9"), "Send a signal", "processes"),
    Action("process.renice", ("w", "f7"), "Renice", "processes"),
    Action("process.sort_memory", ("M",), "Sort by memory", "processes"),
    Action("process.sort_cpu", ("C",), "Sort by CPU", "processes"),
    Action("process.sort_pid", ("P",), "Sort by pid", "processes"),
    Action("process.group_program", ("b",), "Group by program", "processes"),
    Action("process.units", ("U",), "Units and containers", "processes"),
    Action("process.group_unit", ("u",), "Group by unit or container", "processes"),
)

BY_ID: Final = {action.id: action for action in ACTIONS}

TAKEN: Final = frozenset({"ctrl+c"})
"""Always quits, whatever a configuration says."""

NAMED_KEYS: Final = (
    "escape", "enter", "tab", "space", "backspace", "insert", "delete", "home", "end", "pageup", "pagedown", "up", "down", "left", "right",
    *(f"f{number}" for number in range(1, 13)),
)  # fmt: skip

_SPELLINGS: Final = {
    " ": "space", "esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "page_up": "pageup", "page_down": "pagedown",
    "del": "delete", "ins": "insert", "control": "ctrl",
}  # fmt: skip
_MODIFIERS: Final = ("ctrl", "alt", "shift")


def read_key(text: str) -> str:
    """The one spelling of a key: ``G`` stays, ``Ctrl+S`` becomes ``ctrl+s``, ``PgDn`` becomes ``pagedown``.

    Raises:
        ValueError: Says what is accepted.
    """
    if text == " ":
        return "space"
    if len(text) == 1 and text.isprintable():
        return text
    *modifiers, key = ([*text[:-2].split("+"), "+"] if text.endswith("++") else text.split("+")) if text else [""]
    modifiers = [_SPELLINGS.get(part.lower(), part.lower()) for part in modifiers]
    named = _SPELLINGS.get(key.lower(), key.lower())
    known = named in NAMED_KEYS or (bool(modifiers) and len(named) == 1 and named.isprintable())
    if not known or len(set(modifiers)) != len(modifiers) or not set(modifiers) <= set(_MODIFIERS):
        message = f"{text!r} (accepted: one character, ctrl+s, f5, {' '.join(NAMED_KEYS[:-12])})"
        raise ValueError(message)
    return "+".join([*(part for part in _MODIFIERS if part in modifiers), named])


def keymap(remapped: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The keys in force: action id to keys, in the order of the table.

    Args:
        remapped: What a configuration says, checked: action id to keys that replace the action's own.
    """
    return {action.id: tuple(remapped.get(action.id, action.keys)) for action in ACTIONS}


def clashes(keys: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Action, Action]]:
    """Keys of a whole keymap that would do two things at once: the key and both actions, the earlier in the table first."""
    for index, first in enumerate(ACTIONS):
        for second in ACTIONS[index + 1 :]:
            if first.scope == second.scope or first.scope in _EVERYWHERE or second.scope in _EVERYWHERE:
                for key in keys[first.id]:
                    if key in keys[second.id]:
                        yield key, first, second
