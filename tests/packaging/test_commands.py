"""The README's commands and the check that runs on every change are the same ones."""

import os
import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
ONE_LINE = re.compile(r"(?m)^python3 -m venv .+$")


def test_two_lines_for_a_fresh_machine():
    """One opens the console, one passes the tests; each makes a venv of its own, and nothing in between is left to guess."""
    opens, tests = ONE_LINE.findall(README)
    assert opens.endswith("bin/perfconsole")
    assert tests.endswith("bin/pytest -n 2")  # most tests wait for something
    for line in (opens, tests):
        place = shlex.split(line)[3]
        assert f"&& {place}/bin/pip install " in line
        assert f"&& {place}/bin/" in line


def test_every_change_is_checked_by_the_readmes_line():
    assert ONE_LINE.findall(CI) == ONE_LINE.findall(README)[1:]


def test_the_check_is_sound_bash_that_stops_at_the_first_fault():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "set -euo pipefail" in CI
    done = subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    for command in ("ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert f"bin/{command}" in CI


def test_every_command_that_the_readme_names_exists(tmp_path):
    """Words after `perfconsole` in examples are commands or options of the program itself."""
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "perfconsole", "--help"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"HOME": str(tmp_path)},
        cwd=ROOT,
    )
    for words in re.findall(r"(?m)^(?:\$ )?perfconsole ([a-z]+)\b", README):
        assert re.search(rf"\b{words}\b", done.stdout), words
