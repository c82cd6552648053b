"""Where there is no terminal, or nothing to show on it: one line on standard error, the right exit code, and nothing else."""

import subprocess

import pytest
from harness import CONSOLE, environment


def run(tmp_path, *arguments, stdin=subprocess.DEVNULL, **env):
    return subprocess.run(
        [*CONSOLE, *arguments], check=False, stdin=stdin, capture_output=True, text=True, timeout=30,
        env=environment(tmp_path, **env), cwd=tmp_path,
    )  # fmt: skip


@pytest.mark.parametrize("term", ["xterm-256color", None])
def test_without_a_terminal_the_other_command_is_named(tmp_path, term):
    done = run(tmp_path, TERM=term)
    assert (done.returncode, done.stdout) == (64, "")
    assert len(done.stderr.splitlines()) == 1
    assert "perfconsole snapshot" in done.stderr


def test_with_closed_descriptors(tmp_path):
    """Started by something that gives it none at all (`<&- >&- 2>&-`)."""
    argv = " ".join(CONSOLE)
    done = subprocess.run(["/bin/sh", "-c", f"{argv} <&- >&- 2>&-"], check=False, env=environment(tmp_path), cwd=tmp_path, timeout=30)
    assert done.returncode == 64


def test_only_the_output_is_redirected(spawn, tmp_path):
    with (tmp_path / "out").open("wb") as out:
        pty = spawn(stdout=out)
    assert pty.wait_exit() == 64
    assert "snapshot" in pty.text()
    assert (tmp_path / "out").read_bytes() == b""
    assert b"?1049h" not in pty.raw


def test_a_mistake_in_the_configuration_is_read_on_the_main_screen(spawn, tmp_path):
    """The first frame is left before the error is told: in the alternate screen it would vanish with it."""
    (tmp_path / "bad.toml").write_text('[console]\nintervall = "2s"\n')
    pty = spawn("--config", str(tmp_path / "bad.toml"))
    assert pty.wait_exit() == 64
    assert pty.unrestored() == []
    told = bytes(pty.raw).rpartition(b"\x1b[?1049l")[2]
    assert b"intervall" in told
    assert b"interval" in told
    shown = pty.screen().replace("\n", "")
    assert "intervall" in shown
    assert "collecting" not in shown
    assert "Traceback" not in pty.text()


@pytest.mark.parametrize("arguments", [("--nonsense",), ("--theme", "midnigth"), ("--interval", "soon"), ("nonsense",)], ids=" ".join)
def test_a_mistake_on_the_command_line(spawn, arguments):
    pty = spawn(*arguments)
    assert pty.wait_exit() == 64
    assert pty.unrestored() == []
    assert "Traceback" not in pty.text()
    assert pty.text().strip().count("perfconsole:") >= 1


def test_a_recording_that_is_there_is_not_overwritten(spawn, tmp_path):
    (tmp_path / "there.pcr").write_bytes(b"precious")
    pty = spawn("--record", str(tmp_path / "there.pcr"))
    assert pty.wait_exit() == 64
    assert (tmp_path / "there.pcr").read_bytes() == b"precious"
    assert pty.unrestored() == []


def test_a_replay_of_nothing(spawn):
    pty = spawn("replay")
    assert pty.wait_exit() == 3
    assert "no recording" in pty.text() or "recording" in pty.screen()
    assert pty.unrestored() == []
