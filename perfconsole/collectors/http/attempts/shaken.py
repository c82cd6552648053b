"""The TLS handshake with the target of an HTTP check: its phase, its certificates, and why it was refused."""

import ssl

from msgspec.structs import replace

from perfconsole.collectors.http.attempts.attempt import Attempt
from perfconsole.collectors.http.attempts.request import Origin
from perfconsole.collectors.http.attempts.tls_client import handshake, shaken
from perfconsole.collectors.http.attempts.trial import Trial
from perfconsole.collectors.http.network.certificates import refused, unverified
from perfconsole.collectors.http.network.line import Line
from perfconsole.collectors.http.network.names import server_name
from perfconsole.collectors.http.network.prober import Failure
from perfconsole.core.checks import Check, Tls


def name_of(check: Check, origin: Origin, first: Origin) -> str:
    """The name for a handshake: the check's own is for the host it names, not for one it was redirected to."""
    return (check.tls.server_name if origin.host == first.host else "") or server_name(origin.host)


async def secured(trial: Trial, line: Line, context: ssl.SSLContext, origin: Origin, first: Origin) -> None:
    """Shake hands, and tell the trial what that told.

    Raises:
        Failure: When the certificate was not accepted, or it took too long.
        OSError: When it failed otherwise; `ssl.SSLError` likewise.
    """
    name = name_of(trial.check, origin, first)
    try:
        trial.tls = await shaken(trial, line, context, name, verified=not trial.check.tls.insecure)
    except ssl.SSLError as error:
        await _told(trial, error, trial.place_of(origin, first), name)
        raise


async def _told(trial: Trial, error: ssl.SSLError, place: str, name: str) -> None:
    """What a handshake told whose certificate was not accepted; returns when it failed for another reason.

    Raises:
        Failure: ``tls``, with the reason.
    """
    found = refused(error, name)
    if found is None:
        return
    trial.tls = found
    if not found.chain and not trial.check.proxy:  # with OpenSSL before 3.0 alone
        tls = trial.check.tls
        second = replace(trial.check, kind="tls", target=place, connect_to="")
        insecure = Tls(tls.ca, tls.cert, tls.key, insecure=True)
        trial.tls = await unverified(found, lambda: handshake(Attempt(second, trial.shared), insecure, name))
    raise Failure("tls", found.error) from None
