"""``perfconsole themes``: which there are, and what one looks like."""

import os
import sys
from argparse import Namespace

from perfconsole.cli.dispatch import notice
from perfconsole.config.themes import ANSI_COLOURS, COLOURS, ThemeSpec, list_themes, load_theme, read_theme, user_dir
from perfconsole.core.errors import ConfigError


def run(args: Namespace) -> int:
    """List them, or show one."""
    if args.verb == "show":
        return _show(args.name)
    for found in list_themes(os.environ):
        try:
            spec = read_theme(found.path)
        except ConfigError as error:
            notice(f"{error} (the theme is not used)")
            continue
        print(f"{spec.name:<16} {_nature(spec):<16} {'shipped' if found.origin == 'shipped' else found.path}")
    print(f"\nYour own: {user_dir(os.environ)}/NAME.toml; one of a shipped name stands in for it.")
    return 0


def _nature(spec: ThemeSpec) -> str:
    if spec.ansi:
        return "terminal colours" if any(getattr(spec, role) for role in COLOURS) else "no colour"
    return "dark" if spec.dark else "light"


def _show(name: str) -> int:
    loaded = load_theme(name, env=os.environ)
    for line in loaded.notices:
        notice(line)
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(f"{loaded.spec.name}: {_nature(loaded.spec)}")
    for role in COLOURS:
        colour = getattr(loaded.spec, role)
        swatch = f"{_background(colour)}        \x1b[0m " if coloured and colour else ""
        print(f"{role:<14} {colour or 'terminal default':<18} {swatch}".rstrip())
    return 0


def _background(colour: str) -> str:
    """The escape sequence that paints a background."""
    if colour.startswith("#"):
        red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
        return f"\x1b[48;2;{red};{green};{blue}m"
    number = ANSI_COLOURS.index(colour)
    return f"\x1b[{40 + number if number < 8 else 92 + number}m"
