"""Checks of TLS: a handshake that is accepted is up. Its certificates are read either way."""

import ssl
from contextlib import suppress

from perfconsole.collectors.http.attempts.attempt import Attempt, limited, split
from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.network.certificates import facts, refused, unverified
from perfconsole.collectors.http.network.line import Line
from perfconsole.collectors.http.network.names import server_name
from perfconsole.collectors.http.network.prober import Failure
from perfconsole.core.checks import Check, Outcome, Tls, TlsFacts


class TlsProber:
    """Shakes hands, and hangs up."""

    def __init__(self, check: Check, shared: Shared) -> None:
        self._check = check
        self._shared = shared

    async def probe(self) -> Outcome:
        """Check once."""
        return await Attempt(self._check, self._shared).run(_shake_hands)

    def close(self) -> None:
        """Nothing is kept."""


async def _shake_hands(attempt: Attempt) -> None:
    tls = attempt.check.tls
    name = tls.server_name or server_name(split(attempt.check.target)[0])
    try:
        attempt.tls = await handshake(attempt, tls, name)
    except OSError as error:
        told = refused(error, name)
        if told is None:
            raise
        attempt.tls = told
        attempt.watch.stand()
        insecure = Tls(tls.ca, tls.cert, tls.key, insecure=True)
        attempt.tls = await unverified(told, lambda: handshake(Attempt(attempt.check, attempt.shared), insecure, name))
        raise Failure("tls", told.error) from None


async def handshake(attempt: Attempt, tls: Tls, name: str) -> TlsFacts:
    """Connect, shake hands, hang up."""
    # Nothing is offered by ALPN: what speaks here may be no HTTP, and would end a handshake that offers it that alone.
    context = await attempt.shared.contexts.get(tls, protocols=())
    line = Line(await attempt.connected(attempt.check.connect_to or attempt.check.target), attempt.shared.lag)
    try:
        told = await shaken(attempt, line, context, name, verified=not tls.insecure)
        with suppress(OSError):  # the last word of the handshake is ours: without it a server logs a failure
            await line.send(b"")
    finally:
        line.close()
    attempt.protocol = told.version
    return told


async def shaken(attempt: Attempt, line: Line, context: ssl.SSLContext, name: str, *, verified: bool) -> TlsFacts:
    """Shake hands on a line, and tell what that told.

    Args:
        attempt: Whose stopwatch is told.
        line: A connection that was made.
        context: How TLS is spoken.
        name: Of the server, for SNI and verification.
        verified: Whether the context verifies.

    Raises:
        Failure: When it took too long.
        OSError: When it failed; `ssl.SSLError` likewise.
    """
    attempt.watch.enter("tls")
    try:
        async with limited("tls", attempt.check.timeouts.tls):
            talk = await line.secure(context, name)
    except ssl.SSLError:
        attempt.watch.stand(line.at)
        raise
    attempt.doubt_s += line.take_doubt_s()
    # Of the last thing that the server had to say; what the loop was late by is not the server's.
    attempt.watch.stand(line.at)
    return facts(talk, verified=verified)
