"""Notification channels as they are configured: what is accepted, what is refused and where, and who is told of which rule."""

import re
import subprocess
import sys
import tomllib

import pytest

from perfconsole.config import check_notify
from perfconsole.config.check import Checker
from perfconsole.config.kinds import keys_of
from perfconsole.config.load import ConfigFileError, parse_text
from perfconsole.config.rules import rules
from perfconsole.config.schema_notify import CHANNELS, Email, Webhook
from perfconsole.config.toml import parse
from perfconsole.config.write import example, json_schema, render

KEY = "R0123456789abcdef0123456789abcde"
SLACK = "https://hooks.slack.com/services/T0AAAAAAA/B0BBBBBBB/abcdefghijklmnopqrstuvwx"


def parsed(text, **held):
    """The configuration of a file that is held in some way (see `Checker`)."""
    checker = Checker(parse("f.toml", text.encode()), {}, **held)
    config = checker.config()
    if checker.errors:
        raise ConfigFileError(checker.errors)
    return config


def faults(text, **held):
    with pytest.raises(ConfigFileError) as caught:
        parsed(text, **held)
    return [str(error) for error in caught.value.errors]


def channel(kind, keys, name="ops"):
    return f'[[notify]]\nname = "{name}"\ntype = "{kind}"\n{keys}\n'


def webhook(keys="", url="https://hooks.example/x"):
    return channel("webhook", f'url = "{url}"\n{keys}')


def email(keys="", host="smtp.example.org"):
    return channel("email", f'from = "a@example.org"\nto = "b@example.org"\nhost = "{host}"\n{keys}')


# What comes of it -----------------------------------------------------------------------------------------------------------------


def test_little_is_enough():
    (one,) = parsed(webhook()).notify
    assert isinstance(one, Webhook)
    assert (one.name, one.url, one.severities, one.resolved, one.timeout_s) == (
        "ops", "https://hooks.example/x", ("critical", "warning"), True, 10.0,
    )  # fmt: skip


def test_every_key_arrives():
    (one,) = parsed(
        channel("email", """
from = "Ops <ops@example.org>"
to = ["a@example.org", "B <b@example.org>"]
host = "[2001:db8::7]:2525"
tls = "tls"
ca = "/ca.pem"
user = "${USER_NAME}"
password = "file:/run/secrets/smtp"
severities = ["info"]
resolved = false
timeout = "1m"
""")
    ).notify  # fmt: skip
    assert vars_of(one) == {
        "name": "ops", "type": "email", "sender": "Ops <ops@example.org>", "to": ("a@example.org", "B <b@example.org>"),
        "host": "[2001:db8::7]:2525", "tls": "tls", "ca": "/ca.pem", "user": "${USER_NAME}", "password": "file:/run/secrets/smtp",
        "severities": ("info",), "resolved": False, "timeout_s": 60.0,
    }  # fmt: skip


def vars_of(one):
    return {name: getattr(one, name) for name in one.__struct_fields__}


def test_what_is_written_back_reads_the_same():
    text = "[alerts]\nnotify = ['ops']\n" + re.sub(r"(?m)^#(?! )", "", example()).partition("[alerts]")[0] + "".join([
        webhook('secret = "${S}"\nheaders = { X-Key = "${K}" }\nmax_alerts = 7'),
        channel("hook", 'command = ["/bin/page", "a b"]', "hook"),
        channel("slack", 'url = "file:/run/secrets/slack"', "slack"),
        channel("pagerduty", 'routing_key = "${PD}"', "pd"),
        channel("alertmanager", 'url = "http://am.example:9093"', "am"),
        channel("apprise", 'urls = "${N}"', "rest"),
        email().replace('"ops"', '"mail"'),
    ])  # fmt: skip
    config = parse_text(text, env={})
    assert len(config.notify) == len(CHANNELS)
    assert parse_text(render(config), env={}) == config


def test_what_is_secret_is_not_written_back():
    config = parsed(
        webhook('secret = "hush1"\nheaders = { X-Api-Key = "hush2" }', "https://me:hush3@x.example/?key=hush4")
        + channel("slack", f'url = "{SLACK}"', "slack")
        + channel("pagerduty", f'routing_key = "{KEY}"', "pd")
        + channel("apprise", 'urls = ["tgram://hush5/hush6"]', "tg")
        + channel("hook", 'command = ["page", "--token", "hush7"]', "hook")
        + channel("webhook", 'url = "https://chat.example/hooks/8f14e45fceea467f9a0bhush8"', "chat")
    )
    for text in (render(config), repr(config)):
        for secret in ("hush", "T0AAAAAAA", KEY):
            assert secret not in text
    assert 'url = "https://hooks.slack.com/***"' in render(config)
    assert 'url = "https://chat.example/***"' in render(config)


