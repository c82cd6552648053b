"""An Alertmanager, by its v2 API: it groups, silences and routes what it is told.

An alert ends there when nobody speaks of it any more, so it is told of each one again every `REFRESH_S` while that fires, each time
with an end `OUTLIVES` of those ahead: Grafana chose a shorter one, and its alerts flapped with every message that was late.
"""

import json
from typing import TYPE_CHECKING, Any, Final

from perfconsole.config.notify_kinds import shown_url
from perfconsole.core.notices import Notice
from perfconsole.notify.channel import Message
from perfconsole.notify.channels import words
from perfconsole.notify.channels.base import Given
from perfconsole.notify.channels.hiding import Secrets
from perfconsole.notify.channels.http import HttpChannel, shown

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import AlertsApi

REFRESH_S: Final = 60.0
OUTLIVES: Final = 4


class AlertsApiChannel(HttpChannel):
    """Sends to an Alertmanager."""

    refresh_s = REFRESH_S

    def __init__(self, notify: "AlertsApi", given: Given) -> None:
        super().__init__(notify, given)
        self._url = f"{notify.url.rstrip('/')}/api/v2/alerts"
        self._headers = tuple(notify.headers.items())

    async def send(self, message: Message) -> str:
        """POST the alerts; a repetition is the same alert to it."""
        return (await self.post(self._url, self._headers, self._body(message), Secrets(self._given.env))).told()

    def preview(self, message: Message) -> str:
        """The request."""
        return shown(shown_url(self._url), self._headers, self._body(message))

    def _body(self, message: Message) -> bytes:
        return json.dumps([self._alert(notice, message) for notice in message.notices]).encode()

    def _alert(self, notice: Notice, message: Message) -> dict[str, Any]:
        alert = notice.alert
        # By the clock, not by when the message was made: one that waited for an hour must not end the moment it arrives.
        ends_at = alert.at if words.over(notice) else self._given.clock() + OUTLIVES * REFRESH_S
        return {
            "labels": words.labels(alert, message.host),
            "annotations": words.annotations(notice, message.host, self._given.runbook_of),
            "startsAt": words.rfc3339(min(words.began(alert), ends_at)),  # it refuses what ends before it begins, as a clock may have it
            "endsAt": words.rfc3339(ends_at),
        }
