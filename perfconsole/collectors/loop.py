"""Manners on the loop that all collectors share: much work goes on in slices, and what may never be answered waits in a thread."""

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import partial
from math import inf
from threading import Thread
from typing import Final, TypeVar

SLICE_S: Final = 0.0015
"""The loop is held no longer than this and the one step that crosses it, 3 ms together: a key press, a probe's clock wait behind it.

The longest step is the kernel's: 32 KiB of a directory at a time, 1,300 processes in 1.2 ms.
"""

T = TypeVar("T")


async def paced(things: Iterable[T], clock: Callable[[], float]) -> AsyncIterator[T]:
    """The things one by one, giving the loop back before the first, since what led here took its time too, and every `SLICE_S`."""
    pause_at = -inf  # where there is nothing to do, the loop's round (20 us) is spared
    for thing in things:
        if clock() > pause_at:
            await asyncio.sleep(0)
            pause_at = clock() + SLICE_S
        yield thing


def ask(question: Callable[[], T], name: str) -> "Future[T]":
    """Run what may hang (a dead NFS server, a wedged sensor, another process's memory lock) in a thread of its own; costs 0.1 ms.

    The threads are daemons: an executor's are joined at exit, so that one that hangs would keep the process.

    Args:
        question: Run in the thread.
        name: The thread's.

    Returns:
        A future of the running loop; forgetting or cancelling it leaves the thread to itself.
    """
    loop = asyncio.get_running_loop()
    answer: Future[T] = loop.create_future()
    Thread(target=_work, args=(question, loop, answer), name=name, daemon=True).start()
    return answer


def _work(question: Callable[[], T], loop: AbstractEventLoop, answer: "Future[T]") -> None:
    try:
        result = question()
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the one who asked
        _deliver(loop, answer, partial(answer.set_exception, error))
    else:
        _deliver(loop, answer, partial(answer.set_result, result))


def _deliver(loop: AbstractEventLoop, answer: "Future[T]", settle: Callable[[], None]) -> None:
    def settle_unless_given_up() -> None:
        if not answer.done():
            settle()

    with suppress(RuntimeError):  # the loop is closed: the answer came after the end
        loop.call_soon_threadsafe(settle_unless_given_up)
