"""One run of an HTTP check: its hops, what came back, and the outcome, whatever ends it. It is the same whichever client carries it out."""

import asyncio
import ssl
from time import monotonic, time
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from perfconsole.collectors.http.attempts.attempt import FILES, Attempt, limited
from perfconsole.collectors.http.attempts.heads import Heads
from perfconsole.collectors.http.attempts.request import REDIRECTS, Message, Origin, following, message_of, reads_files, upgraded
from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.judging.expect import Answer, judged, reads_body
from perfconsole.collectors.http.judging.unpacking import charset, foreign, header, swells, unpacked
from perfconsole.collectors.http.judging.wording import BODY_BYTES, Secrets, shown_body, shown_headers, shown_url
from perfconsole.collectors.http.network.faults import broken
from perfconsole.collectors.http.network.line import Line
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.collectors.loop import SLICE_S, ask
from perfconsole.core.checks import Assertion, Check, Hop, Outcome, Tls, TlsFacts, ending

_FRAMING_BYTES: Final = 65_536
"""Of what is around a body, beyond as much again: each byte of a body may come with 100 KiB of a chunk's header."""

_BUSY: Final = "the console itself was too busy to carry it out within {:g} s"
_TESTS: Final = "what is expected of the answer was not tested within {:g} s of the check: that takes too long"
_TORN: Final = "TLS ended in the middle of the body: the server closed the connection, or somebody did, without saying that this is all"
_THREADS: Final = "this machine allows no further thread to unpack a body in"


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
        reads = reads_files(self._check)
        if not reads and self._check.target.isascii():
            self._made = message_of(self._check)
            return self._made
        try:  # in a thread: a file on a dead NFS server never answers, and tables for names that are not ASCII take 23 ms to load
            asked = ask(lambda: message_of(self._check), "perfconsole-secrets")
        except RuntimeError:
            raise Failure(UNMEASURED, "this machine allows no further thread to read secrets in") from None
        made = await asked
        if not reads:
            self._made = made
        return made


class Trial(Attempt):
    """One run."""

    def __init__(self, check: Check, shared: Shared, client: Client) -> None:
        super().__init__(check, shared)
        self.client = client
        self._head: Head | None = None
        self._kept = b""
        self._hops: list[tuple[str, int, float, float]] = []
        self._spoken: TlsFacts | None = None
        self._secrets = Secrets()
        self._first: Origin | None = None
        self._pause_at = 0.0
        self._heads = Heads()
        self._wire_bytes = 0
        self._torn = False

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
        before, began = self.watch.total_s, time()
        head = None
        try:
            head = self._head = await self.client.head(self, message, first)
            self.protocol = head.protocol
            return head
        finally:
            if head:
                self.watch.stand(self.watch.last_at)
            # Each hop has certificates of its own: the one that ends first warns, whichever of them is the last.
            self._spoken = self.tls or self._spoken
            expires = ending(self.tls, began)
            self._hops.append((message.url, head.status if head else 0, self.watch.total_s - before, expires))

    async def _read(self, head: Head) -> None:
        watch, limit = self.watch, self.check.body_limit_bytes
        watch.enter("transfer", watch.last_at)
        kept, size, whole = bytearray(), 0, False  # not a list of pieces: of one byte each they are 40 MiB, and take 10 ms to join
        self._wire_bytes = 0
        try:
            while not whole and size <= limit and self._wire_bytes <= 2 * limit + _FRAMING_BYTES:
                piece = await self.client.more()
                whole = not piece
                kept += piece
                size += len(piece)
                await self.breathe()
        finally:
            self._kept = bytes(kept[:limit])
            self.size_bytes = float(min(size, limit))
        watch.stand(watch.last_at)
        if whole and self._torn:
            raise Failure("protocol", _TORN)
        self.holds = _TESTS
        self.client.end()
        self.assertions = await judged(self.check.expect, await self._answer(head, whole=whole))

    async def _answer(self, head: Head, *, whole: bool) -> Answer:
        """What is judged; of the body only what is asked about."""
        told = Answer(head.status, head.headers, self._kept, "", self.watch.total_s, not whole, self._secrets.hide)
        if not reads_body(self.check.expect):
            return told
        body, more = await self._unpacked(head)
        packed = foreign(head.headers) if body else ""
        return told._replace(body=body, encoding=charset(head.headers), cut=more or not whole, packed=packed)

    async def _unpacked(self, head: Head) -> tuple[bytes, bool]:
        body, limit = self._kept, self.check.body_limit_bytes
        if not swells(body, head.headers, limit):
            return unpacked(body, head.headers, limit)
        try:
            asked = ask(lambda: unpacked(body, head.headers, limit), "perfconsole-unpack")
        except RuntimeError:
            raise Failure(UNMEASURED, _THREADS) from None
        return await asked

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
            Failure: When the first byte of an answer that counts did not come in time.
            OSError: When the connection broke; `ssl.SSLError` likewise.
        """
        watch = self.watch
        if watch.phase == "send":
            watch.enter("wait", line.handed_at)
            self._heads = Heads()
        limit_s = self.check.timeouts.wait
        if watch.phase == "wait" and limit_s == limit_s:  # noqa: PLR0124  NaN is not itself
            spent_s = monotonic() - line.handed_at if self._heads.heard else 0.0
            async with limited("wait", limit_s, spent_s):
                data = await line.receive()
        else:
            data = await line.receive()
        self.doubt_s += line.take_doubt_s()
        self._wire_bytes += len(data)
        self._torn = not data and line.torn
        if self._heads.begun(data):  # of a body without a length its end is the last byte
            watch.enter("transfer", line.at)
        self._heads.check()
        return data

    def broken(self, words: str) -> Failure:
        """What h11 finds wrong with the answer; httpx passes its words on."""
        return broken(words, self.watch.phase, in_body=self._head is not None)

    # What came of it --------------------------------------------------------------------------------------------------------------

    def timely(self) -> tuple[Assertion, ...]:
        """None: that one is among the others."""
        return ()

    def outcome(self, failure: Failure | None) -> Outcome:
        """As that of any attempt, with what was answered."""
        told = super().outcome(failure)
        head = self._head
        if len(self._hops) > 1:
            hops = tuple(Hop(self._shown(url), status, took_s, expires) for url, status, took_s, expires in self._hops)
            told = replace(told, hops=hops, tls=self.tls or (self._spoken if head else None))
        told = replace(
            told,
            engine=self.client.name,
            status=head.status if head else 0,
            error=told.error and self._secrets.line(told.error),
            assertions=tuple(map(self._hidden, told.assertions)),
        )
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
        found = self._secrets.hide(one.found)
        return one if found == one.found else replace(one, found=found)

    def _shown(self, url: str) -> str:
        return shown_url(url, self._secrets)
