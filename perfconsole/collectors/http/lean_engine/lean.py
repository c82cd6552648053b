"""The lean engine: a socket, h11, and the kernel's clock. For checks of plain HTTP, which is nearly all; a third of what httpx costs.

One connection for each request, one address, no retry: as with httpx, and with the same outcome (tests/http/test_conformance.py).
"""

from contextlib import suppress
from typing import Any, Final

import h11

from perfconsole.collectors.http.attempts.request import Message, Origin
from perfconsole.collectors.http.attempts.shaken import secured
from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.attempts.trial import Head, Prepared, Trial
from perfconsole.collectors.http.judging.unpacking import heard
from perfconsole.collectors.http.lean_engine.plain_answers import begun
from perfconsole.collectors.http.network.faults import MOST_HEADER_BYTES
from perfconsole.collectors.http.network.line import Line
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.core.checks import Check, Outcome

NAME: Final = "lean"

_TORN: Final = "peer closed connection without sending complete message body (received {} bytes, expected {})"
"""As h11 words it."""


def suits(check: Check) -> bool:
    """Whether this engine can carry out a check: HTTP without a proxy."""
    return check.kind == "http" and not check.proxy


class LeanProber:
    """Carries out one check."""

    def __init__(self, check: Check, shared: Shared) -> None:
        self._check = check
        self._shared = shared
        self._prepared = Prepared(check)
        self._written = _Written()

    async def probe(self) -> Outcome:
        """Check once."""
        return await Trial(self._check, self._shared, Exchange(self._written)).probe(self._prepared)

    def close(self) -> None:
        """Nothing is kept between two checks."""


class _Written:
    """The last request as it was sent: the first of a check is the same each time, unless it has to read files."""

    __slots__ = ("_message", "_sent")

    def __init__(self) -> None:
        self._message: Message | None = None
        self._sent = b""

    def get(self, message: Message) -> bytes:
        """As `written`."""
        if message is not self._message:
            self._sent, self._message = written(_conversation(), message), message
        return self._sent


class Exchange:
    """Requests and answers of one check, one connection after the other.

    Args:
        kept: What was written last.
    """

    name = NAME

    def __init__(self, kept: _Written) -> None:
        self._kept = kept
        self._line: Line | None = None
        self._trial: Trial | None = None
        self._talk: h11.Connection | None = None
        self._length = self._left = 0
        self._piece = b""

    async def head(self, trial: Trial, message: Message, first: Origin) -> Head:
        """Send a request, and take the beginning of its answer."""
        self.end()
        self._trial = trial
        sent = self._kept.get(message)
        context = await trial.context(message.origin)
        self._line = line = Line(await trial.connected(trial.place_of(message.origin, first)), trial.shared.lag)
        if context is not None:
            await secured(trial, line, context, message.origin, first)
        with suppress(OSError):  # a server may have answered before, and hung up: that is looked for
            await trial.sent(line, sent)
        data = await trial.received(self._line)
        plain = begun(data, message.method)
        if plain is not None:
            self._talk = None
            self._length = self._left = plain.length
            self._piece = plain.body
            return plain.head
        self._talk = _conversation()
        written(self._talk, message)  # h11 reads an answer by what was asked
        self._take(data)
        while True:
            event = await self._next()
            if isinstance(event, h11.Response) or (isinstance(event, h11.InformationalResponse) and event.status_code == 101):
                return _head(event)

    async def more(self) -> bytes:
        """The next piece of the body; empty at its end."""
        if self._talk is None:
            return await self._rest()
        event = await self._next()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _rest(self) -> bytes:
        """The next piece of a body whose length is known."""
        if not self._left:
            return b""
        piece, self._piece = self._piece, b""
        if not piece:
            piece = (await self._received())[: self._left]
            if not piece:
                raise self._broken(_TORN.format(self._length - self._left, self._length))
        self._left -= len(piece)
        return piece

    def end(self) -> None:
        """Give back the connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def _next(self) -> Any:
        assert self._talk is not None
        while True:
            try:
                event = self._talk.next_event()
            except h11.RemoteProtocolError as error:
                raise self._broken(str(error)) from None
            if event is not h11.NEED_DATA:
                return event
            self._take(await self._received())

    async def _received(self) -> bytes:
        assert self._line is not None
        assert self._trial is not None
        return await self._trial.received(self._line)

    def _take(self, data: bytes) -> None:
        assert self._talk is not None
        if not data and self._talk.their_state is h11.SEND_RESPONSE:
            raise self._broken("Server disconnected")
        self._talk.receive_data(data)

    def _broken(self, words: str) -> Failure:
        assert self._trial is not None
        return self._trial.broken(words)


def _conversation() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEADER_BYTES)


def written(talk: h11.Connection, message: Message) -> bytes:
    """A request as it is sent.

    Raises:
        Failure: ``unmeasured``, when its headers contradict each other, or its body.
    """
    try:
        parts = [talk.send(h11.Request(method=message.method, target=message.target, headers=message.raw_headers))]
        if message.body:
            parts.append(talk.send(h11.Data(data=message.body)))
        parts.append(talk.send(h11.EndOfMessage()))
    except (h11.LocalProtocolError, UnicodeError):  # whose words quote what was to be sent
        raise Failure(UNMEASURED, "what is configured makes no HTTP request: look at its method, headers and body") from None
    return b"".join(filter(None, parts))


def _head(event: Any) -> Head:
    headers = [(heard(name), heard(value)) for name, value in event.headers.raw_items()]
    return Head(event.status_code, headers, f"HTTP/{event.http_version.decode('ascii')}")
