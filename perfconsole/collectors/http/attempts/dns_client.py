"""Checks of DNS: a name that has the record asked for is up; of a server of one's own, or of the machine's resolver.

The library makes and reads the messages; they travel here, once: it would repeat what is lost, and a lossy network would merely look slow.
"""

import socket
from contextlib import closing, suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from perfconsole.collectors.http.attempts.attempt import Attempt, limited
from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.network.faults import DOING, failure_of
from perfconsole.collectors.http.network.line import Line
from perfconsole.collectors.http.network.names import literal_family, plain
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.collectors.loop import ask
from perfconsole.core.checks import Assertion, Check, Outcome
from perfconsole.core.text import safe

if TYPE_CHECKING:
    from dns.message import Message

_FAMILIES: Final = {"A": 4, "AAAA": 6}
_SHORT_BYTES: Final = 2048
_ANSWERS: Final = 256
_CHARS: Final = 255

_WORDS: Final = {
    "NXDOMAIN": "there is no such name (NXDOMAIN)",
    "SERVFAIL": "the server could not find out (SERVFAIL)",
    "REFUSED": "the server refuses to answer this (REFUSED)",
    "NOTIMP": "the server does not know such questions (NOTIMP)",
    "FORMERR": "the server does not understand the question (FORMERR)",
    "NOTAUTH": "the server does not answer for this zone (NOTAUTH)",
}


class DnsProber:
    """Asks for one name."""

    def __init__(self, check: Check, shared: Shared) -> None:
        self._check = check
        self._shared = shared

    async def probe(self) -> Outcome:
        """Check once."""
        work = _ask_server if self._check.server else _ask_machine
        return await Attempt(self._check, self._shared).run(work)

    def close(self) -> None:
        """Nothing is kept."""


@cache
def _load(record: str) -> None:
    """What would be imported in the middle of the first answer."""
    for module in ("dns.message", "dns.rdata", "dns.reversename"):
        import_module(module)
    from dns import exception, rdata, rdataclass, rdatatype  # noqa: PLC0415  # as above

    with suppress(exception.DNSException):  # of a record that is none the question says so
        rdata.get_rdata_class(rdataclass.IN, rdatatype.from_text(record))  # type: ignore[no-untyped-call]  # untyped in the library


async def _ask_machine(attempt: Attempt) -> None:
    check = attempt.check
    if check.record not in _FAMILIES:
        raise Failure(UNMEASURED, f"the machine's resolver tells addresses only: asking for {check.record} needs a server")
    attempt.watch.enter("dns")
    _judge(attempt, await attempt.addresses(check.target, _FAMILIES[check.record]))


async def _ask_server(attempt: Attempt) -> None:
    # 60 ms and 6 MiB the first time: in a thread, and before the first phase, so that neither the loop nor the server is charged with it.
    await ask(lambda: _load(attempt.check.record), "perfconsole-load")
    question = _question(attempt.check)
    family, place = await attempt.place(attempt.check.server)
    data = await _by_udp(attempt, family, place, question)
    answer = await _understood(data, question)
    attempt.protocol = "UDP"
    if answer is not None and _is_cut(answer):
        data = await _by_tcp(attempt, question)
        answer = await _understood(data, question)
        attempt.protocol = "TCP"
    attempt.size_bytes = float(len(data))
    if answer is None:
        raise Failure("protocol", "the answer is no DNS message, or to another question")
    _judge(attempt, _records(answer, attempt.check))


def _question(check: Check) -> "Message":
    from dns import exception, message, reversename  # noqa: PLC0415  # loaded by `_load`

    name: Any = plain(check.target)
    try:
        if check.record == "PTR" and literal_family(name):
            name = reversename.from_address(name)
        # Without EDNS, which old servers refuse: an answer of more than 512 bytes comes by TCP then.
        return message.make_query(name, check.record)
    except (exception.DNSException, UnicodeError, ValueError):
        text = f"{safe(check.target, 100)} cannot be asked for: it is no name, or {safe(check.record, 20)} is no type of record"
        raise Failure("dns", text) from None


async def _by_udp(attempt: Attempt, family: int, place: Any, question: "Message") -> bytes:
    """Ask, and wait for an answer to this question; others, which anyone can send, are not looked at."""
    connection = socket.socket(family, socket.SOCK_DGRAM)
    connection.setblocking(False)
    with closing(Line(connection, attempt.shared.lag)) as line:
        try:
            connection.connect(place)  # so that the kernel drops what others send, and tells that the port is closed
        except OSError as error:
            raise failure_of(error, "connect") from None
        attempt.watch.enter("send")
        try:
            await line.send(question.to_wire())
            attempt.watch.enter("wait", line.handed_at)
            async with limited("wait", attempt.check.timeouts.wait):
                while not (data := await line.receive()).startswith(question.id.to_bytes(2, "big")):
                    pass
        except ConnectionRefusedError:
            raise Failure("connect", "connection refused: no server listens on that port") from None
        _stand(attempt, line)
    return data


