"""What stands in for a channel that cannot be made, so that its place in the outbox is kept and its health says why."""

from typing import TYPE_CHECKING, NoReturn

from perfconsole.core.errors import ConfigError
from perfconsole.notify.channel import Message
from perfconsole.notify.channels.base import Base, Given, refused

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import Notify


class UnmadeChannel(Base):
    """Sends nothing.

    Args:
        notify: Its settings.
        given: As for all.
        reason: Why there is none, and what to do about it.
    """

    def __init__(self, notify: "Notify", given: Given, reason: ConfigError) -> None:
        super().__init__(notify, given)
        self._reason = reason

    async def send(self, message: Message) -> NoReturn:
        """Refuse, not for ever: the next start may find what is missing.

        Raises:
            SendError: Always.
        """
        del message
        raise refused(str(self._reason))

    def preview(self, message: Message) -> NoReturn:
        """There is no request to show.

        Raises:
            ConfigError: Always: whoever only tries the channel is told at once.
        """
        del message
        raise self._reason
