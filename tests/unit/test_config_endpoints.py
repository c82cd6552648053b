"""Endpoints as they are configured: what is accepted, what is refused and where, and the checks that come of it."""

from itertools import pairwise
from math import isnan

import msgspec
import pytest

from perfconsole.config.check import Checker
from perfconsole.config.endpoints import check_of, checks, of_option
from perfconsole.config.load import ConfigFileError, parse_text
from perfconsole.config.toml import parse
from perfconsole.config.write import render
from perfconsole.core.checks import Check, Expect, JsonTest, Timeouts, Tls, Window
from perfconsole.core.errors import ConfigError


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


def of(text):
    return checks(parse_text(text, env={}))


def one(text):
    (check,) = of(text)
    return check


def http(keys, url="http://shop.example/x"):
    return f'[[http]]\nurl = "{url}"\n{keys}\n'


# What comes of it -----------------------------------------------------------------------------------------------------------------


def test_a_url_is_enough():
    check = one('[[http]]\nurl = "https://shop.example/checkout?x=1"\n')
    plain = Check(
        name="shop.example/checkout", kind="http", target="https://shop.example/checkout?x=1", service="shop.example",
    )  # fmt: skip
    assert msgspec.msgpack.encode(check) == msgspec.msgpack.encode(plain)
    assert (check.interval_s, check.failing_s, check.timeout_s, check.failures, check.successes) == (10, 5, 5, 2, 1)
    assert msgspec.msgpack.encode(check_of(check.target)) == msgspec.msgpack.encode(check)


def test_every_key_arrives():
    check, gate = of("""
[[http]]
name = "checkout"
url = "https://shop.example/checkout"
interval = "1m"
failing_interval = "7s"
timeout = "4s"
timeouts = { dns = "1s", connect = "1500ms", tls = "2s", wait = "3s" }
method = "POST"
headers = { X-Api-Key = "${KEY}", Accept = "text/html" }
body = "{}"
auth = { user = "me", password = "${PW}" }
tls = { ca = "/ca.pem", cert = "/me.pem", key = "/me.key", server_name = "inner.example" }
redirects = 3
family = 6
connect_to = "unix:/run/shop.sock"
host = "shop.test:8443"
body_limit = "64KiB"
failures = 3
successes = 2
group = "web"
labels = { team = "payments", env = "live" }
depends_on = ["host", "http:gate", "postgres:orders"]
api = true
critical = true
unit = "shop.service"
database = "orders"
runbook = "https://wiki.example/r"
[http.expect]
status = [200, "3xx", "404-410"]
body = "ready"
not_body = "error"
regex = "v[0-9]+"
header = { Server = "nginx" }
json = ["$.a == 1", "$.b", "$.c in [1, null]"]
max_latency = "800ms"
[[http.maintenance]]
days = ["sun", "mon"]
begin = "22:00"
end = 04:00:00
zone = "Europe/Berlin"
[[http.maintenance]]
begin = 2026-12-24T22:00:00
end = "2026-12-25T02:00"
[[tcp]]
name = "gate"
address = "[2001:db8::7]:443"
[[postgres]]
name = "orders"
""")
    assert check == Check(
        name="checkout", kind="http", target="https://shop.example/checkout", service="web",
        interval_s=60, failing_s=7, timeout_s=4, timeouts=Timeouts(1, 1.5, 2, 3),
        method="POST", headers=(("X-Api-Key", "${KEY}"), ("Accept", "text/html")), body="{}", auth=("basic", "me", "${PW}"),
        expect=Expect(
            ((200, 200), (300, 399), (404, 410)), "ready", "error", "v[0-9]+", (("Server", "nginx"),),
            (JsonTest("$.a", "==", 1), JsonTest("$.b", "has"), JsonTest("$.c", "in", (1, None))), 0.8,
        ),
        tls=Tls("/ca.pem", "/me.pem", "/me.key", server_name="inner.example"),
        redirects=3, family=6, connect_to="unix:/run/shop.sock", host="shop.test:8443", body_limit_bytes=65536,
        failures=3, successes=2, group="web", labels=(("env", "live"), ("team", "payments")),
        depends_on=("host", "http:gate", "postgres:orders"),
        maintenance=(
            Window("22:00", "04:00", ("sun", "mon"), "Europe/Berlin"), Window("2026-12-24T22:00:00", "2026-12-25T02:00:00"),
        ),
        api=True, critical=True, unit="shop.service", database="orders", runbook="https://wiki.example/r",
    )  # fmt: skip
    assert (gate.kind, gate.target, gate.service) == ("tcp", "[2001:db8::7]:443", "2001:db8::7")


