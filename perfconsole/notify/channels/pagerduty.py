"""PagerDuty, by its Events API v2: an incident an alert, begun and ended with it, found again by a key of ours.

Where so many fire at once that they come in one message, that is one incident, which ends when all of them are over.
"""

import json
from typing import TYPE_CHECKING, Any, Final

from perfconsole.config.check_kinds import is_literal
from perfconsole.config.notify_kinds import shown_url
from perfconsole.core import alert_words
from perfconsole.core.redact import MASK
from perfconsole.notify.channel import Message
from perfconsole.notify.channels import words
from perfconsole.notify.channels.base import Given
from perfconsole.notify.channels.hiding import Secrets
from perfconsole.notify.channels.http import Answer, HttpChannel, shown

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import PagerDuty

SUMMARY_CHARS: Final = 1024
"""The most that PagerDuty takes."""


class PagerDutyChannel(HttpChannel):
    """Sends to PagerDuty."""

    each = True

    def __init__(self, notify: "PagerDuty", given: Given) -> None:
        super().__init__(notify, given)
        self._url, self._routing_key = notify.url, notify.routing_key

    async def send(self, message: Message) -> str:
        """POST the event; it is taken with 202, and what is wrong with one is told with 400."""
        secrets = Secrets(self._given.env)
        (key,) = await self._looked_up(secrets, self._routing_key)
        secrets.hide(key)
        answer = await self.post(self._url, (), self._body(message, key), secrets)
        return _taken(answer)

    def preview(self, message: Message) -> str:
        """The request."""
        return shown(shown_url(self._url), (), self._body(message, MASK if is_literal(self._routing_key) else self._routing_key))

    def _body(self, message: Message, routing_key: str) -> bytes:
        return json.dumps(self._event(message, routing_key)).encode()

    def _event(self, message: Message, routing_key: str) -> dict[str, Any]:
        over = words.resolved(message)
        event = {
            "routing_key": routing_key,
            "event_action": "resolve" if over else "trigger",
            "dedup_key": self._dedup_key(message),
            "client": "perfconsole",
        }
        if over:
            return event
        worst = message.notices[0]
        runbook = self._given.runbook_of(worst.alert)
        payload = {
            "summary": words.subject(message)[:SUMMARY_CHARS],
            "source": message.host or "perfconsole",
            "severity": words.severity(message),
            "timestamp": words.rfc3339(words.began(worst.alert)),
            "component": alert_words.measure(worst.alert),
            "class": worst.alert.rule,
            "custom_details": self._details(message),
        }
        links = [{"href": runbook, "text": "Runbook"}] if runbook.startswith(("https://", "http://")) else []
        return {**event, "payload": payload, **({"links": links} if links else {})}

    def _dedup_key(self, message: Message) -> str:
        """Of the alert's occurrence; of several together that of what all messages about them have in common."""
        if message.thread:
            return message.thread[:255]
        if len(message.notices) == 1:
            return words.occurrence(message.notices[0].alert, message.host)
        return message.key[:255]

    def _details(self, message: Message) -> dict[str, str]:
        if len(message.notices) == 1:
            return dict(words.facts(message.notices[0], message.host, self._given.runbook_of))
        return {"alerts": words.body(message, self._given.runbook_of)}


def _taken(answer: Answer) -> str:
    """``202 Event processed, dedup_key ...``."""
    try:
        found = json.loads(answer.text)
        return Answer(answer.status, f"{found['message']}, dedup_key {found['dedup_key']}").told()
    except (ValueError, KeyError, TypeError):
        return answer.told()
