"""What a configuration may say of endpoints: ``[[http]]``, ``[[tcp]]``, ``[[tls]]``, ``[[dns]]`` and the services they belong to.

A part of `perfconsole.config.schema`, described in the same way. What it means is settled in `perfconsole.config.endpoints`.
"""

from typing import Annotated, Final

from msgspec import Struct

from perfconsole.config import check_kinds as kinds
from perfconsole.config import expect_kinds as expected
from perfconsole.config.kinds import LABELS, SWITCH, TEXTS, duration, nested, size, whole
from perfconsole.config.kinds import key as _key
from perfconsole.core.checks import JsonTest

LONGEST_S: Final = 60.0
"""The most a check may take: who asks for one waits for it."""

_INTERVAL: Final = duration(0.5, 86400.0)
_TIMEOUT: Final = duration(0.01, LONGEST_S)


class Limits(Struct, frozen=True, kw_only=True, rename={"dns_s": "dns", "connect_s": "connect", "tls_s": "tls", "wait_s": "wait"}):
    """Limits of phases."""

    dns_s: Annotated[float | None, _key(_TIMEOUT, "For the name to be looked up.", "1s")] = None
    connect_s: Annotated[float | None, _key(_TIMEOUT, "For the connection to be made.", "2s")] = None
    tls_s: Annotated[float | None, _key(_TIMEOUT, "For the TLS handshake.", "2s")] = None
    wait_s: Annotated[float | None, _key(_TIMEOUT, "For the first byte of the answer.", "4s")] = None


class Tls(Struct, frozen=True, kw_only=True):
    """How TLS is spoken."""

    ca: Annotated[str, _key(kinds.FILE, "A file of certificates to trust in place of the system's.", "/etc/ssl/shop-ca.pem")] = ""
    cert: Annotated[str, _key(kinds.FILE, "A file with the client certificate to show, and its key.", "/etc/ssl/me.pem")] = ""
    key: Annotated[str, _key(kinds.FILE, "A file with that key, where it is not in the same.", "/etc/ssl/me.key")] = ""
    insecure: Annotated[bool, _key(SWITCH, "Take any certificate.")] = False
    server_name: Annotated[str, _key(kinds.HOST, "The name to ask for and to verify, in place of the host's.", "shop.example")] = ""


class Auth(Struct, frozen=True, kw_only=True):
    """Who asks."""

    user: Annotated[str, _key(kinds.LINE, "Of basic authentication.", "monitor")] = ""
    password: Annotated[str, _key(kinds.SECRET, 'Its password, by reference: "${ENV}" or "file:/run/secrets/x".', "${SHOP_PASSWORD}")] = ""
    bearer: Annotated[str, _key(kinds.SECRET, "Or a token in place of both, likewise.", "${SHOP_TOKEN}")] = ""


class Quick(Struct, frozen=True, kw_only=True, rename={"max_latency_s": "max_latency"}):
    """What is expected of a connection."""

    max_latency_s: Annotated[float | None, _key(_TIMEOUT, "The longest it may take.", "800ms")] = None


class Expect(Quick, frozen=True, kw_only=True):
    """What an answer has to be."""

    status: Annotated[
        tuple[tuple[int, int], ...], _key(expected.STATUS, "Codes, classes and ranges; without: 200 to 399.", ["2xx", 404])
    ] = ()
    body: Annotated[str, _key(kinds.BODY, "A text that the body contains.", "ready")] = ""
    not_body: Annotated[str, _key(kinds.BODY, "One that it does not contain.", "error")] = ""
    regex: Annotated[str, _key(expected.PATTERN, "A regular expression that is found in it.", "version [0-9]+")] = ""
    header: Annotated[
        dict[str, str], _key(expected.HEADER_PATTERNS, "Headers, and what is found in their values.", {"Content-Type": "^application/json"})
    ] = {}
    json: Annotated[
        tuple[JsonTest, ...],
        _key(expected.JSON_TESTS, "Places in a JSON body (RFC 9535), an operator (== != < <= > >= ~ in len has) and a value.",
             ['$.status == "UP"', "$.items len 3"]),
    ] = ()  # fmt: skip


