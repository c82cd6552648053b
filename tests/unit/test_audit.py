"""The audit file."""

import json
import os
import resource
import stat

import pytest

from perfconsole.core.errors import RequestError
from perfconsole.core.requests import SignalArgs
from perfconsole.history.audit import AuditFile

ARGS = SignalArgs(4711, 99, 15)


def test_a_line_before_and_a_line_after(tmp_path):
    audit = AuditFile(tmp_path / "state" / "audit.jsonl", clock=lambda: 1700000000.25)
    before = os.umask(0)
    try:
        audit("ann", "process.signal", ARGS, "")
        audit("ann", "process.signal", ARGS, "done")
    finally:
        os.umask(before)
    path = tmp_path / "state" / "audit.jsonl"
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {
        "at": "2023-11-14T22:13:20.250Z", "uid": os.getuid(), "user": "ann", "op": "process.signal",
        "args": {"pid": 4711, "start": 99, "signal": 15}, "outcome": "",
    }  # fmt: skip
    assert second == {**first, "outcome": "done"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_cannot_be_written_down_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    audit = AuditFile(tmp_path / "file" / "audit.jsonl")
    with pytest.raises(RequestError, match=r"process\.signal is refused.*file/audit\.jsonl: "):
        audit("ann", "process.signal", ARGS, "")


def test_what_is_done_is_not_called_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    AuditFile(tmp_path / "file" / "audit.jsonl")("ann", "process.signal", ARGS, "done")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError):
        AuditFile(tmp_path / "audit.jsonl")("ann", "process.signal", ARGS, "")
    assert not (tmp_path / "elsewhere").exists()


def test_lines_are_appended_after_a_rotation(tmp_path):
    audit = AuditFile(tmp_path / "audit.jsonl")
    audit("ann", "process.signal", ARGS, "")
    (tmp_path / "audit.jsonl").rename(tmp_path / "audit.jsonl.1")
    audit("ann", "process.signal", ARGS, "done")
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 1


def test_a_disk_that_takes_half_a_line_refuses_the_action(tmp_path):
    audit = AuditFile(tmp_path / "audit.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(RequestError, match="No space left"):
            audit("ann", "process.signal", ARGS, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_half_a_line_does_not_take_the_next_along(tmp_path):
    path = tmp_path / "audit.jsonl"
    audit = AuditFile(path)
    audit("ann", "process.signal", ARGS, "")
    path.write_bytes(path.read_bytes()[:-20])  # the disk was full
    audit("ann", "process.signal", ARGS, "done")
    audit("ann", "process.signal", ARGS, "done")
    _, *whole = path.read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in whole] == ["done", "done"]
