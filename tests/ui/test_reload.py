"""ctrl+r with a real engine, as it is put together for a configuration: endpoints come, change and go; what stays keeps its history."""

import asyncio
import json
import shutil
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from misbehaving import Lab
from world import PATIENCE_S, Console, settings

from perfconsole import assembly
from perfconsole.config.load import load
from perfconsole.core.alert_requests import RuleArgs
from perfconsole.core.endpoints import TARGET, EndpointTable
from perfconsole.core.errors import ConfigError, RequestError
from perfconsole.core.requests import CONFIG_RELOAD, RULE_EDIT
from perfconsole.engine.local import LocalSource
from perfconsole.notify import outbox_hold, outbox_lane
from perfconsole.ui.app import ConsoleApp
from perfconsole.ui.screens.endpoints import EndpointsScreen

_SEVERAL = 5
"""Checks of half a second each: more than are made between a reload and the second failure of something."""


@pytest.fixture(scope="module")
def lab():
    place = Path(tempfile.mkdtemp(prefix="perfconsole-ui-"))  # short: the path of a unix socket has at most 107 bytes
    try:
        with Lab(place) as lab:
            yield lab
    finally:
        shutil.rmtree(place, ignore_errors=True)


def endpoint(name, url, **keys):
    lines = [f'name = "{name}"', f'url = "{url}"', 'interval = "500ms"', *(f"{key} = {value}" for key, value in keys.items())]
    return "\n".join(["[[http]]", *lines, ""])


@asynccontextmanager
async def console_over(file, *endpoints, size=(120, 36), keep=False):
    """A console over a configuration of some endpoints, and a function that writes another; whether it keeps alerts."""

    def write(*endpoints):
        file.write_text("".join(endpoints))
        file.chmod(0o600)

    def read():
        return load(str(file), env={})

    def read_settings():
        read()
        return settings(screen="operations")._replace(reload=read_settings)

    write(*endpoints)
    engine = assembly.build_engine(read().config, rule_places=read().rule_places, reload=read)
    engine.start()
    if keep:
        assert assembly.keep_alerts(engine, read().config) == ""
    app = ConsoleApp(LocalSource(engine), read_settings())
    try:
        async with app.run_test(size=size) as pilot:
            console = Console(app, pilot)
            await console.until(lambda: app.offers(CONFIG_RELOAD.name))  # with the first tick
            yield console, write
    finally:
        engine.stop()


async def until(console, told):
    """Wait until some words are on the screen."""
    async with asyncio.timeout(PATIENCE_S):
        while told not in console.text:  # noqa: ASYNC110  what is waited for is told to nobody
            await asyncio.sleep(0.02)


def first_check(console, name):
    """When the first check of an endpoint of which a sample is held was made."""
    (found,) = [series for series in console.app.state.every("httpcheck.up") if series.labels.get("endpoint") == name]
    return found.ring.first


def row_of(console, name):
    return next(row for row in console.app.state.table(EndpointTable, TARGET).rows if row.name == name)


async def test_what_stays_keeps_its_history_what_changed_begins_anew_and_the_difference_is_told(lab, tmp_path):
    stays, changes = endpoint("stays", lab.url("/ok")), endpoint("changes", lab.url("/ok"))
    async with console_over(tmp_path / "config.toml", stays, changes) as (console, write):
        await until(console, "● 2 up")
        await console.until(lambda: row_of(console, "stays").checks >= _SEVERAL)
        kept = first_check(console, "stays")
        write(stays, endpoint("changes", lab.url("/status/503")), endpoint("comes", lab.url("/ok")))
        await console.pilot.press("ctrl+r")
        await until(console, "configuration read again; endpoints: 1 added, 1 changed")
        await until(console, "■ 1 down  ● 2 up")
        assert first_check(console, "stays") == kept
        assert row_of(console, "stays").checks >= _SEVERAL
        assert row_of(console, "changes").availability == 0.0  # what it was before was another target's
        write(stays)
        await console.pilot.press("ctrl+r")
        await until(console, "endpoints: 2 removed")
        await until(console, "HTTP  ● 1 up")
        assert first_check(console, "stays") == kept
        assert [series.labels for series in console.app.state.every("httpcheck.up") if "endpoint" in series.labels] == [
            {"endpoint": "stays", "service": "127.0.0.1"}
        ]


async def test_another_way_of_checking_the_same_target_keeps_its_history(lab, tmp_path):
    url = lab.url("/ok")
    async with console_over(tmp_path / "config.toml", endpoint("same", url)) as (console, write):
        await until(console, "● 1 up")
        kept = first_check(console, "same")
        write(endpoint("same", url, failures=3))
        await console.pilot.press("ctrl+r")
        await until(console, "endpoints: 1 changed")
        await until(console, "● 1 up")
        assert first_check(console, "same") == kept


