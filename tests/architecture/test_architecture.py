"""The house as it was agreed: who may know whom, how big a thing may get, what it may be called, where colours come from."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "perfconsole"
SOURCES = sorted(PACKAGE.rglob("*.py"))
UI = sorted((PACKAGE / "ui").rglob("*.py"))
FILE_LINES = 400
FUNCTION_LINES = 60
TOO_LONG: dict[str, str] = {}
"""Files and functions (``file`` or ``file:function``) that are longer, with the reason; none is."""

TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "perfconsole", "themes", "tests", "config.example.toml"}
BAD_NAMES = re.compile(r"(?i)(^|_)(utils?|helpers?|misc|common)($|_)|Manager|Helper")


def name_of(path):
    return str(path.relative_to(ROOT))


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_arrows_between_rooms_point_down():
    """The contracts in pyproject.toml, each worded as what it is for."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: (?:[6-9]|\d\d) kept, 0 broken", done.stdout), done.stdout


def test_nothing_is_longer_than_one_can_read():
    assert [name for path in SOURCES for name in too_long(path) if name not in TOO_LONG] == []


def too_long(path):
    """The file, and functions in it."""
    text = path.read_text(encoding="utf-8")
    if text.count("\n") > FILE_LINES:
        yield name_of(path)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno + 1 > FUNCTION_LINES:
            yield f"{name_of(path)}:{node.name}"


def test_exceptions_are_needed():
    assert [name for name in TOO_LONG if name not in {found for path in SOURCES for found in too_long(path)}] == []


def test_every_module_says_what_it_is_for():
    assert [name_of(path) for path in SOURCES if not ast.get_docstring(parsed(path))] == []


def test_names_say_what_a_thing_is():
    names = {(name_of(path), path.stem) for path in SOURCES}
    names |= {(name_of(path), node.name) for path in SOURCES for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef)}
    assert [pair for pair in sorted(names) if BAD_NAMES.search(pair[1])] == []


def test_every_segment_has_a_style():
    """One without ends the program under NO_COLOR: Textual's monochrome filter reads ``style.color``."""
    calls = [(path, node) for path in UI for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    segments = [(path, node) for path, node in calls if ast.unparse(node.func) in {"Segment", "Strip.blank"}]
    assert segments, "nothing is looked at: this proves nothing"
    assert [f"{name_of(path)}:{node.lineno}" for path, node in segments if len(node.args) + len(node.keywords) < 2] == []


def test_colours_come_from_the_theme():
    """No screen knows a colour: a theme can change them all, and a terminal without them loses none."""
    texts = [
        (path, node) for path in UI for node in ast.walk(parsed(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    colour = re.compile(r"#[0-9a-fA-F]{6}\b|\brgb\(")
    assert [f"{name_of(path)}:{node.lineno}" for path, node in texts if colour.search(node.value)] == []


def tracked():
    """Files that git knows; none where this is not a checkout (an sdist)."""
    done = subprocess.run(["git", "ls-files", "-z"], check=False, cwd=ROOT, capture_output=True, text=True)
    return [name for name in done.stdout.split("\0") if name] if done.returncode == 0 else []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout: there is nothing that git tracks")
def test_the_top_level_is_fixed():
    tops = {name.partition("/")[0] for name in tracked()}
    assert {name for name in tops if not name.startswith(".")} == TOP_LEVEL


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout: there is nothing that git tracks")
def test_no_registry_address_and_no_path_of_one_machine_is_kept():
    """A clone installs from wherever its machine is told to."""
    found = []
    pattern = re.compile(r"https?://[^ \"]+/(?:simple|packages)/|https?://[^ \"]+\.(?:whl|tgz)|(?:^|[ \"=])/(?:home|root)/\w")
    for name in tracked():
        path = ROOT / name
        if path.is_file() and path != Path(__file__):
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []
