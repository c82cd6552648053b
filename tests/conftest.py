"""What every test may count on, in whichever of the run's processes it is.

Files are shared out among two processes, for most tests wait for something; those that measure come last, one by one.
"""

import signal

import pytest

_TABLES = {
    "perf": ("what it costs", ("measured", "perfconsole", "bare Textual", "promise")),
    "postgres": ("what it costs: PostgreSQL", ("measured", "perfconsole", "promise")),
}
_FIGURES = {room: [] for room in _TABLES}

# `nohup` and a shell's `&` have a program ignore SIGHUP and SIGINT, and whatever it starts inherits that. A handler is not inherited.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCHLD):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """All that measures is one portion: two of them at once would measure each other."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "perf" if nodeid.startswith("tests/perf/") else super()._split_scope(nodeid)

    return ByFile(config, log)


def pytest_collection_modifyitems(items):
    """What measures comes last, when there is little left that could disturb it."""
    items.sort(key=lambda item: item.nodeid.startswith("tests/perf/"))


def pytest_runtest_logreport(report):
    """Take the figures that a test told, also of one that ran in another process."""
    if report.when == "teardown":
        for name, told in report.user_properties:
            if name == "figure":
                room, cells = told
                _FIGURES[room].append(cells)


def pytest_terminal_summary(terminalreporter):
    """Figures are printed, whether they please or not: times depend on the machine, so that only what does not can fail."""
    for room, (title, head) in _TABLES.items():
        if not _FIGURES[room]:
            continue
        rows = [head, *_FIGURES[room]]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        terminalreporter.section(title)
        for row in rows:
            terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for what in ("NO POSTGRESQL", "NO PGBOUNCER"):
        skipped = [str(report.longrepr[2]) for report in terminalreporter.getreports("skipped") if what in str(report.longrepr)]
        if skipped:
            terminalreporter.write_line(f"{len(skipped)} tests skipped: {skipped[0].removeprefix('Skipped: ')}", red=True, bold=True)