# Who is told ----------------------------------------------------------------------------------------------------------------------

RULE = '[[alert]]\nname = "{}"\nseverity = "info"\nmetric = "system.load.1m"\nabove = 1\n{}\n'


def test_who_is_told_of_what():
    text = (
        "[alerts]\nnotify = ['ops']\n" + webhook() + channel("hook", "command = ['x']", "pager")
        + RULE.format("usual", "for = '1m'") + RULE.format("own", "for = '1m'\nnotify = ['pager', 'ops']")
        + RULE.format("nobody", "for = '1m'\nnotify = []") + RULE.format("colour", "") + RULE.format("at-once", "notify = ['pager']")
    )  # fmt: skip
    found = {rule.name: rule for rule in rules(parsed(text))}
    own = ("usual", "own", "nobody", "colour", "at-once")
    assert {name: found[name].notify for name in own} == {
        "usual": ("ops",), "own": ("pager", "ops"), "nobody": (), "colour": (), "at-once": ("pager",),
    }  # fmt: skip
    assert {name: found[name].colour for name in own} == {
        "usual": False, "own": False, "nobody": False, "colour": True, "at-once": False,
    }  # fmt: skip
    assert all(rule.notify == (() if rule.colour else ("ops",)) for name, rule in found.items() if name not in own)


def test_nobody_is_told_unless_it_is_said():
    assert all(rule.notify == () for rule in rules(parsed(webhook())))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[alerts]\nnotify = ['opz']\n" + webhook(),
         'f.toml:2: alerts.notify[1]: found "opz", which no [[notify]] is called: did you mean "ops"?'),
        (webhook() + RULE.format("x", "for = '1m'\nnotify = ['ops',\n'zzzzzz']"),
         'f.toml:13: alert[1].notify[2]: found "zzzzzz", which no [[notify]] is called: there are: ops'),
        ("[alerts]\nnotify = ['ops']\n", 'found "ops", which no [[notify]] is called: there are none: [[notify]] makes one'),
    ],
)  # fmt: skip
def test_names_are_those_of_channels(text, expected):
    (line,) = faults(text)
    assert expected in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (webhook(), ['[[notify]] "ops" is told of nothing: neither [alerts] notify nor an [[alert]] names it']),
        (webhook() + RULE.format("x", "enabled = false\nfor = '1m'\nnotify = ['ops']"),
         ['[[notify]] "ops" is told of nothing: neither [alerts] notify nor an [[alert]] names it']),
        (webhook() + RULE.format("x", "for = '1m'\nnotify = ['ops']"),
         ['[[notify]] "ops" is told of nothing: its severities are critical warning, and no rule that names it has one of them']),
        (webhook("severities = ['info']") + RULE.format("x", "for = '1m'\nnotify = ['ops']"), []),
        ("[alerts]\nnotify = ['ops']\n" + webhook() + channel("hook", "command = ['x']", "pager"),
         ['[[notify]] "pager" is told of nothing: neither [alerts] notify nor an [[alert]] names it']),
        ("[alerts]\nnotify = ['ops']\ndefaults = false\n" + webhook(),
         ['[[notify]] "ops" is told of nothing: neither [alerts] notify nor an [[alert]] names it']),
        ("", []),
    ],
)  # fmt: skip
def test_a_channel_that_is_told_of_nothing_is_said_to_be(text, expected):
    assert check_notify.unnamed(parsed(text)) == expected


