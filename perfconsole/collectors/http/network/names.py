"""Names to addresses: what `getaddrinfo` says, asked in threads of its own, so that a resolver that hangs holds up nobody else.

The default executor of a loop has six threads on a small machine: six lookups that hang, and every endpoint with a name is late.
"""

import asyncio
import re
import socket
from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import isnan
from time import monotonic
from typing import Any, Final, NamedTuple

from perfconsole.collectors.http.network.faults import failure_of, timed_out
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.collectors.loop import ask
from perfconsole.core.text import safe

LOOKUPS: Final = 64
"""Lookups at a time, each in a thread. glibc gives up after 10 s by default, with every name that has an endpoint asked for once at a
time: so many names that hang at once are a resolver that is dead, and more threads would not raise it."""

_FAMILIES: Final = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}

_DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")

Found = Sequence[tuple[Any, ...]]
GetAddrInfo = Callable[[str, None, int, int], Found]
"""Host, port (none), family and type of socket to tuples as `socket.getaddrinfo` returns them."""


class Looked(NamedTuple):
    """Addresses, and when they were known, seconds of `time.monotonic`: the loop may come to it later."""

    addresses: list[str]
    at: float


def plain(host: str) -> str:
    """A host as it stands in a URL, without the brackets of an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def server_name(host: str) -> str:
    """What a certificate is held against: without brackets, the zone of an address, and the dot at the end of a name."""
    return plain(host).partition("%")[0].removesuffix(".")


def ascii_name(host: str) -> str:
    """A name as it is asked for: what is not ASCII as browsers write it (IDNA 2008, UTS 46: ``straße`` is not ``strasse``).

    Raises:
        UnicodeError: When it cannot be a name.
    """
    if host.isascii():
        return host
    import idna  # noqa: PLC0415  # 23 ms and 2 MiB of tables, which nobody without such a name waits for

    # Label by label: what is ASCII may have an underscore, which IDNA would not take.
    labels = [label if label.isascii() else idna.encode(label, uts46=True).decode("ascii") for label in _DOTS.split(host)]
    return ".".join(labels)


@lru_cache(1024)
def literal_family(host: str) -> int:
    """4 or 6 for an address, also with a zone (``fe80::1%eth0``); 0 for a name, which has to be looked up."""
    address, percent, zone = plain(host).partition("%")
    for family, number in ((socket.AF_INET, 4), (socket.AF_INET6, 6)):
        try:
            socket.inet_pton(family, address)
        except (OSError, ValueError):  # a NUL character is a ValueError
            continue
        return number if not percent or (zone and number == 6) else 0
    return 0


class Resolver:
    """Looks names up; one lookup at a time for each name and family, however many ask.

    Args:
        getaddrinfo: In place of the machine's.
        lookups: Most at a time.
    """

    def __init__(self, getaddrinfo: GetAddrInfo | None = None, lookups: int = LOOKUPS) -> None:
        self._getaddrinfo = getaddrinfo or _machines
        self._lookups = lookups
        self._pending: dict[tuple[str, int], Future[Looked | Exception]] = {}
        self._running: set[tuple[str, int]] = set()
        self._waiting: deque[tuple[str, int]] = deque()

    async def addresses(self, host: str, family: int, timeout_s: float) -> Looked:
        """The addresses of a host, in the order in which the machine would try them (RFC 6724).

        Nothing is kept: who asks again gets a fresh answer. Who joins a lookup that runs waits for what is left of it.

        Args:
            host: A name (also an international one), or an address, which is returned at once; brackets are taken off.
            family: 4, 6, or 0 for both.
            timeout_s: How long to wait; NaN for as long as it takes. The lookup itself goes on in its thread.

        Raises:
            Failure: ``dns`` when there is no such name, or it has no such address; ``timeout`` when the resolver does not answer;
                ``unmeasured`` when so many lookups hang that this one was never begun.
        """
        host = plain(host)
        kind = literal_family(host)
        if kind:
            return Looked(_of_literal(host, kind, family), monotonic())
        key = (_ascii(host), family)
        limit = None if isnan(timeout_s) else timeout_s
        try:
            async with asyncio.timeout(limit):
                # Shielded: whoever gives up must not take the answer from the others who wait for it.
                found = await asyncio.shield(self._asked(key))
        except TimeoutError:
            if key in self._running:
                raise timed_out("dns", limit) from None
            raise Failure(UNMEASURED, "the name was not looked up: too many other lookups hang, the resolver does not answer") from None
        if isinstance(found, Exception):
            failure = failure_of(found, "dns")
            raise Failure(failure.cause, f"{safe(host, 100)}: {failure.text}", at_least=failure.at_least)
        if not found.addresses:
            raise Failure("dns", f"{safe(host, 100)}: the name has no address")
        return Looked(list(found.addresses), found.at)

    def begun(self, host: str, family: int) -> bool:
        """Whether a lookup that is waited for was begun: one of many that were not tells nothing of its name."""
        return (_ascii(plain(host)), family) in self._running

    def _asked(self, key: tuple[str, int]) -> "Future[Looked | Exception]":
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = asyncio.get_running_loop().create_future()
            self._waiting.append(key)
            self._begin()
        return pending

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._lookups:
            key = self._waiting.popleft()
            try:
                asked = ask(partial(self._look_up, *key), "perfconsole-dns")
            except RuntimeError:
                self._pending.pop(key).set_result(Failure(UNMEASURED, "this machine allows no further thread to look a name up in"))
                continue
            self._running.add(key)
            asked.add_done_callback(partial(self._ended, key))

    def _look_up(self, host: str, family: int) -> Looked | Exception:
        try:
            return Looked(_texts(self._getaddrinfo(host, None, _FAMILIES[family], socket.SOCK_STREAM)), monotonic())
        except (OSError, ValueError) as error:
            return error

    def _ended(self, key: tuple[str, int], asked: "Future[Looked | Exception]") -> None:
        self._running.remove(key)
        self._pending.pop(key).set_result(asked.exception() or asked.result())  # type: ignore[arg-type]  # _work passes on no BaseException
        self._begin()


def _machines(host: str, port: None, family: int, kind: int) -> Found:
    # As bytes: of a text, Python makes IDNA once more, and loads 0.4 MiB of tables for it.
    return socket.getaddrinfo(host.encode("ascii"), port, family, kind)


def _ascii(host: str) -> str:
    """The name as it is asked for: IDNA for an international one.

    Raises:
        Failure: When it cannot be a name.
    """
    try:
        return ascii_name(host)
    except UnicodeError as error:
        raise Failure("dns", f"{safe(host, 100)}: {failure_of(error, 'dns').text}") from None


def _of_literal(address: str, kind: int, family: int) -> list[str]:
    if family not in {0, kind}:
        raise Failure("dns", f"{address} is an IPv{kind} address, and IPv{family} is asked for")
    return [address]


def _texts(found: Found) -> list[str]:
    """Addresses without repetition; a link-local one keeps its zone, without which it leads nowhere."""
    texts = [f"{at[0]}%{at[3]}" if len(at) > 3 and at[3] and "%" not in at[0] else str(at[0]) for *_, at in found]
    return list(dict.fromkeys(texts))
