"""Each command as it is typed: what it prints, where, and its exit code."""

import json
import os
import stat
import subprocess
import sys
import tomllib

import pytest

from perfconsole import __version__
from perfconsole.cli.parser import build

COMMANDS = ["snapshot", "probe", "record", "replay", "init", "config", "config check", "config show", "config schema", "doctor", "themes",
            "themes list", "themes show", "keys", "queries", "queries explain", "alerts", "alerts rules", "alerts backtest",
            "alerts list", "alerts silence", "alerts unsilence", "alerts ack", "events", "mark", "notify", "notify list",
            "notify test"]  # fmt: skip


def test_version(perfconsole):
    assert perfconsole("--version") == (0, f"perfconsole {__version__}\n", "")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as left:
        build().parse_args([*command.split(), "--help"])
    out = capsys.readouterr().out
    assert left.value.code == 0
    assert f"examples:\n  perfconsole{' ' + command if command else ''}" in out


@pytest.mark.parametrize(
    "args",
    [["--nonsense"], ["nonsense"], ["snapshot", "--fail-on", "info"], ["config"], ["themes", "show"], ["--record", "f", "--no-record"],
     ["snapshot", "--js"], ["record"], ["--record", "f", "snapshot"], ["--interval", "5s", "config", "show"], ["--no-record", "keys"],
     ["--theme", "paper", "record", "f"], ["--read-only", "replay"], ["--config", "", "config", "show"], ["config", "check", ""],
     ["probe"], ["probe", "http://127.0.0.1:1/", "--count", "few"], ["--interval", "5s", "probe", "http://127.0.0.1:1/"],
     ["queries", "explain"], ["queries", "explain", "abc"], ["queries", "explain", "5"],
     ["queries", "explain", "5", "--live", "--values", "a"], ["--theme", "paper", "queries", "explain", "5"],
     ["alerts"], ["alerts", "list", "all"], ["alerts", "silence", "rule=x"], ["alerts", "ack"], ["notify"], ["notify", "test"],
     ["alerts", "backtest"], ["--url", "http://127.0.0.1:1/", "alerts", "rules"],
     ["events", "all"], ["events", "--kind", "x"], ["--read-only", "mark", "x"], ["mark", "x", "--at"]],
)  # fmt: skip
def test_wrong_usage_is_64_and_one_line(perfconsole, args):
    ran = perfconsole(*args)
    assert (ran.code, ran.out) == (64, "")
    assert ran.err.startswith("perfconsole: ")
    assert ran.err.count("\n") == 1


