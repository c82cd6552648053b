"""Keys to actions: which one a key means on which screen, and how keys are named by Textual and by people."""

from collections.abc import Iterator, Mapping
from typing import Final

from perfconsole.config.actions import ACTIONS, GLOBAL, REPLAY, Action

_NAMES: Final = {
    "!": "exclamation_mark", '"': "quotation_mark", "#": "number_sign", "$": "dollar_sign", "%": "percent_sign", "&": "ampersand",
    "'": "apostrophe", "(": "left_parenthesis", ")": "right_parenthesis", "*": "asterisk", "+": "plus", ",": "comma", "-": "minus",
    ".": "full_stop", "/": "slash", ":": "colon", ";": "semicolon", "<": "less_than_sign", "=": "equals_sign", ">": "greater_than_sign",
    "?": "question_mark", "@": "at", "[": "left_square_bracket", "\\": "backslash", "]": "right_square_bracket", "^": "circumflex_accent",
    "_": "underscore", "`": "grave_accent", "{": "left_curly_bracket", "|": "vertical_line", "}": "right_curly_bracket", "~": "tilde",
}  # fmt: skip
"""Textual's names of ASCII signs. It looks them up in the Unicode database, 0.4 MiB of which stays in memory for a dozen keys."""

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
    if len(key) != 1 or key.isascii():
        return _NAMES.get(key, key)
    from textual.keys import _character_to_key  # noqa: PLC0415  see `_NAMES`

    return _character_to_key(key)
