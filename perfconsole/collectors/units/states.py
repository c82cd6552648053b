"""What systemd says of its units: the output of ``systemctl show`` (systemctl(1), org.freedesktop.systemd1(5)). Parsing only."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import nan
from typing import Final, NamedTuple

from perfconsole.core.text import safe

PROPERTIES: Final = (
    "Id", "ActiveState", "SubState", "Result", "NRestarts", "MainPID", "ControlGroup", "StateChangeTimestamp", "ActiveEnterTimestamp",
    "InactiveEnterTimestamp", "ExecMainStartTimestamp",
)  # fmt: skip

_KEY: Final = frozenset(PROPERTIES)


class UnitState(NamedTuple):
    """A unit as systemd has it. Times are epoch seconds; NaN where there is none.

    Attributes:
        id: Its name, as systemd escapes it.
        active: ``active``, ``inactive``, ``failed``, ``activating``, ``deactivating``, ``reloading``; `sub` in the words of its type.
        result: Why it failed; empty when it did not.
        restarts: How often it was restarted by itself since somebody started it.
        pid: Of its main process; 0 when it has none.
        group: Path of its cgroup; empty when it does not run.
        since: When it came into its state.
        began: When it was last started; `ended` stopped or failed.
        main_began: When its main process was started.
    """

    id: str
    active: str
    sub: str = ""
    result: str = ""
    restarts: float = nan
    pid: int = 0
    group: str = ""
    since: float = nan
    began: float = nan
    ended: float = nan
    main_began: float = nan

    @property
    def kind(self) -> str:
        """The type that its name ends with."""
        return self.id.rpartition(".")[2]

    @property
    def runs(self) -> bool:
        """Whether it is up."""
        return self.active in {"active", "reloading", "refreshing"}

    @property
    def waits(self) -> bool:
        """Whether it ended by itself, and is about to be restarted."""
        return self.sub.startswith("auto-restart")

    @property
    def is_troubled(self) -> bool:
        """Whether it has to be shown."""
        return self.active == "failed" or self.waits


def parse(output: bytes) -> Iterator[UnitState]:
    """The units of one output: a block of ``Name=value`` lines each, an empty line between; other lines (warnings) are left out."""
    for block in output.split(b"\n\n"):
        found: dict[str, str] = {}
        for line in block.splitlines():
            key, equals, value = line.decode("utf-8", "replace").partition("=")
            if equals and key in _KEY:
                found[key] = value
        if found.get("Id"):
            yield _state(found)


def _state(found: dict[str, str]) -> UnitState:
    result = safe(found.get("Result", ""), 60)
    return UnitState(
        found["Id"],
        safe(found.get("ActiveState", ""), 40),
        safe(found.get("SubState", ""), 40),
        "" if result == "success" else result,
        float(found["NRestarts"]) if found.get("NRestarts", "").isdecimal() else nan,
        int(found["MainPID"]) if found.get("MainPID", "").isdecimal() else 0,
        found.get("ControlGroup", ""),
        stamp(found.get("StateChangeTimestamp", "")),
        stamp(found.get("ActiveEnterTimestamp", "")),
        stamp(found.get("InactiveEnterTimestamp", "")),
        stamp(found.get("ExecMainStartTimestamp", "")),
    )


def stamp(text: str) -> float:
    """A time: ``@1730000000`` (``--timestamp=unix``), or ``Sun 2024-10-27 03:33:20 UTC`` as older ones write with ``TZ=UTC``.

    NaN for none: an empty value, ``n/a``, ``@0``.
    """
    if text.startswith("@"):
        return float(text[1:]) if text[1:].isdecimal() and int(text[1:]) else nan
    words = text.split()
    if len(words) < 3 or words[-1] not in {"UTC", "GMT"}:
        return nan
    try:
        date, clock = words[-3].split("-"), words[-2].partition(".")[0].split(":")
        numbers = [int(part) for part in (*date, *clock)]
        return datetime(*numbers, tzinfo=UTC).timestamp() if len(numbers) == 6 else nan  # type: ignore[misc, arg-type]  # six of them
    except ValueError:
        return nan