def test_config_is_taken_before_and_after_the_command(perfconsole, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[console]\ntheme = "paper"\n')
    before = perfconsole("--config", str(path), "config", "show")
    assert before == perfconsole("config", "--config", str(path), "show") == perfconsole("config", "show", "--config", str(path))
    assert before == perfconsole("config", "show", str(path)) == perfconsole("config", "show", PERFCONSOLE_CONFIG=str(path))
    assert before.out.startswith(f"# in use: {path}\n")
    assert tomllib.loads(before.out)["console"]["theme"] == "paper"


def test_config_check_tells_every_fault_and_is_64(perfconsole, config_file):
    path = config_file('[console]\nintervall = "2s"\nmouse = 3\n')
    ran = perfconsole("config", "check")
    assert (ran.code, ran.out) == (64, "")
    assert [line.split(": ")[:3] for line in ran.err.splitlines()] == [
        ["perfconsole", f"{path}:2", "console.intervall"],
        ["perfconsole", f"{path}:3", "console.mouse"],
    ]
    for command in ("snapshot", "keys"):
        assert perfconsole(command) == (64, "", ran.err)
    config_file("[console]\n")
    assert perfconsole("config", "check") == (0, f"{path}: no faults\n", "")


def test_config_check_says_what_it_passed_over_and_a_bad_theme(perfconsole, config_file, tmp_path):
    (tmp_path / "perfconsole.toml").write_text("")
    (tmp_path / "perfconsole.toml").chmod(0o666)
    path = config_file('[console]\ntheme = "dusk"\n')
    (path.parent / "themes").mkdir()
    (path.parent / "themes" / "dusk.toml").write_text("ok = 3\n")
    ran = perfconsole("config", "check")
    assert ran.code == 0
    local, theme = ran.err.splitlines()
    assert "./perfconsole.toml is not used, because others may write to it" in local
    assert "dusk.toml:1: ok: found 3" in theme


def test_config_schema_is_json(perfconsole):
    ran = perfconsole("config", "schema")
    assert json.loads(ran.out)["title"] == "perfconsole configuration"


def test_init_prints_and_writes_once(perfconsole, tmp_path):
    printed = perfconsole("init")
    assert printed.code == 0
    path = tmp_path / "config" / "perfconsole" / "config.toml"
    assert perfconsole("init", "--write").code == 0
    assert path.read_text() == printed.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = perfconsole("init", "--write")
    assert again == (64, "", f"perfconsole: {path}: exists and is left as it is: --force replaces it\n")
    path.write_text("")
    assert perfconsole("init", "--write", "--force").code == 0
    assert path.read_text() == printed.out
    assert perfconsole("config", "check").code == 0
    assert perfconsole("init", "--force").code == 64


def test_keys_shows_the_remaps(perfconsole, config_file):
    config_file('[keys]\nquit = ["Q", "ctrl+q"]\nhelp = []\n')
    lines = perfconsole("keys").out.splitlines()
    assert any(line.split() == ["Q", "ctrl+q", "Quit", "quit", "(configured)"] for line in lines)
    assert any(line.split() == ["-", "Help", "help", "(configured)"] for line in lines)
    assert any(line.split() == ["x", "f9", "Send", "a", "signal", "process.signal"] for line in lines)


def test_themes_lists_where_each_comes_from_and_what_is_wrong(perfconsole, config_file):
    directory = config_file("").parent / "themes"
    directory.mkdir()
    (directory / "broken.toml").write_text('ok = "#12345"\n')
    (directory / "mine.toml").write_text(perfconsole_theme())
    ran = perfconsole("themes")
    assert ran.code == 0
    assert any(line.split() == ["paper", "light", "shipped"] for line in ran.out.splitlines())
    assert any(line.split() == ["mine", "dark", str(directory / "mine.toml")] for line in ran.out.splitlines())
    assert "broken.toml:1: ok: found '#12345'" in ran.err
    shown = perfconsole("themes", "show", "mine")
    assert "critical       #ff7b72" in shown.out
    assert "\x1b" not in shown.out
    unknown = perfconsole("themes", "show", "mien")
    assert unknown.code == 64
    assert 'did you mean "mine"?' in unknown.err


def perfconsole_theme():
    from perfconsole.config.themes import shipped_dir

    return (shipped_dir() / "midnight.toml").read_text()


# doctor ---------------------------------------------------------------------------------------------------------------------------


def findings(ran):
    return {check["name"]: check for check in json.loads(ran.out)["checks"]}


def test_doctor_tells_versions_sight_terminal_and_files(perfconsole):
    ran = perfconsole("doctor", "--json")
    document = json.loads(ran.out)
    assert (ran.code, document["schema"], document["host"]) == (0, "perfconsole.doctor/1", os.uname().nodename)
    assert {"python", "platform", "textual", "msgspec", "psutil"} <= set(document["versions"])
    assert {check["area"] for check in document["checks"]} == {"sight", "terminal", "files", "sources"}
    assert all(check["fix"] for check in document["checks"] if check["state"] != "ok")
    text = perfconsole("doctor")
    assert (text.code, text.err) == (0, "")
    assert all(check["found"] in text.out for check in document["checks"] if check["area"] == "sight")


@pytest.mark.parametrize(
    ("extra", "name", "found"),
    [
        ({"NO_COLOR": "1"}, "colours", "none: NO_COLOR is set"),
        ({"COLORTERM": "truecolor"}, "colours", "true colour"),
        ({}, "colours", "256"),
        ({"TERM": "linux"}, "colours", "16"),
        ({"LANG": "de_DE.UTF-8"}, "characters", "all (LANG=de_DE.UTF-8)"),
        ({"LANG": "de_DE.ISO-8859-1"}, "characters", "ASCII only (LANG=de_DE.ISO-8859-1)"),
        ({"TERM": "linux"}, "characters", "ASCII only"),
        ({"TMUX": "/tmp/x,1,0", "SSH_CONNECTION": "a b"}, "between", "tmux, ssh"),
    ],
)
def test_doctor_knows_the_terminal(extra, name, found):
    from perfconsole.cli import checks

    by_name = {finding.name: finding for finding in checks.terminal({"TERM": "xterm-256color", **extra})}
    assert found in by_name[name].found


def test_doctor_reports_a_wrong_configuration_and_goes_on(perfconsole, config_file):
    config_file("[console]\nmouse = 3\n")
    ran = perfconsole("doctor", "--json")
    assert ran.code == 0
    assert findings(ran)["configuration"]["state"] == "error"


def test_doctor_reports_a_state_directory_that_cannot_be_used(perfconsole, config_file):
    config_file('[history]\ndir = "/dev/null/below"\n')
    found = findings(perfconsole("doctor", "--json"))["state directory"]
    assert found["state"] == "limited"
    assert found["found"].startswith("/dev/null/below cannot be written")


@pytest.mark.skipif(os.getuid() != 0, reason="leaves root behind")
def test_doctor_tells_an_ordinary_user_what_is_hidden_and_the_fix():
    code = (
        "import os, json; os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "from perfconsole.cli import checks\n"
        "print(json.dumps([f._asdict() for f in (checks._user(), checks._io(), checks._kernel_log())]))"
    )
    script = "from perfconsole.cli import checks\nfrom perfconsole.config import load\n" + code  # imported before the rights are gone
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=120)
    user, io, _ = json.loads(done.stdout)
    assert (user["state"], io["state"], io["fix"]) == ("limited", "limited", "run as root")


