"""One run of an HTTP check: its hops, what came back, and the outcome, whatever ends it. It is the same whichever client carries it out."""

import asyncio
import ssl
from time import monotonic
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from perfconsole.collectors.http.attempt import FILES, Attempt, limited
from perfconsole.collectors.http.expect import Answer, judged
from perfconsole.collectors.http.faults import DOING
from perfconsole.collectors.http.line import Line
from perfconsole.collectors.http.prober import UNMEASURED, Failure
from perfconsole.collectors.http.request import REDIRECTS, Message, Origin, following, message_of, reads_files, upgraded
from perfconsole.collectors.http.shared import Shared
from perfconsole.collectors.http.unpacking import charset, foreign, header, unpacked
from perfconsole.collectors.http.wording import BODY_BYTES, Secrets, shown_body, shown_headers, shown_url
from perfconsole.collectors.loop import SLICE_S, ask
from perfconsole.core.checks import Assertion, Check, Hop, Outcome, Tls
from perfconsole.core.text import safe

MOST_HEADER_BYTES: Final = 102_400
"""Of a status line and headers, as httpcore has it; servers send 8 KiB at most."""

_BUSY: Final = "the console itself was too busy to carry it out within {:g} s"
_TESTS: Final = "what is expected of the answer was not tested within {:g} s of the check: that takes too long"
_NO_HTTP: Final = "what was answered is no HTTP"


class Head(NamedTuple):
    """The beginning of an answer; `protocol` as ``HTTP/1.1``."""

    status: int
    headers: list[tuple[str, str]]
    protocol: str


class Client(Protocol):
    """Sends one request after the other, each on a connection of its own, and tells the trial's stopwatch and address."""

    name: str

    async def head(self, trial: "Trial", message: Message, first: Origin) -> Head:
        """Send a request, and take the beginning of its answer; what the hop before left is given back.

        Args:
            trial: Whose stopwatch is told of the phases.
            message: What is sent.
            first: Whom the check is for: what it says of connecting elsewhere holds for that one alone.
        """

    async def more(self) -> bytes:
        """The next piece of the body; empty at its end."""

    def end(self) -> None:
        """Give back the connection, at once."""


