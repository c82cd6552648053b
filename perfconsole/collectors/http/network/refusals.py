"""Why a certificate was not accepted, in words that say what to renew. The codes: X509_verify_cert_error_string(3) of OpenSSL."""

from math import nan
from ssl import SSLCertVerificationError
from time import gmtime, strftime
from typing import Final

from perfconsole.core.checks import Certificate
from perfconsole.core.text import safe

_NOT_YET: Final = 9
_EXPIRED: Final = 10
_NAMES: Final = frozenset({62, 64})
_NAMES_SHOWN: Final = 4
_DAY_S: Final = 86400.0

_WORDS: Final = {
    2: "unknown issuer",
    7: "a signature in the chain is not the issuer's",
    _NOT_YET: "not yet valid",
    _EXPIRED: "expired",
    18: "self-signed",
    19: "its root is not trusted here",
    20: "unknown issuer",
    21: "unknown issuer, and the server sent no intermediate certificate",
    22: "the chain is too long",
    23: "revoked",
    24: "its issuer may not issue certificates",
    26: "not made for servers",
    62: "made for another name",
    64: "made for another address",
    66: "its key is too short",
    67: "an issuer's key is too short",
    68: "signed with a broken digest",
}


def why_refused(error: SSLCertVerificationError, chain: tuple[Certificate, ...] = (), host: str = "", now: float = nan) -> str:
    """Why verification failed, in one line.

    Args:
        error: What the handshake raised.
        chain: As the server sent it, where it is known: dates and names are taken from it.
        host: The name that was verified.
        now: Epoch seconds; NaN where it is not known how long ago something was.
    """
    code = error.verify_code
    words = _WORDS.get(code) or safe(str(error.verify_message), 200)
    if code == _EXPIRED:
        ended = [item for item in chain if item.not_after < now]
        words = _ended(ended[0], chain, now) if ended else words
    elif code == _NOT_YET:
        early = [item for item in chain if item.not_before > now]
        words = f"not valid before {_day(early[0].not_before)}, in {_span(early[0].not_before - now)}" if early else words
    elif code in _NAMES and chain:
        words = f"made for {_listed(chain[0].names) or 'no name at all'}, not for {safe(host, 100) or 'this one'}"
    elif code in {2, 19, 20, 21} and chain:
        words = f"{words}: {safe(chain[-1].issuer, 120)}"
    return f"certificate not accepted: {words}"


def _ended(item: Certificate, chain: tuple[Certificate, ...], now: float) -> str:
    whose = "" if item is chain[0] else f"that of {safe(item.subject, 100)} "
    return f"{whose}expired {_span(now - item.not_after)} ago, on {_day(item.not_after)}"


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _span(seconds: float) -> str:
    if seconds < _DAY_S:
        hours = max(1, int(seconds // 3600))
        return f"{hours} hour{'s' * (hours != 1)}"
    days = int(seconds // _DAY_S)
    return f"{days} day{'s' * (days != 1)}"


def _day(at: float) -> str:
    """The date in UTC, as certificates are dated."""
    return strftime("%Y-%m-%d", gmtime(at))