def unshared(flags, setup):
    """Run checks as nobody in namespaces of their own; skips where none may be made."""
    code = (
        "import json, os\nfrom perfconsole.cli import checks\nfrom perfconsole.config import load\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "print(json.dumps([f._asdict() for f in (checks._processes(), checks._namespace())]))"
    )
    command = ["unshare", *flags, "sh", "-c", f'{setup} && exec "$@"', "sh", sys.executable, "-c", code]
    try:
        probe = subprocess.run(["unshare", *flags, "sh", "-c", setup], capture_output=True, timeout=120, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if probe.returncode:
        pytest.skip(f"no namespaces here: {probe.stderr.decode()[-200:]}")
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_doctor_sees_hidepid_and_names_the_group_that_mends_it():
    processes, _ = unshared(["-m"], "mount -t proc -o hidepid=2,gid=4242 proc /proc")
    assert processes["state"] == "limited"
    assert "hidepid=" in processes["found"]
    assert processes["fix"].startswith("add this user to the group with gid 4242")


def test_doctor_sees_that_it_is_in_a_container():
    _, namespace = unshared(["-p", "-f", "--mount-proc"], "true")
    assert (namespace["state"], namespace["found"]) == ("limited", "only the processes of this container")


# Everything -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["keys"], ["init"], ["doctor", "--json"], ["config", "schema"], ["themes"],
                                  ["alerts", "rules"], ["alerts", "list"], ["events"], ["events", "--json"], ["mark"],
                                  ["notify", "list"]])  # fmt: skip
def test_a_closed_pipe_is_no_error(environment, tmp_path, args):
    reading, writing = os.pipe()
    os.close(reading)  # nobody will ever read: the first write fails
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "perfconsole", *args],
            cwd=tmp_path,
            env=environment,
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_standard_output_at_all_is_no_crash(environment, tmp_path):
    for args in ("keys", "doctor --json", "config show"):
        done = subprocess.run(["/bin/sh", "-c", f"exec {sys.executable} -m perfconsole {args} >&-"], cwd=tmp_path, env=environment,
                              capture_output=True, timeout=120, check=False)  # fmt: skip
        assert b"Traceback" not in done.stderr


def test_a_locale_without_the_glyphs_is_no_crash(perfconsole, config_file):
    config_file('[[alert]]\nname = "up"\nseverity = "critical"\nmetric = "system.uptime"\nabove = "1s"\n')
    ran = perfconsole("snapshot", PYTHONIOENCODING="ascii")
    assert ran.code in {0, 3}
    assert "? CRIT  uptime" in ran.out


@pytest.mark.parametrize(
    "args",
    [
        "--version",
        "snapshot",
        "doctor",
        "themes",
        "themes show paper",
        "keys",
        "config show",
        "config check",
        "init",
        "alerts rules",
        "notify list",
    ],
)
def test_no_command_imports_the_terminal_ui_or_a_client(environment, tmp_path, args):
    unwanted = {"textual", "rich", "httpx", "asyncpg", "plotext", "sqlite3"}
    code = (
        "import sys\nfrom perfconsole.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(sorted({{name.partition('.')[0] for name in sys.modules}} & {unwanted}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args.split()], cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.stderr.decode().splitlines()[-1:] == ["[]"]
