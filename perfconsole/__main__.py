"""The way in. A static first frame is on the terminal before anything of ours, or of Textual, is imported (20 ms in place of 200).

This is the one place that defers imports for that reason: keep the top of it to `sys`.
"""

import sys

_QUIET = {"-h", "--help", "--version"}
_COMMANDS = {"snapshot", "probe", "queries", "alerts", "events", "mark", "notify", "record", "init", "config", "doctor", "themes", "keys"}
_VALUED = {"--config", "--interval", "--theme", "--record", "--dsn", "--url"}
"""Options before a command that are followed by a value: ``--record keys`` opens the console."""


def main() -> int:
    """Run the command line; the exit code."""
    argv = sys.argv[1:]
    if _QUIET.intersection(argv) or _command(argv) in _COMMANDS:
        from perfconsole.cli.dispatch import dispatch

        return dispatch(argv)
    from perfconsole.cli.terminal import Terminal

    terminal = Terminal.open()
    if terminal is None:  # let the options be judged first: a mistake in them is the more useful thing to say
        from perfconsole.cli.dispatch import dispatch

        return dispatch(argv)
    with terminal:
        import gc

        gc.disable()  # nothing made while importing is garbage: 20 ms of a start go into looking
        from perfconsole.cli.dispatch import dispatch

        return dispatch(argv)


def _command(argv: list[str]) -> str:
    """The first word that is neither an option nor the value of one; empty when there is none."""
    words = iter(argv)
    for word in words:
        if word in _VALUED:
            next(words, "")
        elif not word.startswith("-"):
            return word
    return ""


if __name__ == "__main__":
    sys.exit(main())