async def test_a_configuration_that_is_wrong_changes_nothing_and_is_told_in_one_line(lab, tmp_path):
    file = tmp_path / "config.toml"
    async with console_over(file, endpoint("stays", lab.url("/ok")), size=(160, 36)) as (console, write):
        await until(console, "● 1 up")
        write(endpoint("stays", lab.url("/ok")), '[[http]]\nurll = "https://shop.example/"\n')
        await console.pilot.press("ctrl+r")
        await until(console, f"{file}:")
        assert console.lines[-1].lstrip().startswith(f"{file}:")
        assert len(console.lines) == 36
        assert "● 1 up" in console.text
        write(endpoint("stays", lab.url("/ok")))
        await console.pilot.press("ctrl+r")
        await until(console, "endpoints: as they were")


async def test_the_first_endpoints_come_without_a_new_start(lab, tmp_path):
    async with console_over(tmp_path / "config.toml") as (console, write):
        await until(console, "no endpoints: [[http]] in config.toml, or --url https://host/")
        await console.pilot.press("5")
        assert not isinstance(console.screen, EndpointsScreen)
        write(endpoint("first", lab.url("/ok")))
        await console.pilot.press("ctrl+r")
        await until(console, "endpoints: 1 added")
        await until(console, "HTTP  ● 1 up")
        await console.pilot.press("5")
        await until(console, "ENDPOINTS  1  ● 1 up")
        await console.pilot.press("j", "c")
        await until(console, "first: ")


async def test_what_only_the_engine_finds_wrong_is_told_and_ends_nothing(lab, tmp_path):
    file = tmp_path / "config.toml"

    def read():
        raise ConfigError(f"{file}:1: changed meanwhile", "try again\nand again")

    file.write_text("")
    file.chmod(0o600)
    engine = assembly.build_engine(load(str(file), env={}).config, reload=read)
    engine.start()
    app = ConsoleApp(LocalSource(engine), settings(reload=settings))
    try:
        async with app.run_test(size=(160, 36)) as pilot:
            console = Console(app, pilot)
            await console.until(lambda: app.offers("config.reload"))
            await pilot.press("ctrl+r")
            await until(console, f"{file}:1: changed meanwhile: try again  (and 1 more)")
            assert app.is_running
    finally:
        engine.stop()


ALWAYS = '[[alert]]\nname = "always"   # as it is\nseverity = "warning"\nmetric = "system.uptime"\nabove = 0\nfor = "1h"\n'


async def test_rules_change_while_it_runs_also_by_hand_and_where_they_are_written(lab, tmp_path):
    file = tmp_path / "config.toml"
    async with console_over(file, ALWAYS) as (console, write):
        await console.until(lambda: "always{}" in console.app.pump.live.alerts)
        since = console.app.pump.live.alerts["always{}"].since
        write(ALWAYS, ALWAYS.replace("always", "too").replace("1h", "2s"))
        await console.pilot.press("ctrl+r")
        await until(console, "rules: 1 added")
        await console.until(lambda: "too{}" in console.app.pump.live.alerts)
        assert console.app.pump.live.alerts["always{}"].since == since  # whose rule is as it was goes on
        done = await console.app.source.request(RULE_EDIT.name, RuleArgs("too", (("severity", "critical"), ("for", "3s"))))
        assert done.text.endswith("rules: 1 changed; endpoints: as they were")
        await console.until(lambda: getattr(console.app.pump.live.alerts.get("too{}"), "severity", "") == "critical")
        assert file.read_text().startswith(ALWAYS)
        with pytest.raises(RequestError, match="no rule in force is called other"):
            await console.app.source.request(RULE_EDIT.name, RuleArgs("other", (("for", "3s"),)))
        with pytest.raises(ConfigError, match=r"alert\[2\].for"):
            await console.app.source.request(RULE_EDIT.name, RuleArgs("too", (("for", "moons"),)))
        write(ALWAYS)
        await console.pilot.press("ctrl+r")
        await until(console, "rules: 1 removed")
        await console.until(lambda: "too{}" not in console.app.pump.live.alerts or console.app.pump.live.alerts["too{}"].text)
        assert [rule.name for rule in console.app.pump.live.stream.rules][-1] == "always"


