"""The lean engine: a socket, h11, and the kernel's clock. For checks of plain HTTP, which is nearly all; a third of what httpx costs.

One connection for each request, one address, no retry: as with httpx, and with the same outcome (tests/http/test_conformance.py).
"""

from typing import Any, Final

import h11

from perfconsole.collectors.http.attempt import limited
from perfconsole.collectors.http.line import Line
from perfconsole.collectors.http.prober import Failure
from perfconsole.collectors.http.request import Message, Origin, message_of, reads_files
from perfconsole.collectors.http.shaken import secured
from perfconsole.collectors.http.shared import Shared
from perfconsole.collectors.http.trial import MOST_HEADER_BYTES, Head, Trial, broken
from perfconsole.collectors.http.wording import Secrets
from perfconsole.core.checks import Check, Outcome

NAME: Final = "lean"


def suits(check: Check) -> bool:
    """Whether this engine can carry out a check: HTTP without a proxy."""
    return check.kind == "http" and not check.proxy


class LeanProber:
    """Carries out one check."""

    def __init__(self, check: Check, shared: Shared) -> None:
        self._check = check
        self._shared = shared
        self._ready: tuple[Message, Secrets] | None = None
        self._running: set[Exchange] = set()

    async def probe(self) -> Outcome:
        """Check once."""
        exchange = Exchange()
        self._running.add(exchange)
        try:
            return await Trial(self._check, self._shared, exchange).probe(self._ready or self._made())
        finally:
            self._running.discard(exchange)

    def _made(self) -> tuple[Message, Secrets] | None:
        """The request, which stays the same: the environment does not change; None while it is not to be had."""
        if not reads_files(self._check):
            try:
                self._ready = message_of(self._check)
            except Failure:
                return None
        return self._ready

    def close(self) -> None:
        """Nothing is kept between two checks."""
        for exchange in self._running:
            exchange.end()


class Exchange:
    """Requests and answers of one check, one connection after the other."""

    name = NAME

    def __init__(self) -> None:
        self._line: Line | None = None
        self._trial: Trial | None = None

    async def head(self, trial: Trial, message: Message, first: Origin) -> Head:
        """Send a request, and take the beginning of its answer."""
        self.end()
        self._trial = trial
        self._talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEADER_BYTES)
        sent = _request(self._talk, message)
        self._line = line = Line(await trial.connected(_where(trial.check, message.origin, first)), trial.shared.lag)
        if message.origin.secure:
            await secured(trial, line, message.origin, first)
        watch = trial.watch
        watch.enter("send")
        try:
            await line.send(sent)
        except OSError:  # a server may have answered before, and hung up: that is looked for
            pass
        watch.enter("wait", line.handed_at)
        async with limited("wait", trial.check.timeouts.wait):
            await self._receive()
        while True:
            event = await self._next()
            if isinstance(event, h11.Response) or (isinstance(event, h11.InformationalResponse) and event.status_code == 101):
                return _head(event)

    async def more(self) -> bytes:
        """The next piece of the body; empty at its end."""
        event = await self._next()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    def end(self) -> None:
        """Give back the connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def _next(self) -> Any:
        while True:
            try:
                event = self._talk.next_event()
            except h11.RemoteProtocolError as error:
                raise broken(str(error), self._phase) from None
            if event is not h11.NEED_DATA:
                return event
            await self._receive()

    async def _receive(self) -> None:
        assert self._line is not None
        assert self._trial is not None
        line, trial = self._line, self._trial
        data = await line.receive()
        trial.doubt_s, line.doubt_s = trial.doubt_s + line.doubt_s, 0.0
        if not data and self._talk.their_state is h11.SEND_RESPONSE:
            raise broken("Server disconnected", trial.watch.phase)
        if data or trial.watch.phase == "transfer":  # of a body without a length its end is the last byte
            trial.watch.enter("transfer", line.at)
        self._talk.receive_data(data)

    @property
    def _phase(self) -> str:
        return self._trial.watch.phase if self._trial else "wait"


def _where(check: Check, origin: Origin, first: Origin) -> str:
    return check.connect_to if check.connect_to and origin[1:] == first[1:] else origin.place


def _request(talk: h11.Connection, message: Message) -> bytes:
    headers = [(name.encode("latin-1"), value.encode("utf-8", "surrogateescape")) for name, value in message.headers]
    parts = [talk.send(h11.Request(method=message.method, target=message.target, headers=headers))]
    if message.body:
        parts.append(talk.send(h11.Data(data=message.body)))
    parts.append(talk.send(h11.EndOfMessage()))
    return b"".join(filter(None, parts))


def _head(event: Any) -> Head:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()]
    return Head(event.status_code, headers, f"HTTP/{event.http_version.decode('ascii')}")
