"""Alert rules as they are configured: what comes of them, and what they could never do, with the arithmetic."""

import asyncio
import sys
import time
from contextlib import suppress
from math import isnan

import pytest

from perfconsole.collectors.own import OwnCollector
from perfconsole.collectors.processes import ProcessCollector
from perfconsole.collectors.system import system_collectors
from perfconsole.config.load import ConfigFileError, parse_text
from perfconsole.config.rules import rules
from perfconsole.config.schema import STATS
from perfconsole.config.write import render
from perfconsole.core import alert_stats
from perfconsole.core.errors import CollectorError
from perfconsole.core.metric_shapes import every_s, shapes
from perfconsole.core.ports import Slot
from perfconsole.core.shipped import API, CRITICAL, MARKED, SHIPPED
from perfconsole.core.tick import Rule, SeriesDef

RULE = "[[alert]]\nname = 'mine'\nseverity = 'critical'\n"
CPU = RULE + "metric = 'system.cpu.utilization'\nabove = '90%'\n"
UP = RULE + "metric = 'httpcheck.up'\nmatch = { endpoint = '*', service = '*' }\n"
SHOP = "[[http]]\nname = 'shop'\nurl = 'http://127.0.0.1:1/'\n"


def of(text):
    (rule,) = rules(parse_text("[alerts]\ndefaults = false\n" + text, env={}))
    return rule


def faults(text):
    with pytest.raises(ConfigFileError) as caught:
        parse_text(text, env={}, path="f.toml")
    return [str(error) for error in caught.value.errors]


def test_without_a_duration_it_is_a_threshold():
    rule = of(CPU)
    assert rule.colour
    assert (rule.limit, rule.above, rule.for_s, rule.keep_s, rule.stat, rule.over_s) == (0.9, True, 0.0, 0.0, "last", 0.0)


def test_every_key_arrives():
    rule = of(
        CPU
        + "stat = 'avg'\nover = '2m'\nfor = '15m'\nclear = '80%'\nkeep_firing_for = '90s'\nmax_gap = '30s'\nmin_samples = 5\n"
        + "no_data = 'alert'\ndepends_on = ['host']\nrespond_within = '10m'\nrunbook = 'https://wiki.example/cpu'\n"
    )
    assert rule == Rule(
        "mine", "critical", "system.cpu.utilization", 0.9, stat="avg", over_s=120.0, for_s=900.0, clear=0.8, keep_s=90.0, max_gap_s=30.0,
        min_samples=5, no_data="alert", depends_on=("host",), respond_s=600.0, runbook="https://wiki.example/cpu", colour=False,
    )  # fmt: skip


@pytest.mark.parametrize(("lasts", "kept_s"), [("30s", 10.0), ("3m", 60.0), ("15m", 300.0), ("1h", 300.0)])
def test_quiet_has_to_last_a_third_of_the_duration_and_five_minutes_at_most(lasts, kept_s):
    assert of(CPU + f"for = '{lasts}'\n").keep_s == kept_s
    assert of(CPU + f"for = '{lasts}'\nkeep_firing_for = '0s'\n").keep_s == 0.0


def test_what_is_not_said_is_as_documented():
    rule = of(CPU + "for = '5m'\nstat = 'p90'\n")
    assert (rule.over_s, rule.respond_s, rule.min_samples, rule.no_data) == (60.0, 300.0, 1, "keep")
    assert isnan(rule.clear)
    assert isnan(rule.max_gap_s)
    assert not rule.colour
    assert of(CPU.replace("critical", "warning") + "for = '5m'\n").respond_s == 3600.0


def test_a_ratio_is_of_a_metric_that_is_one_or_nothing():
    rule = of(UP + "above = '1%'\nstat = 'ratio'\nfor = '5m'\nmin_events = 2\n")
    assert (rule.stat, rule.limit, rule.min_events, rule.over_s) == ("ratio", 0.01, 2, 60.0)


