"""A rule is changed in the file that somebody wrote, and nothing else in it."""

import os
import re
import stat
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from perfconsole.config import edit
from perfconsole.config.edit import edit_rule
from perfconsole.config.load import load
from perfconsole.config.rules import rules
from perfconsole.core.errors import ConfigError
from perfconsole.core.shipped import MARKED, SHIPPED

WRITTEN = """# ours
[console]
interval = "5s"   # slowly

# the disk
[[alert]]
name = "nearly-full"        # by hand
severity = "warning"
metric = "system.filesystem.utilization"
match = { mountpoint = "/var*" }
above = "80%"   # agreed with ops
for = "10m"

[[alert]]
name = "other"
severity = "info"
metric = "system.load.1m"
above = 4
for = "1m"
"""


@pytest.fixture
def env(tmp_path):
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "perfconsole.toml"
    path.write_text(WRITTEN)
    path.chmod(0o640)
    return path


def rule_of(path, env, name):
    loaded = load(str(path) if path else None, env=env)
    return next(rule for rule in rules(loaded.config, loaded.rule_places) if rule.name == name)


def changed(path, env, name, **changes):
    return edit_rule(str(path), rule_of(path, env, name), {key.rstrip("_"): value for key, value in changes.items()}, env)


def test_a_value_changes_and_every_comment_stays(written, env):
    assert changed(written, env, "nearly-full", above="75%", for_="5m", severity="critical") == written
    expected = WRITTEN.replace('"80%"', '"75%"').replace('for = "10m"', 'for = "5m"').replace('"warning"', '"critical"')
    assert written.read_text() == expected
    assert stat.S_IMODE(written.stat().st_mode) == 0o640
    assert rule_of(written, env, "nearly-full").limit == 0.75
    assert [path.name for path in written.parent.iterdir()] == ["perfconsole.toml"]


def test_a_key_is_added_turned_round_and_taken_away(written, env):
    changed(written, env, "nearly-full", below="10%", keep_firing_for="1m", enabled="true")
    rule = rule_of(written, env, "nearly-full")
    assert (rule.above, rule.limit, rule.keep_s) == (False, 0.1, 60.0)
    assert "above" not in written.read_text().split("[[alert]]")[1]
    changed(written, env, "nearly-full", keep_firing_for="")
    assert rule_of(written, env, "nearly-full").keep_s == 200.0
    changed(written, env, "nearly-full", above="0.5")
    assert (rule_of(written, env, "nearly-full").above, rule_of(written, env, "nearly-full").limit) == (True, 0.5)


def test_one_that_ships_becomes_one_of_the_files_own(written, env):
    changed(written, env, "memory-usage-critical", above="95%", for_="3m")
    assert written.read_text().startswith(WRITTEN.partition("\n")[0])
    assert "disable" in written.read_text()
    rule = rule_of(written, env, "memory-usage-critical")
    assert (rule.limit, rule.for_s, rule.stat, rule.over_s, rule.severity) == (0.95, 180.0, "avg", 60.0, "critical")
    assert rule.source.startswith(str(written))
    changed(written, env, "memory-usage-critical", above="97%")
    assert rule_of(written, env, "memory-usage-critical").limit == 0.97
    assert written.read_text().count("memory-usage-critical") == 2


@pytest.mark.parametrize("name", [rule.name for rule in SHIPPED if rule.for_s and rule.name not in MARKED])
def test_each_that_ships_is_the_same_rule_when_it_is_written(written, env, name):
    before = rule_of(written, env, name)
    changed(written, env, name, runbook="https://wiki.example")
    after = rule_of(written, env, name)
    same = ("severity", "metric", "limit", "above", "match", "stat", "for_s", "min_samples", "min_events", "respond_s", "colour")
    assert {key: getattr(after, key) for key in same} == {key: getattr(before, key) for key in same}
    assert after.keep_s == pytest.approx(before.keep_s)
    assert after.over_s == before.over_s


CHANNEL = """
[alerts]
notify = ["ops"]
[[notify]]
name = "ops"
type = "hook"
command = ["/bin/true"]
"""

AT_ONCE = [rule.name for rule in SHIPPED if not rule.for_s and not rule.colour]


@pytest.mark.parametrize("name", AT_ONCE)
def test_one_that_fires_at_once_stays_so_where_a_channel_is_told(written, env, name):
    written.write_text(CHANNEL)
    written.chmod(0o600)
    before = rule_of(written, env, name)
    changed(written, env, name, above="3", runbook="https://wiki.example")
    after = rule_of(written, env, name)
    assert (after.limit, after.runbook, after.source != "") == (3.0, "https://wiki.example", True)
    same = ("severity", "metric", "above", "match", "stat", "over_s", "for_s", "keep_s", "respond_s", "notify", "colour")
    assert {key: getattr(after, key) for key in same} == {key: getattr(before, key) for key in same}
    assert (after.for_s, after.colour, after.notify) == (0.0, False, ("ops",))
    assert f'disable = ["{name}"]' in written.read_text()


