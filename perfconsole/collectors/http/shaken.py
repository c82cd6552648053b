"""The TLS handshake of a lean check: its phase, its certificates, and why it was refused."""

from ssl import SSLError

from msgspec.structs import replace

from perfconsole.collectors.http.attempt import limited
from perfconsole.collectors.http.certificates import facts, refused, unverified
from perfconsole.collectors.http.line import Line
from perfconsole.collectors.http.names import server_name
from perfconsole.collectors.http.prober import Failure
from perfconsole.collectors.http.request import Origin
from perfconsole.collectors.http.trial import Trial
from perfconsole.core.checks import Check, Tls


def name_of(check: Check, origin: Origin, first: Origin) -> str:
    """The name for a handshake: the check's own is for the host it names, not for one it was redirected to."""
    return (check.tls.server_name if origin.host == first.host else "") or server_name(origin.host)


async def secured(trial: Trial, line: Line, origin: Origin, first: Origin) -> None:
    """Shake hands, and tell the trial what that told.

    Raises:
        Failure: When the certificate was not accepted, or it took too long.
        OSError: When it failed otherwise; `ssl.SSLError` likewise.
    """
    tls = trial.check.tls
    name = name_of(trial.check, origin, first)
    context = await trial.shared.contexts.get(tls)
    trial.watch.enter("tls")
    try:
        async with limited("tls", trial.check.timeouts.tls):
            talk = await line.secure(context, name)
    except SSLError as error:
        trial.watch.stand(line.at)
        await told(trial, error, origin, name)
        raise
    trial.doubt_s, line.doubt_s = trial.doubt_s + line.doubt_s, 0.0
    trial.watch.stand(line.at)
    trial.tls = facts(talk, verified=not tls.insecure)


async def told(trial: Trial, error: BaseException, origin: Origin, name: str) -> None:
    """What a handshake told whose certificate was not accepted; returns when it failed for another reason.

    Raises:
        Failure: ``tls``, with the reason.
    """
    found = refused(error, name)
    if found is None:
        return
    trial.tls = found
    if not found.chain:
        from perfconsole.collectors.http.tls_client import Attempt, handshake  # noqa: PLC0415  # with OpenSSL before 3.0 alone

        tls = trial.check.tls
        second = replace(trial.check, kind="tls", target=origin.place)
        insecure = Tls(tls.ca, tls.cert, tls.key, insecure=True)
        trial.tls = await unverified(found, lambda: handshake(Attempt(second, trial.shared), insecure, name))
    raise Failure("tls", found.error) from None
