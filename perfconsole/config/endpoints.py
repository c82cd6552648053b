"""From what a configuration says of endpoints to what is checked: every default settled, every secret still a reference."""

from collections.abc import Collection, Mapping
from math import nan
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from perfconsole.config import urls
from perfconsole.config.kinds import Wrong
from perfconsole.config.schema_checks import Checked, Dns, Http, Limits, Tcp, Tls, TlsCheck
from perfconsole.core import checks as core
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe

if TYPE_CHECKING:
    from perfconsole.config.schema import Config

_TARGETS = {"http": "url", "tcp": "address", "tls": "address", "dns": "query"}


def name_of(table: str, item: Mapping[str, Any]) -> str:
    """What an endpoint is called, as its table in a file says: by its name, else by what is checked; empty when neither is a text.

    Args:
        table: The table's name: ``http``, ``tcp``, ``tls``, ``dns``.
        item: Its keys, not yet checked.
    """
    name, target = item.get("name"), item.get(_TARGETS[table])
    if isinstance(name, str) and name:
        return name
    return _called(table, target) if isinstance(target, str) else ""


def _called(table: str, target: str) -> str:
    return urls.called(target) if table == "http" else safe(target, 100)


def of_option(url: str, taken: Collection[str] = ()) -> Http:
    """The endpoint that ``--url`` names; it is called by its host and path, or by the whole of it where those are taken.

    Raises:
        ConfigError: When it is no URL, or holds a secret: every user of the machine can read a command line.
    """
    try:
        urls.check_url(url)
    except Wrong as wrong:
        raise ConfigError(f"--url: {wrong.found}", wrong.fix) from None
    if urls.holds_secret(url):
        raise ConfigError("--url: a secret on the command line can be read by every user of this machine", f"{urls.INSTEAD}, in quotes")
    return Http(url=url, name=urls.shown_url(url) if _called("http", url) in taken else "")


def check_of(url: str, *, timeout_s: float | None = None) -> core.Check:
    """The check that one URL is, with the defaults of ``[[http]]``.

    Args:
        url: As ``--url`` takes it.
        timeout_s: In place of the default; its parts are never longer.

    Raises:
        ConfigError: As `of_option`.
    """
    http = of_option(url)
    return _http(http if timeout_s is None else Http(url=http.url, timeout_s=timeout_s), {})


def checks(config: "Config") -> tuple[core.Check, ...]:
    """The checks of a checked configuration."""
    services = {name: service for service in config.service for name in service.endpoints}
    owners = {name: service.name for name, service in services.items()}
    critical = {name for name, service in services.items() if service.critical}
    made = [
        *(_http(one, owners) for one in config.http),
        *(_port("tcp", one, Tls(), owners) for one in config.tcp),
        *(_port("tls", one, one.tls, owners) for one in config.tls),
        *(_dns(one, owners) for one in config.dns),
    ]
    return tuple(replace(check, critical=True) if check.name in critical else check for check in made)


def _http(http: Http, owners: Mapping[str, str]) -> core.Check:
    name = http.name or _called("http", http.url)
    expect = http.expect
    return core.Check(
        name=name, kind="http", target=http.url, service=owners.get(name) or http.group or urls.host_of(http.url),
        method=http.method, headers=tuple(http.headers.items()), body=http.body, auth=_auth(http), tls=_tls(http.tls),
        expect=core.Expect(
            expect.status, expect.body, expect.not_body, expect.regex, tuple(expect.header.items()), expect.json,
            _seconds(expect.max_latency_s),
        ),
        redirects=http.redirects, family=http.family, proxy=http.proxy, connect_to=http.connect_to, host=http.host,
        body_limit_bytes=http.body_limit_bytes, api=http.api, **_common(http),
    )  # fmt: skip


def _port(kind: str, port: Tcp | TlsCheck, tls: Tls, owners: Mapping[str, str]) -> core.Check:
    name = port.name or _called(kind, port.address)
    return core.Check(
        name=name, kind=kind, target=port.address, service=owners.get(name) or port.group or urls.host_of(port.address),
        tls=_tls(tls), family=port.family, expect=core.Expect(max_latency_s=_seconds(port.expect.max_latency_s)), **_common(port),
    )  # fmt: skip


def _dns(dns: Dns, owners: Mapping[str, str]) -> core.Check:
    name = dns.name or _called("dns", dns.query)
    return core.Check(
        name=name, kind="dns", target=dns.query, service=owners.get(name) or dns.group or dns.query.lower(),
        record=dns.record, server=dns.server,
        expect=core.Expect(answers=dns.expect.answers, max_latency_s=_seconds(dns.expect.max_latency_s)), **_common(dns),
    )  # fmt: skip


def _common(one: Checked) -> dict[str, Any]:
    return {
        "interval_s": one.interval_s, "failing_s": min(one.failing_s, one.interval_s), "timeout_s": one.timeout_s,
        "timeouts": _limits(one.limits), "failures": one.failures, "successes": one.successes,
        "group": one.group, "labels": tuple(sorted(one.labels.items())), "depends_on": one.depends_on,
        "maintenance": tuple(core.Window(window.begin, window.end, window.days, window.zone) for window in one.maintenance),
        "critical": one.critical, "unit": one.unit, "database": one.database, "runbook": one.runbook,
    }  # fmt: skip


def _limits(limits: Limits) -> core.Timeouts:
    return core.Timeouts(*map(_seconds, (limits.dns_s, limits.connect_s, limits.tls_s, limits.wait_s)))


def _seconds(given: float | None) -> float:
    return nan if given is None else given


def _tls(tls: Tls) -> core.Tls:
    return core.Tls(tls.ca, tls.cert, tls.key, tls.insecure, tls.server_name)


def _auth(http: Http) -> tuple[str, ...]:
    auth = http.auth
    if auth.bearer:
        return ("bearer", auth.bearer)
    return ("basic", auth.user, auth.password) if auth.user else ()
