"""From arguments to an exit code: one command is imported and run, and whatever fails is told in one line a fault."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from perfconsole.core.errors import ConfigError, PerfconsoleError

if TYPE_CHECKING:
    from argparse import Namespace

UNMEASURED: Final = 3
USAGE: Final = 64
"""Exit code for usage and configuration, as sysexits(3) has it."""
_ELSEWHERE: Final = {"replay": ("console", "replay"), "queries explain": ("explain", "run")}
"""Commands whose function is not `run` of the module of their name."""


def dispatch(argv: Sequence[str]) -> int:
    """Run a command line.

    Args:
        argv: The arguments after the program's name.

    Returns:
        The exit code: what the command says, 64 for usage and configuration, 3 for what could not be done, 130 when interrupted.
        Never 1 or 2 but as a severity: a script must not take a fault of ours for a warning.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a closed descriptor has none
            stream.reconfigure(errors="replace")  # a locale without the glyph shows ? and goes on
    try:
        code = _told(argv)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has read enough
        _discard()
        return 0
    except OSError as error:
        _discard()
        notice(str(error))
        return UNMEASURED
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001  told in full, and with an exit code that is no severity
        import traceback

        traceback.print_exc()
        return UNMEASURED
    return code


def _told(argv: Sequence[str]) -> int:
    """The exit code of a command line, also where argparse or a signal ends it: what was printed by then is still to be written."""
    try:
        return _run(_parsed(argv))
    except SystemExit as left:
        return int(left.code or 0)


def _discard() -> None:
    """What is still buffered goes nowhere, lest the interpreter complain about it at its exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parsed(argv: Sequence[str]) -> "Namespace | SimpleNamespace":
    """The arguments. Without any it is the console, and argparse (15 ms of the 200 until its first numbers) is not imported."""
    if not argv:
        return SimpleNamespace(command="console", config=None, interval=None, theme=None, read_only=None, dsn=None, url=None,
                               record=None, no_record=False)  # fmt: skip
    from perfconsole.cli.parser import parse

    return parse(argv)


def _run(args: "Namespace | SimpleNamespace") -> int:
    module, function = _ELSEWHERE.get(args.command, (args.command, "run"))
    try:
        return int(getattr(import_module(f"perfconsole.cli.{module}"), function)(args))
    except PerfconsoleError as error:
        tell(error)
        return USAGE if isinstance(error, ConfigError) else UNMEASURED


def tell(error: PerfconsoleError) -> None:
    """Print an error, one line a fault."""
    for line in str(error).splitlines():
        notice(line)


def notice(line: str) -> None:
    """Say something beside the output; with standard error closed nowhere, where `print` would mix it into the output."""
    if sys.stderr is not None:
        print(f"perfconsole: {line}", file=sys.stderr)


def put(text: str) -> None:
    """Print text that is UTF-8 whatever the locale: JSON."""
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode() + b"\n")
