"""What is sent by HTTP: one client a channel, made when something is first sent. Nobody but the configured address is asked.

httpx and its certificates take 100 ms and 9 MiB: nothing of it is imported before that, and then in a thread.
"""

import asyncio
import logging
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from perfconsole import __version__
from perfconsole.config.check_kinds import header_is_secret
from perfconsole.core.errors import ConfigError
from perfconsole.core.redact import MASK
from perfconsole.core.text import safe
from perfconsole.notify.channels.base import Base, Given, broke_off, in_thread, look_up_apart, refused, tls_context, why
from perfconsole.notify.channels.hiding import Secrets

if TYPE_CHECKING:
    from httpx import AsyncClient, Response

    from perfconsole.config.schema_notify import ByHttp

_ANSWER_BYTES: Final = 2048
_KEPT_S: Final = 30.0
_CONNECTED: Final = 0.8
"""Of the time for an attempt: later than that it is known that nothing was sent, at its end it is not."""
_FINAL: Final = frozenset({400, 410, 413, 422})
"""Answers that say of the message itself that it is not wanted. Any other one, 404 too, may be of a receiver that is being deployed."""

_LONGEST_S: Final = 86400.0

Headers = Sequence[tuple[str, str]]


class Answer(NamedTuple):
    """What a server answered: status, the beginning of the body, seconds of Retry-After (None where it does not say)."""

    status: int
    text: str
    after_s: float | None = None

    def told(self) -> str:
        """In one line."""
        return f"{self.status} {safe(self.text.strip(), 200)}".rstrip()


class HttpChannel(Base):
    """A channel whose messages are POSTed."""

    def __init__(self, notify: "ByHttp", given: Given) -> None:
        super().__init__(notify, given)
        self._ca, self._proxy = notify.ca, notify.proxy
        self._client: AsyncClient | None = None

    async def close(self) -> None:
        """End the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def post(self, url: str, headers: Headers, body: bytes, secrets: Secrets, own: Headers = ()) -> Answer:
        """Send a body of JSON.

        Args:
            url: As it is configured.
            headers: Likewise.
            body: What is sent.
            secrets: Looks up references, and hides them in the answer.
            own: Headers of ours, in which nothing is looked up.

        Raises:
            SendError: When it was not taken; nothing secret stands in it.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._asked(url, headers, body, secrets, own)
        except ConfigError as error:
            raise refused(str(error)) from None
        except TimeoutError:
            raise self._late() from None
        except Exception as error:  # noqa: BLE001  what httpx, ssl and h11 raise quotes what was to be sent
            raise refused(secrets.hidden(why(error)), unsure=broke_off(error)) from None
        _judge(answer)
        return answer

    async def _asked(self, url: str, headers: Headers, body: bytes, secrets: Secrets, own: Headers) -> Answer:
        def looked_up() -> tuple[str, dict[str, str]]:
            if self._proxy:  # it answers in place of the server, and its password may be in that
                secrets.url(self._proxy)
            return secrets.url(url), {name: secrets.header(name, text) for name, text in headers}

        where, found = await in_thread(looked_up, "perfconsole-secrets")
        look_up_apart(asyncio.get_running_loop())
        client = self._client or await self._made(secrets)
        async with client.stream("POST", where, headers={**_usual(), **found, **dict(own)}, content=body) as response:
            text = await _beginning(response)
        after_s = self._after_s(response.headers.get("retry-after", ""))
        return Answer(response.status_code, secrets.hidden(text), after_s)

    async def _made(self, secrets: Secrets) -> "AsyncClient":
        def load() -> tuple[ModuleType, Any, str]:
            import httpx  # noqa: PLC0415  see above

            for name in ("httpx", "httpcore"):  # they write URLs and headers down, with what is secret in them
                logging.getLogger(name).setLevel(logging.WARNING)
            return httpx, tls_context(self._ca), secrets.url(self._proxy) if self._proxy else ""

        httpx, context, proxy = await in_thread(load, "perfconsole-httpx")
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=context, trust_env=False, follow_redirects=False, proxy=proxy or None,
                timeout=httpx.Timeout(self._timeout_s, connect=self._timeout_s * _CONNECTED),
                limits=httpx.Limits(max_connections=4, keepalive_expiry=_KEPT_S),
            )  # fmt: skip
        assert self._client is not None
        return self._client

    def _after_s(self, text: str) -> float | None:
        """Seconds of a Retry-After, which is a number of them or a date; None where it is neither."""
        from email.utils import parsedate_to_datetime  # noqa: PLC0415  5 ms that only an answer should cost

        try:
            seconds = float(text) if text.isascii() and text.isdecimal() else parsedate_to_datetime(text).timestamp() - self._given.clock()
        except (TypeError, ValueError):
            return None
        return min(max(seconds, 0.0), _LONGEST_S)


def _usual() -> dict[str, str]:
    return {"Content-Type": "application/json", "User-Agent": f"perfconsole/{__version__}", "Accept-Encoding": "identity"}


async def _beginning(response: "Response") -> str:
    """What is worth telling of an answer: a server may send without end."""
    data = b""
    async for piece in response.aiter_raw():
        data += piece
        if len(data) >= _ANSWER_BYTES:
            break
    return data[:_ANSWER_BYTES].decode("utf-8", "replace")


def _judge(answer: Answer) -> None:
    if 200 <= answer.status < 300:
        return
    if 300 <= answer.status < 400:
        raise refused(f"answered {answer.status}, a redirect, which is not followed: configure the address that it leads to")
    final = answer.status in _FINAL
    raise refused(f"answered {answer.told()}", final=final, after_s=None if final else answer.after_s)


def shown(url: str, headers: Headers, body: bytes, own: Headers = ()) -> str:
    """A request for reading.

    Args:
        url: As it may be shown.
        headers: As they are configured: of secrets only references are shown.
        body: Without secrets.
        own: Headers of ours, likewise.
    """
    import msgspec  # noqa: PLC0415  its JSON part only here

    told = [(name, MASK if header_is_secret(name, text) else text) for name, text in headers]
    lines = [f"{name}: {text}" for name, text in (*_usual().items(), *told, *own)]
    return "\n".join([f"POST {url}", *lines, "", msgspec.json.format(body, indent=2).decode()])