def test_what_is_written_back_reads_the_same():
    config = parse_text(CPU + "stat = 'avg'\nfor = '15m'\nclear = '80%'\nmin_samples = 5\n", env={})
    assert parse_text(render(config), env={}) == config


def test_the_statistics_are_those_of_the_stage():
    assert tuple(alert_stats.STATS) == STATS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CPU + "for = '5 parsecs'\n", 'f.toml:6: alert[1].for: found "5 parsecs": accepted: a duration in quotes such as 0s 10s 5m'),
        (CPU + "stat = 'mean'\n", 'found "mean": accepted: one of last avg min max p50 p90 p95 p99 ratio'),
        (CPU + "clear = '1 apple'\n", 'alert[1].clear: found "1 apple", but system.cpu.utilization is in 1: accepted: a ratio: 90% or 0.9'),
        (CPU + "clear = '95%'\n", "alert[1].clear: clear lies beyond the limit: it would be over before it began"),
        (CPU.replace("above", "below") + "clear = '80%'\n", "alert[1].clear: clear lies beyond the limit"),
        (CPU + "over = '1m'\n", "alert[1].over: over, but stat is last, which is the sample alone"),
        (CPU + "min_events = 2\nstat = 'avg'\n", "alert[1].min_events: min_events, but stat is avg"),
        (RULE + "metric = 'system.load.1m'\nabove = 1\nstat = 'ratio'\n", "alert[1].stat: ratio of system.load.1m, which is not 1 or 0"),
        (CPU + "no_data = 'ignore'\n", 'alert[1].no_data: found "ignore": accepted: one of keep alert ok'),
        (CPU + "for = '1s'\n", "alert[1].for: 1 s, but system.cpu.utilization is measured every 2 s: one sample would decide"),
        (CPU + "stat = 'p99'\nover = '1m'\nfor = '5m'\n",
         "alert[1].over: 60 s hold 30 samples of system.cpu.utilization at most, one every 2 s, and 100 are needed: it could never fire: "),
        (SHOP + UP + "above = '1%'\nstat = 'ratio'\nmin_samples = 100\nfor = '5m'\n",
         'alert[1].over: 60 s hold 6 samples of shop at most, one every 10 s, and 100 are needed: it could never fire: over = "1000s"'),
        (SHOP + UP + "below = 0.5\nfor = '8s'\n", '8 s, but shop is measured every 10 s: one sample would decide: for = "10s"'),
        (SHOP + "timeout = '30s'\n" + UP + "below = 0.5\nfor = '20s'\n", "shop is measured every 10 s, and given up after 30 s"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_told_with_the_arithmetic(text, expected):
    (fault,) = faults(text)
    assert fault.startswith("f.toml:")
    assert expected in fault


DISK = RULE + "metric = 'system.filesystem.utilization'\nabove = '90%'\n"
DB = "[[postgres]]\nname = 'orders'\ninterval = '60s'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UP.replace(", service = '*'", "").replace("'*'", "'shop'") + "below = 0.5\nfor = '1m'\n",
         'or labelled service; endpoint service: it would watch nothing: e.g. match = { endpoint = "shop", service = "*" }'),
        (DISK + "match = { mountpont = '/var' }\n",
         'without labels, or labelled mountpoint: it would watch nothing: did you mean "mountpoint"? e.g. match = { mountpoint = "*" }'),
        (CPU + "match = { unit = 'nginx*' }\n", "match names unit, but system.cpu.utilization has series without labels, or labelled cpu"),
        (RULE + "metric = 'system.load.1m'\nabove = 8\nmatch = { host = 'a' }\n",
         "match names host, but system.load.1m has series without labels: it would watch nothing: leave it out"),
        (RULE + "metric = 'postgresql.up'\nbelow = 0.5\nfor = '1m'\n",
         'no match, but postgresql.up has series labelled server: it would watch nothing: e.g. match = { server = "*" }'),
        (SHOP + UP.replace("endpoint = '*'", "endpoint = 'shpo'") + "below = 0.5\nfor = '1m'\n",
         'alert[1].match.endpoint: found "shpo", which no endpoint is called: it would watch nothing: did you mean "shop"?'),
        (DB + RULE + "metric = 'postgresql.up'\nbelow = 0.5\nfor = '5m'\nmatch = { server = 'oders' }\n",
         'alert[1].match.server: found "oders", which no server is called: it would watch nothing: did you mean "orders"?'),
        (DB + RULE + "metric = 'postgresql.up'\nbelow = 0.5\nfor = '2s'\nmatch = { server = '*' }\n",
         "2 s, but orders is measured every 60 s: one sample would decide"),
        (DB + RULE + "metric = 'postgresql.xid.age'\nabove = 1\nstat = 'p95'\nover = '1m'\nfor = '5m'\nmatch = { server = '*' }\n",
         "60 s hold 1 samples of orders at most, one every 60 s, and 20 are needed"),
        (DISK + "stat = 'avg'\nover = '8s'\nmin_samples = 3\nfor = '1m'\n",
         "8 s hold 1 samples of system.filesystem.utilization at most, one every 10 s, and 3 are needed"),
        (RULE + "metric = 'cgroup.memory.utilization'\nabove = '90%'\nmatch = { unit = '*' }\nfor = '4s'\n", "measured every 10 s"),
        ("[console]\ninterval = '30s'\n" + RULE + "metric = 'process.count'\nabove = 900\nfor = '4s'\n", "measured every 30 s"),
        (SHOP + CPU + "for = '1m'\ndepends_on = ['http:shpo']\n",
         'alert[1].depends_on[1]: found "http:shpo", which there is not: did you mean "http:shop"?'),
        (CPU + "for = '1m'\ndepends_on = ['nonsense']\n", 'alert[1].depends_on[1]: found "nonsense": accepted: host, http:NAME'),
        (DB + CPU + "for = '1m'\ndepends_on = ['host', 'postgres:order']\n", 'did you mean "postgres:orders"?'),
    ],
)  # fmt: skip
def test_a_rule_that_watches_nothing_or_too_seldom_is_told_with_what_there_is(text, expected):
    (fault,) = faults(text)
    assert expected in fault


