"""What is checked, and what came of it: the settled form of `[[http]]`, `[[tcp]]`, `[[tls]]` and `[[dns]]`, and the outcome of one check.

Pure data that travels: to a checker in a process of its own and back, and over a wire with the detail of an endpoint. Secrets stand in a
check as references (``${ENV}``, ``file:/path``) and are looked up by whoever carries it out; an outcome holds none: its texts have been
redacted and made safe.
"""

from math import isnan, nan
from typing import Final

import msgspec
from msgspec import Struct

KINDS: Final = ("http", "tcp", "tls", "dns")

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Of maintenance."""

PHASES: Final = ("dns", "connect", "tls", "send", "wait", "transfer")
"""In the order in which they pass: name to addresses, TCP, TLS handshake, request written, first byte awaited, body received."""

CLASSES: Final = ("dns", "connect", "tls", "timeout", "protocol", "status", "assertion", "unmeasured")
"""Why a check failed. The last is our own failure (no descriptors, an unset secret, an unreadable CA file): it says nothing about the
target, and is unknown, not down."""


LATENCY: Final = "latency at most "
"""What the expectation of a latency begins with, as an `Assertion` words it."""


class Timeouts(Struct, frozen=True, array_like=True):
    """How long each phase may take, in seconds; NaN: no longer than what is left of the whole."""

    dns: float = nan
    connect: float = nan
    tls: float = nan
    wait: float = nan


class Tls(Struct, frozen=True, array_like=True):
    """How TLS is spoken.

    Attributes:
        ca: A file of certificates to trust in place of the system's; empty for those.
        cert: A file with the client's certificate (and key, unless `key` names another file); empty for none.
        insecure: Take any certificate; it is still read.
        server_name: In place of the host's name, for SNI and verification.
    """

    ca: str = ""
    cert: str = ""
    key: str = ""
    insecure: bool = False
    server_name: str = ""


class JsonTest(Struct, frozen=True, array_like=True):
    """A test of one place in a JSON body: an RFC 9535 path, an operator (``== != < <= > >= ~ in len has``), and what it is held against."""

    path: str
    operator: str
    value: str | int | float | bool | tuple[str | int | float | bool | None, ...] | None = None


class Expect(Struct, frozen=True, array_like=True):
    """What an answer has to be.

    Attributes:
        status: Accepted ranges of status codes, both ends included; empty: 200 to 399 (redirects are followed before).
        body: A text it contains; `not_body` one it must not; `regex` a pattern that is found in it.
        header: Name and a pattern that is found in its value.
        max_latency_s: The whole check takes no longer.
        answers: Of a DNS check: addresses or texts of which at least one must be among the answers.
    """

    status: tuple[tuple[int, int], ...] = ()
    body: str = ""
    not_body: str = ""
    regex: str = ""
    header: tuple[tuple[str, str], ...] = ()
    json: tuple[JsonTest, ...] = ()
    max_latency_s: float = nan
    answers: tuple[str, ...] = ()


class Window(Struct, frozen=True, array_like=True):
    """A time in which a target may be down: once from `begin` to `end` (ISO 8601 local times), or weekly.

    Attributes:
        days: Of `DAYS`; empty for once.
        begin, end: Of a weekly one ``HH:MM``; an end not after the beginning is on the next day.
        zone: IANA name of the time zone.
    """

    begin: str
    end: str
    days: tuple[str, ...] = ()
    zone: str = "UTC"


class Check(Struct, frozen=True, kw_only=True):
    """One thing to check, settled: nothing in it is a default that somebody else has to know.

    Attributes:
        name: Unique; the ``endpoint`` label of its series.
        kind: One of `KINDS`.
        target: A URL, ``host:port``, or the name that is asked for; secrets as references.
        service: The ``service`` label: its group, or its host.
        interval_s: Seconds between two starts; `failing_s` while it fails.
        timeout_s: Of the whole check, redirects included.
        auth: ``("basic", user, password)`` or ``("bearer", token)``; empty for none.
        redirects: How many are followed; 0 for never.
        family: 4, 6, or 0 for whichever comes first.
        proxy: A URL; empty for none: the environment is never asked.
        connect_to: ``host:port`` or ``unix:/path`` to connect to in place of the target's; empty for that.
        host: In place of the Host header.
        body_limit_bytes: A longer body is cut there; that is no failure, but what stands beyond is not tested.
        failures: Failed checks in a row before it is down; `successes` before it is up again.
        depends_on: ``host``, ``http:NAME`` or ``postgres:NAME``: while one is down, failures here are not this one's.
        record: Of a DNS check: the type asked for (``A``, ``AAAA``, ``MX``, ...).
        server: Of a DNS check: ``host:port`` of the server asked; empty for the machine's own resolver.
    """

    name: str
    kind: str
    target: str
    service: str
    interval_s: float = 10.0
    failing_s: float = 5.0
    timeout_s: float = 5.0
    timeouts: Timeouts = Timeouts()
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    auth: tuple[str, ...] = ()
    expect: Expect = Expect()
    tls: Tls = Tls()
    redirects: int = 10
    family: int = 0
    proxy: str = ""
    connect_to: str = ""
    host: str = ""
    body_limit_bytes: int = 1_048_576
    failures: int = 2
    successes: int = 1
    group: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    depends_on: tuple[str, ...] = ()
    maintenance: tuple[Window, ...] = ()
    api: bool = False
    critical: bool = False
    unit: str = ""
    database: str = ""
    runbook: str = ""
    record: str = "A"
    server: str = ""


def same(one: Check, other: Check) -> bool:
    """Whether two checks are alike in everything. As they would travel: NaN is not equal to itself there either, and 1 is to True."""
    try:
        return msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)
    except (OverflowError, TypeError, UnicodeError):  # one cannot travel; what it is can be told apart all the same
        return repr(one) == repr(other)


class Phases(Struct, frozen=True, array_like=True):
    """Seconds spent in each phase, of all hops together; NaN for one that was not entered (a literal address needs no DNS)."""

    dns: float = nan
    connect: float = nan
    tls: float = nan
    send: float = nan
    wait: float = nan
    transfer: float = nan


class Certificate(Struct, frozen=True, array_like=True):
    """One certificate of a chain; times in epoch seconds, names as they would be read: ``CN=example.org``."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float