def test_ports_and_names_are_checked_too():
    tcp, tls, dns, own = of("""
[[dns]]
query = "shop.example"
record = "MX"
server = "192.0.2.53"
expect = { answers = "mail.example", max_latency = "200ms" }
[[dns]]
name = "resolver"
query = "shop.example"
[[tls]]
address = "ldap.example:636"
tls = { insecure = true }
[[tcp]]
address = "mail.example:25"
expect = { max_latency = "100ms" }
""")
    assert (tcp.name, tcp.service, tcp.interval_s, tcp.expect.max_latency_s) == ("mail.example:25", "mail.example", 10, 0.1)
    assert (tls.name, tls.service, tls.interval_s, tls.failing_s, tls.tls.insecure) == ("ldap.example:636", "ldap.example", 3600, 60, True)
    assert (dns.name, dns.record, dns.server, dns.interval_s) == ("shop.example", "MX", "192.0.2.53:53", 30)
    assert (dns.expect.answers, dns.expect.max_latency_s) == (("mail.example",), 0.2)
    assert (own.server, own.record, own.expect.answers) == ("", "A", ())
    assert isnan(own.expect.max_latency_s)


def test_a_service_goes_before_a_group_and_that_before_the_host():
    made = {
        check.name: check
        for check in of("""
[[http]]
name = "a"
url = "http://one.example/"
group = "web"
[[http]]
name = "b"
url = "http://two.example/"
group = "web"
[[http]]
name = "c"
url = "http://user@Three.example:8080/"
[[service]]
name = "shop"
endpoints = ["a"]
critical = true
""")
    }
    assert {name: check.service for name, check in made.items()} == {"a": "shop", "b": "web", "c": "three.example"}
    assert {name: check.critical for name, check in made.items()} == {"a": True, "b": False, "c": False}


def test_never_less_often_while_it_fails():
    assert one(http('interval = "2s"')).failing_s == 2


@pytest.mark.parametrize(("redirects", "followed"), [("true", 10), ("false", 0), ("4", 4)])
def test_redirects(redirects, followed):
    assert one(http(f"redirects = {redirects}")).redirects == followed


def test_what_is_written_back_reads_the_same():
    text = """
[[http]]
url = "https://shop.example/checkout?key=${KEY}"
headers = { X-Api-Key = "${AUTH}" }
auth = { bearer = "file:/run/secrets/x" }
expect = { status = ["2xx", 301], json = ['$.a == "b"', "$.c"], max_latency = "1s" }
timeouts = { dns = "1s" }
family = 4
redirects = 5
[[http.maintenance]]
days = ["sun"]
begin = "02:00"
end = "04:00"
[[dns]]
query = "shop.example"
[[service]]
name = "shop"
endpoints = ["shop.example"]
"""
    config = parse_text(text, env={})
    assert parse_text(render(config), env={}) == config


