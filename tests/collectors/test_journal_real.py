"""A real journal, written by systemd-journal-remote and followed by the real journalctl, where both are installed."""

import asyncio
import os
import shutil
import signal
import struct
import subprocess
import time
from math import nan
from pathlib import Path

import pytest

from perfconsole.collectors.journal import JournalCollector, units
from perfconsole.collectors.journal.answers import answer
from perfconsole.collectors.journal.detail import log_of
from perfconsole.collectors.journal.lines import TOO_LONG
from perfconsole.collectors.journal.parts import matches
from perfconsole.collectors.journal.past import LINES
from perfconsole.collectors.journal.reader import Reader
from perfconsole.core.change_requests import UnitArgs
from perfconsole.core.ports import Slot

PATIENCE_S = 60.0
REMOTE = shutil.which("systemd-journal-remote", path=f"{os.environ.get('PATH', '')}:/usr/lib/systemd:/lib/systemd")
needs_writer = pytest.mark.skipif(
    REMOTE is None or shutil.which("journalctl") is None, reason="needs journalctl and systemd-journal-remote (package of that name)"
)
pytestmark = needs_writer


def exported(ago_s=0.0, **fields):
    """An entry in the journal's export format, written so long ago."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    stamp = int((time.time() - ago_s) * 1e6)
    out = f"__REALTIME_TIMESTAMP={stamp}\n__MONOTONIC_TIMESTAMP={stamp - 1700000000000000}\n_BOOT_ID={boot}\n".encode()
    for name, given in fields.items():
        for value in given if isinstance(given, list) else [given]:
            text = value if isinstance(value, bytes) else str(value).encode()
            if all(byte >= 32 for byte in text):
                out += name.encode() + b"=" + text + b"\n"
            else:
                out += name.encode() + b"\n" + struct.pack("<Q", len(text)) + text + b"\n"
    return out + b"\n"


class Journal:
    """A journal's file, and who writes it."""

    def __init__(self, directory):
        self.directory = directory / "journal"
        self.directory.mkdir()
        self.program = directory / "journalctl"
        self.program.write_text(f'#!/bin/sh\nexec journalctl -D "{self.directory}" "$@"\n')
        self.program.chmod(0o755)
        self.writer = subprocess.Popen(
            [REMOTE, f"--output={self.directory}/t.journal", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.number = 0

    def write(self, **fields):
        """Add an entry."""
        self.writer.stdin.write(exported(**fields))
        self.writer.stdin.flush()

    def count(self, lines, **fields):
        """Add entries of process 1 that are numbered."""
        for _ in range(lines):
            self.write(_PID=1, _UID=0, _COMM="systemd", MESSAGE=f"n{self.number}", **fields)
            self.number += 1

    async def has(self, lines):
        """Wait until so many are in the file."""
        await until(lambda: self.shown().count(b"__CURSOR") >= lines)

    def shown(self, *matched):
        """What journalctl shows."""
        return answer([str(self.program), "--output=json", "--quiet", *matched]).out

    def close(self):
        """End the writer."""
        self.writer.stdin.close()
        self.writer.wait(PATIENCE_S)


async def until(condition, meanwhile=lambda: None):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        meanwhile()
        await asyncio.sleep(0.02)


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path)
    yield made
    made.close()


async def test_nothing_is_lost_or_told_twice_when_it_is_killed(journal):
    journal.count(1)
    await journal.has(1)
    found, ahead_s = [], 0.0
    reader = Reader(
        lambda entry: found.append(entry.message),
        matches(logins=True, kernel=True),
        str(journal.program),
        clock=lambda: time.monotonic() + ahead_s,
    )
    try:
        reader.tend()
        await asyncio.sleep(0.5)
        journal.count(3)
        for turn in range(1, 4):
            await until(lambda: len(found) >= journal.number - 1, reader.tend)
            os.kill(reader.pid, signal.SIGKILL)
            await until(lambda: reader.pid == 0, reader.tend)
            journal.count(15 * turn)  # more than the ten that --follow shows of what there was
            journal.write(_PID=7, _COMM="app", MESSAGE="not asked for")
            await journal.has(journal.number + turn)
            ahead_s += 2.0
        await until(lambda: len(found) >= journal.number - 1, reader.tend)
        await asyncio.sleep(0.2)
        assert found == [f"n{number}" for number in range(1, journal.number)]
    finally:
        reader.close()


async def test_only_what_is_asked_for_is_sent(journal):
    journal.write(_PID=1, MESSAGE="manager")
    journal.write(_PID=2, _COMM="sshd-session", MESSAGE="by its name")
    journal.write(_PID=3, _UID=0, SYSLOG_IDENTIFIER="sshd", MESSAGE="gone before it was looked at")
    journal.write(_PID=4, _UID=1000, _COMM="logger", SYSLOG_IDENTIFIER="sshd", MESSAGE="forged")
    journal.write(_TRANSPORT="kernel", SYSLOG_FACILITY=0, MESSAGE="kernel")
    journal.write(_TRANSPORT="kernel", SYSLOG_FACILITY=1, MESSAGE="root, by /dev/kmsg")
    for number in range(20):
        journal.write(_PID=9, _UID=1000, _COMM="app", SYSLOG_IDENTIFIER="app", _TRANSPORT="syslog", MESSAGE=f"_PID=1 {number}")
    await journal.has(26)

    def asked(**options):
        return [line.text for line in log_of(journal.shown(*matches(**options)))]

    everything = ["manager", "by its name", "gone before it was looked at", "forged", "kernel"]
    assert asked(logins=True, kernel=True) == everything
    assert asked(logins=True, kernel=False) == everything[:4]
    assert asked(logins=False, kernel=False) == ["manager"]


async def test_forms_of_a_message(journal):
    journal.write(_PID=1, MESSAGE=b"bell\x07 and\nbreak\xff")
    journal.write(_PID=1, MESSAGE=["one", "two"])
    journal.write(_PID=1, MESSAGE="x" * 2_000_000)
    journal.write(_PID=1, MESSAGE=['quoted "_PID":"7"'])
    await journal.has(4)
    assert [line.text for line in log_of(journal.shown())] == ["bell\u2407 and break\ufffd", "one two", TOO_LONG, 'quoted "_PID":"7"']


@pytest.fixture
def collector(journal, tmp_path):
    """One of a machine with this journal."""
    machine = "0123456789abcdef0123456789abcdef"
    (tmp_path / "journals" / machine).mkdir(parents=True)
    (tmp_path / "journals" / machine / "system.journal").write_bytes(b"")
    (tmp_path / "machine-id").write_text(machine)
    made = JournalCollector(program=str(journal.program), places=[str(tmp_path / "journals")], machine_id=str(tmp_path / "machine-id"))
    yield made
    made.close()


async def told(collector, count):
    """Events of its runs, until there are so many."""
    found = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline, found
        found += (await collector.run("host", Slot(time.time(), 1000.0, nan), ())).events
        await asyncio.sleep(0.02)
    return found


async def test_what_was_said_before_it_was_followed_is_told_once_and_with_its_time(journal, collector):
    unit = {"_PID": 1, "_UID": 0, "SYSLOG_IDENTIFIER": "systemd"}
    journal.write(MESSAGE_ID=units.FAILED, UNIT="old.service", UNIT_RESULT="timeout", MESSAGE="old", ago_s=7300.0, **unit)
    journal.write(MESSAGE_ID=units.EXITED, UNIT="web.service", EXIT_CODE="exited", EXIT_STATUS=3, MESSAGE="exited", ago_s=600.0, **unit)
    journal.write(MESSAGE_ID=units.FAILED, UNIT="web.service", UNIT_RESULT="exit-code", MESSAGE="failed", ago_s=599.9, **unit)
    journal.write(_PID=7, MESSAGE_ID=units.FAILED, UNIT="forged.service", UNIT_RESULT="timeout", MESSAGE="forged", ago_s=500.0)
    for number in range(300):
        journal.write(MESSAGE=f"much else {number}", ago_s=400.0, **unit)
    await journal.has(304)
    found = await told(collector, 1)
    assert [event.text for event in found] == ["web.service failed: status 3"]
    assert 599.0 < time.time() - found[0].time_lo < 599.9 + PATIENCE_S
    journal.write(MESSAGE_ID=units.FAILED, UNIT="web.service", UNIT_RESULT="timeout", MESSAGE="failed", **unit)
    assert [event.text for event in await told(collector, 1)] == ["web.service failed: it took too long to start or to stop"]


async def test_of_what_was_said_before_the_newest_lines_are_told_and_as_they_would_have_been_then(journal, collector):
    unit = {"_PID": 1, "_UID": 0, "SYSLOG_IDENTIFIER": "systemd"}
    for number in range(LINES):
        journal.write(MESSAGE_ID=units.STARTED, UNIT=f"old{number}.service", MESSAGE="Started Old.", ago_s=7000.0 - number, **unit)
    for ago_s in (4000.0, 3000.0, 2000.0, 1000.0):
        journal.write(MESSAGE_ID=units.ENDED, UNIT="web.service", MESSAGE="ended", ago_s=ago_s, **unit)
        journal.write(MESSAGE_ID=units.STARTED, UNIT="web.service", MESSAGE="Started Web.", ago_s=ago_s - 500.0, **unit)
    await journal.has(LINES + 8)
    found = await told(collector, LINES)
    assert {event.scope for event in found[: LINES - 8]} == {f"old{number}.service" for number in range(8, LINES)}
    assert [event.text for event in found[LINES - 8 :]] == ["web.service ended by itself", "web.service started"] * 4


async def test_a_unit_as_it_happens_and_on_demand(journal, collector):
    journal.count(1)
    await journal.has(1)
    await collector.run("host", Slot(time.time(), 1000.0, nan), ())
    assert collector.told
    await asyncio.sleep(0.5)
    unit = {"_PID": 1, "_UID": 0, "UNIT": "web.service", "SYSLOG_IDENTIFIER": "systemd"}
    journal.write(MESSAGE_ID=units.EXITED, EXIT_CODE="killed", EXIT_STATUS=9, MESSAGE="web.service: Main process exited", **unit)
    journal.write(MESSAGE_ID=units.FAILED, UNIT_RESULT="signal", MESSAGE="web.service: Failed with result 'signal'.", **unit)
    journal.write(_PID=44, _UID=5, _SYSTEMD_UNIT="web.service", SYSLOG_IDENTIFIER="web", PRIORITY=3, MESSAGE="last words")
    found = await told(collector, 1)
    assert [(event.text, event.severity) for event in found] == [("web.service failed: ended by SIGKILL", "warning")]
    assert abs(found[0].time_lo - time.time()) < PATIENCE_S
    await journal.has(4)
    (operation,) = collector.operations
    detail = await operation.run(UnitArgs("web.service"))
    assert [(line.who, line.priority, line.text) for line in detail.lines] == [
        ("systemd", 6, "web.service: Main process exited"),
        ("systemd", 6, "web.service: Failed with result 'signal'."),
        ("web", 3, "last words"),
    ]
    for uid in (7, 8):
        journal.write(_PID=50, _UID=uid, _SYSTEMD_USER_UNIT="web.service", _SYSTEMD_UNIT=f"user@{uid}.service", MESSAGE=f"of {uid}")
        journal.write(_PID=49, _UID=uid, _SYSTEMD_UNIT="init.scope", USER_UNIT="web.service", MESSAGE=f"manager of {uid}")
    await journal.has(8)
    detail = await operation.run(UnitArgs("web.service", "/user.slice/user-7.slice/user@7.service/app.slice/web.service"))
    assert [line.text for line in detail.lines] == ["of 7", "manager of 7"]
