"""A command of the user's own. It is given JSON on its standard input, and answers with its exit status: 0 is taken for yes.

It runs as an argument list, never by a shell; in a session of its own, killed as a whole when its time is up; with a few variables of
this environment and none of its secrets; with no descriptor of ours but its three.
"""

import json
import signal
from asyncio import Semaphore
from collections.abc import Mapping
from subprocess import SubprocessError
from typing import TYPE_CHECKING, Any, Final

from perfconsole.config.notify_kinds import command_holds_secret
from perfconsole.core.notices import Notice
from perfconsole.core.redact import redact_command
from perfconsole.core.text import safe
from perfconsole.notify.channel import Message
from perfconsole.notify.channels import words
from perfconsole.notify.channels.base import Base, Given, in_thread, refused
from perfconsole.notify.channels.run import Run

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import Hook

SCHEMA: Final = "perfconsole.notice/1"
_KEPT: Final = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
})  # fmt: skip
"""Variables of ours that a hook is given, LC_* beside them: enough for a program, and for one that shows something on a desktop."""


class HookChannel(Base):
    """Runs a command.

    Args:
        turns: Shared by all hooks: as many as may run at once.
    """

    def __init__(self, notify: "Hook", given: Given, turns: Semaphore) -> None:
        super().__init__(notify, given)
        self._command = notify.command
        self._turns = turns
        self.limit_s = 3 * notify.timeout_s + 1  # it may have to wait for others

    async def send(self, message: Message) -> str:
        """Run it. Its time counts from when it is started, not from when it waits for others."""
        kept = {name: text for name, text in self._given.env.items() if name in _KEPT or name.startswith("LC_")}
        run = Run(self._command, {**kept, **self._variables(message)}, self._body(message), self._timeout_s)
        async with self._turns:
            try:
                status = await in_thread(run, "perfconsole-hook")
            except (OSError, ValueError, SubprocessError) as error:
                why = getattr(error, "strerror", None) or "it cannot be"
                raise refused(f"{self._command[0]} was not started: {why}") from None
            finally:
                run.end()
        if status is None:
            raise refused(f"killed after {self._timeout_s:g} s, still running{_said(run.output)}", unsure=True)
        if status:
            how = f"exit status {status}" if status > 0 else f"killed by {_signal(-status)}"
            raise refused(f"{how}{_said(run.output)}")
        return f"exit status 0{_said(run.output)}"

    def preview(self, message: Message) -> str:
        """The command, its variables and its standard input."""
        line = redact_command(self._command) if command_holds_secret(self._command) else json.dumps(self._command)
        variables = [f"{name}={text}" for name, text in self._variables(message).items()]
        return "\n".join([f"run {line}", *variables, "", json.dumps(self._notice(message), indent=2, ensure_ascii=False)])

    # What it is told ----------------------------------------------------------------------------------------------------------------

    def _variables(self, message: Message) -> Mapping[str, str]:
        return {
            "PERFCONSOLE_KEY": message.key,
            "PERFCONSOLE_CHANNEL": self.name,
            "PERFCONSOLE_HOST": message.host,
            "PERFCONSOLE_STATUS": "resolved" if words.resolved(message) else "firing",
            "PERFCONSOLE_SEVERITY": words.severity(message),
            "PERFCONSOLE_SUBJECT": words.subject(message),
        }

    def _body(self, message: Message) -> bytes:
        return json.dumps(self._notice(message)).encode()

    def _notice(self, message: Message) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "generated_at": words.rfc3339(message.at),
            "host": message.host,
            "key": message.key,
            "channel": self.name,
            "status": "resolved" if words.resolved(message) else "firing",
            "severity": words.severity(message),
            "test": words.is_test(message),
            "subject": words.subject(message),
            "text": words.body(message, self._given.runbook_of),
            "alerts": [self._alert(notice) for notice in message.notices],
        }

    def _alert(self, notice: Notice) -> dict[str, Any]:
        alert = notice.alert
        return {
            "id": alert.id,
            "status": notice.status,
            "severity": alert.severity,
            "state": alert.state,
            "rule": alert.rule,
            "metric": alert.metric,
            "labels": dict(alert.labels),
            "value": words.known(alert.value),
            "limit": words.known(alert.limit),
            "above": alert.above,
            "stat": alert.stat,
            "over_s": alert.over_s,
            "n": alert.n,
            "since": words.rfc3339(alert.since),
            "fired_at": words.rfc3339(alert.fired_at),
            "resolved_at": words.rfc3339(alert.at) if words.over(notice) else None,
            "flapping": alert.flapping,
            "text": safe(words.sentence(notice)),
            "ack": {"by": alert.ack.by, "at": words.rfc3339(alert.ack.at), "text": alert.ack.text} if alert.ack else None,
            "runbook": self._given.runbook_of(alert) or None,
        }


def _said(output: bytes) -> str:
    text = safe(output.strip(), 200)
    return f": {text}" if text else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
