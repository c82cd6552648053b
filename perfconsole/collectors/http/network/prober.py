"""What every prober is: one check, carried out once at a time. Schedules, slots and histories are no business of a prober."""

from typing import Final, Protocol

from perfconsole.core.checks import Outcome

UNMEASURED: Final = "unmeasured"


class Failure(Exception):  # noqa: N818  the target's failure, not an error of this program
    """Why a check ended without an answer to judge.

    Attributes:
        cause: One of `core.checks.CLASSES`.
        text: In words, one safe line without secrets.
        at_least: It was given up: a timeout.
    """

    def __init__(self, cause: str, text: str, *, at_least: bool = False) -> None:
        super().__init__(text)
        self.cause = cause
        self.text = text
        self.at_least = at_least


class Prober(Protocol):
    """Carries out one check. Made for a `Check`; nothing is opened before the first `probe`."""

    async def probe(self) -> Outcome:
        """Check once; never raises but for cancellation, and never takes longer than the check's timeout (and a beat).

        The latency is counted from here: whoever calls has a slot already. `Outcome.scheduled`, `slot_wait_s` and `late_s` are the
        caller's to fill in.
        """

    def close(self) -> None:
        """Give back connections and descriptors."""
