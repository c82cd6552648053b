"""The dispatcher: the one place where operations are refused, bounded in time and written down. Knows none of them by name."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Final

from msgspec import Struct

from perfconsole.core.errors import PerfconsoleError, RequestError
from perfconsole.core.ports import Operation
from perfconsole.core.text import safe
from perfconsole.engine.scribe import Scribe

Audit = Callable[[str, str, Struct, str], None]
"""(peer, operation, arguments, outcome): called before acting with an empty outcome, and with what came of it afterwards; in a thread,
one line at a time. Raises RequestError when it cannot be written: what cannot be audited is not done."""

PEER: Final[ContextVar[str]] = ContextVar("peer", default="")
"""Who asks for what is being done, within an operation."""


class Dispatcher:
    """Runs operations on request; on the engine's loop.

    Args:
        operations: What can be done.
        audit: Where actions are written down; without it operations that change something are refused.
        read_only: Refuse operations that change something to everybody.
    """

    def __init__(self, operations: Iterable[Operation], audit: Audit | None, *, read_only: bool) -> None:
        self._operations = {operation.spec.name: operation for operation in operations}
        self._scribe = Scribe(audit) if audit else None
        self._read_only = read_only
        self._busy: Counter[tuple[str, str]] = Counter()

    def add(self, operations: Iterable[Operation]) -> None:
        """Offer more."""
        self._operations |= {operation.spec.name: operation for operation in operations}

    def offered(self) -> frozenset[str]:
        """Names of the operations that are not refused from the outset."""
        return frozenset(name for name, operation in self._operations.items() if not (self._read_only and operation.spec.changes))

    async def run(self, op: str, args: Struct, *, peer: str, read_only: bool = False) -> Struct:
        """Run one operation.

        Args:
            op: Its name.
            args: Its arguments.
            peer: Who asks, for the audit file.
            read_only: Whether this peer may change nothing.

        Raises:
            RequestError: When it is not offered, refused, under way already, too slow, or failed.
        """
        operation = self._operations.get(op)
        if operation is None:
            raise RequestError(f"{op} is not offered here")
        spec = operation.spec
        if not isinstance(args, spec.args):
            raise RequestError(f"{op} takes {spec.args.__name__}, not {type(args).__name__}")
        if spec.changes and (read_only or self._read_only):
            raise RequestError(f"{op} changes something, and this console is read-only")
        if spec.changes and self._scribe is None:
            raise RequestError(f"{op} is refused: there is no audit file to write it to")
        if self._busy[peer, op] >= spec.at_once:
            raise RequestError(f"{op} is still under way")
        self._busy[peer, op] += 1
        PEER.set(peer)
        try:
            return await self._act(operation, args, peer)
        finally:
            self._busy[peer, op] -= 1
            if not self._busy[peer, op]:
                del self._busy[peer, op]

    async def _act(self, operation: Operation, args: Struct, peer: str) -> Struct:
        spec = operation.spec
        scribe = self._scribe if spec.changes else None
        if scribe:
            await scribe.before(peer, spec.name, args)
        outcome = "not finished"  # what stays true of one that is broken off: its peer left, the engine was stopped
        try:
            async with asyncio.timeout(spec.timeout_s):
                result = await operation.run(args)
            outcome = "done"
        except PerfconsoleError as error:
            outcome = error.message
            raise
        except TimeoutError as error:
            outcome = f"not finished within {spec.timeout_s:g} s"
            raise RequestError(f"{spec.name}: {outcome}") from error
        except Exception as error:
            outcome = safe(str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}", 300)
            raise RequestError(f"{spec.name}: {outcome}") from error
        finally:
            if scribe:
                await scribe.after(peer, spec.name, args, outcome)
        return result