# Faults ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[http]\nurl = 'http://x'\n", "f.toml:1: http: found a single table: accepted: tables of an array, each written [[http]]"),
        ("[[http]]\nname = 'x'\n", "f.toml:1: http[1]: no url: needed: url"),
        ("[[http]]\nurl = 'shop.example/x'\n",
         'reference to one such as ${ORDERS_URL}; did you mean "https://shop.example/x"?'),
        ("[[http]]\nurl = 'htp://x'\n", "which begins with htp://: accepted: http://HOST:PORT/PATH"),
        ("[[http]]\nurl = 'http://x:99999/'\n", "whose host or port is none"),
        ("[[http]]\nurl = 3\n", "f.toml:2: http[1].url: found 3 (a number): accepted: a URL in quotes"),
        (http("ur = 1"), '"ur" is not known yet: did you mean "url"? (known keys in [http]: url name method'),
        (http("interval = '1ms'"), 'http[1].interval: found "1ms": accepted: a duration in quotes'),
        (http("timeout = '2m'"), 'http[1].timeout: found "2m": accepted: a duration in quotes such as 250ms 10s 5m 24h 30d, 10ms to 1m'),
        (http("method = 'get'"), 'http[1].method: found "get": accepted: a method in capitals'),
        (http("headers = { 'X Y' = 'z' }"), "http[1].headers.X Y: not a name of a header: accepted: letters, digits and -"),
        (http('headers = { X = "a\\nb" }'), "found a control character in a header"),
        (http("failures = 0"), "http[1].failures: found 0 (a number): accepted: a whole number, 1 to 100"),
        (http("failures = true"), "http[1].failures: found true: accepted: a whole number"),
        (http("family = 5"), 'http[1].family: found 5 (a number): accepted: 4, 6 or "any"'),
        (http("redirects = 99"), "http[1].redirects: found 99 (a number): accepted: true, false, or how many: 0 to 20"),
        (http("expect = 200"), "http[1].expect: found 200 (a number): accepted: a table with the keys status body"),
        (http("[http.expect]\nstats = 200"),
         'f.toml:4: http[1].expect.stats: "stats" is not known yet: did you mean "status"? (known keys in [http.expect]: status'),
        (http("[http.expect]\nstatus = [200,\n'2yy']"), 'f.toml:5: http[1].expect.status[2]: found "2yy": accepted: a code, a class or'),
        (http("[http.expect]\nstatus = 99"), "http[1].expect.status: found 99: accepted:"),
        (http("[http.expect]\nregex = '('"), 'http[1].expect.regex: found "(", which is no pattern: missing )'),
        (http("[http.expect]\nheader = { Server = '[' }"), 'http[1].expect.header.Server: found "[", which is no pattern'),
        (http("[http.expect]\njson = ['$.a == 1', '$.b = 1']"), 'http[1].expect.json[2]: found "$.b = 1", whose path is none'),
        (http("[http.expect]\njson = '$.a == x'"), 'whose value is no JSON: accepted: "text" in double quotes, 3, true, null'),
        (http("[http.expect]\njson = '$.a len -1'"), "accepted: after len a whole number, not negative"),
        (http("[http.expect]\nmax_latency = '5s'"), "http[1].expect.max_latency: not under the timeout: it could never be exceeded"),
        (http("timeout = '2s'\ntimeouts = { dns = '2s', wait = '30s' }"),
         "http[1].timeouts.wait: longer than the timeout of the whole, which ends it before: a shorter one, or a longer timeout"),
        (http("tls = { ca = '/ca.pem', insecure = true }"), "http[1].tls.insecure: both ca, and insecure, which takes any certificate"),
        (http("method = 'HEAD'\nexpect = { body = 'x' }"), "http[1].expect.body: expected of an answer to HEAD, which has no body"),
        (http("auth = { password = '${A}' }"), "a password without a user: accepted: a user, with or without a password"),
        (http("auth = { user = 'key' }"), "http[1].auth.user: a user without a password: accepted: one by reference"),
        (http("auth = { bearer = '${A' }"), "http[1].auth.bearer: found a ${ that begins no reference"),
        (http("auth = { bearer = '${A}' }\nheaders = { authorization = '${B}' }"), "auth, and a header Authorization as well"),
        (http("headers = { Content-Length = '3' }"), "http[1].headers: found content-length, which follows from the body: leave it out"),
        (http("", "http://${SHOP-URL}/"), "with a ${ that begins no reference"),
        (http("", "${SHOP_URL"), "with a ${ that begins no reference"),
        (http("family = 4", "http://[::1]/"), "http[1].family: found 4, but the host is an IPv6 address: family = 6, or none"),
        (http("expect = { status = [301, 302] }"), "expect.status: a redirect is expected, but they are followed: redirects = false"),
        (http('labels = { team = "a\\u001b[2Jb" }'), "http[1].labels: found a table: accepted: a table of texts"),
        (http("host = 'file:/x/${y'"), "http[1].host: found"),
        (http("[http.expect]\njson = '$.a == 99999999999999999999999'"), "whose value is no JSON"),
        (http("[http.expect]\njson = '$.a == NaN'"), "whose value is no JSON"),
        (http("[http.expect]\nregex = '" + "(" * 1500 + ")" * 1500 + "'"), "which is no pattern: it is nested too deeply"),
        (http("maintenance = [{ begin = '2026-01-01T00:00', end = '2026-01-02T00:00Z' }]"), "with an offset: accepted: a local time"),
        ("[[dns]]\nquery = 'a'\nrecord = 'MX'\n", "record: found MX, but this machine's own resolver is asked for A and AAAA alone"),
        ("[[dns]]\nquery = 'a'\nexpect = { answers = ['192.0.2.7', 'x'] }\n", 'answers[2]: found "x": accepted: an IPv4 address'),
        (http("auth = { bearer = '${A}', user = 'me' }"), "http[1].auth.bearer: both bearer and user or password"),
        (http("tls = { key = '/k' }"), "http[1].tls.key: a key without a certificate: cert = ... beside it"),
        (http("tls = { ca = 'ca.pem' }"), 'http[1].tls.ca: found "ca.pem": accepted: a path in quotes that begins with /'),
        (http("proxy = 'socks5://x:1'"), "accepted: http://HOST:PORT or https://HOST:PORT (socks is not spoken)"),
        (http("proxy = 'http://p:1'\nconnect_to = 'x:1'"), "http[1].connect_to: both proxy and connect_to: accepted: one of them"),
        (http("connect_to = 'x'"), 'http[1].connect_to: found "x": accepted: HOST:PORT, as in'),
        (http("connect_to = 'unix:run'"), "accepted: unix:/PATH, from the root on"),
        (http("host = 'a'\nheaders = { host = 'b' }"), "http[1].host: host, and a header Host as well"),
        (http("maintenance = [{ begin = '02:00', end = '2026-01-01T00:00' }]"),
         'http[1].maintenance[1].begin: found "02:00": accepted: a date and an hour, such as 2026-12-24T22:00, or days beside it'),
        (http("maintenance = [{ days = ['sun'], begin = '02:00', end = '2026-01-01T00:00' }]"), "accepted: an hour of those days, such as"),
        (http("maintenance = [{ days = ['sunday'], begin = '02:00', end = '03:00' }]"), 'did you mean "sun"?'),
        (http("maintenance = [{ begin = '2026-01-02T00:00', end = '2026-01-01T00:00' }]"), "which is not after its beginning"),
        (http("maintenance = [{ days = ['sun'], begin = '25:00', end = '03:00' }]"), 'begin: found "25:00": accepted: a local'),
        (http("maintenance = [{ days = ['sun'], begin = '02:00' }]"), "http[1].maintenance[1]: no end: needed: begin end"),
        (http("maintenance = [{ days = ['sun'], begin = '02:00', end = '03:00', zone = 'Europe/Berln' }]"), 'mean "Europe/Berlin"?'),
        ("[[tcp]]\naddress = 'mail.example'\n", 'tcp[1].address: found "mail.example": accepted: HOST:PORT, as in db1.example:5432'),
        ("[[tcp]]\naddress = 'http://x:1'\n", "it is no URL"),
        ("[[dns]]\nquery = 'a b'\n", 'dns[1].query: found "a b": accepted: a name in quotes'),
        ("[[dns]]\nquery = 'a'\nrecord = 'AAA'\n", 'accepted: one of A AAAA CAA CNAME MX NS PTR SOA SRV TXT; did you mean "AAAA"?'),
        ("[[dns]]\nquery = 'a'\nserver = '::1'\nrecord = 'SOA'\nexpect = { answers = 'x' }\n", "an SOA record has no such answer"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_and_what_is_accepted(text, expected):
    (line,) = faults(text)
    assert line.startswith("f.toml:")
    assert expected in line


def test_names_are_unique_among_all_kinds():
    text = http("name = 'a'") + "[[tcp]]\nname = 'a'\naddress = 'x:1'\n" + http("") + http("")
    assert faults(text) == [
        'f.toml:5: tcp[1].name: found "a", which the http on line 1 is called: give it a name of its own',
        'f.toml:10: http[3]: found "shop.example/x", which the http on line 7 is called: give it a name of its own',
    ]


def test_what_it_depends_on_exists():
    text = http("name = 'gate'\ndepends_on = ['http:gat', 'gate', 'postgres:ordrs', 'host', 'redis:x']") + "[[postgres]]\nname = 'orders'\n"
    assert [fault.partition("depends_on")[2] for fault in faults(text)] == [
        '[1]: found "http:gat", which there is not: did you mean "http:gate"?',
        '[2]: found "gate": accepted: host, http:NAME of any endpoint, or postgres:NAME; did you mean "http:gate"?',
        '[3]: found "postgres:ordrs", which there is not: did you mean "postgres:orders"?',
        '[5]: found "redis:x": accepted: host, http:NAME of any endpoint, or postgres:NAME',
    ]


def test_the_database_it_works_with_exists():
    """Or its changes would be looked for under a name that nothing has."""
    text = http("name = 'a'\ndatabase = 'ordrs'") + http("name = 'b'\ndatabase = 'orders'") + "[[postgres]]\nname = 'orders'\n"
    (fault,) = faults(text)
    assert fault == 'f.toml:4: http[1].database: found "ordrs", which no [[postgres]] is called: did you mean "orders"?'
    assert parse_text(http("database = 'local'\ndepends_on = ['postgres:local']"), env={}).http  # found here, or of --dsn


def test_nothing_depends_on_itself_by_any_way():
    text = "".join(http(f"name = '{name}'\ndepends_on = ['http:{on}']") for name, on in ("ab", "bc", "ca", "da"))
    (fault,) = faults(text)
    assert fault.endswith("depends_on: goes round in a circle: http:a -> http:b -> http:c -> http:a: leave one of these out")


def test_a_long_chain_is_no_circle():
    names = [f"e{number}" for number in range(2000)]
    text = "".join(http(f"name = '{name}'\ndepends_on = ['http:{on}']") for name, on in pairwise(names))
    assert len(of(text + http(f"name = '{names[-1]}'"))) == 2000


def test_services_have_endpoints_that_exist_each_in_one():
    text = http("name = 'a'") + "[[service]]\nname = 's'\nendpoints = ['a', 'aa']\n[[service]]\nname = 't'\nendpoints = ['a']\n"
    assert faults(text) == [
        'f.toml:6: service[1].endpoints[2]: found "aa", which no endpoint is called: did you mean "a"?',
        'f.toml:9: service[2].endpoints[1]: found "a", which already belongs to s: an endpoint belongs to one service',
    ]


# Secrets --------------------------------------------------------------------------------------------------------------------------

SECRET = "hunter2hunter2"
LITERAL = [
    ("url", http("", f"http://me:{SECRET}@shop.example/")),
    ("url", http("", f"http://shop.example/?token={SECRET}")),
    ("headers.Authorization", http(f'headers = {{ Authorization = "Bearer {SECRET}" }}')),
    ("headers.X-Api-Key", http(f'headers = {{ X-Api-Key = "{SECRET}" }}')),
    ("headers.Cookie", http(f'headers = {{ Cookie = "session={SECRET}" }}')),
    ("body", http(f'body = \'{{"password": "{SECRET}"}}\'')),
    ("auth.password", http(f'auth = {{ user = "me", password = "{SECRET}" }}')),
    ("auth.bearer", http(f'auth = {{ bearer = "{SECRET}" }}')),
    ("proxy", http(f'proxy = "http://me:{SECRET}@p.example:1"')),
]


@pytest.mark.parametrize(("key", "text"), LITERAL)
def test_a_secret_in_a_file_that_others_can_read_is_refused_and_never_repeated(key, text):
    (fault,) = faults(text, shared=True)
    assert f'http[1].{key}: a secret stands in it, and others can read this file: chmod 600, or "${{ENV}}" in its place' in fault
    assert SECRET not in fault
    config = parse_text(text, env={})  # a file of one's own may hold it
    assert SECRET not in render(config)


@pytest.mark.parametrize("text", [text.replace(SECRET, "${SECRET}") for _, text in LITERAL])
def test_a_reference_is_accepted_everywhere(text):
    (check,) = checks(parsed(text, shared=True))
    assert "${SECRET}" in repr(check)
    assert parse_text(render(parse_text(text, env={})), env={}) == parse_text(text, env={})


@pytest.mark.parametrize(
    "text",
    [
        http("", f"htp://me:{SECRET}@shop.example/"), http("", f"http://me:{SECRET}/x@shop.example/"),
        http("", f"http://x/ ?token={SECRET}"), http("", f"http//me:{SECRET}@x/"), http("", f"//me:{SECRET}@x"),
        http("", f"https:/me:{SECRET}@x/"), http("", f"me:{SECRET}@x/y"),
        http(f'headers = ["Authorization: Bearer {SECRET}"]'), http(f'auth = {{ bearer = "{SECRET}\\n" }}'),
        http(f'proxy = "socks5://me:{SECRET}@p:1"'), http(f'auth = {{ bearer = ["{SECRET}"] }}'), http(f'body = ["password={SECRET}"]'),
    ],
)  # fmt: skip
def test_what_is_refused_is_not_repeated_where_it_may_hold_a_secret(text):
    assert SECRET not in "".join(faults(text))


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ('auth = { bearer = "file:/run/secrets/x" }', "auth.bearer"), ('auth = { user = "file:/x" }', "auth.user"),
        ('tls = { cert = "/me.pem" }', "tls.cert"), ('headers = { X = "file:/etc/passwd" }', "headers.X"),
        ('body = "file:/etc/passwd"', "body"), ('connect_to = "unix:/run/docker.sock"', "connect_to"),
    ],
)  # fmt: skip
def test_a_file_that_was_found_sends_for_no_files_and_no_sockets(keys, place):
    (fault,) = faults(http(keys), found_here=True)
    assert f"http[1].{place}: " in fault
    assert fault.endswith("in a configuration that was found in the working directory: name it with --config")
    assert of(http(keys))


