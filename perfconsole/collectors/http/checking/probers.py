"""Which prober a check needs: the one place that chooses, by the check alone, and loads nothing that it does not."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.network.prober import Prober
from perfconsole.core.checks import Check


def prober_of(check: Check, shared: Shared) -> Prober:
    """The prober for a check; nothing is opened before its first `probe`."""
    # Each is imported by the first check that needs it: who checks a port loads no HTTP.
    if check.kind == "tcp":
        from perfconsole.collectors.http.attempts.tcp_client import TcpProber  # noqa: PLC0415  # see above

        return TcpProber(check, shared)
    if check.kind == "tls":
        from perfconsole.collectors.http.attempts.tls_client import TlsProber  # noqa: PLC0415  # see above

        return TlsProber(check, shared)
    if check.kind == "dns":
        from perfconsole.collectors.http.attempts.dns_client import DnsProber  # noqa: PLC0415  # see above

        return DnsProber(check, shared)
    from perfconsole.collectors.http.lean_engine.lean import LeanProber, suits  # noqa: PLC0415  # see above

    if suits(check):
        return LeanProber(check, shared)
    from perfconsole.collectors.http.httpx_engine.http_client import HttpxProber  # noqa: PLC0415  # see above

    return HttpxProber(check, shared)


def load(kinds: Iterable[str]) -> None:
    """Load the modules that `prober_of` will for checks of these kinds."""
    for module in {f"attempts.{kind}_client" if kind in {"tcp", "tls", "dns"} else "lean_engine.lean" for kind in kinds}:
        import_module(f"perfconsole.collectors.http.{module}")


async def warm_up(checks: Sequence[Check], shared: Shared) -> None:
    """Load what checks need that takes long, before the first of them is timed; connects to nobody."""
    http = [check for check in checks if check.kind == "http"]
    if not http:
        return
    from perfconsole.collectors.http.lean_engine.lean import suits  # noqa: PLC0415  # as above

    if not all(map(suits, http)):
        from perfconsole.collectors.http.httpx_engine.http_client import loaded  # noqa: PLC0415  # as above

        with suppress(ImportError):  # which each check tells that needs it
            await loaded(shared)
