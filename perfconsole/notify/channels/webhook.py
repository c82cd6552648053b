"""A webhook: what Alertmanager sends to one (version 4 of its body), so that what receives that receives this."""

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from perfconsole.config.notify_kinds import shown_url
from perfconsole.core.notices import Notice
from perfconsole.core.redact import MASK
from perfconsole.notify.channel import Message
from perfconsole.notify.channels import words
from perfconsole.notify.channels.base import Given
from perfconsole.notify.channels.hiding import Secrets
from perfconsole.notify.channels.http import HttpChannel, shown

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import Webhook

_NEVER: Final = "0001-01-01T00:00:00Z"
"""The end of an alert that fires: the zero time of Go, which receivers compare with."""

_SIGNATURE: Final = "X-Perfconsole-Signature"


class WebhookChannel(HttpChannel):
    """Sends to a webhook."""

    def __init__(self, notify: "Webhook", given: Given) -> None:
        super().__init__(notify, given)
        self._url, self._secret, self._most = notify.url, notify.secret, notify.max_alerts
        self._headers = tuple(notify.headers.items())

    async def send(self, message: Message) -> str:
        """POST the message; a 2xx is taken for yes."""
        secrets = Secrets(self._given.env)
        body = self._body(message)
        own = [("Idempotency-Key", message.key)]
        if self._secret:
            (key,) = await self._looked_up(secrets, self._secret)
            own.append((_SIGNATURE, f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"))
        return (await self.post(self._url, self._headers, body, secrets, own)).told()

    def preview(self, message: Message) -> str:
        """The request."""
        own = [("Idempotency-Key", message.key), *([(_SIGNATURE, f"sha256={MASK}")] if self._secret else [])]
        return shown(shown_url(self._url), self._headers, self._body(message), own)

    def _body(self, message: Message) -> bytes:
        told = message.notices[: self._most or None]
        alerts = [self._alert(notice, message) for notice in told]
        names = {notice.alert.rule for notice in message.notices}
        group = {"alertname": names.pop(), "host": message.host} if len(names) == 1 else {"host": message.host}
        return json.dumps(
            {
                "version": "4",
                "groupKey": "{}:{" + ", ".join(f"{name}={json.dumps(text)}" for name, text in sorted(group.items())) + "}",
                "truncatedAlerts": len(message.notices) - len(told),
                "status": "resolved" if words.resolved(message) else "firing",
                "receiver": self.name,
                "groupLabels": group,
                "commonLabels": _common([alert["labels"] for alert in alerts]),
                "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
                "externalURL": "",
                "alerts": alerts,
            }
        ).encode()

    def _alert(self, notice: Notice, message: Message) -> dict[str, Any]:
        alert, over = notice.alert, words.over(notice)
        return {
            "status": "resolved" if over else "firing",
            "labels": words.labels(alert, message.host),
            "annotations": words.annotations(notice, message.host, self._given.runbook_of),
            "startsAt": words.rfc3339(words.began(alert)) or _NEVER,
            "endsAt": (words.rfc3339(alert.at) if over else None) or _NEVER,
            "generatorURL": "",
            "fingerprint": words.fingerprint(alert, message.host),
        }


def _common(tables: list[dict[str, str]]) -> dict[str, str]:
    """What all of them say."""
    shared = set(tables[0].items()).intersection(*(table.items() for table in tables[1:]))
    return dict(sorted(shared))
