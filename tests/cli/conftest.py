"""The command line as a user types it: a process of its own, with a home of its own."""

import os
import subprocess
import sys
from typing import NamedTuple

import pytest


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def environment(tmp_path):
    """No configuration but what a test writes, no colour, a UTF-8 locale."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state"),
            "LANG": "C.UTF-8", "TERM": "xterm-256color"}  # fmt: skip


@pytest.fixture
def perfconsole(tmp_path, environment):
    """Run `perfconsole ARGS`; extra variables as keywords."""

    def run(*args, **extra):
        done = subprocess.run(
            [sys.executable, "-m", "perfconsole", *args],
            cwd=tmp_path, env={**environment, **extra}, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def config_file(tmp_path):
    """Write the user's configuration; its path."""

    def write(text):
        path = tmp_path / "config" / "perfconsole" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write
