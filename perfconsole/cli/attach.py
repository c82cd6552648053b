"""Which engine a console looks at: its own with the lease of the state directory, that of whoever holds it, or its own without.

One engine per state directory holds the lease: it keeps the alerts, tells of them, and serves its socket. A console whose configuration
is the same attaches to it and takes its place when it is gone. Nothing here makes a start or an end wait for a disk that hangs.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from perfconsole import assembly
from perfconsole.cli.likeness import digest, suits
from perfconsole.config import places
from perfconsole.config.load import Loaded
from perfconsole.config.schema import Config
from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.ports import Source
from perfconsole.core.text import safe
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource
from perfconsole.history.lease import Holder, Lease, LeaseError
from perfconsole.history.lease import holder as find_holder

if TYPE_CHECKING:
    from perfconsole.engine.listen import Listener

SOCKET: Final = "engine.sock"
"""In the state directory."""

PATIENCE_S: Final = 0.5
"""How long a start waits for the state directory, which may be on a server that died. The lease of a disk that answers takes 0.1 ms."""

_SOCKET_S: Final = 2.5
"""How long a holder may take from its lease to its socket: it starts an engine in between."""

_COURTESY_S: Final = 0.5
"""A console that may not act lets others be first to succeed a holder: they could not attach to an engine that refuses everything."""

_AT_ONCE: Final = ("http", "tcp", "tls", "dns", "service", "alert", "alerts", "notify")
"""What a running engine takes over from a configuration that was read again; the rest is in force from the next start on."""

_ASK_AGAIN_S: Final = 2.0
_SECOND_LOOK_S: Final = 0.08
"""Until a new holder has written itself down, the line of the one before is there, which may have been another configuration."""

_QUIT_S: Final = 0.2

Tell = Callable[[str, str], None]
"""(text, role): says something in the footer; from any thread."""

Keep = Callable[[Engine, Config], str]
"""Has an engine that holds the lease keep its alerts and tell of them, until it is stopped; gives what is wrong with it, in words."""


class Seat:
    """A console's place among those of one state directory.

    Args:
        loaded: The configuration at the start.
        record: A file to record into in place of the state directory.
        read: Reads the configuration again.
        build: Makes an engine, not yet started, of a configuration and what reads it again.
        keep: See `Keep`; called on a thread of the seat's.
        tell: See `Tell`; not called before `shown`.
    """

    def __init__(
        self,
        loaded: Loaded,
        record: str | None,
        *,
        read: Callable[[], Loaded],
        build: Callable[[Loaded, Callable[[], Loaded]], Engine],
        keep: Keep,
        tell: Tell,
    ) -> None:
        self._loaded = loaded
        self._record_to = record
        self._read = read
        self._build = build
        self._keep_alerts = keep
        self._tell = tell
        self._directory = places.state_dir(os.environ, loaded.config.history.dir)
        self._began = time.time()
        self._lock = threading.Lock()  # of whatever takes, gives or ends the next three
        self._engine: Engine | None = None
        self._lease: Lease | None = None
        self._listener: Listener | None = None
        self._recording = False
        self._asked = threading.Event()
        self._found: Lease | Holder | None = None
        self._trouble = ""
        self._attached_to = ""
        self._searching_since: float | None = None
        self._shown = threading.Event()
        self._closed = threading.Event()

    # On the console's thread ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Ask for the lease, beside whatever else is done for a start."""
        threading.Thread(target=self._ask, name="lease", daemon=True).start()

    def source(self) -> Source:
        """What the console is to read from; an engine of its own is not started yet (see `start`)."""
        self._asked.wait(PATIENCE_S)
        if not self._asked.is_set():
            self._trouble = f"alerts are not kept: {self._directory} does not answer"
        elif isinstance(self._found, Lease):
            self._lease, self._found = self._found, None
        elif not self._trouble:  # another holds it, or did a moment ago
            from perfconsole.sources.succession import Succession

            return Succession(None, self._next)
        self._engine = self._build(self._loaded, self._read_again)
        return LocalSource(self._engine)

    def start(self) -> None:
        """Start the engine, if it is this console's own."""
        if self._engine:
            self._engine.start()
            self._attend_to(self._engine, self._trouble)

    @property
    def _config(self) -> Config:
        return self._loaded.config

    def shown(self) -> None:
        """The first frame is there: what it did not have to wait for may begin."""
        self._shown.set()

    def close(self) -> None:
        """End what is this console's own: those who are attached learn of it first, and the lease is free last."""
        self._closed.set()
        self._shown.set()
        held = self._lock.acquire(timeout=_QUIT_S)  # what hangs in there has the lease until the process ends
        if self._listener:
            self._listener.close()
        if self._engine:
            self._engine.stop()
        if held and self._lease:
            releasing = threading.Thread(target=self._lease.release, name="lease", daemon=True)
            releasing.start()
            releasing.join(_QUIT_S)

    # The lease, on threads of the seat's ------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        try:
            self._found = self._take()
        except LeaseError as error:
            self._trouble = f"alerts are not kept: {error}"
        self._asked.set()

    def _take(self) -> Lease | Holder | None:
        """The lease, or who holds it; None where it passes from one to another.

        Raises:
            LeaseError: When there can be none.
        """
        return Lease.take(self._directory, self._holder()) or find_holder(self._directory)

    def _holder(self) -> Holder:
        """What others are to know of this console once it holds the lease."""
        told = digest(self._config, self._record_to)
        return Holder(os.getpid(), os.uname().nodename, self._began, told, str(self._directory / SOCKET))

    def _take_later(self) -> Lease | None:
        """The lease, where there was none at the start: it may be free by now, or the first question answered at last."""
        if not self._asked.is_set():
            return None
        found, self._found = self._found, None
        if isinstance(found, Lease):
            return found
        with suppress(LeaseError):
            return Lease.take(self._directory, self._holder())
        return None

    # An engine of one's own -------------------------------------------------------------------------------------------------------

    def _own(self, lease: Lease | None, said: str) -> Source | None:
        """A reader of an engine that is made and started here; None when the console has ended meanwhile."""
        try:
            engine = self._build(self._loaded, self._read_again)
        except BaseException:
            if lease:
                lease.release()
            raise
        with self._lock:
            if self._closed.is_set():
                if lease:
                    lease.release()
                return None
            self._engine, self._lease = engine, lease
            engine.start()
        self._attend_to(engine, said)
        return LocalSource(engine)

    def _attend_to(self, engine: Engine, said: str) -> None:
        threading.Thread(target=self._attend, args=(engine, said), name="seat", daemon=True).start()

    def _attend(self, engine: Engine, said: str) -> None:
        """What an engine of one's own needs beside itself: its socket at once, others may wait for it; the rest after the first frame."""
        unheard = self._listen(engine)
        self._shown.wait()
        self._say(said, unheard, self._keep(engine), self._record(engine), self._complete(engine))
        while not self._closed.wait(_ASK_AGAIN_S):
            gone = self._give_up(engine)
            if self._lease:
                continue
            lease = self._take_later()
            if not lease:
                self._say(gone and f"{gone}: alerts are not kept here any more")
                continue
            with self._lock:
                if self._closed.is_set():
                    lease.release()
                    return
                self._lease = lease
            wrong = self._listen(engine), self._keep(engine), self._record(engine)
            self._say(gone, "alerts are kept here now", *wrong, role="warning" if gone or any(wrong) else "foreground")

    def _give_up(self, engine: Engine) -> str:
        """Where the lease was taken away, end all that is only for who holds it: another may by now. What happened, in words."""
        if not self._lease or not self._lease.lost:
            return ""
        with self._lock:
            if self._closed.is_set():
                return ""
            lease, self._lease = self._lease, None
            listener, self._listener = self._listener, None
        engine.forget_alerts()
        if listener:
            listener.close()
        lease.release()
        return "the state directory was taken away"

    def _listen(self, engine: Engine) -> str:
        """Let others attach; why not, in words."""
        from perfconsole.engine.listen import Listener, ListenError

        with self._lock:
            if self._lease and not self._closed.is_set():
                try:
                    self._listener = Listener(engine, self._directory / SOCKET)
                except ListenError as error:
                    return f"no other console can attach: {error}"
        return ""

    def _keep(self, engine: Engine) -> str:
        """Have alerts kept; what is wrong with it, in words."""
        with self._lock:
            if not self._lease or self._closed.is_set():
                return ""
            try:
                return self._keep_alerts(engine, self._config)
            except Exception as error:  # noqa: BLE001  whatever it is, it is said, and nothing else is left undone for it
                return safe(f"alerts are not kept: {error}", 300)

    def _record(self, engine: Engine) -> str:
        """Have it recorded, unless it is; why not, in words."""
        if self._recording or self._closed.is_set():
            return ""
        try:
            why_not = assembly.record(engine, self._config, self._record_to)
        except PerfconsoleError as error:
            why_not = str(error)
        self._recording = not why_not
        return why_not

    def _complete(self, engine: Engine) -> str:
        """Have it look at all that the first frame did not need; what went wrong, in words."""
        if not self._closed.is_set():
            try:
                engine.complete()
            except Exception as error:  # noqa: BLE001  as `_keep`
                return safe(f"units and changes are not looked at: {error}", 300)
        return ""

    def _read_again(self) -> Loaded:
        """The configuration read again for an engine of one's own. What of it comes into force at once is told to others."""
        read = self._read()
        self._loaded = self._loaded._replace(config=replace(self._config, **{name: getattr(read.config, name) for name in _AT_ONCE}))
        if self._lease:
            self._lease.tell(self._holder())
        return read

    # An engine of another console's -----------------------------------------------------------------------------------------------

    def _next(self) -> Source | None:
        """The next engine to read from; None when there is none yet. On a thread of `Succession`'s."""
        now = time.monotonic()
        if self._searching_since is None:
            self._searching_since = now
            if self._attached_to:  # long ago, it may be
                with suppress(PerfconsoleError):
                    read = self._read()
                    self._loaded = read._replace(config=replace(read.config, history=self._config.history))
        found = self._find(now - self._searching_since)
        if found:
            self._searching_since = None
        return found

    def _find(self, searched_s: float) -> Source | None:
        waits = self._config.console.read_only and self._attached_to and searched_s < _COURTESY_S
        try:
            found = find_holder(self._directory) if waits else self._take()
        except LeaseError as error:
            return self._own(None, f"alerts are not kept: {error}")
        if isinstance(found, Lease):
            return self._own(found, f"{self._attached_to} has ended: this console collects now" if self._attached_to else "")
        return self._attach(found, searched_s) if found else None

    def _attach(self, holder: Holder, searched_s: float) -> Source | None:
        from perfconsole.sources.connect import ConnectError, connect

        who = _who(holder)
        if not suits(self._config, self._record_to, holder.config):
            self._closed.wait(_SECOND_LOOK_S)
            if find_holder(self._directory) != holder:
                return None
            return self._own(None, f"alerts are kept by {who} (another configuration)")
        try:
            source = connect(Path(holder.socket), read_only=self._config.console.read_only)
        except ConnectError as error:
            if error.passing and searched_s < _SOCKET_S:
                return None
            return self._own(None, f"alerts are kept by {who}, which lets nobody attach ({error})")
        self._attached_to = who
        self._say(f"attached to {who}, which collects and keeps the alerts", role="foreground")
        return source

    def _say(self, *texts: str, role: str = "warning") -> None:
        """Say something as soon as somebody can read it."""
        text = "; ".join(filter(None, texts))

        def say() -> None:
            self._shown.wait()
            if not self._closed.is_set():
                self._tell(text, role)

        if text:
            threading.Thread(target=say, name="notice", daemon=True).start()


def _who(holder: Holder) -> str:
    if not holder.pid:
        return "another process"
    return f"PID {holder.pid}" if holder.host == os.uname().nodename else f"PID {holder.pid} on {holder.host}"