def test_what_there_is_may_be_named_in_every_way():
    services = "[[service]]\nname = 'web'\nendpoints = ['shop']\n"
    for match in ("endpoint = 'shop', service = 'web'", "endpoint = 'sh*', service = '*'", "endpoint = '*', service = 'w?b'"):
        assert parse_text(SHOP + services + RULE + f"metric = 'httpcheck.up'\nbelow = 1\nmatch = {{ {match} }}\n", env={}).alert
    for metric, match in (("httpcheck.up", "service = 'web'"), ("system.disk.io", "direction = 'read', device = 'sd*'")):
        assert parse_text(SHOP + services + RULE + f"metric = '{metric}'\nbelow = 1\nmatch = {{ {match} }}\n", env={}).alert
    assert parse_text(SHOP + RULE + "metric = 'httpcheck.up'\nbelow = 1\n", env={}).alert
    assert parse_text(SHOP + DB + CPU + "for = '1m'\ndepends_on = ['host', 'http:shop', 'postgres:orders']\n", env={}).alert


def test_what_takes_several_samples_in_a_row_may_take_less_than_their_interval():
    down = SHOP + UP + "below = 0.5\nfor = '8s'\n"
    assert parse_text(down + "min_events = 2\n", env={}).alert
    assert len(faults(down + "min_events = 1\n")) == 1


