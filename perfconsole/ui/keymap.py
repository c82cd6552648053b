"""Keys to actions: which one a key means on which screen, and how keys are named by Textual and by people."""

from collections.abc import Iterator, Mapping
from typing import Final

from textual.keys import _character_to_key

from perfconsole.config.actions import ACTIONS, GLOBAL, REPLAY, Action

_SIGNS: Final = {"escape": "Esc", "enter": "Enter", "space": "Space", "tab": "Tab", "pagedown": "PgDn", "pageup": "PgUp"}


class Keymap:
    """The keys in force.

    Args:
        keys: Action id to keys, as people write them.
    """

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        self._shown = dict(keys)
        self._actions: dict[str, list[Action]] = {}
        for action in ACTIONS:
            for key in keys.get(action.id, ()):
                self._actions.setdefault(textual_key(key), []).append(action)

    def keys(self) -> list[str]:
        """All keys that mean something somewhere, in Textual's names."""
        return list(self._actions)

    def resolve(self, key: str, scope: str, *, replay: bool) -> Action | None:
        """The action of a key on a screen.

        Args:
            key: In Textual's name.
            scope: The screen's name.
            replay: Whether a recording is looked at.
        """
        for action in self._actions.get(key, ()):
            if action.scope in {GLOBAL, scope} or (action.scope == REPLAY and replay):
                return action
        return None

    def sign(self, action_id: str) -> str:
        """The first key of an action as it is shown to people; empty when it has none."""
        keys = self._shown.get(action_id, ())
        return sign(keys[0]) if keys else ""

    def signs(self, action_id: str) -> str:
        """All keys of an action as they are shown to people."""
        return " ".join(sign(key) for key in self._shown.get(action_id, ()))

    def actions(self, scope: str, *, replay: bool) -> Iterator[Action]:
        """The actions of a screen, in the order of the table."""
        for action in ACTIONS:
            if action.scope in {GLOBAL, scope} or (action.scope == REPLAY and replay):
                yield action


def sign(key: str) -> str:
    """A key as it is shown to people: ``Esc``, ``PgDn``, ``F5``, ``^S``."""
    if key in _SIGNS:
        return _SIGNS[key]
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+").upper()
    return key.upper() if len(key) > 1 and key[0] == "f" and key[1:].isdigit() else key if len(key) == 1 else key.capitalize()


def textual_key(key: str) -> str:
    """A key in Textual's name: ``/`` is ``slash``."""
    return _character_to_key(key) if len(key) == 1 else key
