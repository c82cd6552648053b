"""``perfconsole config check|show|schema``: what is wrong with a configuration, what is in force, what may be written."""

import json
import os
from argparse import Namespace

from perfconsole.cli.dispatch import notice
from perfconsole.config import themes, write
from perfconsole.config.load import Loaded, load


def run(args: Namespace) -> int:
    """Run one of the three; a wrong configuration is 64."""
    if args.verb == "schema":
        print(json.dumps(write.json_schema(), indent=2))
        return 0
    loaded = load(args.config if args.file is None else args.file, env=os.environ)
    for line in (*loaded.notices, *themes.load_theme(loaded.config.console.theme, env=os.environ).notices):
        notice(line)
    if args.verb == "check":
        for line in _unnamed(loaded):
            notice(line)
        print(f"{loaded.path}: no faults" if loaded.path else "no configuration file: the defaults are in force")
    else:
        _show(loaded)
    return 0


def _unnamed(loaded: Loaded) -> list[str]:
    """What is to be said of channels that nobody is told by."""
    if not loaded.config.notify:
        return []
    from perfconsole.config.check_notify import unnamed

    return unnamed(loaded.config)


def _show(loaded: Loaded) -> None:
    print(f"# in use: {loaded.path}" if loaded.path else "# in use: no file, the defaults")
    print(write.render(loaded.config), end="")