# Faults ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[notify]\nname = 'x'\n", "f.toml:1: notify: found a single table: accepted: tables of an array, each written [[notify]]"),
        ("[[notify]]\nname = 'x'\n", "f.toml:1: notify[1]: no type: (types: webhook alertmanager hook slack pagerduty email apprise)"),
        (channel("webhok", ""), 'f.toml:3: notify[1].type: found "webhok": did you mean "webhook"? (types: '),
        ("[[notify]]\nname = 'x'\ntype = 3\n", "notify[1].type: found 3: (types: webhook"),
        (channel("webhook", ""), "f.toml:1: notify[1]: no url: needed: name type url"),
        ("[[notify]]\ntype = 'hook'\ncommand = ['x']\n", "notify[1]: no name: needed: name type command"),
        (webhook() + webhook(), 'f.toml:7: notify[2].name: found "ops", which the notify on line 1 is called: give it a name of its own'),
        (webhook("routing_key = '${X}'"), '"routing_key" is not known yet: (known keys in [notify]: name type url headers secret'),
        (webhook("sverities = ['info']"), 'did you mean "severities"?'),
        (webhook("severities = ['page']"), 'notify[1].severities: found ["page"]: accepted: a list, each at most once, of'),
        (webhook("severities = []"), "notify[1].severities: found [], which is nobody's alert: accepted: one at least"),
        (webhook("timeout = '2m'"), 'notify[1].timeout: found "2m": accepted: a duration in quotes such as'),
        (webhook("max_alerts = -1"), "accepted: a whole number, 0 to 10000"),
        (webhook(url="hooks.example/x"), 'did you mean "https://hooks.example/x"?'),
        (webhook("headers = { Content-Type = 'x' }"), "notify[1].headers.Content-Type: found a header that follows from the message"),
        (webhook("secret = '${S}'\nheaders = { X-Perfconsole-Signature = '${X}' }"), "found a signature, and secret as well"),
        (webhook("ca = 'ca.pem'"), "accepted: a path in quotes that begins with /"),
        (webhook("proxy = 'socks5://x:1'"), "socks is not spoken"),
        (channel("alertmanager", "url = 'http://am:9093/api/v2/alerts'"),
         "notify[1].url: found the address of an API: accepted: where Alertmanager is"),
        (channel("hook", "command = 'page --loud'"), "notify[1].command: found a single text: accepted: a list of texts, each an argument"),
        (channel("hook", "command = []"), "notify[1].command: found a list that is no command: accepted: a list of texts such as"),
        (channel("hook", "command = ['']"), 'notify[1].command[1]: found "": accepted'),
        (channel("hook", 'command = ["x", "a\\u0000b"]'), "notify[1].command[2]: found"),
        (channel("pagerduty", "routing_key = '123'"), "notify[1].routing_key: found what is no integration key: accepted: 32 letters"),
        (email("user = 'me'"), "notify[1].user: a user without a password: accepted: both, or neither"),
        (email("password = '${P}'"), "notify[1].password: a password without a user"),
        (email("tls = 'none'\nuser = 'me'\npassword = '${P}'"), "notify[1].tls: a password over a connection that everybody on the way"),
        (email("tls = 'ssl'"), 'notify[1].tls: found "ssl": accepted: one of starttls tls none'),
        (email(host="smtp.example.org:x"), 'notify[1].host: found "smtp.example.org:x": accepted: HOST or HOST:PORT'),
        (email().replace("a@example.org", "a@example.org>, <c@example.org"), "notify[1].from: found"),
        (email().replace("a@example.org", "nobody"), 'notify[1].from: found "nobody": accepted: an address such as "ops@example.org"'),
        (email().replace('"b@example.org"', '["b@example.org", "b"]'), 'notify[1].to[2]: found "b": accepted: an address such as'),
        (email().replace('"b@example.org"', '"b@example.org\\r\\nBcc: x@example.org"'), "notify[1].to: found"),
        (email().replace('"a@example.org"', '"A\\r\\nBcc: x@example.org <a@example.org>"'), "notify[1].from: found"),
        (channel("apprise", "urls = ['hush']"), "notify[1].urls[1]: found what is no URL of Apprise: accepted: such as"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_and_what_is_accepted(text, expected):
    (line,) = faults(text)
    assert line.startswith("f.toml:")
    assert expected in line
    assert "hush" not in line


def test_a_password_may_go_to_this_machine_in_the_clear():
    for host in ("localhost", "127.0.0.1:2525", "[::1]:25"):
        (one,) = parsed(email("tls = 'none'\nuser = 'me'\npassword = '${P}'", host)).notify
        assert isinstance(one, Email)


# Secrets --------------------------------------------------------------------------------------------------------------------------

SECRET = [
    (webhook(url="https://x.example/?token=hushhush"), "url"),
    (webhook(url="https://me:hush@x.example/"), "url"),
    (webhook(url=SLACK), "url"),
    (webhook(url="https://discord.example/api/webhooks/1234/aGVsbG8gd29ybGQgMTIzNDU2"), "url"),
    (webhook(url="https://teams.example/webhook/8f14e45f-ceea-467f-a0b1-123456789abc@x/IncomingWebhook"), "url"),
    (webhook("secret = 'hush'"), "secret"),
    (webhook("headers = { Authorization = 'Bearer hush' }"), "headers.Authorization"),
    (webhook("proxy = 'http://me:hush@p.example:1'"), "proxy"),
    (channel("slack", "url = 'https://chat.example/hooks/hush'"), "url"),
    (channel("pagerduty", f"routing_key = '{KEY}'"), "routing_key"),
    (email("user = 'me'\npassword = 'hush'"), "password"),
    (channel("apprise", "urls = ['${A}', 'ntfy://hush']"), "urls[2]"),
    (channel("hook", "command = ['page', '--token', 'hush']"), "command"),
]


@pytest.mark.parametrize(("text", "key"), SECRET)
def test_a_secret_does_not_stand_in_a_file_that_others_can_read(text, key):
    (line,) = faults(text, shared=True)
    assert f"notify[1].{key}: a secret stands in it, and others can read this file" in line
    assert "hush" not in line
    assert parsed(text).notify  # the owner alone


@pytest.mark.parametrize(
    "url", ["https://hooks.example/alerts/perfconsole-production-2", "http://am.example:9093/x", "https://x.example/?key=${K}", "${URL}"]
)
def test_what_is_none_may(url):
    assert parsed(webhook(url=url), shared=True).notify[0].url == url
    assert render(parsed(webhook(url=url))).count(url) == 1


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (webhook(url="file:/run/secrets/x"), "url"),
        (webhook("headers = { X = 'file:/x' }"), "headers.X"),
        (webhook("secret = 'file:/x'"), "secret"),
        (channel("slack", "url = 'file:/x'"), "url"),
        (channel("pagerduty", "routing_key = 'file:/x'"), "routing_key"),
        (email("user = 'file:/x'\npassword = '${P}'"), "user"),
        (channel("apprise", "urls = ['file:/x']"), "urls[1]"),
    ],
)
def test_one_that_was_found_does_not_send_for_files(text, key):
    (line,) = faults(text, found_here=True)
    assert f"notify[1].{key}: file: in a configuration that was found in the working directory: name it with --config" in line


