"""One run of a check that is no HTTP: its stopwatch, what is known so far, and the outcome, whatever ends it."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from math import isnan, nan
from types import TracebackType
from typing import Any, Final

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.attempts.stopwatch import Stopwatch
from perfconsole.collectors.http.judging.expect import timely, verdict
from perfconsole.collectors.http.network import dialing
from perfconsole.collectors.http.network.faults import failure_of, timed_out
from perfconsole.collectors.http.network.names import literal_family, plain
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.core.checks import Assertion, Check, Outcome, TlsFacts
from perfconsole.core.text import safe

FILES: Final = "its files were not read within {:g} s: the disk that they are on does not answer"

_MISTAKES: Final = (TypeError, AttributeError, NameError, LookupError, AssertionError, NotImplementedError)
"""What no target brings about, whatever it sends: a mistake of the program, which is no outage of anybody."""

_QUEUED: Final = "the name was not looked up within {:g} s: too many other lookups hang, the resolver does not answer"

_UNIX: Final = "unix:"


class Attempt:
    """One run.

    Attributes:
        watch: Tells the phases apart.
        address: Where it connected to, or tried: ``192.0.2.7:443``; empty before.
        protocol, size_bytes, assertions, tls: As those of an `Outcome`.
        doubt_s: As that of an `Outcome`; whoever reads a line tells.
        holds: What the console itself is about while no phase runs: the error when the time is up then.
    """

    def __init__(self, check: Check, shared: Shared) -> None:
        self.check = check
        self.shared = shared
        self.watch = Stopwatch()
        self.address = self.protocol = self._others = ""
        self._spare: Sequence[str] = ()
        self.size_bytes = nan
        self.doubt_s = 0.0
        self.assertions: tuple[Assertion, ...] = ()
        self.tls: TlsFacts | None = None
        self.holds = FILES

    async def run(self, work: "Callable[[Attempt], Awaitable[None]]") -> Outcome:
        """Do the work within the check's timeout, and hold its latency against what is expected."""
        limit = asyncio.timeout(self.check.timeout_s)
        failure: Failure | None = None
        try:
            async with limit:
                await work(self)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the outcome of this check, and of no other
            failure = self._late() if limit.expired() else self.failure(error)
        self.watch.stand()
        try:
            return self.outcome(failure)
        except Exception as error:  # noqa: BLE001  # what an answer is told with was chosen by who sent it: that must not hide a failure
            return self._bare(failure, error)

    def failure(self, error: Exception) -> Failure:
        """An error as the failure of this run: of the program itself, when it is none of the system's, and nobody was waited for."""
        nobody_waited = self.watch.stands and not isinstance(error, (Failure, OSError, MemoryError))
        if nobody_waited or isinstance(error, _MISTAKES):
            return Failure(UNMEASURED, f"{type(error).__name__} in the checker itself")
        return failure_of(error, self.watch.phase)

    def _late(self) -> Failure:
        if self.tls is not None and self.tls.error:  # why is known already, and a second handshake that hangs changes nothing
            return Failure("tls", self.tls.error)
        limit_s = self.check.timeout_s
        if self.watch.stands:  # while no phase runs, nobody waits for the target
            return Failure(UNMEASURED, self.holds.format(limit_s))
        return timed_out(self.watch.phase, limit_s)

    def timely(self) -> tuple[Assertion, ...]:
        """What is expected of the latency, once that is known."""
        return timely(self.check.expect, float(self.watch.total_s))

    def outcome(self, failure: Failure | None) -> Outcome:
        """What came of it; None for no failure."""
        # The phases alone: what lies between them is the console's, most of it the 23 ms in which certificates are loaded once.
        total_s = float(self.watch.total_s)
        if failure is None:
            self.assertions += self.timely()
        cause, error = verdict(self.assertions) if failure is None else (failure.cause, failure.text)
        return Outcome(
            self.check.name,
            time.time(),
            not cause,
            cause,
            error,
            self.watch.phases(),
            total_s,
            at_least=failure is not None and failure.at_least,
            doubt_s=self.doubt_s,
            address=self.address,
            protocol=self.protocol,
            size_bytes=self.size_bytes,
            tls=self.tls,
            assertions=self.assertions,
        )

    def _bare(self, failure: Failure | None, error: Exception) -> Outcome:
        """What came of it, in no words but our own: it was not to be told with what was answered."""
        cause = (failure.cause if failure else verdict(self.assertions)[0]) or UNMEASURED
        words = f"{type(error).__name__} in the checker itself, when what came of it was to be told"
        late = failure is not None and failure.at_least
        total_s = float(self.watch.total_s)
        return Outcome(
            self.check.name, time.time(), ok=False, cause=cause, error=words, phases=self.watch.phases(), total_s=total_s, at_least=late
        )

    async def connected(self, target: str) -> socket.socket:
        """A TCP connection to a target, which the caller closes: to the first address of its host, once.

        All addresses of this machine itself are one place: where ``localhost`` is ::1 first, and 127.0.0.1 alone is listened on, it is up.

        Args:
            target: ``host:port``, or ``unix:/path``.

        Raises:
            Failure: When the name has no address, it was refused, or a phase took longer than it may.
        """
        family, place = await self.place(target)
        while True:
            try:
                return await self._connection(family, place)
            except OSError as error:
                if not (isinstance(error, ConnectionRefusedError) and self._spare):
                    raise self._refused(error) from None
                before, others = self.address, self._spare
                family, place = self._chosen(others, split(target)[1])
                self._others = f" and {before}"

    async def _connection(self, family: int, place: Any) -> socket.socket:
        watch = self.watch
        watch.enter("connect")
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            began = time.monotonic()
            async with limited("connect", self.check.timeouts.connect):
                known = await (dialing.unix if family == socket.AF_UNIX else dialing.tcp)(connection, place)
            # The kernel's own round trip: a loop that came late to it made none of the target's time.
            watch.stand(None if known.repeated or isnan(known.seconds) else began + known.seconds)
        except BaseException:
            connection.close()
            raise
        return connection

    def _refused(self, error: OSError) -> Failure:
        failure = failure_of(error, "connect")
        if failure.cause != "connect":
            return failure
        return Failure("connect", f"{failure.text}{' by' if failure.text.endswith('refused') else ':'} {self.address}{self._others}")

    async def place(self, target: str) -> tuple[int, Any]:
        """Family and address of a target, for a socket; notes the address.

        Raises:
            Failure: When the name has no address.
        """
        if target.startswith(_UNIX):
            self.address = target
            return socket.AF_UNIX, target.removeprefix(_UNIX)
        host, port = split(target)
        if not literal_family(host):
            self.watch.enter("dns")
        return self._chosen(await self.addresses(host, self.check.family), port)

    async def addresses(self, host: str, family: int) -> list[str]:
        """What a name leads to, and the end of the phase in which that is found out.

        Raises:
            Failure: When the name has no address.
        """
        try:
            found = await self.shared.resolver.addresses(host, family, self.check.timeouts.dns)
        except asyncio.CancelledError:  # maybe by the limit of the whole check
            if not self.shared.resolver.begun(host, family):
                self.watch.stand()
                self.holds = _QUEUED
            raise
        self.watch.stand(found.at)
        return found.addresses

    def _chosen(self, addresses: Sequence[str], port: int) -> tuple[int, Any]:
        """The first of several addresses; the rest is kept where all of them are this machine's own."""
        address, *others = addresses
        self._spare = others if all(map(_own, addresses)) else []
        self._others = f", the first of {len(addresses)} addresses" if others else ""
        self.address = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        return _place(address, port)


