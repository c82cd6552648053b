"""What goes wrong around a command: an output that fails, words that look like commands, a console that breaks."""

import argparse
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfconsole import __main__ as way_in
from perfconsole.cli import console
from perfconsole.cli.parser import build

OPENING = {"replay"}


def test_the_way_in_knows_the_commands_and_the_options_with_values():
    actions = build()._actions
    (commands,) = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    assert set(commands.choices) - OPENING == way_in._COMMANDS
    assert {action.option_strings[0] for action in actions if action.option_strings and action.nargs is None} == way_in._VALUED


@pytest.mark.parametrize(
    ("argv", "command"),
    [("", ""), ("--theme keys", ""), ("--record record replay", "replay"), ("replay record", "replay"),
     ("--read-only snapshot", "snapshot"), ("--config", ""), ("--config=x keys --theme y", "keys")],
)  # fmt: skip
def test_a_value_is_not_taken_for_a_command(argv, command):
    assert way_in._command(argv.split()) == command


@pytest.mark.parametrize("args", ["--version", "--help", "init", "snapshot --json", "snapshot"])
def test_an_output_that_cannot_be_written_is_one_line_and_no_severity(environment, tmp_path, args):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "perfconsole", *args.split()], cwd=tmp_path, env=environment, stdout=full,
                              stderr=subprocess.PIPE, timeout=120, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (3, b"perfconsole: [Errno 28] No space left on device\n")


def test_with_standard_error_closed_nothing_is_mixed_into_the_output(environment, tmp_path):
    for args in ("config check nowhere.toml", "--nonsense"):
        done = subprocess.run(["/bin/sh", "-c", f"exec {sys.executable} -m perfconsole {args} 2>&-"], cwd=tmp_path, env=environment,
                              capture_output=True, timeout=120, check=False)  # fmt: skip
        assert (done.returncode, done.stdout) == (64, b"")


def test_a_fault_of_ours_is_told_in_full_and_is_no_severity(environment, tmp_path):
    code = (
        "import sys\nfrom perfconsole.cli import keys\nfrom perfconsole.__main__ import main\n"
        "keys.run = lambda args: 1 / 0\nsys.argv = ['perfconsole', 'keys']\nsys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 3
    assert b"ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(("result", "return_code", "code"), [(0, 0, 0), (None, 0, 0), (None, 1, 3), (143, 0, 143)])
def test_a_console_that_broke_does_not_say_that_all_was_well(result, return_code, code):
    class App:
        def run(self, *, mouse):
            self.return_code = return_code
            return result

    before = sys.getswitchinterval()
    try:
        assert console._run(App(), mouse=True) == code
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize(("value", "none"), [("", False), ("1", True)])
def test_an_empty_no_color_asks_for_nothing(monkeypatch, tmp_path, value, none):
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NO_COLOR", value)
    args = build().parse_args([])
    app = console._app(None, console._settings(*console._settled(args)), args, lambda: None)
    assert (app.settings.abilities.colours == 0, app.no_color) == (none, none)


# Recording -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder(environment, tmp_path):
    """Start `perfconsole record night.rec`; it has begun when this returns."""

    def start(*args, **options):
        argv = [sys.executable, "-m", "perfconsole", "--interval", "500ms", "record", "night.rec", *args]
        child = subprocess.Popen(argv, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, **options)
        assert "recording" in child.stderr.readline()
        return child

    return start


def test_a_recording_that_was_removed_is_said_to_be_lost(recorder, tmp_path):
    with recorder("--for", "1s") as child:
        (tmp_path / "night.rec").unlink()
        assert child.stderr.read().startswith("perfconsole: night.rec is lost: No such file or directory")
    assert child.returncode == 3


def test_a_recording_that_could_not_be_finished_is_no_success(recorder, environment):
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # compiled modules would be cut short as well, for everybody who comes after
    with recorder("--for", "1s", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))) as child:
        assert "not recording: File too large" in child.stderr.read()
    assert child.returncode == 3


def test_what_nohup_ignores_stays_ignored(recorder):
    with recorder(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as child:
        child.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        assert "recorded" in child.stderr.read()
    assert child.returncode == 0