@pytest.mark.parametrize(
    "text",
    [
        CPU + "for = '1m'\ndepends_on = ['postgres:local', 'http:shop.example']\n",
        RULE + "metric = 'postgresql.up'\nbelow = 1\nfor = '5m'\nmatch = { server = 'local' }\n",
        RULE + "metric = 'httpcheck.up'\nbelow = 1\nmatch = { endpoint = 'shop.example', service = '*' }\n",
    ],
)
def test_what_the_file_does_not_say_may_be_found_or_named_by_the_command_line(text):
    assert parse_text(text, env={}).alert


def test_of_a_rule_that_is_switched_off_it_does_not_matter_whether_what_it_is_about_is_there():
    text = SHOP + UP.replace("endpoint = '*'", "endpoint = 'gone'") + "below = 0.5\nfor = '1m'\ndepends_on = ['http:gate']\n"
    assert len(faults(text)) == 2
    assert parse_text(text + "enabled = false\n", env={}).alert


def test_every_shipped_rule_watches_series_that_there_are():
    for rule in SHIPPED:
        assert tuple(name for name, _ in rule.match) in shapes(rule.metric), rule.name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the collectors of this machine differ")
def test_the_series_of_this_machine_are_among_those_that_there_may_be():
    """Whoever adds a label to a series adds it to the table, or rules about it are refused."""

    async def looked():
        out = []
        for collector in (*system_collectors(2.0), ProcessCollector(2.0), OwnCollector(2.0, lambda: 0.0, lambda: 0.0)):
            now = time.time()
            with suppress(CollectorError):  # a machine without sensors
                result = await collector.run("host", Slot(now, 100.0, 110.0), ())
            out += [(series, measured.interval_s or collector.interval_s) for measured in result.measured for series in measured.series]
            collector.close()
        return out

    found = asyncio.run(looked())
    assert len(found) > 60
    for series, interval_s in found:
        assert tuple(name for name, _ in series.labels) in shapes(series.name), series
        assert every_s(series.name, 2.0) == interval_s, series


def test_a_rule_is_held_against_the_endpoints_that_it_is_about():
    other = UP.replace("endpoint = '*'", "endpoint = 'api*'") + "below = 0.5\nfor = '8s'\n"
    assert parse_text(SHOP + other, env={}).alert
    assert parse_text(UP + "below = 0.5\nfor = '8s'\n", env={}).alert  # whatever --url will bring


def test_shipped_rules_can_be_left_out():
    usual = tuple(rule for rule in SHIPPED if rule.name not in MARKED)
    assert rules(parse_text("", env={})) == usual
    names = [rule.name for rule in rules(parse_text("[alerts]\ndisable = ['cpu-warning', 'cpu-usage-critical']\n", env={}))]
    assert names == [rule.name for rule in usual if rule.name not in {"cpu-warning", "cpu-usage-critical"}]


def test_rules_about_marked_endpoints_are_about_these_alone():
    endpoints = "".join(
        f"[[http]]\nname = '{name}'\nurl = 'http://127.0.0.1:1/{name}'\n{mark}\n"
        for name, mark in (("shop", "api = true"), ("cart", "critical = true"), ("logo", ""), ("pay", "group = 'money'"))
    )
    config = parse_text(endpoints + "[[service]]\nname = 'money'\nendpoints = ['pay']\ncritical = true\n", env={})
    found = {rule.name: rule.only for rule in rules(config) if rule.only}
    assert found == {API: {"shop"}, CRITICAL: {"cart", "pay"}}
    rule = next(rule for rule in rules(config) if rule.name == API)
    series = [SeriesDef(rule.metric, (("endpoint", name), ("service", "s"))) for name in ("shop", "cart")]
    assert [rule.covers(one) for one in series] == [True, False]


@pytest.mark.parametrize(
    "text", ["alert = 3\n[alerts]\ndefaults = true\n", "alert = [3]\n", "alert = [{ name = 3 }]\n", "[alert]\nname = 'x'\n"]
)
def test_what_is_no_array_of_tables_is_told_as_that(text):
    with pytest.raises(ConfigFileError, match=r"alert"):
        parse_text(text, env={})
