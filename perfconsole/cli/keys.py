"""``perfconsole keys``: what each key does, the configuration's remaps included."""

from argparse import Namespace
from itertools import groupby

from perfconsole.cli.dispatch import notice
from perfconsole.cli.settings import settle
from perfconsole.config.actions import ACTIONS, GLOBAL, REPLAY, keymap

_SCOPES = {GLOBAL: "On every screen", REPLAY: "In a replay"}


def run(args: Namespace) -> int:
    """Print the table."""
    loaded = settle(args)
    for line in loaded.notices:
        notice(line)
    keys = keymap(loaded.config.keys)
    for scope, actions in groupby(ACTIONS, key=lambda action: action.scope):
        print(_SCOPES.get(scope, f"On the {scope} screen"))
        for action in actions:
            remapped = "   (configured)" if action.id in loaded.config.keys else ""
            print(f"  {' '.join(keys[action.id]) or '-':<18} {action.title:<28} {action.id}{remapped}")
        print()
    print("ctrl+c always quits. Remap in the configuration: [keys], then action id = key or keys.")
    return 0