def test_a_url_of_the_command_line_holds_no_secret():
    assert of_option("http://localhost:8080/health").url == "http://localhost:8080/health"
    assert check_of("${SHOP_URL}", timeout_s=2).timeout_s == 2
    for url in (f"http://me:{SECRET}@x/", f"http://x/?token={SECRET}"):
        with pytest.raises(ConfigError, match="can be read by every user of this machine") as caught:
            of_option(url)
        assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match=r'--url: found "localhost:8080".*did you mean "http://localhost:8080"'):
        of_option("localhost:8080")


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("auth.password", 'auth = { user = "me", password = "SECRET${X}" }'), ("auth.bearer", 'auth = { bearer = "${X}SECRET" }'),
        ("headers.Authorization", 'headers = { Authorization = "Bearer SECRET${X}" }'),
        ("headers.Cookie", 'headers = { Cookie = "session=SECRET; lang=${X}" }'),
        ("headers.X-Api-Key", 'headers = { X-Api-Key = "${X}SECRET" }'),
    ],
)  # fmt: skip
def test_half_a_reference_is_a_secret_all_the_same(key, keys):
    text = http(keys.replace("SECRET", SECRET))
    (fault,) = faults(text, shared=True)
    assert f"http[1].{key}: a secret stands in it" in fault
    assert SECRET not in render(parse_text(text, env={}))


def test_what_is_no_secret_beside_a_reference_is_none():
    for keys in (
        'headers = { Authorization = "Bearer ${X}" }',
        'headers = { Cookie = "session=${X}; other=${Y}" }',
        'auth = { user = "key", password = "${X}" }',
    ):
        assert checks(parsed(http(keys), shared=True))


def test_hostile_names_are_shown_harmless():
    text = http('name = "a"\ndepends_on = ["http:\\u001b[31mRED"]') + '[[service]]\nname = "s"\nendpoints = ["\\u001b]0;x"]\n'
    assert "\x1b" not in "".join(faults(text))


def test_a_thousand_faults_are_told_at_once():
    import time

    text = "".join(http(f"name = 'endpoint-{number}'\ndepends_on = ['http:endpoint{number}']") for number in range(1000))
    before = time.process_time()
    assert len(faults(text)) == 1000
    assert time.process_time() - before < 20  # with each one's nearest name it would be minutes
