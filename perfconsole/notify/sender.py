"""The sender: a thread with a loop of its own, in which channels are called. It decides nothing, and holds nothing up.

Every attempt is a task with a time limit: a channel that hangs delays no other one. The thread is a daemon and is started when there is
something to send, never before: a console that notifies nobody pays nothing.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from math import inf
from typing import Any, Final, NamedTuple

from perfconsole.notify.channel import Channel, Message, SendError

LIMIT_S: Final = 10.0
"""What an attempt may take, unless the channel says otherwise (`limit_s`)."""

CHANCE_S: Final = 0.3
"""What attempts under way are given at the end to be finished."""

GOODBYE_S: Final = 0.1
"""What channels are given then to end their connections."""

_LONGEST_S: Final = 3600.0
_AGAIN_S: Final = 5.0


class Parcel(NamedTuple):
    """One attempt: what goes where; `tag` is whoever's business it is."""

    channel: Channel
    message: Message
    tag: Any


class Sender:
    """Sends what is due.

    Args:
        channels: Closed at the end.
        due: Says what is to be sent now, and in how many seconds to ask again; called in the sender's thread, as `done`.
        done: Is told what became of an attempt: what the receiver answered, why it failed, or None if that was the end of the program.

    Attributes:
        error: That it does not work as it was made to; empty as long as it does.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        due: Callable[[], tuple[list[Parcel], float]],
        done: Callable[[Parcel, str | SendError | None], None],
    ) -> None:
        self._channels = tuple(channels)
        self._retired: list[Channel] = []
        self._due, self._done = due, done
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm = asyncio.Event()
        self._closing = False
        self.error = ""

    def wake(self) -> None:
        """Look again at what is due; starts the thread the first time. From any thread, returns at once."""
        with self._lock:
            if self._closing:
                return
            if not self._thread:
                self._thread = threading.Thread(target=self._thread_main, name="notify", daemon=True)
                self._thread.start()
            loop = self._loop
        self._ring(loop)

    def use(self, channels: Sequence[Channel]) -> None:
        """Have other channels; those that are not among them are closed once nothing is under way in them. From any thread."""
        with self._lock:
            self._retired += [channel for channel in self._channels if channel not in channels]
            self._channels = tuple(channels)
            loop = self._loop
        self._ring(loop)

    def close(self, patience_s: float = 0.5) -> None:
        """Give attempts under way a moment, and end; what does not end by then is left to itself."""
        with self._lock:
            self._closing = True
            thread, loop = self._thread, self._loop
        self._ring(loop)
        if thread and thread is not threading.current_thread():
            thread.join(patience_s)

    def _ring(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if loop:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(self._alarm.set)

    # The thread -------------------------------------------------------------------------------------------------------------------

    def _thread_main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        with self._lock:
            self._loop = asyncio.get_running_loop()
        running: dict[asyncio.Task[None], Channel] = {}
        leaving: set[asyncio.Task[None]] = set()
        while not self._closing:
            self._alarm.clear()
            parcels, wait_s = self._ask()
            for parcel in parcels:
                task = asyncio.create_task(self._attempt(parcel))
                running[task] = parcel.channel
                task.add_done_callback(running.pop)
            for channel in self._idle([channel for attempt, channel in running.items() if not attempt.done()]):
                task = asyncio.create_task(_goodbye(channel))
                leaving.add(task)
                task.add_done_callback(leaving.discard)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, _LONGEST_S) if wait_s < inf else None):
                    await self._alarm.wait()
        if running:
            _, late = await asyncio.wait(running, timeout=CHANCE_S)
            for task in late:
                task.cancel()
        if left := [*self._channels, *self._retired]:
            await asyncio.wait([asyncio.create_task(_goodbye(channel)) for channel in left], timeout=GOODBYE_S)

    def _idle(self, busy: Collection[Channel]) -> list[Channel]:
        """Those that are no more, and in which nothing is under way: they are forgotten."""
        with self._lock:
            idle = [channel for channel in self._retired if channel not in busy]
            self._retired = [channel for channel in self._retired if channel in busy]
        return idle

    def _ask(self) -> tuple[list[Parcel], float]:
        try:
            return self._due()
        except Exception as error:  # noqa: BLE001  the thread must go on: nobody else tells anybody anything
            self._note(error)
            return [], _AGAIN_S

    def _note(self, error: Exception) -> None:
        self.error = f"the sender is at fault: {type(error).__name__}"

    async def _attempt(self, parcel: Parcel) -> None:
        outcome: str | SendError | None = None
        try:
            outcome = await self._outcome(parcel)
        finally:
            try:
                self._done(parcel, outcome)
            except Exception as error:  # noqa: BLE001  see `_ask`
                self._note(error)
            self._alarm.set()

    async def _outcome(self, parcel: Parcel) -> str | SendError:
        """What a channel makes of it. Left alone past its time: one may swallow its cancellation, and wait on."""
        limit_s: float = getattr(parcel.channel, "limit_s", LIMIT_S)
        attempt = asyncio.ensure_future(parcel.channel.send(parcel.message))
        try:
            await asyncio.wait((attempt,), timeout=limit_s)
        finally:
            if not attempt.done():
                attempt.cancel()
                attempt.add_done_callback(_forget)
        if not attempt.done():
            return SendError(f"no answer within {limit_s:g} s", unsure=True)
        if attempt.cancelled():
            return SendError("it was broken off", unsure=True)
        error = attempt.exception()
        if error is None:
            return attempt.result()
        if isinstance(error, SendError):
            return error
        return SendError(f"the channel is at fault: {type(error).__name__}", unsure=True)  # what it says may quote a secret


async def _goodbye(channel: Channel) -> None:
    with suppress(Exception):  # it ends anyway
        await channel.close()


def _forget(attempt: "asyncio.Future[str]") -> None:
    """Nobody asks for its outcome any more: look at it, so that nobody is told of that."""
    if not attempt.cancelled():
        attempt.exception()
