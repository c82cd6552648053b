"""The table of actions and the keys that do them."""

import pytest

from perfconsole.config.actions import ACTIONS, BY_ID, TAKEN, clashes, keymap, read_key


def test_ids_are_unique_and_every_shipped_key_is_in_its_one_spelling():
    assert len(BY_ID) == len(ACTIONS)
    assert all(read_key(key) == key for action in ACTIONS for key in action.keys)


def test_no_shipped_key_does_two_things():
    assert list(clashes(keymap({}))) == []
    assert not TAKEN & {key for action in ACTIONS for key in action.keys}


def test_every_action_has_a_letter_an_arrow_or_a_plain_key():
    plain = {"escape", "enter", "tab", "space", "pagedown", "pageup"}
    chorded = {"screenshot", "reload"}  # the contract gives these a chord alone
    for action in ACTIONS:
        assert action.id in chorded or any(len(key) == 1 or key in plain for key in action.keys), action.id


def test_the_keys_of_the_contract_do_what_it_says():
    expected = {
        "1": "screen.operations", "6": "screen.processes", "?": "help", "q": "quit", "escape": "back", "enter": "open", "tab": "pane.next",
        "j": "nav.down", "k": "nav.up", "g": "nav.first", "G": "nav.last", "/": "filter", ":": "palette", "ctrl+p": "palette", "s": "sort",
        "r": "reverse", "space": "freeze", "e": "expand", "y": "copy", "[": "time.back", "]": "time.forward", ",": "time.narrower",
        ".": "time.wider", "@": "time.go", "L": "time.live", "T": "theme", "ctrl+s": "screenshot", "ctrl+r": "reload", "f5": "process.tree",
        "t": "process.tree", "f9": "process.signal", "x": "process.signal", "M": "process.sort_memory", "C": "process.sort_cpu",
        "P": "process.sort_pid",
    }  # fmt: skip
    actual = {key: action.id for action in ACTIONS for key in action.keys}
    assert {key: actual[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("written", "key"),
    [
        *(("G", "G"), ("é", "é"), ("+", "+"), (" ", "space"), ("Esc", "escape"), ("PgDn", "pagedown"), ("F5", "f5")),
        *(("Ctrl+S", "ctrl+s"), ("ctrl++", "ctrl++"), ("shift+ctrl+a", "ctrl+shift+a")),
    ],
)
def test_keys_have_one_spelling(written, key):
    assert read_key(written) == key


@pytest.mark.parametrize("written", ["", "xx", "f13", "ctrl+", "ctrl+ctrl+a", "hyper+a", "\x1b", "ctrl+\n", "+a"])
def test_what_is_no_key_is_refused(written):
    with pytest.raises(ValueError, match="accepted"):
        read_key(written)


def test_remapping_replaces_and_clashes_only_where_both_hold():
    assert keymap({"quit": ("Q",)})["quit"] == ("Q",)
    assert keymap({"help": ()})["help"] == ()
    (clash,) = clashes(keymap({"process.tree": ("q",)}))
    assert (clash[0], clash[1].id, clash[2].id) == ("q", "quit", "process.tree")
    assert [clash[0] for clash in clashes(keymap({"process.tree": ("x",)}))] == ["x"]
    assert [clash[1].id for clash in clashes(keymap({"process.tree": (">",)}))] == ["replay.play"]
