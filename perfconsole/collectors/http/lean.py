"""The lean engine: a socket, h11, and the kernel's clock. For checks of plain HTTP, which is nearly all; a third of what httpx costs.

One connection for each request, one address, no retry: as with httpx, and with the same outcome (tests/http/test_conformance.py).
"""

from contextlib import suppress
from typing import Any, Final

import h11

from perfconsole.collectors.http.faults import MOST_HEADER_BYTES
from perfconsole.collectors.http.line import Line
from perfconsole.collectors.http.prober import UNMEASURED, Failure
from perfconsole.collectors.http.request import Message, Origin
from perfconsole.collectors.http.shaken import secured
from perfconsole.collectors.http.shared import Shared
from perfconsole.collectors.http.trial import Head, Prepared, Trial
from perfconsole.collectors.http.unpacking import heard
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
        self._prepared = Prepared(check)

    async def probe(self) -> Outcome:
        """Check once."""
        return await Trial(self._check, self._shared, Exchange()).probe(self._prepared)

    def close(self) -> None:
        """Nothing is kept between two checks."""


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
        sent = written(self._talk, message)
        context = await trial.context(message.origin)
        self._line = line = Line(await trial.connected(trial.place_of(message.origin, first)), trial.shared.lag)
        if context is not None:
            await secured(trial, line, context, message.origin, first)
        with suppress(OSError):  # a server may have answered before, and hung up: that is looked for
            await trial.sent(line, sent)
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
                raise self._broken(str(error)) from None
            if event is not h11.NEED_DATA:
                return event
            await self._receive()

    async def _receive(self) -> None:
        assert self._line is not None
        assert self._trial is not None
        data = await self._trial.received(self._line)
        if not data and self._talk.their_state is h11.SEND_RESPONSE:
            raise self._broken("Server disconnected")
        self._talk.receive_data(data)

    def _broken(self, words: str) -> Failure:
        assert self._trial is not None
        return self._trial.broken(words)


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
