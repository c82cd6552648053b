"""Anybody else, by way of Apprise, which is installed with the extra of that name, and imported when something is first sent."""

import asyncio
import logging
import re
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from perfconsole.config.notify_kinds import shown_apprise
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe
from perfconsole.notify.channel import Message
from perfconsole.notify.channels import words
from perfconsole.notify.channels.base import Base, Given, in_thread, refused
from perfconsole.notify.channels.hiding import Secrets

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import Apprise

_KINDS = {"critical": "failure", "warning": "warning", "info": "info"}


class AppriseChannel(Base):
    """Sends by Apprise.

    Raises:
        ConfigError: When that is not installed.
    """

    def __init__(self, notify: "Apprise", given: Given) -> None:
        super().__init__(notify, given)
        if find_spec("apprise") is None:
            raise ConfigError(f"[[notify]] {safe(notify.name)}: apprise is not installed", "pip install 'perfconsole[apprise]'")
        self._urls = notify.urls

    async def send(self, message: Message) -> str:
        """Send to all of its URLs. Where some took it and some did not, it is tried again with all: Apprise does not tell which."""
        secrets = Secrets(self._given.env)
        urls = await self._looked_up(secrets, *self._urls)
        secrets.hide(*urls, *(part for url in urls for part in re.split(r"[/?&=@:]+", url.partition("://")[2]) if len(part) > 5))
        try:
            async with asyncio.timeout(self._timeout_s):
                failure = await in_thread(lambda: self._notified(message, urls), "perfconsole-apprise")
        except TimeoutError:
            raise self._late() from None
        except Exception as error:  # noqa: BLE001  a hundred services, each with errors of its own, which may quote a URL
            raise refused(f"Apprise failed: {type(error).__name__}") from None
        if failure:
            raise refused(secrets.hidden(failure))
        return f"taken by {len(urls)} service{'s' * (len(urls) > 1)}"

    def preview(self, message: Message) -> str:
        """Where to, title and text."""
        urls = "\n".join(map(shown_apprise, self._urls))
        return f"{urls}\ntype: {self._kind(message)}\ntitle: {words.subject(message)}\n\n{self._text(message)}"

    def _notified(self, message: Message, urls: list[str]) -> str:
        """Why it failed; empty when it did not."""
        apprise: Any = _module()
        service = apprise.Apprise()
        for number, url in enumerate(urls, 1):
            if not service.add(url):
                return f"Apprise knows no such URL: the {number}. of urls"
        with apprise.LogCapture(level=logging.WARNING) as log:
            done = service.notify(
                body=self._text(message), title=words.subject(message), notify_type=self._kind(message), body_format="text"
            )
            return "" if done else f"not taken: {' '.join(log.getvalue().split()) or 'Apprise does not say why'}"

    def _kind(self, message: Message) -> str:
        return "success" if words.resolved(message) else _KINDS[words.severity(message)]

    def _text(self, message: Message) -> str:
        return words.body(message, self._given.runbook_of)


def _module() -> ModuleType:
    import apprise  # noqa: PLC0415  500 ms and 30 MiB, and it may not be there

    module: ModuleType = apprise
    return module
