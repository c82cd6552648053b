"""The seam between the outbox and its channels: what goes to one, what comes back. Nothing of any one channel may enter."""

from typing import NamedTuple, Protocol

from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.notices import Notice


class Message(NamedTuple):
    """What goes to one channel at once: one or many notices.

    Attributes:
        key: Idempotency key of this message, the same at every attempt.
        notices: Worst first (critical before warning before info, then oldest); statuses may be mixed: firing, overdue, resolved.
        host: Name of the machine.
        at: Epoch seconds of this attempt.
        thread: Of a channel with `Channel.each`, what told of many alerts at once, is overdue or is over as one: the same in all messages
            about it, the only ones that have it. One with a single alert is about the occurrence of that alert, from its beginning
            (`Alert.id`, `Alert.fired_at`) to its end; empty then.
    """

    key: str
    notices: tuple[Notice, ...]
    host: str
    at: float
    thread: str = ""


class SendError(PerfconsoleError):
    """A message that was not taken; the text holds no secret.

    Attributes:
        final: Trying again is of no use (400, 410, 413, 422).
        after_s: The receiver said when to come again (Retry-After), in seconds from now; None when it did not.
        unsure: It may have been taken all the same: it was sent, and no answer came.
    """

    def __init__(self, message: str, fix: str = "", *, final: bool = False, after_s: float | None = None, unsure: bool = False) -> None:
        super().__init__(message, fix)
        self.final = final
        self.after_s = after_s
        self.unsure = unsure


class Channel(Protocol):
    """One receiver. All is called on the sender's loop but `preview`, which sends nothing and may be called from anywhere.

    An attempt may take `sender.LIMIT_S`; a channel that is slower by nature says so with an attribute `limit_s` of its own.

    Attributes:
        name: As rules and the configuration call it.
        send_resolved: Whether it wants to hear that an alert is over.
        wants: Severities it is told of.
        each: Wants one message an alert (PagerDuty), unless there are more than a burst of them at once.
        refresh_s: Firing alerts are sent again so often, in seconds (Alertmanager's API needs that); 0: never.
    """

    name: str
    send_resolved: bool
    wants: frozenset[str]
    each: bool
    refresh_s: float

    async def send(self, message: Message) -> str:
        """Deliver; returns what the receiver answered, in one line. It must not block the loop, and is cancelled when it takes too long.

        Raises:
            SendError: When the message was not taken.
        """

    def preview(self, message: Message) -> str:
        """The exact request in text, secrets hidden."""

    async def close(self) -> None:
        """Give back what is held (connections)."""