class Answers(Quick, frozen=True, kw_only=True):
    """What the answer of a DNS server has to be."""

    answers: Annotated[
        tuple[str, ...], _key(expected.ANSWERS, "Addresses or texts; one of them at least is among the answers.", ["192.0.2.7"])
    ] = ()


class Maintenance(Struct, frozen=True, kw_only=True):
    """A time in which it may be down."""

    begin: Annotated[str, _key(kinds.MOMENT, "When it begins; without days with its date: 2026-12-24T22:00.", "02:00")]
    end: Annotated[str, _key(kinds.MOMENT, "When it ends, maybe on the next day.", "04:00")]
    days: Annotated[tuple[str, ...], _key(kinds.WEEKDAYS, "Days of the week on which it begins; without: once.", ["sun"])] = ()
    zone: Annotated[str, _key(kinds.ZONE, "The time zone of both.", "Europe/Berlin")] = "UTC"


class Checked(
    Struct, frozen=True, kw_only=True,
    rename={"interval_s": "interval", "failing_s": "failing_interval", "timeout_s": "timeout", "limits": "timeouts"},
):  # fmt: skip
    """What all kinds of checks have in common."""

    interval_s: Annotated[float, _key(_INTERVAL, "Time between two checks.")] = 10.0
    failing_s: Annotated[float, _key(_INTERVAL, "The same while it fails, where that is less.")] = 5.0
    timeout_s: Annotated[float, _key(_TIMEOUT, "The most a check may take, redirects included.")] = 5.0
    limits: Annotated[Limits, _key(nested(Limits), "Limits of its parts, within the timeout.")] = Limits()
    failures: Annotated[int, _key(whole(1, 100), "Failed checks in a row until it is down.")] = 2
    successes: Annotated[int, _key(whole(1, 100), "Good ones until it is up again.")] = 1
    group: Annotated[str, _key(kinds.NAME, "What it is listed with, unless a [[service]] names it.", "shop")] = ""
    labels: Annotated[dict[str, str], _key(LABELS, "Whatever else tells it from others; filters find it.", {"team": "payments"})] = {}
    depends_on: Annotated[
        tuple[str, ...],
        _key(TEXTS, "host, http:NAME (of any endpoint), postgres:NAME: while one is down, failures here are not this one's.",
             ["host", "postgres:orders"]),
    ] = ()  # fmt: skip
    maintenance: Annotated[tuple[Maintenance, ...], _key(nested(Maintenance, many=True), "When it may be down; any number of these.")] = ()
    critical: Annotated[bool, _key(SWITCH, "Whether it matters more than others.")] = False
    unit: Annotated[str, _key(kinds.LINE, "The systemd unit or container that serves it.", "checkout.service")] = ""
    database: Annotated[str, _key(kinds.LINE, "The [[postgres]] server that it works with.", "orders")] = ""
    runbook: Annotated[str, _key(kinds.LINE, "Where it is written what to do.", "https://wiki.example/runbooks/checkout")] = ""
    expect: Annotated[Quick, _key(nested(Quick), "How quick it has to be.", {"max_latency": "100ms"})] = Quick()