async def _by_tcp(attempt: Attempt, question: "Message") -> bytes:
    """The whole of an answer that was too long for UDP (RFC 7766)."""
    with closing(Line(await attempt.connected(attempt.check.server), attempt.shared.lag)) as line:
        wire = question.to_wire()
        attempt.watch.enter("send")
        await line.send(len(wire).to_bytes(2, "big") + wire)
        attempt.watch.enter("wait", line.handed_at)
        async with limited("wait", attempt.check.timeouts.wait):
            data = await _more(line, b"", 2)
        attempt.watch.enter("transfer", line.at)
        size = 2 + int.from_bytes(data[:2], "big")
        data = await _more(line, data, size)
        _stand(attempt, line)
    return data[2:size]


async def _more(line: Line, data: bytes, size: int) -> bytes:
    """What was received, once that is so many bytes."""
    while len(data) < size:
        more = await line.receive()
        if not more:
            raise Failure("protocol", f"the server closed the connection while {DOING['transfer']}")
        data += more
    return data


def _stand(attempt: Attempt, line: Line) -> None:
    """The answer is there since the kernel had it: a loop that was busy came to it later."""
    attempt.doubt_s += line.take_doubt_s()
    attempt.watch.stand(line.at)


async def _understood(data: bytes, question: "Message") -> "Message | None":
    """Read in Python, 25 us a record: of a long answer in a thread."""
    if len(data) <= _SHORT_BYTES:
        return _read(data, question)
    return await ask(lambda: _read(data, question), "perfconsole-dns")


def _read(data: bytes, question: "Message") -> "Message | None":
    from dns import exception, message  # noqa: PLC0415  # loaded by `_load`

    try:
        answer = message.from_wire(data, ignore_trailing=True)
    except (exception.DNSException, ValueError):
        return None
    # Servers leave the question out of an answer that only says no.
    return answer if answer.id == question.id and (not answer.question or answer.question == question.question) else None


def _is_cut(answer: "Message") -> bool:
    from dns import flags  # noqa: PLC0415  # loaded by `_load`

    return bool(answer.flags & flags.TC)


def _records(answer: "Message", check: Check) -> list[str]:
    """The records of the type asked for, as texts; those of aliases on the way are left out."""
    from dns import rcode, rdatatype  # noqa: PLC0415  # loaded by `_load`

    code = rcode.to_text(answer.rcode())
    if code != "NOERROR":
        raise Failure("dns", _WORDS.get(code, f"the server answered {code}"))
    wanted = rdatatype.from_text(check.record)
    found = [record for several in answer.answer if several.rdtype == wanted for record in several]
    # Sorted: servers turn them round with every answer, and a text that changes all the time looks like news.
    return sorted(_text(check.record, record) for record in found[:_ANSWERS])


def _text(record: str, data: Any) -> str:
    if record == "TXT":  # in pieces of 255 bytes, which belong together
        return safe(b"".join(data.strings), _CHARS)
    return safe(data.to_text(), _CHARS)


def _judge(attempt: Attempt, found: list[str]) -> None:
    record, wanted = attempt.check.record, attempt.check.expect.answers
    if not found:
        raise Failure("dns", f"the name has no {record} record")
    shown = ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
    attempt.assertions += (Assertion(f"{'an' if record[0] in 'AMNS' else 'a'} {record} record", ok=True, found=shown),)
    if wanted:
        ok = any(_is_same(one, answer) for one in wanted for answer in found)
        attempt.assertions += (Assertion(f"an answer among {', '.join(safe(one, 80) for one in wanted)}", ok, shown),)


def _is_same(wanted: str, answer: str) -> bool:
    """By what is meant: addresses however they are spelt, names without their last dot, those of MX, SRV and CAA also by themselves."""
    kind = literal_family(wanted)
    if kind:
        family = socket.AF_INET if kind == 4 else socket.AF_INET6
        return literal_family(answer) == kind and socket.inet_pton(family, answer) == socket.inet_pton(family, wanted)
    return _bare(wanted) in {_bare(answer), _bare(answer.rpartition(" ")[2])}


def _bare(text: str) -> str:
    return text.strip().strip('"').lower().removesuffix(".")