def split(target: str) -> tuple[str, int]:
    """Host, without brackets, and port of ``host:port``."""
    host, _, port = target.rpartition(":")
    return plain(host), int(port)


def _own(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


def _place(address: str, port: int) -> tuple[int, Any]:
    """For a socket. A zone becomes its number: with its name, asyncio would look the address up in its executor."""
    if ":" not in address:
        return socket.AF_INET, (address, port)
    address, _, zone = address.partition("%")
    if not zone:
        return socket.AF_INET6, (address, port)
    try:
        return socket.AF_INET6, (address, port, 0, int(zone) if zone.isdecimal() else socket.if_nametoindex(zone))
    except OSError:
        raise Failure(UNMEASURED, f"this machine has no network interface {safe(zone, 20)}") from None


class limited:  # noqa: N801  # read as what it does: async with limited("tls", seconds)
    """At most so long for a phase, of which a part may be spent; NaN for as long as the whole check has.

    Raises:
        Failure: ``timeout``, when that has passed.
    """

    __slots__ = ("_limit", "_phase", "_seconds")

    def __init__(self, phase: str, seconds: float, spent_s: float = 0.0) -> None:
        self._phase, self._seconds = phase, seconds
        self._limit = None if isnan(seconds) else asyncio.timeout(max(0.0, seconds - spent_s))

    async def __aenter__(self) -> None:
        if self._limit is not None:
            await self._limit.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._limit is None:
            return
        late = isinstance(error, TimeoutError)
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError:
            late = True
        if late and self._limit.expired():
            raise timed_out(self._phase, self._seconds) from None