class TlsFacts(Struct, frozen=True, array_like=True):
    """What a TLS handshake told: also when verification failed (a second handshake, not verified, reads the chain then).

    Attributes:
        chain: As the server sent it, the leaf first.
        verified: Whether it was verified; `error` says why not, empty where nobody asked (insecure).
    """

    chain: tuple[Certificate, ...] = ()
    verified: bool = False
    error: str = ""
    version: str = ""
    cipher: str = ""


class Assertion(Struct, frozen=True, array_like=True):
    """One expectation: what was expected, in words, whether it held, and what was found instead."""

    expected: str
    ok: bool
    found: str = ""


class Hop(Struct, frozen=True, array_like=True):
    """One request of a chain of redirects: its URL without secrets, what was answered, and how long it took.

    Attributes:
        expires: When the first certificate that matters ends of those that were shown to it, epoch seconds; NaN for none.
    """

    url: str
    status: int
    seconds: float
    expires: float = nan


class Outcome(Struct, frozen=True, array_like=True):
    """What came of one check.

    Attributes:
        name: Of the check.
        at: Wall-clock time of its end, epoch seconds; `scheduled` of when it was due, which is when it stands for.
        ok: Whether the target did what is expected of it.
        cause: One of `CLASSES`; empty when it is ok.
        error: In words, one line.
        total_s: From the taking of a slot to the end: the sum of the phases, and what lies between them.
        at_least: It was given up after `total_s`: the truth is longer.
        doubt_s: How much of `total_s` may be the console's own delay; 0 where the kernel's stamps were used.
        slot_wait_s: How long it waited for its turn among other checks; in no other number.
        late_s: How late it was started, the wait for a slot left out.
        address: Where it connected to: ``192.0.2.7:443``; empty when it did not.
        protocol: ``HTTP/1.1``, ``HTTP/2``; empty when nothing was answered.
        status: 0 when there is none.
        size_bytes: Of the body as received; NaN when there is none.
        tls: What the handshake told; of several that of the last hop that spoke TLS.
        headers: Of the last answer, secrets masked; only of a failure. `body` likewise: its start, safe.
        engine: Which client made it: ``httpx``, ``lean``; empty for what is no HTTP.
    """

    name: str
    at: float
    ok: bool
    cause: str = ""
    error: str = ""
    phases: Phases = Phases()
    total_s: float = nan
    at_least: bool = False
    doubt_s: float = 0.0
    scheduled: float = nan
    slot_wait_s: float = 0.0
    late_s: float = 0.0
    address: str = ""
    protocol: str = ""
    status: int = 0
    size_bytes: float = nan
    tls: TlsFacts | None = None
    assertions: tuple[Assertion, ...] = ()
    hops: tuple[Hop, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    engine: str = ""

    @property
    def unmeasured(self) -> bool:
        """Whether it tells nothing about the target."""
        return self.cause == "unmeasured"

    @property
    def slow(self) -> bool:
        """Whether it took longer than is expected of it."""
        return any(not one.ok and one.expected.startswith(LATENCY) for one in self.assertions)

    @property
    def latency_s(self) -> float:
        """What it adds to the target's latencies: NaN for a failure, however it was answered, or an outage would look like a speed-up.

        A proxy answers 503 in a millisecond. Of failures those alone count that are one of the latency itself: what was given up, and what
        took longer than is expected of it; so a slow 504 counts where a latency is expected, and elsewhere it is an error and no more.
        """
        return self.total_s if self.ok or self.at_least or self.slow else nan


# What of its certificates counts --------------------------------------------------------------------------------------------------


def ending(tls: TlsFacts | None, at: float) -> float:
    """When the first certificate that matters ends: of a chain that was accepted, one that has ended already was of no use to anybody.

    Args:
        tls: What a handshake told; None for none.
        at: When that was, epoch seconds.

    Returns:
        Epoch seconds; NaN when there is no certificate, or its end cannot be read.
    """
    if tls is None or not tls.chain:
        return nan
    leaf, *rest = (certificate.not_after for certificate in tls.chain)
    return min((ends for ends in (leaf, *(end for end in rest if end > at or not tls.verified)) if not isnan(ends)), default=nan)


def expiry(outcome: Outcome) -> float:
    """When the first certificate that matters ends of those that a check was shown, redirects included; epoch seconds, NaN for none."""
    ends = (ending(outcome.tls, outcome.at), *(hop.expires for hop in outcome.hops))
    return min((end for end in ends if not isnan(end)), default=nan)
