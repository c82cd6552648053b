"""What a configuration may say of notification channels: ``[[notify]]``, a table for each type of channel.

A part of `perfconsole.config.schema`, described in the same way, imported once a file has such a table. What sends is in another room.
"""

from typing import Annotated, Final

from msgspec import Struct

from perfconsole.config import notify_kinds as kinds
from perfconsole.config.check_kinds import FILE
from perfconsole.config.kinds import SWITCH, choice, choices, whole
from perfconsole.config.kinds import key as _key
from perfconsole.core.tick import SEVERITIES

_WHO: Final = "A name of its own: [alerts] notify and [[alert]] notify call it by that."


class Notify(Struct, frozen=True, kw_only=True, rename={"timeout_s": "timeout"}):
    """What all types of channels have in common."""

    name: str
    type: str
    severities: Annotated[tuple[str, ...], _key(choices(SEVERITIES[::-1]), "Alerts of these severities: critical warning info.")] = (
        "critical",
        "warning",
    )
    resolved: Annotated[bool, _key(SWITCH, "Tell as well when one is over; only who was told that it fires is.")] = True
    timeout_s: Annotated[float, _key(kinds.TIMEOUT, "The most one attempt may take.")] = 10.0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"  # the rest may be secret: a traceback shows it, too


class ByHttp(Notify, frozen=True, kw_only=True):
    """What all of them have in common that speak HTTP. No redirect is followed, no proxy of the environment is used."""

    proxy: Annotated[str, _key(kinds.PROXY, "Send through this.", "http://proxy.example:3128")] = ""
    ca: Annotated[str, _key(FILE, "A file of certificates to trust in place of the system's.", "/etc/ssl/ops-ca.pem")] = ""


class Webhook(ByHttp, frozen=True, kw_only=True):
    """Who is told of alerts, as many of these tables as you like. A webhook is sent what Alertmanager sends (version 4)."""

    name: Annotated[str, _key(kinds.NAME, _WHO, "ops")]
    type: Annotated[str, _key(choice("webhook"), "webhook, alertmanager, hook, slack, pagerduty, email or apprise.", "webhook")]
    url: Annotated[
        str, _key(kinds.URL, "Where it is sent; what is secret in it by reference.", "https://hooks.example/alerts?key=${HOOK_KEY}")
    ]
    headers: Annotated[
        dict[str, str], _key(kinds.HEADERS, "Sent with it; secrets by reference.", {"Authorization": "Bearer ${HOOK_TOKEN}"})
    ] = {}
    secret: Annotated[str, _key(kinds.SECRET, "Signs the body: X-Perfconsole-Signature: sha256=HMAC. By reference.", "${HOOK_SECRET}")] = ""
    max_alerts: Annotated[int, _key(whole(0, 10_000), "The most alerts in one message, 0 for all; truncatedAlerts counts the rest.")] = 0


class AlertsApi(ByHttp, frozen=True, kw_only=True):
    """An Alertmanager (its v2 API), which then groups, silences and routes. It is told again every minute while an alert fires."""

    name: Annotated[str, _key(kinds.NAME, _WHO, "alertmanager")]
    type: Annotated[str, _key(choice("alertmanager"), "Its type.", "alertmanager")]
    url: Annotated[str, _key(kinds.URL, "Where it is, without /api/v2/alerts.", "http://alertmanager.example:9093")]
    headers: Annotated[
        dict[str, str], _key(kinds.HEADERS, "Sent with it; secrets by reference.", {"Authorization": "Bearer ${AM_TOKEN}"})
    ] = {}


class Hook(Notify, frozen=True, kw_only=True):
    """A command of your own: it reads JSON (perfconsole.notice/1) and answers with its exit status; no shell, four at once at most."""

    name: Annotated[str, _key(kinds.NAME, _WHO, "pager")]
    type: Annotated[str, _key(choice("hook"), "Its type.", "hook")]
    command: Annotated[
        tuple[str, ...], _key(kinds.COMMAND, "The program and its arguments, each a text.", ["/usr/local/bin/page", "--loud"])
    ]


class Slack(ByHttp, frozen=True, kw_only=True):
    """An incoming webhook of Slack, or of who takes the same (Mattermost, Rocket.Chat)."""

    name: Annotated[str, _key(kinds.NAME, _WHO, "slack")]
    type: Annotated[str, _key(choice("slack"), "Its type.", "slack")]
    url: Annotated[str, _key(kinds.SECRET_URL, "Where it is sent: a secret, by reference.", "${SLACK_URL}")]


class PagerDuty(ByHttp, frozen=True, kw_only=True):
    """PagerDuty, by its Events API v2: an incident for each alert, ended with it."""

    name: Annotated[str, _key(kinds.NAME, _WHO, "pagerduty")]
    type: Annotated[str, _key(choice("pagerduty"), "Its type.", "pagerduty")]
    routing_key: Annotated[str, _key(kinds.SECRET, "The integration key of a service, by reference.", "${PAGERDUTY_KEY}")]
    url: Annotated[str, _key(kinds.URL, "Where it is sent; accounts in the EU have another host.")] = (
        "https://events.pagerduty.com/v2/enqueue"
    )


class Email(Notify, frozen=True, kw_only=True, rename={"sender": "from"}):
    """Mail, by an SMTP server."""

    name: Annotated[str, _key(kinds.NAME, _WHO, "mail")]
    type: Annotated[str, _key(choice("email"), "Its type.", "email")]
    sender: Annotated[str, _key(kinds.MAILBOX, "Who writes.", "perfconsole <alerts@example.org>")]
    to: Annotated[tuple[str, ...], _key(kinds.MAILBOXES, "Who is written to.", ["ops@example.org"])]
    host: Annotated[str, _key(kinds.MAIL_HOST, "The server; without a port the usual one of tls.", "smtp.example.org:587")]
    tls: Annotated[str, _key(choice("starttls", "tls", "none"), "starttls (port 587), tls from the first byte on (465), or none (25).")] = (
        "starttls"
    )
    ca: Annotated[str, _key(FILE, "A file of certificates to trust in place of the system's.", "/etc/ssl/mail-ca.pem")] = ""
    user: Annotated[str, _key(kinds.LINE, "Who logs in; without: nobody does.", "${SMTP_USER}")] = ""
    password: Annotated[str, _key(kinds.SECRET, "With what, by reference.", "${SMTP_PASSWORD}")] = ""


class Apprise(Notify, frozen=True, kw_only=True):
    """Anybody else whom Apprise knows (Teams, Telegram, ntfy, ...): pip install 'perfconsole[apprise]'."""

    name: Annotated[str, _key(kinds.NAME, _WHO, "others")]
    type: Annotated[str, _key(choice("apprise"), "Its type.", "apprise")]
    urls: Annotated[tuple[str, ...], _key(kinds.APPRISE, "Where to, as Apprise writes it; secrets, by reference.", ["${NTFY_URL}"])]


CHANNELS: Final[dict[str, type[Notify]]] = {
    "webhook": Webhook, "alertmanager": AlertsApi, "hook": Hook, "slack": Slack, "pagerduty": PagerDuty, "email": Email,
    "apprise": Apprise,
}  # fmt: skip
"""Channels by their `type`, in the order in which they are explained."""
