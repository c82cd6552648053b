"""Work that may hang, done beside the loop in a thread of its own.

Files that need the memory lock of another process (smaps_rollup) wait as long as that process holds it, which with a dead disk is for
ever; so the threads are daemons, not the executor's, which would be waited for at exit.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Run `work` in a thread and wait for it without holding up the loop; costs 0.1 ms.

    Returns:
        What it returns, or raises what it raises. When the waiter is cancelled the thread goes on, and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type] # None only beside an error, or when T allows it

    def run() -> None:
        result: T | None = None
        failed: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, daemon=True, name="processes-aside").start()
    return await future
