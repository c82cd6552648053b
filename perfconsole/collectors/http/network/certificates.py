"""The certificates that a server sent: read from the handshake itself, whether or not it was accepted."""

import ssl
from _ssl import ENCODING_DER  # the argument of what `sent_chain` returns, which has no public name either
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from math import nan
from time import time
from typing import Any, Final

from perfconsole.collectors.http.network.contexts import sent_chain
from perfconsole.collectors.http.network.refusals import why_refused
from perfconsole.core.checks import Certificate, TlsFacts
from perfconsole.core.text import safe

_CHAIN: Final = 16
_NAMES: Final = 64
_CHARS: Final = 256
"""Kept of a chain, of a certificate's names, of a name: real ones have 4, 100 and 60; a hostile one may have 100 KB of either."""

_REMEMBERED: Final = 512
"""Certificates: 1 MiB of ordinary ones."""

_ORDINARY: Final = 4096
"""Characters of the names of one that is remembered: who makes them up has a new one each time, with as many as are kept."""

_SHORT: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "domainComponent": "DC",
    "emailAddress": "E",
}


def facts(connection: ssl.SSLObject, *, verified: bool) -> TlsFacts:
    """What a finished handshake told.

    Args:
        connection: Of a transport: ``get_extra_info("ssl_object")``.
        verified: Whether its context verifies; a finished handshake then means that it did.
    """
    cipher = connection.cipher()
    return TlsFacts(chain_of(sent_chain(connection)), verified, "", connection.version() or "", cipher[0] if cipher else "")


def refused(error: BaseException, host: str, now: float | None = None) -> TlsFacts | None:
    """What a handshake told that ended because the certificate was not accepted.

    Args:
        error: What the handshake raised; with a context of `Contexts` it carries the chain.
        host: The name that was verified.
        now: Epoch seconds, in place of the clock's.

    Returns:
        With `error` in words; None when it failed for another reason.
    """
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    chain = chain_of(getattr(error, "chain", ()))
    return TlsFacts(chain, error=why_refused(error, chain, host, time() if now is None else now))


async def unverified(told: TlsFacts, handshake: Callable[[], Awaitable[TlsFacts]]) -> TlsFacts:
    """Add the chain to what a refused handshake told, by a second one that verifies nothing.

    Only where it is missing: OpenSSL before 3.0 keeps no certificate that it did not accept.

    Args:
        told: Of the refused one.
        handshake: Makes the second, on a connection of its own with an insecure context, within the time that is left; what it raises
            is no news about the target.
    """
    if told.chain:
        return told
    try:
        second = await handshake()
    except Exception:  # noqa: BLE001  # the failure that counts is the first handshake's
        return told
    return TlsFacts(second.chain, error=told.error, version=second.version, cipher=second.cipher)


def chain_of(sent: Sequence[Any]) -> tuple[Certificate, ...]:
    """Certificates as `contexts.sent_chain` returns them, in words; takes 2 us each, 30 where it is new."""
    return tuple(map(_certificate, sent[:_CHAIN]))


_read: dict[bytes, Certificate] = {}
"""What was read of those seen lately, by their digests: a server shows the same ones for months, and each check would read them anew. The
oldest goes first."""


def _certificate(sent: Any) -> Certificate:
    digest = sha256(sent.public_bytes(ENCODING_DER)).digest()
    found = _read.get(digest)
    if found is None:
        found = _in_words(sent)
        if sum(map(len, found.names)) <= _ORDINARY:
            if len(_read) >= _REMEMBERED:
                del _read[next(iter(_read))]
            _read[digest] = found
    return found


def _in_words(sent: Any) -> Certificate:
    try:
        info: Mapping[str, Any] = sent.get_info()
    except (ssl.SSLError, ValueError):  # a name in no encoding, a date that is none: whoever sent it chose the bytes
        return Certificate("(not readable)", "", (), nan, nan)
    names = [str(value) for _, value in info.get("subjectAltName", ())[:_NAMES]]
    return Certificate(
        _name(info.get("subject", ())),
        _name(info.get("issuer", ())),
        tuple(safe(name, _CHARS) for name in names),
        _at(info.get("notBefore")),
        _at(info.get("notAfter")),
    )


def _name(parts: Sequence[Sequence[tuple[str, str]]]) -> str:
    return safe(", ".join(f"{_SHORT.get(key, key)}={value}" for part in parts for key, value in part), _CHARS)


def _at(text: str | None) -> float:
    try:
        return float(ssl.cert_time_to_seconds(text)) if text else nan
    except ValueError:
        return nan
