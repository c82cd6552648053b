"""An incoming webhook of Slack: a text for what shows no blocks, and one attachment with a section an alert, in the colour of the worst."""

import json
from typing import TYPE_CHECKING, Any, Final

from perfconsole.config.notify_kinds import shown_secret_url
from perfconsole.core.notices import Notice
from perfconsole.notify.channel import Message
from perfconsole.notify.channels import words
from perfconsole.notify.channels.base import Given
from perfconsole.notify.channels.hiding import Secrets
from perfconsole.notify.channels.http import HttpChannel, shown

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import Slack

SECTION_CHARS: Final = 3000
"""The most that Slack takes in one section: longer ones it refuses."""

_COLOURS: Final = {"critical": "danger", "warning": "warning", "info": "#439FE0"}


_JOINT: Final = "\u2060"
"""Seen by nobody, and no letter of any name."""


class SlackChannel(HttpChannel):
    """Sends to Slack."""

    def __init__(self, notify: "Slack", given: Given) -> None:
        super().__init__(notify, given)
        self._url = notify.url

    async def send(self, message: Message) -> str:
        """POST the message; Slack answers "ok"."""
        return (await self.post(self._url, (), self._body(message), Secrets(self._given.env))).told()

    def preview(self, message: Message) -> str:
        """The request, without the address: that is the secret."""
        return shown(shown_secret_url(self._url), (), self._body(message))

    def _body(self, message: Message) -> bytes:
        subject = escaped(words.subject(message))
        sections = [self._section(notice, message) for notice in message.notices[: words.WORST]]
        if len(message.notices) > words.WORST:
            sections.append(_section(f"... and {len(message.notices) - words.WORST} more"))
        colour = "good" if words.resolved(message) else _COLOURS[words.severity(message)]
        attachment = {"color": colour, "fallback": subject, "blocks": sections}
        return json.dumps({"text": subject, "attachments": [attachment]}).encode()

    def _section(self, notice: Notice, message: Message) -> dict[str, Any]:
        first, *facts = words.paragraph(notice, message.host, self._given.runbook_of)
        return _section("\n".join([f"*{escaped(first)}*", *(escaped(line.strip()) for line in facts)]))


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "verbatim": True, "text": _cut(text)}}


def escaped(text: str) -> str:
    """Text in which Slack obeys nothing, neither a link nor a mention of everybody; nor Mattermost, to which a plain @all is one."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", f"@{_JOINT}")


def _cut(text: str) -> str:
    """At most what Slack takes; not within an escape, which would then be shown as it is written."""
    if len(text) <= SECTION_CHARS:
        return text
    kept = text[: SECTION_CHARS - 1]
    start = kept.rfind("&", len(kept) - 4)
    return (kept[:start] if start >= 0 and ";" not in kept[start:] else kept) + "…"
