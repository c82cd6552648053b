"""Mail, by an SMTP server, in a thread. Plain text; mails about one alert stand in one thread of the reader's.

Headers are made of text in which no line breaks are left, by a library that refuses those; nothing is pasted together here.
"""

import asyncio
import re
import smtplib
import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

from perfconsole.config.urls import check_address
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe
from perfconsole.notify.channel import Message, SendError
from perfconsole.notify.channels import words
from perfconsole.notify.channels.base import Base, Given, broke_off, in_thread, refused, tls_context, why
from perfconsole.notify.channels.hiding import Secrets

if TYPE_CHECKING:
    from perfconsole.config.schema_notify import Email

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_REFERENCES: Final = 20
"""Alerts that a mail about several refers to: a header has its limits."""

_GOODBYE_S: Final = 1.0
"""What a server is given to answer QUIT."""


class MailChannel(Base):
    """Sends mail."""

    def __init__(self, notify: "Email", given: Given) -> None:
        super().__init__(notify, given)
        self._from, self._to = notify.sender, notify.to
        self._host, _, port = check_address(notify.host, _PORTS[notify.tls]).rpartition(":")
        self._port = int(port)
        self._tls, self._ca = notify.tls, notify.ca
        self._user, self._password = notify.user, notify.password

    async def send(self, message: Message) -> str:
        """Hand it to the server; a 2xx is taken for yes, 5xx for never."""
        secrets = Secrets(self._given.env)
        user, password = await self._looked_up(secrets, self._user, self._password)
        secrets.hide(password, *(b64encode(text.encode()).decode() for text in (password, f"\0{user}\0{password}") if password))
        talk = _Talk(self._host.strip("[]"), self._port, self._timeout_s)
        mail = self._mail(message).as_bytes(policy=SMTP)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await in_thread(lambda: self._handed(talk, mail, user, password), "perfconsole-mail")
        except TimeoutError:
            if talk.taken:
                return talk.taken
            raise self._late() from None
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refused(list(error.recipients.values()), secrets) from None
        except smtplib.SMTPResponseException as error:
            raise self._refused([(error.smtp_code, error.smtp_error)], secrets) from None
        except ConfigError as error:
            raise refused(str(error)) from None
        except Exception as error:  # noqa: BLE001  what smtplib and ssl raise quotes what was sent
            raise refused(secrets.hidden(why(error)), unsure=broke_off(error)) from None
        finally:
            talk.end()

    def preview(self, message: Message) -> str:
        """To whom, and the mail."""
        who = f", as {'***' if '${' not in self._user and self._user else self._user}" if self._user else ""
        mail = self._mail(message)
        head = "\n".join(f"{name}: {text}" for name, text in mail.items())
        return f"SMTP {self._host}:{self._port} ({self._tls}{who})\n{head}\n\n{mail.get_content()}"

    def _handed(self, talk: "_Talk", mail: bytes, user: str, password: str) -> str:
        context = tls_context(self._ca) if self._tls != "none" else None
        server = talk.begun(context if self._tls == "tls" else None)
        try:
            if self._tls == "starttls":
                server.starttls(context=context)
            if user:
                server.login(user, password)
            sender, receivers = parseaddr(self._from)[1], [parseaddr(text)[1] for text in self._to]
            not_taken = server.sendmail(sender, receivers, mail)
            # Whatever comes after this, to try again would tell everybody twice; so it would those who have it if some were refused.
            but = f"but not for {', '.join(sorted(not_taken))}" if not_taken else ""
            everybody = f"for {len(receivers)} receiver{'s' * (len(receivers) > 1)}"
            talk.taken = f"taken by the server, {but}" if but else f"taken by the server {everybody}"
            return talk.taken
        finally:
            _part(server)

    def _refused(self, answers: Sequence[tuple[int, bytes | str]], secrets: Secrets) -> SendError:
        code, text = answers[0]
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        return refused(f"answered {code} {secrets.hidden(said)}", final=all(number >= 500 for number, _ in answers))

    # The mail -----------------------------------------------------------------------------------------------------------------------

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["From"] = _address(self._from)
        mail["To"] = [_address(text) for text in self._to]
        mail["Subject"] = words.subject(message)
        mail["Date"] = formatdate(message.at, usegmt=True)
        mail["Message-ID"], references = _ids(message)
        if references:
            mail["In-Reply-To"] = references[0]
            mail["References"] = " ".join(references)
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Perfconsole-Key"] = safe(message.key, 200)
        mail.set_content(f"{words.subject(message)}\n\n{words.body(message, self._given.runbook_of)}", cte="quoted-printable")
        return mail


def _address(text: str) -> Address:
    name, address = parseaddr(text)
    return Address(name, addr_spec=address)


def _ids(message: Message) -> tuple[str, list[str]]:
    """The mail's id, and those it refers to: of each alert the one that its first mail has, if that was about this alert alone.

    Where the first mail was about several, nobody has the id that all refer to. They stand together all the same.
    """
    domain = re.sub(r"[^A-Za-z0-9.-]", "-", message.host).strip("-.") or "localhost"
    roots = [f"<{words.occurrence(notice.alert, message.host)}@{domain}>" for notice in message.notices[:_REFERENCES]]
    if len(message.notices) == 1 and message.notices[0].status == "firing":
        return roots[0], []
    return f"<{sha1(message.key.encode(), usedforsecurity=False).hexdigest()}@{domain}>", roots


class _Talk:
    """A connection that can be ended from outside: a server that sends a byte a second never lets its reader time out.

    Attributes:
        taken: That the server has taken the mail, in words; empty before.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._where = (host, port)
        self._timeout_s = timeout_s
        self._server: smtplib.SMTP | None = None
        self._over = False
        self.taken = ""

    def begun(self, context: ssl.SSLContext | None) -> smtplib.SMTP:
        """Connect; TLS from the first byte on where there is a context."""
        settings: dict[str, Any] = {"timeout": self._timeout_s, "local_hostname": _own_name()}
        self._server = server = smtplib.SMTP_SSL(context=context, **settings) if context else smtplib.SMTP(**settings)
        server._host = self._where[0]  # type: ignore[attr-defined]  # noqa: SLF001  what TLS verifies; set by the constructor that connects
        code, text = server.connect(*self._where)
        if code != 220:
            server.close()
            raise smtplib.SMTPConnectError(code, text)
        if self._over:
            server.close()
        return server

    def end(self) -> None:
        """Whatever waits for the server does so no longer."""
        self._over = True
        waiting = getattr(self._server, "sock", None)
        if waiting is not None:
            with suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)


def _part(server: smtplib.SMTP) -> None:
    """Say goodbye. What the server makes of that, or whether it says anything, is of no interest."""
    sock = getattr(server, "sock", None)
    if sock is not None:
        with suppress(OSError, ValueError):
            sock.settimeout(_GOODBYE_S)
            server.quit()
    server.close()


def _own_name() -> str:
    """What this machine calls itself in the greeting, without asking a resolver, which smtplib would do."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9.-]+", name) else "localhost"
