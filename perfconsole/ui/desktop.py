"""A notification of the desktop that this console runs in, by way of its session bus: `notify-send`, else `gdbus`.

The words are foreign text: they are one argument, and no markup (the body of a notification may hold some: Desktop Notifications
Specification). What is run is waited for by a thread of its own, for a desktop may hang.
"""

import shutil
from collections.abc import Callable, Mapping
from html import escape
from threading import Thread
from typing import Final

from perfconsole.core.text import safe

ADDRESS: Final = "DBUS_SESSION_BUS_ADDRESS"
"""The variable by which a desktop says where its session bus is."""

_LIMIT_S: Final = 5.0
_LONGEST: Final = 160
_NAME: Final = "perfconsole"
_URGENCY: Final = {"critical": 2, "warning": 1, "info": 0}
_WORDS: Final = ("low", "normal", "critical")

Which = Callable[[str], str | None]


def missing(env: Mapping[str, str], which: Which = shutil.which) -> str:
    """Why no desktop can be told, and what mends it; empty where one can.

    Args:
        env: The environment.
        which: Where a program is.
    """
    if not env.get(ADDRESS):
        return f"bell = desktop: this session has no desktop ({ADDRESS} is not set); osc9 or osc777 reach one by way of the terminal"
    if not (which("notify-send") or which("gdbus")):
        return "bell = desktop: neither notify-send nor gdbus is installed: install libnotify-bin (Debian), libnotify, or glib2"
    return ""


def command(severity: str, text: str, which: Which = shutil.which) -> list[str]:
    """What to run, an argument each; empty where nothing can be.

    Args:
        severity: Of what is told.
        text: The words.
        which: Where a program is.
    """
    urgency = _URGENCY.get(severity, 1)
    told = escape("".join(char for char in safe(text, _LONGEST) if char.isprintable()), quote=False)
    program = which("notify-send")
    if program:
        told = told.replace("\\", "\\\\")  # it reads \074 as <, and \n as the end of a line
        return [program, f"--app-name={_NAME}", f"--urgency={_WORDS[urgency]}", "--", _NAME, told]
    program = which("gdbus")
    if not program:
        return []
    hints = f"{{'urgency': <byte {urgency}>}}"
    return [
        program, "call", "--session", "--dest", "org.freedesktop.Notifications", "--object-path", "/org/freedesktop/Notifications",
        "--method", "org.freedesktop.Notifications.Notify", "--", _variant(_NAME), "uint32 0", "''", _variant(_NAME), _variant(told),
        "@as []", hints, "int32 -1",
    ]  # fmt: skip


def _variant(text: str) -> str:
    """A string as GVariant's text format has it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def notify(severity: str, text: str, failed: Callable[[str], None]) -> None:
    """Tell the desktop; returns at once.

    Args:
        severity: Of what is told.
        text: The words.
        failed: Called from another thread, with why the desktop was not told.
    """

    def run() -> None:
        wrong = _ran(command(severity, text))
        if wrong:
            failed(f"the desktop was not told: {wrong}")

    Thread(target=run, name="desktop", daemon=True).start()


def _ran(argv: list[str]) -> str:
    """Run it; what went wrong, in words."""
    import subprocess  # noqa: PLC0415  only when there is something to tell

    if not argv:
        return "neither notify-send nor gdbus is installed"
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"it did not answer within {_LIMIT_S:g} s"
    except OSError as error:
        return f"{argv[0]}: {error.strerror}"
    said = safe(done.stderr.decode(errors="replace").strip().partition("\n")[0], _LONGEST)
    return (said or f"exit status {done.returncode}") if done.returncode else ""
