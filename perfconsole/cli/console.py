"""``perfconsole`` and ``perfconsole replay``: open the console over this machine, or over a recording."""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from perfconsole.cli.dispatch import UNMEASURED, USAGE, notice
from perfconsole.cli.settings import settle
from perfconsole.cli.terminal import Terminal
from perfconsole.config import actions, themes
from perfconsole.config.abilities import abilities
from perfconsole.config.load import Loaded
from perfconsole.config.themes import LoadedTheme, ThemeSpec
from perfconsole.core.errors import ConfigError
from perfconsole.core.ports import Source
from perfconsole.core.text import safe

if TYPE_CHECKING:
    from argparse import Namespace  # not needed, and not imported, by a console without options

    from perfconsole.engine.engine import Engine
    from perfconsole.ui.app import ConsoleApp
    from perfconsole.ui.settings import Settings

_GARBAGE: Final = 5_000
"""Objects that are made and not freed between two looks for those that hold each other: half a MiB at the worst."""

_NO_TERMINAL: Final = "the console needs a terminal for input, output and errors; without one use `perfconsole snapshot`"
_SWITCH_INTERVAL_S: Final = 0.001
"""A key waits for the interpreter lock at most this long while a scan runs: with the default 5 ms the 95th percentile is 11.5 ms."""


def run(args: "Namespace") -> int:
    """Open the console over this machine; 0 when it was quit, 128 + n when signal n ended it, 3 when a fault of its own did."""
    loaded, theme = _settled(args)
    if args.record and os.path.lexists(args.record):
        raise ConfigError(f"--record {args.record}: the file exists", "name a new one: a recording is not overwritten")
    if Terminal.current is None:
        notice(_NO_TERMINAL)
        return USAGE
    from perfconsole import assembly
    from perfconsole.cli.attach import Seat

    def tell(text: str, role: str) -> None:
        with suppress(RuntimeError, CancelledError):  # it ends this very moment
            app.call_from_thread(app.tell, text, role)

    def build(loaded: Loaded, reload: Callable[[], Loaded]) -> "Engine":
        return assembly.build_engine(
            loaded.config,
            rule_places=loaded.rule_places,
            terminal_bytes=lambda: app.terminal_bytes,
            offer=True,
            reload=reload,
            own=[loaded.path] if loaded.path else [],
        )

    seat = Seat(loaded, args.record, read=lambda: settle(args), build=build, keep=assembly.keep_alerts, tell=tell)
    seat.begin()

    def started() -> None:
        _tidy()
        seat.shown()

    settings = _settings(loaded, theme)  # with the screens imported, the lease is found meanwhile
    app = _app(seat.source(), settings, args, started)
    try:
        seat.start()
        return _run(app, mouse=loaded.config.console.mouse)
    finally:
        seat.close()


def replay(args: "Namespace") -> int:
    """Open the console over a recording."""
    loaded, theme = _settled(args)
    from perfconsole.sources.replay import ReplaySource

    if args.file is None:
        from perfconsole import assembly

        args.file = assembly.recording_dir(loaded.config)
    source = ReplaySource(args.file)
    if Terminal.current is None:
        notice(_NO_TERMINAL)
        return USAGE
    return _run(_app(source, _settings(loaded, theme), args, _tidy), mouse=loaded.config.console.mouse)


def _settled(args: "Namespace") -> tuple[Loaded, LoadedTheme]:
    loaded = settle(args)
    return loaded, themes.load_theme(loaded.config.console.theme, env=os.environ)


def _tidy() -> None:
    """Free what importing left behind (0.5 MiB), and never look at what stays again; after the first frame, for it takes 20 ms.

    What is drawn and measured from then on is freed without the collector, but for little: it looks every ten seconds, not every one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    gc.enable()


def _app(source: Source, settings: "Settings", args: "Namespace", started: Callable[[], None]) -> "ConsoleApp":
    from perfconsole.ui.app import ConsoleApp

    if os.environ.get("NO_COLOR") == "":
        del os.environ["NO_COLOR"]  # Textual takes an empty one for set, and its dialogs would be grey on a screen of colours

    def reload() -> "Settings":
        return _settings(*_settled(args))._replace(reload=reload)

    return ConsoleApp(source, settings._replace(started=started, reload=reload))


def _settings(loaded: Loaded, theme: LoadedTheme) -> "Settings":
    from perfconsole.engine.local import actor
    from perfconsole.ui.settings import Settings

    config = loaded.config
    can = abilities(os.environ, ascii_only=config.console.ascii)
    return Settings(
        theme=_drawable(theme.spec, can.colours),
        themes=_drawable_names(can.colours),
        load=lambda name: themes.load_theme(name, env=os.environ).spec,
        keys=actions.keymap(config.keys),
        abilities=can,
        host=safe(os.uname().nodename),
        screen=config.console.screen,
        columns=config.processes.columns,
        sort=config.processes.sort,
        tree=config.processes.tree,
        per_core=config.system.cpu_normalize == "core",
        user=actor(),
        bell=config.console.bell,
        notices=(*loaded.notices, *theme.notices, *_undesktop(config.console.bell)),
    )


def _undesktop(bell: Sequence[str]) -> list[str]:
    """Why no desktop can be told, where one is to be."""
    if "desktop" not in bell:
        return []
    from perfconsole.ui.desktop import missing

    return [why] if (why := missing(os.environ)) else []


def _drawable(spec: ThemeSpec, colours: int) -> ThemeSpec:
    """A theme that this terminal can draw: 16 colours are the terminal's own, and none is mono."""
    if colours == 0:
        return themes.load_theme("mono", env=os.environ).spec
    if colours <= 16 and not spec.ansi:
        return themes.load_theme("terminal", env=os.environ).spec
    return spec


def _drawable_names(colours: int) -> list[str]:
    """The themes to choose from on this terminal."""
    names = themes.names(os.environ)
    if colours > 16:
        return names
    return [name for name in names if _drawable(themes.load_theme(name, env=os.environ).spec, colours).name == name]


def _run(app: "ConsoleApp", *, mouse: bool) -> int:
    from perfconsole.ui.driver import ConsoleDriver

    ConsoleDriver.entered = True
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    code = app.run(mouse=mouse)
    if Terminal.current:
        Terminal.current.leave()  # before what takes time: nobody listens to signals any more, and a second one ends it amid that
    return (UNMEASURED if app.return_code else 0) if code is None else code