async def test_a_rule_is_changed_from_the_screen_where_it_is_written(lab, tmp_path):
    file = tmp_path / "config.toml"
    async with console_over(file, ALWAYS) as (console, _write):
        await console.until(lambda: "always{}" in console.app.pump.live.alerts)
        await console.pilot.press("7")
        await until(console, "% of 1h")
        await console.pilot.press("j")
        await console.until(lambda: console.app.front.chosen)
        await console.pilot.press("E")
        await until(console, "written in ")
        await console.pilot.press("tab", "ctrl+u", *"moons", "enter")
        await console.until(lambda: console.screen.trouble)
        assert "moons" in console.screen.trouble
        assert file.read_text() == ALWAYS
        await console.pilot.press("ctrl+u", *"2h", "enter")
        await until(console, "always is changed")
        assert file.read_text() == ALWAYS.replace("1h", "2h")
        await console.until(lambda: [rule.for_s for rule in console.app.pump.live.stream.rules if rule.name == "always"] == [7200.0])


def hook(name, file):
    """A channel that writes what it is told to a file."""
    return f'[[notify]]\nname = "{name}"\ntype = "hook"\ncommand = ["/bin/sh", "-c", "cat >> {file}; echo >> {file}"]\n'


def told(file):
    """What a channel was told: status and rule, in their order."""
    with suppress(FileNotFoundError, ValueError):  # it may be written just now
        lines = [json.loads(line) for line in file.read_text().splitlines() if line]
        return [(alert["status"], alert["rule"]) for line in lines for alert in line["alerts"]]
    return []


FIRES = '[[alert]]\nname = "fires"\nseverity = "warning"\nmetric = "system.uptime"\nabove = 0\nfor = "2s"\nkeep_firing_for = "0s"\n'


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """What begins a configuration whose alerts are kept apart; messages go at once."""
    monkeypatch.setattr(outbox_lane, "GATHER_S", 0.05)
    monkeypatch.setattr(outbox_hold, "HOLD_S", 0.0)

    def text(*notify):
        named = ", ".join(f'"{name}"' for name in notify)
        return f'[history]\ndir = "{tmp_path / "state"}"\n[alerts]\ndefaults = false\nnotify = [{named}]\n'

    return text


async def test_channels_come_change_and_go_while_it_runs(kept, tmp_path):
    ops, other, dev = (tmp_path / name for name in ("ops", "other", "dev"))
    async with console_over(tmp_path / "config.toml", kept(), FIRES, keep=True, size=(160, 36)) as (console, write):

        async def reload(told, *lines):
            write(*lines)
            await console.pilot.press("ctrl+r")
            await until(console, told)

        await console.until(lambda: getattr(console.app.pump.live.alerts.get("fires{}"), "state", "") == "firing")
        await reload("configuration read again; rules: 1 changed; channels: 1 added; ", kept("ops"), FIRES, hook("ops", ops))
        await console.until(lambda: told(ops) == [("firing", "fires")])
        await reload("channels: 1 added, 1 changed", kept("ops", "dev"), FIRES, hook("ops", other), hook("dev", dev))
        await console.until(lambda: told(dev) == [("firing", "fires")])
        await reload("channels: as they were", kept("ops", "dev"), FIRES, hook("ops", other), hook("dev", dev))
        await reload('[[notify]] "dev" is told of nothing', kept("ops"), FIRES, hook("ops", other), hook("dev", dev))
        await reload("channels: 1 removed", kept("ops"), FIRES, hook("ops", other))
        await reload("rules: 1 removed", kept("ops"), hook("ops", other))
        await console.until(lambda: told(other) == [("resolved", "fires")])
        assert (told(ops), told(dev)) == ([("firing", "fires")], [("firing", "fires")])
        assert console.app.state.health["notify", "dev"].state == "ok"


async def test_what_was_owed_to_a_channel_that_is_gone_is_told(kept, tmp_path):
    bad = '[[notify]]\nname = "bad"\ntype = "hook"\ncommand = ["/bin/false"]\n'
    async with console_over(tmp_path / "config.toml", kept("bad"), FIRES, bad, keep=True, size=(160, 36)) as (console, write):
        await console.until(lambda: "failing" in getattr(console.app.state.health.get(("notify", "bad")), "error", ""))
        write(kept(), FIRES)
        await console.pilot.press("ctrl+r")
        gone = "the channel bad is gone: 1 notice that it was owed is dropped"
        await until(console, f"channels: 1 removed; {gone}")
        await console.until(lambda: gone in [event.text for event in console.app.state.events])
        await console.until(lambda: console.app.state.health["notify", "bad"].state == "ok")


async def test_who_keeps_no_alerts_tells_nobody_and_says_so(kept, tmp_path):
    async with console_over(tmp_path / "config.toml", kept(), FIRES, size=(160, 36)) as (console, write):
        await console.until(lambda: console.app.state.stream is not None)
        write(kept("ops"), FIRES, hook("ops", tmp_path / "ops"))
        await console.pilot.press("ctrl+r")
        await until(console, "channels: none is told from here, where no alerts are kept")