class Http(Checked, frozen=True, kw_only=True, rename={"body_limit_bytes": "body_limit"}):
    """An HTTP endpoint; as many of these tables as you like. A URL is enough."""

    url: Annotated[
        str, _key(kinds.URL, 'What is asked. Secrets by reference: "https://shop.example/?key=${KEY}".', "https://shop.example/checkout")
    ]
    name: Annotated[str, _key(kinds.NAME, "A name of its own; without one it is called by its host and path.", "checkout")] = ""
    method: Annotated[str, _key(kinds.METHOD, "GET, HEAD, POST, ...")] = "GET"
    headers: Annotated[dict[str, str], _key(kinds.HEADERS, "Sent with it; secrets by reference.", {"X-Api-Key": "${SHOP_KEY}"})] = {}
    body: Annotated[str, _key(kinds.BODY, "Sent with it.", '{"ping": true}')] = ""
    auth: Annotated[Auth, _key(nested(Auth), "Who asks: user and password, or bearer.")] = Auth()
    expect: Annotated[Expect, _key(nested(Expect), "What the answer has to be; a body is tested as far as body_limit.")] = Expect()
    tls: Annotated[Tls, _key(nested(Tls), "How TLS is spoken.")] = Tls()
    redirects: Annotated[int, _key(kinds.REDIRECTS, "Follow redirects: true (ten at most), false, or how many at most.")] = kinds.FOLLOWED
    family: Annotated[int, _key(kinds.FAMILY, "Address family: 4, 6, or the first that the name gives.")] = 0
    proxy: Annotated[str, _key(kinds.PROXY, "Ask through this; the environment's is never used.", "http://proxy.example:3128")] = ""
    connect_to: Annotated[str, _key(kinds.ROUTE, "Connect there instead: HOST:PORT or unix:/PATH.", "192.0.2.7:443")] = ""
    host: Annotated[str, _key(kinds.HEADER_HOST, "The Host header, in place of the URL's host.", "shop.example")] = ""
    body_limit_bytes: Annotated[int, _key(size(1, 64 * 2**20), "The most that is read of a body.")] = 2**20
    api: Annotated[bool, _key(SWITCH, "Whether it is an API: budgets and rules for APIs count it.")] = False


class Tcp(Checked, frozen=True, kw_only=True):
    """A TCP port: connected to is up. Nothing is sent."""

    address: Annotated[str, _key(kinds.ADDRESS, "Host and port.", "mail.example:25")]
    name: Annotated[str, _key(kinds.NAME, "A name of its own; without one it is called by its address.", "mail")] = ""
    family: Annotated[int, _key(kinds.FAMILY, "Address family: 4, 6, or the first that the name gives.")] = 0


class TlsCheck(Checked, frozen=True, kw_only=True):
    """A TLS port, whatever speaks there: a handshake that is accepted is up, and its certificates are watched."""

    address: Annotated[str, _key(kinds.ADDRESS, "Host and port.", "ldap.example:636")]
    name: Annotated[str, _key(kinds.NAME, "A name of its own; without one it is called by its address.", "ldap-certificate")] = ""
    interval_s: Annotated[float, _key(_INTERVAL, "Time between two checks.")] = 3600.0
    failing_s: Annotated[float, _key(_INTERVAL, "The same while it fails, where that is less.")] = 60.0
    tls: Annotated[Tls, _key(nested(Tls), "How TLS is spoken.")] = Tls()
    family: Annotated[int, _key(kinds.FAMILY, "Address family: 4, 6, or the first that the name gives.")] = 0


class Dns(Checked, frozen=True, kw_only=True):
    """A name that has to resolve: by a DNS server, or by this machine's own resolver."""

    query: Annotated[str, _key(kinds.QUERY, "The name that is asked for.", "shop.example")]
    name: Annotated[str, _key(kinds.NAME, "A name of its own; without one it is called by what is asked for.", "resolver")] = ""
    record: Annotated[str, _key(kinds.RECORD, f"The type of the answer: {' '.join(kinds.RECORDS)}.")] = "A"
    server: Annotated[str, _key(kinds.DNS_SERVER, "Who is asked; without: this machine's own resolver.", "192.0.2.53")] = ""
    interval_s: Annotated[float, _key(_INTERVAL, "Time between two checks.")] = 30.0
    expect: Annotated[Answers, _key(nested(Answers), "What the answer has to be.")] = Answers()


class Service(Struct, frozen=True, kw_only=True):
    """Endpoints that are one thing to its users; as many of these tables as you like."""

    name: Annotated[str, _key(kinds.NAME, "A name of its own.", "shop")]
    endpoints: Annotated[tuple[str, ...], _key(TEXTS, "Its endpoints, by their names.", ["checkout"])]
    critical: Annotated[bool, _key(SWITCH, "Whether all of them matter more than others.")] = False


CHECKS: Final[dict[str, type[Checked]]] = {"http": Http, "tcp": Tcp, "tls": TlsCheck, "dns": Dns}
"""Tables of checks by name: each is a kind of `core.checks`."""
