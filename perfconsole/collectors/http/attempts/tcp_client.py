"""Checks of a TCP port: connected to is up. Nothing is sent, since nobody knows what the service there would make of it."""

from perfconsole.collectors.http.attempts.attempt import Attempt
from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.core.checks import Check, Outcome


class TcpProber:
    """Connects, and hangs up."""

    def __init__(self, check: Check, shared: Shared) -> None:
        self._check = check
        self._shared = shared

    async def probe(self) -> Outcome:
        """Check once."""
        return await Attempt(self._check, self._shared).run(_connect)

    def close(self) -> None:
        """Nothing is kept."""


async def _connect(attempt: Attempt) -> None:
    connection = await attempt.connected(attempt.check.connect_to or attempt.check.target)
    connection.close()
