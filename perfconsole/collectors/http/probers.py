"""Which prober a check needs: the one place that chooses, and loads nothing that it does not."""

from perfconsole.collectors.http.prober import Prober
from perfconsole.collectors.http.shared import Shared
from perfconsole.core.checks import Check


def prober_of(check: Check, shared: Shared) -> Prober:
    """The prober for a check; nothing is opened before its first `probe`."""
    # Each is imported by the first check that needs it: httpx alone takes 100 ms and 9 MiB, which who checks a port does not pay.
    if check.kind == "tcp":
        from perfconsole.collectors.http.tcp_client import TcpProber  # noqa: PLC0415

        return TcpProber(check, shared)
    if check.kind == "tls":
        from perfconsole.collectors.http.tls_client import TlsProber  # noqa: PLC0415

        return TlsProber(check, shared)
    if check.kind == "dns":
        from perfconsole.collectors.http.dns_client import DnsProber  # noqa: PLC0415

        return DnsProber(check, shared)
    from perfconsole.collectors.http.http_client import HttpxProber  # noqa: PLC0415

    return HttpxProber(check, shared)
