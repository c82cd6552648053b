"""What systemd said before anybody followed the journal: who opens a console at night asks what changed in the hours before."""

from typing import Final

from perfconsole.collectors.journal.answers import answer
from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.journal.lines import entry_of
from perfconsole.collectors.journal.parts import FIELDS
from perfconsole.collectors.journal.units import IDS

BEFORE_S: Final = 7200.0
"""So far back: what the screens call the last two hours."""

LINES: Final = 200
"""The newest of them; journalctl finds them by an index, without reading what else was written."""

WITHIN_S: Final = 3.0
"""A run that reads them has 6 s."""


def past(program: str, until: float) -> list[Entry]:
    """Lines of process 1 about units, oldest first; none where journalctl does not answer in time. Never on a loop.

    Args:
        program: journalctl.
        until: Epoch seconds: from there on the journal is followed.
    """
    # Backwards: forwards, before systemd 254, --lines with --since are the oldest.
    window = "--reverse", f"--since=@{until - BEFORE_S:.6f}", f"--until=@{until:.6f}", f"--lines={LINES}"
    shown = "--output=json", f"--output-fields={','.join(FIELDS)}", "--no-pager", "--quiet"
    said = answer([program, *shown, *window, "_PID=1", *(f"MESSAGE_ID={id_}" for id_ in sorted(IDS))], WITHIN_S)
    entries = (entry_of(line) for line in reversed(said.out.splitlines()))
    return [entry for entry in entries if entry and entry.at <= until]
