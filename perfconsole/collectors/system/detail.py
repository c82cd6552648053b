"""Everything that is read of this machine on demand, in sections: who listens, ports, deleted files, writers, devices.

Read in a thread, bounded in time: what was not read by then is told as such, and what was is given.
"""

from asyncio import Future, wait
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, TypeVar

from perfconsole.collectors.loop import ask
from perfconsole.collectors.processes.visibility import hidden
from perfconsole.collectors.system import detail_devices, detail_network, detail_storage
from perfconsole.collectors.system.clock import read_clock
from perfconsole.collectors.system.detail_descriptors import Walk, walk
from perfconsole.collectors.system.detail_files import Mounts, Writing, read_deleted
from perfconsole.collectors.system.detail_sockets import LISTEN, read_sockets
from perfconsole.collectors.system.files import is_there
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import Fact, FactSection, SystemDetail

TITLES: Final = ("Listeners", "Ports by peer", "Deleted, still open", "Writers now", "Interfaces", "Arrays", "Clock", "Conntrack")
_LISTENERS, _PORTS, _DELETED, _WRITERS, _INTERFACES, _ARRAYS, _CLOCK, _CONNTRACK = TITLES

_BUDGET_S: Final = 5.0
_WALK_S: Final = 2.5
"""For looking into processes: with what follows it has to fit the budget."""

_ASK_S: Final = 0.5
"""For the sizes of deleted files."""

_WINDOW_S: Final = 1.0
_OTHERS: Final = "sockets of other network namespaces (containers) are not among them"
_LATE: Final = "was not read in time: something on this machine does not answer"

T = TypeVar("T")


class DetailReader:
    """Reads the detail of this machine, one at a time.

    Args:
        proc: Where procfs is.
        sys: Where sysfs is.
    """

    def __init__(self, proc: str, sys: str) -> None:
        self._proc, self._sys = proc, sys
        self._asked: Future[None] | None = None

    async def read(self, budget_s: float = _BUDGET_S) -> SystemDetail:
        """All sections; of those that were not read within the budget, that they were not.

        Raises:
            RequestError: While an earlier reading hangs: each would leave one more thread behind.
        """
        if self._asked and not self._asked.done():
            raise RequestError("an earlier reading still hangs", "see `dmesg` for the device or server that does not answer")
        reading = _Reading(self._proc, self._sys)
        self._asked = ask(reading.run, "system-detail")
        await wait((self._asked,), timeout=budget_s)
        if self._asked.done():
            self._asked.result()
        return SystemDetail(reading.sections())


class _Reading:
    """The sections as they come in."""

    def __init__(self, proc: str, sys: str) -> None:
        self._proc, self._sys = proc, sys
        self._done: dict[str, FactSection] = {}

    def run(self) -> None:
        """Read all of it. What fails takes only its own section along."""
        proc, until = self._proc, monotonic() + _WALK_S
        writing = self._try(_WRITERS, lambda: Writing(proc))
        self._put(_INTERFACES, lambda: detail_devices.interfaces(self._sys))
        self._put(_ARRAYS, lambda: detail_devices.md_arrays(proc))
        self._put(_CLOCK, lambda: detail_devices.clock(read_clock()))
        self._put(_CONNTRACK, lambda: detail_devices.conntrack(proc))
        found = self._read_sockets(until)
        mounts = Mounts(proc)
        notes = (found.note(), self._hidden())
        self._put(_DELETED, lambda: detail_storage.deleted(proc, read_deleted(proc, found.deleted, mounts, until + _ASK_S), _joined(notes)))
        if writing:
            self._put(_WRITERS, lambda: detail_storage.writers(proc, writing.finish(mounts, _WINDOW_S), writing.denied, self._hidden()))

    def sections(self) -> list[FactSection]:
        """What was read so far, and of the rest that it was not."""
        return [self._done.get(title) or FactSection(title, [Fact("unknown", _LATE, severity="unknown")]) for title in TITLES]

    def _read_sockets(self, until: float) -> Walk:
        """The sections about sockets; returns what processes hold open."""
        proc = self._proc
        # Fixtures are files: the kernel would tell of the real machine.
        ports = detail_network.local_ports(proc)
        told = self._try(_LISTENERS, lambda: read_sockets(proc, ports, until, netlink=proc == "/proc"))
        sockets, complete = told or ([], True)
        peers = detail_network.by_peer(sockets)
        inodes = {each.inode for each in sockets if each.state == LISTEN} | {each.inode for peer in peers for each in peer.sockets}
        found = self._try(_DELETED, lambda: walk(proc, inodes - {0}, until)) or Walk()
        more = "" if complete else "there are more sockets than were looked at"
        if told is not None:
            notes = (found.note(), self._hidden(), more, _OTHERS)
            self._put(_LISTENERS, lambda: detail_network.listeners(proc, sockets, found, _joined(notes)))
            self._put(_PORTS, lambda: detail_network.ports_by_peer(proc, peers, ports, found, _joined((more, _OTHERS))))
        else:
            self._done[_PORTS] = FactSection(_PORTS, self._done[_LISTENERS].facts)
        return found

    def _hidden(self) -> str:
        """Why processes of others are not even listed; empty when they are."""
        found = hidden(self._proc, init_listed=is_there(f"{self._proc}/1"))
        return f"{found.error}: {found.fix}" if found else ""

    def _put(self, title: str, read: Callable[[], FactSection]) -> None:
        if title not in self._done:
            section = self._try(title, read)
            if section:
                self._done[title] = section

    def _try(self, title: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (OSError, ValueError) as error:
            words = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
            self._done[title] = FactSection(title, [Fact("unknown", words, severity="unknown")])
            return None


def _joined(notes: Iterable[str]) -> str:
    return "; ".join(note for note in notes if note)
