"""Checks of TLS: a handshake that is accepted is up. Its certificates are read either way."""

import asyncio
import time
from typing import TYPE_CHECKING, cast

from perfconsole.collectors.http import arrival
from perfconsole.collectors.http.attempt import Attempt, limited, split
from perfconsole.collectors.http.certificates import facts, refused, unverified
from perfconsole.collectors.http.names import server_name
from perfconsole.collectors.http.prober import Failure
from perfconsole.collectors.http.shared import Shared
from perfconsole.core.checks import Check, Outcome, Tls, TlsFacts

if TYPE_CHECKING:
    import ssl


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
    connection = await attempt.connected(attempt.check.connect_to or attempt.check.target)
    attempt.watch.enter("tls")
    try:
        loop = asyncio.get_running_loop()
        async with limited("tls", attempt.check.timeouts.tls):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=connection, ssl=context, server_hostname=name)
    except BaseException:
        connection.close()
        raise
    # Of the last thing that the server had to say; what the loop was late by is not the server's.
    attempt.watch.stand(time.monotonic() - arrival.since_s(connection))
    told = facts(cast("ssl.SSLObject", transport.get_extra_info("ssl_object")), verified=not tls.insecure)
    attempt.protocol = told.version
    transport.abort()
    return told
