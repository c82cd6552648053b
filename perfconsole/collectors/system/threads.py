"""Questions to the kernel that may never be answered (a dead NFS server, a wedged sensor), each asked in a thread of its own.

The threads are daemons: an executor's are joined at exit, so that one that hangs would keep the process.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def ask(question: Callable[[], T], name: str) -> "Future[T]":
    """Run `question` in its own thread; the future is of the running loop, and forgetting it leaves the thread to itself."""
    loop = get_running_loop()
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