@pytest.mark.parametrize("name", AT_ONCE)
def test_one_that_fires_at_once_is_changed_without_a_channel_where_it_is_said_how_long_it_lasts(written, env, name):
    changed(written, env, name, above="3", for_="10s")
    after = rule_of(written, env, name)
    assert (after.limit, after.for_s, after.colour) == (3.0, 10.0, False)


def reads(text, path, env):
    """The rule that the fix of a refusal says to write, as a configuration has it: what is in one line there are lines here."""
    disable, _, table = text.partition(" and [[alert]] ")
    keys = re.sub(r", (?=[a-z_]+ = )(?![^{]*\})", "\n", table.partition(", and one likewise")[0])
    path.write_text(disable.rpartition("[alerts] ")[2].join(["[alerts]\n", "\n"]) + f"[[alert]]\n{keys}\n")
    return rules(load(str(path), env=env).config)[-1]


@pytest.mark.parametrize("name", AT_ONCE)
def test_else_it_is_refused_with_what_to_write(written, env, name):
    rule = rule_of(written, env, name)
    for changes in ({"above": "2"}, {"for": ""}, {"for": "0s"}):
        with pytest.raises(ConfigError, match="fires at once: say how long") as refused:
            edit_rule(str(written), rule, changes, env)
    assert written.read_text() == WRITTEN
    found = reads(refused.value.fix, written, env)
    assert (found.name, found.metric, found.limit, found.for_s, found.colour) == (name, rule.metric, rule.limit, 10.0, False)
    written.write_text(WRITTEN)
    with pytest.raises(ConfigError, match=r"\.for: found"):  # a fault of what was typed is told as that
        edit_rule(str(written), rule, {"for": "moons"}, env)


@pytest.mark.parametrize("only", [{"shop"}, {"shop", "cart", "api"}])
@pytest.mark.parametrize("name", sorted(MARKED))
def test_what_is_about_marked_endpoints_is_refused_with_what_to_write(written, env, name, only):
    rule = replace(next(rule for rule in SHIPPED if rule.name == name), only=frozenset(only))
    with pytest.raises(ConfigError, match="about marked endpoints") as refused:
        edit_rule(str(written), rule, {"above": "2s"}, env)
    assert written.read_text() == WRITTEN
    assert ("one likewise for each of: cart shop" in refused.value.fix) == (len(only) > 1)
    found = reads(refused.value.fix, written, env)
    first = "api" if len(only) > 1 else "shop"
    assert (found.name, found.limit, found.stat, dict(found.match)) == (name, rule.limit, rule.stat, {"endpoint": first, "service": "*"})


SELDOM = '[[tls]]\naddress = "ldap.example:636"\nname = "ldap"\n'


@pytest.mark.parametrize("name", ["response-time-critical", "certificate-expiry-critical"])
def test_what_fits_itself_to_what_is_measured_seldom_is_refused_with_the_way_out(written, env, name):
    written.write_text(SELDOM)
    for changes in ({"severity": "info"}, {"for": "2m"}):
        with pytest.raises(ConfigError) as refused:
            edit_rule(str(written), rule_of(written, env, name), changes, env)
        assert f"{written}: {name} waits longer where something is measured seldom, which no [[alert]] can say: " in str(refused.value)
        assert "ldap" in str(refused.value)
        assert str(refused.value).endswith(": disable it in [alerts], and write [[alert]]s that name endpoints in match")
    with pytest.raises(ConfigError, match=r"\.above: found"):  # a fault of what was typed is told as that
        changed(written, env, "response-time-critical", above="lots")
    assert written.read_text() == SELDOM


def test_a_fault_of_what_was_typed_is_told_as_that_where_the_rule_could_be_written(written, env):
    written.write_text('[[http]]\nurl = "http://shop.example/"\nname = "shop"\ninterval = "30s"\nfailing_interval = "30s"\n')
    with pytest.raises(ConfigError, match=r"\.for: 1 s, but shop is measured"):
        changed(written, env, "certificate-expiry-critical", for_="1s")
    changed(written, env, "certificate-expiry-critical", for_="5m")
    assert rule_of(written, env, "certificate-expiry-critical").for_s == 300.0


def test_what_takes_several_failures_in_a_row_can_be_said_however_seldom_something_is_measured(written, env):
    written.write_text(SELDOM)
    changed(written, env, "service-down-critical", severity="warning")
    rule = rule_of(written, env, "service-down-critical")
    assert (rule.severity, rule.for_s, rule.min_events) == ("warning", 60.0, 2)


# How it is written ----------------------------------------------------------------------------------------------------------------


def test_a_file_without_a_newline_at_its_end_gets_one(written, env):
    written.write_text(WRITTEN.rstrip("\n"))
    changed(written, env, "memory-usage-critical", for_="20m")
    assert written.read_text().startswith(WRITTEN)
    assert rule_of(written, env, "memory-usage-critical").for_s == 1200.0
    written.write_text(WRITTEN.rstrip("\n"))
    changed(written, env, "other", keep_firing_for="30s")
    assert written.read_text() == WRITTEN + 'keep_firing_for = "30s"\n'


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["other", "memory-usage-critical"])
def test_lines_end_as_they_did_and_a_byte_order_mark_stays(written, env, mark, name):
    before = mark + WRITTEN.replace("\n", "\r\n").encode()
    written.write_bytes(before)
    changed(written, env, name, keep_firing_for="30s")
    after = written.read_bytes()
    assert after.startswith(before)
    assert len(after) > len(before)
    assert after.count(b"\r\n") == after.count(b"\n")
    assert after.count(b"\xef\xbb\xbf") == bool(mark)
    assert rule_of(written, env, name).keep_s == 30.0