class Prepared:
    """The first request of a check: made once, since the environment does not change; each time where it has to read files for it."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._made: tuple[Message, Secrets] | None = None

    async def get(self) -> tuple[Message, Secrets]:
        """The request, and what must not be told of it.

        Raises:
            Failure: ``unmeasured``, when a secret is not to be had.
        """
        if self._made is not None:
            return self._made
        if not reads_files(self._check):
            self._made = message_of(self._check)
            return self._made
        try:  # in a thread: a file on a dead NFS server never answers
            asked = ask(lambda: message_of(self._check), "perfconsole-secrets")
        except RuntimeError:
            raise Failure(UNMEASURED, "this machine allows no further thread to read secrets in") from None
        return await asked


class Trial(Attempt):
    """One run.

    Attributes:
        doubt_s: As that of an `Outcome`; the client tells.
    """

    def __init__(self, check: Check, shared: Shared, client: Client) -> None:
        super().__init__(check, shared)
        self.client = client
        self.doubt_s = 0.0
        self._head: Head | None = None
        self._kept = b""
        self._hops: list[Hop] = []
        self._secrets = Secrets()
        self._first: Origin | None = None
        self._pause_at = 0.0

    async def probe(self, prepared: Prepared) -> Outcome:
        """Check once.

        Args:
            prepared: The check's first request.
        """
        try:
            return await self.run(lambda _: self._talk(prepared))
        finally:
            self.client.end()

    async def _talk(self, prepared: Prepared) -> None:
        message, self._secrets = await prepared.get()
        self.holds = _BUSY
        first = self._first = message.origin
        for left in range(self.check.redirects, -1, -1):
            head = await self._hop(message, first)
            location = header(head.headers, "location") if head.status in REDIRECTS and self.check.redirects else ""
            if not location:
                break
            if not left:
                raise Failure("protocol", f"redirected more than {self.check.redirects} times, at last from {self._shown(message.url)}")
            message = following(message, head.status, location)
        await self._read(head)

    async def _hop(self, message: Message, first: Origin) -> Head:
        self._head, self.protocol, self.tls = None, "", None
        before = self.watch.total_s
        head = None
        try:
            head = self._head = await self.client.head(self, message, first)
            self.protocol = head.protocol
            return head
        finally:
            if head:
                self.watch.stand(self.watch.last_at)
            self._hops.append(Hop(self._shown(message.url), head.status if head else 0, self.watch.total_s - before))

    async def _read(self, head: Head) -> None:
        watch, limit = self.watch, self.check.body_limit_bytes
        watch.enter("transfer", watch.last_at)
        pieces, size = [], 0
        try:
            while size <= limit:
                piece = await self.client.more()
                if not piece:
                    break
                pieces.append(piece)
                size += len(piece)
                await self.breathe()
        finally:
            self._kept = b"".join(pieces)[:limit]
            self.size_bytes = float(min(size, limit))
        watch.stand(watch.last_at)
        self.holds = _TESTS
        self.client.end()
        body, more = unpacked(self._kept, head.headers, limit)
        cut = more or size > limit
        packed = foreign(head.headers) if body else ""
        answer = Answer(head.status, head.headers, body, charset(head.headers), watch.total_s, cut, self._secrets.hide, packed)
        self.assertions = await judged(self.check.expect, answer)

    async def breathe(self) -> None:
        """Give the loop back every `SLICE_S`: 64 KiB of chunks of one byte each are 250 ms of parsing."""
        if monotonic() > self._pause_at:
            await asyncio.sleep(0)
            self._pause_at = monotonic() + SLICE_S

    # What clients do alike --------------------------------------------------------------------------------------------------------

    def place_of(self, origin: Origin, first: Origin) -> str:
        """Where to connect to for an origin: ``host:port``, or ``unix:/path``."""
        return self.check.connect_to if self.check.connect_to and origin[1:] == first[1:] else origin.place

    async def context(self, origin: Origin, tls: Tls | None = None) -> ssl.SSLContext | None:
        """The context to speak TLS with an origin in; None for one that speaks none. Before anything is connected: it reads files.

        Args:
            origin: Who is spoken to.
            tls: How, in place of the check's own settings.

        Raises:
            Failure: ``unmeasured``, when a file cannot be used.
        """
        if not origin.secure:
            return None
        self.holds = FILES
        own = self.check.tls
        # Who is redirected to is shown no client certificate that was meant for another.
        meant = self._first is None or origin == self._first or upgraded(self._first, origin)
        shown = own if meant else Tls(own.ca, insecure=own.insecure)
        context = await self.shared.contexts.get(tls or shown)
        self.holds = _BUSY
        return context

    async def sent(self, line: Line, data: bytes) -> None:
        """Send a request, or the next part of it.

        Raises:
            OSError: When the connection is over; a server may have answered before, and hung up: that is looked for.
        """
        self.watch.enter("send")
        await line.send(data)

    async def received(self, line: Line) -> bytes:
        """What comes next of an answer; empty at the end.

        Raises:
            Failure: When the first byte did not come in time.
            OSError: When the connection broke; `ssl.SSLError` likewise.
        """
        watch = self.watch
        if watch.phase == "send":
            watch.enter("wait", line.handed_at)
        if watch.phase == "wait":
            async with limited("wait", self.check.timeouts.wait):
                data = await line.receive()
        else:
            data = await line.receive()
        self.doubt_s += line.take_doubt_s()
        if data or watch.phase == "transfer":  # of a body without a length its end is the last byte
            watch.enter("transfer", line.at)
        return data

    # What came of it --------------------------------------------------------------------------------------------------------------

    def timely(self) -> tuple[Assertion, ...]:
        """None: that one is among the others."""
        return ()

    def outcome(self, failure: Failure | None) -> Outcome:
        """As that of any attempt, with what was answered."""
        told = super().outcome(failure)
        head = self._head
        if len(self._hops) > 1:
            told = replace(told, hops=tuple(self._hops))
        told = replace(told, engine=self.client.name, doubt_s=self.doubt_s, status=head.status if head else 0)
        told = replace(told, error=self._secrets.line(told.error), assertions=tuple(map(self._hidden, told.assertions)))
        if told.tls and told.tls.error:
            told = replace(told, tls=replace(told.tls, error=self._secrets.line(told.tls.error)))
        if told.ok or head is None:
            return told
        # Only its start: a bomb of 64 KiB would be unpacked for a second.
        body, _ = unpacked(self._kept, head.headers, min(self.check.body_limit_bytes, 2 * BODY_BYTES + 4 * self._secrets.longest))
        return replace(
            told,
            headers=shown_headers(head.headers, self._secrets),
            body=shown_body(body, charset(head.headers), self._secrets),
        )

    def _hidden(self, one: Assertion) -> Assertion:
        """An assertion without secrets: what was found instead may be what was sent."""
        return replace(one, found=self._secrets.hide(one.found))

    def _shown(self, url: str) -> str:
        return shown_url(url, self._secrets)


def broken(words: str, phase: str) -> Failure:
    """What h11 finds wrong with an answer, without the bytes it quotes: they are the server's.

    Args:
        words: Of its `RemoteProtocolError`, which httpx passes on.
        phase: One of `core.checks.PHASES`.
    """
    if words.startswith("peer closed connection without sending complete"):
        counts = words.partition("(")[2].partition(")")[0]
        return Failure("protocol", f"the server closed the connection before the body was complete{f' ({counts})' if counts else ''}")
    if words.startswith("Server disconnected"):
        return Failure("protocol", f"the server closed the connection while {DOING[phase]}")
    if words.startswith("Received server _SWITCH"):
        return Failure("protocol", "the server went over to another protocol, which nobody asked for")
    if words.startswith("Receive buffer too long"):
        return Failure("protocol", f"headers of more than {MOST_HEADER_BYTES // 1024} KiB: no server means that")
    what = words.partition(":")[0]
    return Failure("protocol", f"{_NO_HTTP}: {safe(what, 80)}" if what.isascii() else _NO_HTTP)
