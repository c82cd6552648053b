"""Finding, reading and checking a configuration."""

import os
import stat

import pytest

from perfconsole.config import load as loading
from perfconsole.config.load import ConfigFileError, load, parse_text
from perfconsole.config.rules import rules
from perfconsole.config.schema import Config
from perfconsole.core.errors import ConfigError
from perfconsole.core.shipped import MARKED, SHIPPED


@pytest.fixture
def env(tmp_path, monkeypatch):
    """A home, a working directory and a system file of our own."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(loading, "SYSTEM_FILE", str(tmp_path / "etc.toml"))
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}


def put(path, text='[console]\ninterval = "7s"\n', mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def faults(text, env):
    with pytest.raises(ConfigFileError) as caught:
        parse_text(text, env=env, path="f.toml")
    return [str(error) for error in caught.value.errors]


# Search ---------------------------------------------------------------------------------------------------------------------------


def test_without_a_file_there_are_the_defaults(env):
    assert load(None, env=env) == (Config(), None, (), ())


def test_the_search_goes_from_the_nearest_to_the_system(env, tmp_path):
    places = [
        (put(tmp_path / "etc.toml", '[console]\ninterval = "1s"\n'), 1.0),
        (put(tmp_path / "xdg/perfconsole/config.toml", '[console]\ninterval = "2s"\n'), 2.0),
        (put(tmp_path / "work/perfconsole.toml", '[console]\ninterval = "3s"\n'), 3.0),
    ]
    for path, interval_s in reversed(places):
        loaded = load(None, env=env)
        assert (loaded.path, loaded.config.console.interval_s) == (str(path), interval_s)
        path.unlink()


def test_what_is_asked_for_wins_and_must_exist(env, tmp_path):
    put(tmp_path / "work/perfconsole.toml", '[console]\ninterval = "3s"\n')
    named = put(tmp_path / "named.toml")
    assert load(str(named), env=env).config.console.interval_s == 7.0
    assert load(None, env={**env, "PERFCONSOLE_CONFIG": str(named)}).path == str(named)
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file"):
        load("nowhere.toml", env=env)
    with pytest.raises(ConfigError, match="no such file"):
        load(f"{named}/below", env=env)


def test_the_home_directory_is_used_without_xdg_and_a_relative_xdg_is_ignored(env, tmp_path):
    path = put(tmp_path / ".config/perfconsole/config.toml")
    assert load(None, env={"HOME": env["HOME"]}).path == str(path)
    assert load(None, env={"HOME": env["HOME"], "XDG_CONFIG_HOME": "relative"}).path == str(path)


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_a_local_file_that_others_may_write_is_left_with_a_notice(env, tmp_path, mode):
    put(tmp_path / "work/perfconsole.toml", "this is not even TOML", mode)
    mine = put(tmp_path / "xdg/perfconsole/config.toml")
    loaded = load(None, env=env)
    assert loaded.path == str(mine)
    assert loaded.notices == (
        "./perfconsole.toml is not used, because others may write to it: --config perfconsole.toml uses it all the same",
    )
    with pytest.raises(ConfigError, match="not TOML"):
        load("perfconsole.toml", env=env)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_local_file_does_not_say_where_what_is_kept_goes(env, tmp_path):
    text = '[console]\ntheme = "mono"\n[history]\ndir = "/srv/state"\n'
    path = put(tmp_path / "work" / "perfconsole.toml", text)
    with pytest.raises(ConfigError) as told:
        load(None, env=env)
    assert str(told.value) == (
        f"{path}:4: history.dir: a state directory in a configuration that was found in the working directory: name it with --config"
    )
    assert load(str(path), env=env).config.history.dir == "/srv/state"


def test_a_local_file_or_link_of_another_user_is_left_with_a_notice(env, tmp_path):
    path = put(tmp_path / "work/perfconsole.toml")
    os.chown(path, 12345, 12345)
    assert "belongs to another user (uid 12345)" in load(None, env=env).notices[0]
    path.unlink()
    path.symlink_to(put(tmp_path / "mine.toml"))
    os.chown(path, 12345, 12345, follow_symlinks=False)
    assert "belongs to another user" in load(None, env=env).notices[0]
    os.chown(path, 0, 0, follow_symlinks=False)
    assert load(None, env=env).path == str(path)


def test_directories_pipes_and_endless_files_are_refused(env, tmp_path):
    with pytest.raises(ConfigError, match="a directory, not a file"):
        load(str(tmp_path), env=env)
    with pytest.raises(ConfigError, match="longer than 1 MiB"):
        load("/dev/zero", env=env)
    os.mkfifo("perfconsole.toml")
    with pytest.raises(ConfigError, match="a pipe, not a file"):
        load(None, env=env)


@pytest.mark.skipif(os.getuid() != 0, reason="leaves root behind in a child")
def test_a_file_that_may_not_be_read_is_an_error_and_not_passed_over(env, tmp_path):
    path = put(tmp_path / "xdg/perfconsole/config.toml", mode=0o000)
    for directory in (tmp_path, *list(tmp_path.parents)[:2], path.parent, path.parent.parent):
        directory.chmod(directory.stat().st_mode | 0o011)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        try:
            load(str(path), env=env)
        except ConfigError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as file:
        assert "may not be read by this user" in file.read()


# Faults ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[console]\nintervall = '2s'\n", 'f.toml:2: console.intervall: "intervall" is not known yet: did you mean "interval"?'),
        ("\n[consol]\n", 'f.toml:2: consol: "consol" is not known yet: did you mean "console"?'),
        ("[[grpc]]\nname = 'x'\n", 'f.toml:1: grpc: "grpc" is not known yet'),
        ("[processes]\nthreads = true\n", "f.toml:2: processes.threads: "),
        ("[console]\ninterval = 2\n", "f.toml:2: console.interval: found 2 (a number): accepted: a duration in quotes such as 250ms"),
        ("[console]\ninterval = '2 parsecs'\n", 'f.toml:2: console.interval: found "2 parsecs": accepted: a duration'),
        ("[console]\ninterval = '1ms'\n", 'f.toml:2: console.interval: found "1ms": accepted: a duration'),
        ("[console]\nrecording_size = '5 apples'\n", 'f.toml:2: console.recording_size: found "5 apples": accepted: a size'),
        ("[console]\nread_only = 'yes'\n", 'f.toml:2: console.read_only: found "yes": accepted: true or false'),
        ("[console]\nmouse = 1\n", "f.toml:2: console.mouse: found 1 (a number): accepted: true or false"),
        ("[console]\nascii = 1\n", 'f.toml:2: console.ascii: found 1 (a number): accepted: "auto", true or false'),
        (
            "[console]\nscreen = 'proceses'\n",
            'accepted: one of operations queries endpoints processes alerts changes; did you mean "processes"?',
        ),
        ("[console]\ntheme = 'midnigt'\n", 'f.toml:2: console.theme: found "midnigt", which is no theme: did you mean "midnight"?'),
        ("console = 3\n", "f.toml:1: console: found 3: accepted: a table, written [console]"),
        ("[[console]]\n", "f.toml:1: console: found an array of tables: accepted: a table, written [console]"),
        ("[system]\nmounts = '/'\n", 'f.toml:2: system.mounts: found "/": accepted: a list of texts'),
        ("[system]\nmounts = [1]\n", "f.toml:2: system.mounts: found [1]: accepted: a list of texts"),
        ("[processes]\ncolumns = ['pid', 'pid']\n", "accepted: a list, each at most once"),
        ("[processes]\ncolumns = ['pid', 'memry']\n", 'did you mean "memory"?'),
        (
            "[alerts]\ndisable = [\n'cpu-warnin']\n",
            'f.toml:3: alerts.disable[1]: found "cpu-warnin", which is no shipped rule: did you mean',
        ),
        ("[alert]\nname = 'x'\n", "f.toml:1: alert: found a single table: accepted: tables of an array, each written [[alert]]"),
        ("[history]\ndir = 'here'\n", 'f.toml:2: history.dir: found "here": accepted: a path in quotes that begins with / or ~/'),
        ("[keys]\nquitt = 'x'\n", 'f.toml:2: keys.quitt: "quitt" is no action: did you mean "quit"?'),
        ("[keys]\nquit = 'ctrl+c'\n", 'f.toml:2: keys.quit: "ctrl+c" cannot be taken: it always quits'),
        ("[keys]\nquit = 'j'\n", 'f.toml:2: keys.quit: "j" already does nav.down (Down)'),
        ("[keys]\n'process.tree' = 'q'\n", 'f.toml:2: keys.process.tree: "q" already does quit (Quit)'),
        ("[keys]\nnav.down = 'q'\n", 'f.toml:2: keys.nav.down: "q" already does quit (Quit)'),
        ("[keys]\nquit = 'hyper+x'\n", "f.toml:2: keys.quit: no such key: 'hyper+x'"),
        ("[keys]\nquit = 3\n", "f.toml:2: keys.quit: found 3 (a number): accepted: a key such as"),
    ],
)
def test_a_fault_names_file_line_key_what_was_found_and_what_is_accepted(env, text, expected):
    (line,) = faults(text, env)
    assert expected in line


RULE = "[[alert]]\nname = 'mine'\nseverity = 'warning'\nmetric = 'system.load.1m'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RULE, "f.toml:1: alert[1]: neither above nor below: accepted: exactly one of them"),
        (RULE + "above = 1\nbelow = 2\n", "f.toml:1: alert[1]: both above and below"),
        (RULE + "above = true\n", "f.toml:5: alert[1].above: found true: accepted: a number, or a text"),
        (RULE + "above = nan\n", "f.toml:5: alert[1].above: found nan"),
        (RULE + "above = 1" + "0" * 400 + "\n", "f.toml:5: alert[1].above: found 1000"),
        (RULE + "above = 'nan'\n", 'f.toml:5: alert[1].above: found "nan", but system.load.1m is in {thread}: accepted: a plain number'),
        (RULE + "above = '1e400'\n", 'f.toml:5: alert[1].above: found "1e400", but system.load.1m'),
        (RULE + "above = '90%'\n", 'f.toml:5: alert[1].above: found "90%", but system.load.1m is in {thread}: accepted: a plain number'),
        (RULE + "above = 1\nfro = '5m'\n", 'f.toml:6: alert[1].fro: "fro" is not known yet: did you mean "for"?'),
        (RULE + "above = 1\nmatch = { cpu = 3 }\n", "f.toml:6: alert[1].match: found a table: accepted: a table of texts"),
        (RULE.replace("load", "laod") + "above = 1\n", 'which is no metric: did you mean "system.load.1m"?'),
        (
            RULE.replace("warning", "bad") + "above = 1\n",
            'f.toml:3: alert[1].severity: found "bad": accepted: one of critical warning info',
        ),
        (RULE.replace("mine", "cpu-warning") + "above = 1\n", "which a shipped rule is called"),
        (RULE + "above = 1\n" + RULE + "below = 1\n", 'f.toml:7: alert[2].name: found "mine", which the alert on line 1 is called'),
        ("[[alert]]\nname = 'x'\nabove = 1\n", "f.toml:1: alert[1]: no severity, metric: an alert needs name severity metric"),
    ],
)
def test_a_fault_in_an_alert(env, text, expected):
    (line,) = faults(text, env)
    assert expected in line


def test_all_faults_of_a_file_are_told_in_the_order_of_its_lines(env):
    text = "[keys]\nquit = 'ctrl+c'\n[console]\nmouse = 3\ninterval = 'x'\n[nonsense]\n" + RULE + "for = 1\n"
    lines = faults(text, env)
    assert [line.split(":")[1] for line in lines] == ["2", "4", "5", "6", "7", "11"]
    with pytest.raises(ConfigError) as caught:
        parse_text(text, env=env)
    assert len(str(caught.value).splitlines()) == len(lines)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'[console]\ninterval = "2s"\n\ninterval = "3s"\n', r"c\.toml:4: console\.interval: written twice, first on line 2"),
        (b"[console]\n[system]\n[console]\n", r"c\.toml:3: console: written twice, first on line 1"),
        (b'# caf\xe9\n[console]\ntheme = "\xff"\n', r"c\.toml:1: the byte 0xe9 is not UTF-8: save the file as UTF-8"),
        ("[console]\n".encode("utf-16"), "not UTF-8"),
        (b"[console]\ninterval = 2s\n", r'c\.toml:2: not TOML: .*in "interval = 2s": texts, durations and sizes stand in quotes: "2s"'),
        (b"[console\n", r"c\.toml:1: not TOML"),
        (b'[console]\ntheme = "mid\n', r"c\.toml:2: not TOML"),
        (b"a = [", r"c\.toml:1: not TOML"),
        (b"a = " + b"[" * 100_000, r"c\.toml: nested too deeply"),
        (b"[console]\n" + b"a." * 100_000 + b"b = 1\n", r"c\.toml:2: nested too deeply"),  # the TOML parser would take minutes
        (b"a = " + b"1" * 5000, r"c\.toml: not TOML"),
    ],
)
def test_what_is_not_toml_or_not_utf8_is_told_with_its_line(env, tmp_path, data, expected):
    path = tmp_path / "c.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=expected) as caught:
        load(str(path), env=env)
    assert len(str(caught.value).splitlines()) == 1


def test_hostile_text_reaches_no_terminal(env):
    (line,) = faults('[console]\n"\\u001b[31m\\u202e" = "\\u001b]52;c;x\\u0007"\n', env)
    assert line.isprintable()


# What is right --------------------------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_and_crlf_are_let_pass(env, tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b'\xef\xbb\xbf[console]\r\ninterval = "5s"\r\n')
    assert load(str(path), env=env).config.console.interval_s == 5.0


def test_values_become_numbers(env):
    config = parse_text(
        "[console]\ninterval = '1m30s'\nrecording = 'off'\nrecording_size = '64MiB'\nascii = true\n[system]\ndisks = ['!loop*']\n", env=env
    )
    console = config.console
    assert (console.interval_s, console.recording_s, console.recording_size_bytes, console.ascii) == (90.0, 0.0, 64 * 2**20, True)
    assert config.system.disks == ("!loop*",)


@pytest.mark.parametrize(
    ("metric", "written", "limit"),
    [
        ("system.cpu.utilization", "'80%'", 0.8),
        ("system.cpu.utilization", "0.8", 0.8),
        ("system.memory.usage", "'2GiB'", 2.0**31),
        ("system.disk.wait", "'250ms'", 0.25),
        ("system.load.1m", "12", 12.0),
        ("system.network.io", "'100MB'", 1e8),
    ],
)
def test_a_threshold_is_read_in_the_unit_of_its_metric(env, metric, written, limit):
    config = parse_text(f"[[alert]]\nname = 'x'\nseverity = 'info'\nmetric = '{metric}'\nabove = {written}\n", env=env)
    assert config.alert[0].above == limit


def test_rules_are_the_shipped_ones_that_are_left_and_the_enabled_ones(env):
    usual = tuple(rule for rule in SHIPPED if rule.name not in MARKED)
    assert rules(Config()) == usual
    text = "[alerts]\ndisable = ['cpu-warning']\n" + RULE.replace("mine", "cpu-warning").replace("load.1m", "disk.io")
    text += "below = 1\nmatch = { direction = '*', device = 'x' }\n"
    made = rules(parse_text(text + RULE + "above = 1\nenabled = false\n", env=env))
    assert [rule.name for rule in made] == [*(rule.name for rule in usual if rule.name != "cpu-warning"), "cpu-warning"]
    assert (made[-1].limit, made[-1].above, made[-1].match) == (1.0, False, (("device", "x"), ("direction", "*")))
    assert rules(parse_text("[alerts]\ndefaults = false\n", env=env)) == ()


def test_a_file_is_created_for_its_owner_alone_and_never_overwritten(tmp_path):
    from perfconsole.config.write import write_new

    path = tmp_path / "deep" / "config.toml"
    write_new(path, "one", force=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(ConfigError, match="exists and is left as it is: --force replaces it"):
        write_new(path, "two", force=False)
    assert path.read_text() == "one"
    write_new(path, "two", force=True)
    assert (path.read_text(), list(path.parent.iterdir())) == ("two", [path])
    dangling = tmp_path / "link.toml"
    dangling.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="exists"):
        write_new(dangling, "three", force=False)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_new(path / "below", "x", force=False)
    (tmp_path / "directory.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_new(tmp_path / "directory.toml", "x", force=True)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["deep", "directory.toml", "link.toml"]
