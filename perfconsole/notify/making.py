"""From a configuration to channels: what a type is made by is imported once there is a channel of that type."""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from perfconsole.config.rules import rules
from perfconsole.config.schema import Config
from perfconsole.core.errors import ConfigError
from perfconsole.core.tick import Alert
from perfconsole.notify.channel import Channel

if TYPE_CHECKING:
    from asyncio import Semaphore

    from perfconsole.config.schema_notify import Notify

_MADE_BY: Final = {
    "webhook": ("webhook", "WebhookChannel"), "alertmanager": ("alerts_api", "AlertsApiChannel"), "hook": ("hook", "HookChannel"),
    "slack": ("slack", "SlackChannel"), "pagerduty": ("pagerduty", "PagerDutyChannel"), "email": ("mail", "MailChannel"),
    "apprise": ("apprise", "AppriseChannel"),
}  # fmt: skip


AT_ONCE: Final = 4
"""Hooks of all channels together that run at the same time."""


class Making:
    """Makes the channels of one configuration after another: one that is configured as it was stays the same object.

    Args:
        env: The environment that references are looked up in.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self._made: dict[str, tuple[Notify, Channel]] = {}
        self._runbook_of: Callable[[Alert], str] = lambda _: ""
        self._turns: Semaphore | None = None

    def channels(self, config: Config) -> tuple[Channel, ...]:
        """The channels of a checked configuration. Nothing is sent, looked up or connected to.

        In place of one that cannot be made, because what it needs is not installed, stands one that says so whenever it is to send: the
        others must not fall silent for it, and what it is owed waits for the next start, or for the configuration to be read again.

        Args:
            config: The configuration.
        """
        if not config.notify:
            self._made = {}
            return ()
        from asyncio import Semaphore  # noqa: PLC0415  a configuration without channels needs none of it

        from perfconsole.notify.channels.base import Given  # noqa: PLC0415  likewise
        from perfconsole.notify.channels.unmade import UnmadeChannel  # noqa: PLC0415  likewise

        self._turns = self._turns or Semaphore(AT_ONCE)
        given = Given(self._runbook, self._env)  # those that stay are to know the runbooks of now, too
        made: dict[str, tuple[Notify, Channel]] = {}
        for notify in config.notify:
            known, channel = self._made.get(notify.name, (None, None))
            if channel is None or known != notify or isinstance(channel, UnmadeChannel):
                channel = _made(notify, given, self._turns)
            made[notify.name] = notify, channel
        self._made, self._runbook_of = made, runbooks(config)
        return tuple(channel for _, channel in made.values())

    def _runbook(self, alert: Alert) -> str:
        return self._runbook_of(alert)


def channels(config: Config, env: Mapping[str, str] = os.environ) -> tuple[Channel, ...]:
    """The channels of one configuration; see `Making.channels`."""
    return Making(env).channels(config)


def _made(notify: "Notify", given: Any, turns: "Semaphore") -> Channel:
    try:
        module, name = _MADE_BY[notify.type]
        maker: Callable[..., Channel] = getattr(import_module(f"perfconsole.notify.channels.{module}"), name)
        return maker(notify, given, turns) if notify.type == "hook" else maker(notify, given)
    except ConfigError as error:
        from perfconsole.notify.channels.unmade import UnmadeChannel  # noqa: PLC0415  only where one is needed

        return UnmadeChannel(notify, given, error)


def runbooks(config: Config) -> Callable[[Alert], str]:
    """Where it is written what to do about an alert: that of its endpoint, else that of its rule, else nowhere."""
    of_rules = {rule.name: rule.runbook for rule in rules(config) if rule.runbook}
    of_endpoints: dict[str, str] = {}
    if any(one.runbook for one in (*config.http, *config.tcp, *config.tls, *config.dns)):
        from perfconsole.config.endpoints import checks  # noqa: PLC0415  what endpoints are imported by then

        of_endpoints = {check.name: check.runbook for check in checks(config) if check.runbook}

    def runbook_of(alert: Alert) -> str:
        return of_endpoints.get(dict(alert.labels).get("endpoint", "")) or of_rules.get(alert.rule, "")

    return runbook_of