def test_one_that_was_found_brings_no_hooks():
    (line,) = faults(channel("hook", "command = ['x']"), found_here=True)
    assert "notify[1].command: a hook in a configuration that was found in the working directory: name it with --config" in line


# How it is told of ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "table"), CHANNELS.items())
def test_every_type_is_explained(kind, table):
    section = next(part for part in example().split("[[notify]]") if f'type = "{kind}"' in part)
    named = re.search(r"# And as in the webhook: (.*)\.\n", section)
    for key in keys_of(table).values():
        again = key.name in (named[1].split() if named else [])
        assert again or re.search(rf"# {re.escape(key.text)}\n# ?{key.name} = ", section), key.name


def test_the_example_loads_with_every_type():
    config = parse_text(re.sub(r"(?m)^#(?! )", "", example()), env={})
    assert [type(one) for one in config.notify] == list(CHANNELS.values())
    assert [one.type for one in config.notify] == list(CHANNELS)
    assert {one.timeout_s for one in config.notify} == {10.0}


def test_the_json_schema_tells_types_apart():
    schema = json_schema()
    references = [one["$ref"].rpartition("/")[2] for one in schema["properties"]["notify"]["items"]["oneOf"]]
    assert references == [table.__name__ for table in CHANNELS.values()]
    written = tomllib.loads(re.sub(r"(?m)^#(?! )", "", example()))["notify"]
    for name, (kind, table), values in zip(references, CHANNELS.items(), written, strict=True):
        described = schema["$defs"][name]
        assert described["properties"]["type"] == {"description": described["properties"]["type"]["description"], "enum": [kind]}
        assert described["required"] == [key.name for key in keys_of(table).values() if key.required]
        assert set(values) <= set(described["properties"])


def test_a_file_without_channels_pays_nothing_for_them():
    script = """
import sys
from perfconsole.config.load import parse_text
parse_text("[console]\\ninterval = '5s'\\n[alerts]\\ndisable = ['cpu-warning']\\n", env={})
bad = [name for name in sys.modules if "notify" in name and name.startswith("perfconsole.")]
sys.exit(" ".join(bad) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
