"""Where checks are carried out, which is chosen here alone: on the running loop while they are few, in a process of its own when many.

Few cost less than the 20 MiB of a process. Many would be in the way of everything else on the loop, and it in theirs.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from perfconsole.collectors.http.checking.checker import Checker, Checking, Deliver
from perfconsole.core.checks import Check, Outcome, same

if TYPE_CHECKING:
    from perfconsole.collectors.http.apart.remote_checker import RemoteChecker, Say

MANY: Final = 50
"""More have a process of their own."""

FEW: Final = 40
"""Once they have one, it is kept until there are no more than these: a configuration that is edited at the line changes nothing twice."""

AGAIN_S: Final = 300.0
"""After so long a process is tried again where none was to be had: memory may have come free."""


class Chosen:
    """Has checks carried out where they are best (`checker.Checking`); on its way from one place to the other nothing known is lost.

    Args:
        deliver: Called with every outcome, on the loop.
        say: Called with what the user should know.
        here: Makes what checks on the loop; tests have others.
        there: Makes what checks in a process, from the arguments of `RemoteChecker`.
    """

    def __init__(
        self,
        deliver: Deliver,
        say: "Say",
        *,
        here: "Callable[[Deliver], Checking] | None" = None,
        there: "Callable[[Deliver, Say, Callable[[], None], Say], RemoteChecker] | None" = None,
    ) -> None:
        self._deliver, self._say = deliver, say
        self._make_here, self._make_there = here or _here, there or _there
        self._checks: tuple[Check, ...] = ()
        self._here: Checking | None = None
        self._there: RemoteChecker | None = None
        self._told = False
        self._again: asyncio.TimerHandle | None = None

    def configure(self, checks: Sequence[Check]) -> None:
        """Carry out these from now on; those that are unchanged go on as they were, unless they go on elsewhere."""
        before, self._checks = self._checks, tuple(checks)
        if len(checks) <= (FEW if self._there else MANY):
            self._leave_there()
            self._check_here()
            return
        if self._there is None:
            self._go_there()
        else:
            self._there.configure(self._checks)
        if self._here is not None:
            # While the process is on its way, what goes on here is what was, as far as it still is.
            self._here.configure(_kept(before, self._checks))

    def soon(self, name: str) -> None:
        """Check once as soon as may be, unless that was done just now."""
        checking = self._here or self._there
        if checking is not None:
            checking.soon(name)

    async def now(self, name: str) -> Outcome:
        """Check now, and wait for what comes of it, wherever that is.

        Raises:
            KeyError: When no check is called so.
        """
        while any(check.name == name for check in self._checks):
            asked = self._here, self._there
            for checking in asked:
                if checking is not None:
                    with suppress(KeyError):
                        return await checking.now(name)
            if asked == (self._here, self._there):
                break
        raise KeyError(name)

    def close(self) -> None:
        """Stop, and give back all that is held."""
        self._checks = ()
        self._leave_there()
        self._leave_here()

    def _go_there(self) -> None:
        self._rest()
        self._there = self._make_there(self._deliver, self._say, self._arrived, self._failed)
        self._there.configure(self._checks)

    def _arrived(self) -> None:
        """The process begins: nothing is checked twice."""
        self._leave_here()
        if self._told:
            self._told = False
            self._say("checks are carried out by a process of their own again")

    def _failed(self, why: str) -> None:
        self._leave_there()
        if not self._told:
            self._told = True
            self._say(f"{why}; the console itself carries the checks out, and may be late with them")
        self._again = asyncio.get_running_loop().call_later(AGAIN_S, self._go_there)
        self._check_here()

    def _check_here(self) -> None:
        self._here = self._here or self._make_here(self._deliver)
        self._here.configure(self._checks)

    def _leave_here(self) -> None:
        if self._here is not None:
            here, self._here = self._here, None
            here.close()

    def _rest(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _leave_there(self) -> None:
        self._rest()
        if self._there is not None:
            there, self._there = self._there, None
            there.close()


def load(checks: Sequence[Check]) -> None:
    """Load what carries these out here, in any thread: 15 to 50 ms that the loop need not stand still for."""
    if len(checks) <= MANY:
        from perfconsole.collectors.http.checking import probers  # noqa: PLC0415  # loads ssl

        probers.load(check.kind for check in checks)


def _kept(before: Sequence[Check], after: Sequence[Check]) -> list[Check]:
    """Those that are unchanged."""
    now = {check.name: check for check in after}
    return [check for check in before if check.name in now and same(check, now[check.name])]


def _here(deliver: Deliver) -> Checking:
    from perfconsole.collectors.http.checking.probers import warm_up  # noqa: PLC0415  # loads ssl

    return Checker(deliver, warm_up=warm_up)


def _there(deliver: Deliver, say: "Say", ready: Callable[[], None], failed: "Say") -> "RemoteChecker":
    from perfconsole.collectors.http.apart.remote_checker import RemoteChecker  # noqa: PLC0415  # most consoles have few endpoints

    return RemoteChecker(deliver, say, ready, failed)