def test_lines_that_end_in_both_ways_stay_as_they_are(written, env):
    before = WRITTEN.replace("\n", "\r\n", 5).encode()
    written.write_bytes(before)
    changed(written, env, "other", above="5")
    assert written.read_bytes() == before.replace(b"above = 4", b"above = 5")


@pytest.mark.parametrize("end", [" ", "\n", ",\n  # the last one\n"])
def test_alerts_in_one_array_are_changed_and_added_to_there(written, env, end):
    one = '{ name = "mine", severity = "warning", metric = "system.load.1m", above = 4, for = "5m" }'
    written.write_text(f"# ours\nalert = [ {one}{end}]\n")
    changed(written, env, "mine", for_="10m", clear="3")
    changed(written, env, "disk-usage-critical", for_="20m")
    changed(written, env, "disk-usage-critical", for_="25m")
    assert (rule_of(written, env, "mine").for_s, rule_of(written, env, "mine").clear) == (600.0, 3.0)
    rule = rule_of(written, env, "disk-usage-critical")
    assert (rule.for_s, dict(rule.match)) == (1500.0, dict(next(each for each in SHIPPED if each.name == rule.name).match))
    assert rule.source.startswith(str(written))
    assert written.read_text().startswith("# ours\nalert = [ { name")
    assert ("# the last one" in written.read_text()) == ("# the last one" in end)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"# \xff\n", "it is not UTF-8: save the file as UTF-8"),
        (b"[console]\ninterval = []\n", "console.interval: found"),
        (b"alerts = []\n", "alerts: found"),
        (b"[alerts\n", "not TOML"),
    ],
)
def test_what_is_no_configuration_any_more_is_told_as_that(written, env, content, why):
    rule = rule_of(written, env, "memory-usage-critical")
    written.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        edit_rule(str(written), rule, {"for": "20m"}, env)
    assert why in str(refused.value)
    assert written.read_bytes() == content


def test_where_there_is_no_file_one_is_begun(tmp_path, env):
    rule = rule_of(None, env, "cpu-usage-critical")
    path = edit_rule(None, rule, {"for": "5m"}, env)
    assert path == tmp_path / "config" / "perfconsole" / "config.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert rule_of(path, env, "cpu-usage-critical").for_s == 300.0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"above": "lots"}, 'alert[1].above: found "lots"'),
        ({"for": "soon"}, "alert[1].for"),
        ({"severity": "bad"}, "alert[1].severity"),
        ({"above": ""}, "neither above nor below"),
        ({"metric": "x"}, "metric of a rule is not changed here"),
    ],
)
def test_what_would_be_no_configuration_is_refused_and_the_file_left_alone(written, env, changes, why):
    with pytest.raises(ConfigError) as refused:
        edit_rule(str(written), rule_of(written, env, "nearly-full"), changes, env)
    assert why in str(refused.value)
    assert written.read_text() == WRITTEN


def test_a_rule_that_is_gone_and_a_file_that_was_changed_meanwhile_are_left_alone(written, env, monkeypatch):
    rule = rule_of(written, env, "other")
    written.write_text(WRITTEN.replace('"other"', '"another"'))
    with pytest.raises(ConfigError, match="is called other any more"):
        edit_rule(str(written), rule, {"for": "2m"}, env)
    checking = edit.parse_text

    def meanwhile(*args, **kwargs):
        written.write_text("# somebody was quicker\n")
        return checking(*args, **kwargs)

    monkeypatch.setattr(edit, "parse_text", meanwhile)
    written.write_text(WRITTEN)
    with pytest.raises(ConfigError, match="was changed meanwhile"):
        edit_rule(str(written), rule, {"for": "2m"}, env)
    assert written.read_text() == "# somebody was quicker\n"
    assert [path.name for path in written.parent.iterdir()] == ["perfconsole.toml"]


def test_a_link_stays_one(written, env, tmp_path):
    link = tmp_path / "link.toml"
    link.symlink_to(written)
    changed(link, env, "other", for_="2m")
    assert link.is_symlink()
    assert 'for = "2m"' in written.read_text()


def test_what_may_not_be_written_says_so(env):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "perfconsole.toml"
        path.write_text(WRITTEN)
        path.chmod(0o444)
        Path(directory).chmod(0o555)
        rule = rule_of(path, env, "other")
        uid = os.geteuid()
        if uid == 0:
            os.seteuid(65534)  # root may write everything
        try:
            with pytest.raises(ConfigError, match="cannot be written: Permission denied"):
                edit_rule(str(path), rule, {"for": "2m"}, env)
        finally:
            os.seteuid(uid)
        Path(directory).chmod(0o755)
        assert path.read_text() == WRITTEN
