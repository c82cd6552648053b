"""One run of an HTTP check: its hops, what came back, and the outcome, whatever ends it. Whichever client carries it out, it is the same."""

from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from perfconsole.collectors.http.attempt import Attempt
from perfconsole.collectors.http.expect import Answer, judged
from perfconsole.collectors.http.faults import DOING
from perfconsole.collectors.http.prober import Failure
from perfconsole.collectors.http.request import REDIRECTS, Message, Origin, following, message_of, reads_files
from perfconsole.collectors.http.shared import Shared
from perfconsole.collectors.http.unpacking import charset, header, unpacked
from perfconsole.collectors.http.wording import Secrets, shown_body, shown_headers, shown_url
from perfconsole.collectors.loop import ask
from perfconsole.core.checks import Assertion, Check, Hop, Outcome
from perfconsole.core.text import safe

MOST_HEADER_BYTES: Final = 102_400
"""Of a status line and headers, as httpcore has it; servers send 8 KiB at most."""

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
        self._ready: tuple[Message, Secrets] | None = None

    async def probe(self, ready: tuple[Message, Secrets] | None) -> Outcome:
        """Check once.

        Args:
            ready: The first request, when it is known already.
        """
        self._ready = ready
        try:
            return await self.run(lambda _: self._talk())
        finally:
            self.client.end()

    async def _talk(self) -> None:
        message, self._secrets = self._ready or await self._made()
        first = message.origin
        for left in range(self.check.redirects, -1, -1):
            head = await self._hop(message, first)
            location = header(head.headers, "location") if head.status in REDIRECTS and self.check.redirects else ""
            if not location:
                break
            if not left:
                raise Failure("protocol", f"redirected more than {self.check.redirects} times, at last from {self._shown(message.url)}")
            message = following(message, head.status, location)
        await self._read(head)

    async def _made(self) -> tuple[Message, Secrets]:
        check = self.check
        # In a thread: a file on a dead NFS server never answers.
        return await ask(lambda: message_of(check), "perfconsole-secrets") if reads_files(check) else message_of(check)

    async def _hop(self, message: Message, first: Origin) -> Head:
        self._head, self.protocol, self.tls = None, "", None
        before = self.watch.total_s
        head = None
        try:
            head = self._head = await self.client.head(self, message, first)
            self.protocol = head.protocol
            return head
        finally:
            self.watch.stand(self.watch.last_at if head else None)
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
        finally:
            self._kept = b"".join(pieces)[:limit]
            self.size_bytes = float(min(size, limit))
        watch.stand(watch.last_at)
        self.client.end()
        body, more = unpacked(self._kept, head.headers, limit)
        answer = Answer(head.status, head.headers, body, charset(head.headers), watch.total_s, cut=more or size > limit)
        self.assertions = await judged(self.check.expect, answer)

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
        if told.ok or head is None:
            return told
        body, _ = unpacked(self._kept, head.headers, self.check.body_limit_bytes)
        return replace(
            told,
            error=self._secrets.line(told.error),
            headers=shown_headers(head.headers, self._secrets),
            body=shown_body(body, charset(head.headers), self._secrets),
        )

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
    if words.startswith("Receive buffer too long"):
        return Failure("protocol", f"headers of more than {MOST_HEADER_BYTES // 1024} KiB: no server means that")
    what = words.partition(":")[0]
    return Failure("protocol", f"{_NO_HTTP}: {safe(what, 80)}" if what.isascii() else _NO_HTTP)
