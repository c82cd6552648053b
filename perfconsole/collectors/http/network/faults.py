"""What went wrong on the way to a target, as a class and in words. Whatever the system or the TLS library raises ends here.

Words name what happened, never what was sent: a library's own text may quote a request, and a request may carry a secret.
"""

import errno
import socket
import ssl
from typing import Final

from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.collectors.http.network.refusals import why_refused
from perfconsole.core.text import safe

_OURS: Final = {
    errno.EMFILE: "this process may not open more files: raise its limit (ulimit -n), or check less at a time",
    errno.ENFILE: "this machine has no file descriptor left (fs.file-max)",
    errno.ENOBUFS: "this machine has no memory left for sockets",
    errno.ENOMEM: "this machine has no memory left",
    errno.EADDRNOTAVAIL: "no local port or address is left to connect from (net.ipv4.ip_local_port_range)",
    errno.EAGAIN: "this machine could not begin to connect just now (no route or IPsec key yet)",
    errno.EPERM: "this machine's own firewall forbids to connect there",
    errno.EAFNOSUPPORT: "this machine does not speak that address family",
}
"""Failures that say nothing about the target."""

_WORDS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.EHOSTDOWN: "the host is down",
    errno.ENETUNREACH: "the network is unreachable",
    errno.ENETDOWN: "the network is down",
    errno.ECONNRESET: "connection reset by the server",
    errno.ECONNABORTED: "connection ended by the server",
    errno.EPIPE: "connection closed by the server",
    errno.ESHUTDOWN: "connection closed by the server",
    errno.ENOTCONN: "connection closed by the server",
    errno.EACCES: "permission denied",
    errno.ENOENT: "there is no such socket",
    errno.ENOTSOCK: "this is no socket",
}

_RESOLVER: Final = {
    "EAI_NONAME": "there is no such name",
    "EAI_NODATA": "the name has no address",
    "EAI_ADDRFAMILY": "the name has no address of that family",
    "EAI_AGAIN": "the resolver failed, for now: its servers did not answer, or said SERVFAIL",
    "EAI_FAIL": "the resolver failed",
    "EAI_FAMILY": "this machine does not speak that address family",
}
_BY_NUMBER: Final = {getattr(socket, name): text for name, text in _RESOLVER.items() if hasattr(socket, name)}

MOST_HEADER_BYTES: Final = 102_400
"""Of a status line and headers, as httpcore has it; servers send 8 KiB at most."""

_NO_HTTP: Final = "what was answered is no HTTP"

DOING: Final = {
    "dns": "the name was being looked up",
    "connect": "a connection was being made",
    "tls": "TLS was being set up",
    "send": "the request was being sent",
    "wait": "the answer was awaited",
    "transfer": "the answer was being received",
}
"""Phases in words, after "while"."""

_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
"""What OpenSSL makes of an answer that is no TLS record: the first from 1.1.1 to 3.1, the last two since 3.2."""

_TLS: Final = {
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server refused the handshake: no cipher in common, or it wants a client certificate",
    "SSL/TLS_ALERT_HANDSHAKE_FAILURE": "the server refused the handshake: no cipher in common, or it wants a client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a client certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "no TLS version in common with the server",
    "UNSUPPORTED_PROTOCOL": "no TLS version in common with the server",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not know who issued the client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the server does not take the client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the server says that the client certificate has expired",
    "TLSV1_UNRECOGNIZED_NAME": "the server does not know the name it is called by (SNI)",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "the server speaks no application protocol that was offered (ALPN)",
    "TLSV1_ALERT_ACCESS_DENIED": "the server denies access",
    "TLSV1_ALERT_INTERNAL_ERROR": "the server has an internal error of its own in the handshake",
    "DH_KEY_TOO_SMALL": "the server's key exchange is too weak",
    "EE_KEY_TOO_SMALL": "the server's key is too short",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection without a word",
}


def failure_of(error: BaseException, phase: str) -> Failure:
    """An error as the failure of a check.

    Args:
        error: What was raised; where a library wrapped it, what it was raised from is looked at.
        phase: One of `core.checks.PHASES`: what was being done.

    Returns:
        Made anew, unless it is a `Failure` already: one that is raised twice would gather tracebacks.
    """
    root = _root(error)
    if isinstance(root, Failure):
        return root
    if isinstance(root, ssl.SSLError):
        return Failure("tls", _tls(root, phase))
    if isinstance(root, TimeoutError):  # also the kernel's own, ETIMEDOUT
        return timed_out(phase)
    return _of_system(root, phase) if isinstance(root, OSError) else _of_other(root, phase)


def timed_out(phase: str, seconds: float | None = None) -> Failure:
    """No end of a phase in time.

    Args:
        phase: One of `core.checks.PHASES`.
        seconds: The limit that was reached, where it is known.
    """
    limit = "" if seconds is None else f" of {seconds:g} s"
    return Failure("timeout", f"timeout{limit} while {DOING[phase]}", at_least=True)


def broken(words: str, phase: str, *, in_body: bool = False) -> Failure:
    """What h11 finds wrong with an answer, without the bytes it quotes: they are the server's.

    Args:
        words: Of its `RemoteProtocolError`, which httpx passes on.
        phase: One of `core.checks.PHASES`.
        in_body: Whether its headers were taken: what is too long then is something around a piece of the body.
    """
    if words.startswith("peer closed connection without sending complete"):
        counts = words.partition("(")[2].partition(")")[0]
        return Failure("protocol", f"the server closed the connection before the body was complete{f' ({counts})' if counts else ''}")
    if words.startswith("Server disconnected"):
        return Failure("protocol", f"the server closed the connection while {DOING[phase]}")
    if words.startswith("Received server _SWITCH"):
        return Failure("protocol", "the server went over to another protocol, which nobody asked for")
    if words.startswith("Receive buffer too long"):
        if in_body:
            return Failure("protocol", f"around a chunk of the body more than {MOST_HEADER_BYTES // 1024} KiB: no server means that")
        return Failure("protocol", f"headers of more than {MOST_HEADER_BYTES // 1024} KiB: no server means that")
    what = words.partition(":")[0]
    return Failure("protocol", f"{_NO_HTTP}: {safe(what, 80)}" if what.isascii() else _NO_HTTP)


def _root(error: BaseException) -> BaseException:
    """What a library's error was raised from, if that is one of the kinds told apart here; else the error."""
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            break
        if isinstance(found, (OSError, Failure, EOFError, MemoryError, UnicodeError)):
            return found
        found = found.__cause__ or found.__context__
    return error


def _class(phase: str) -> str:
    return phase if phase in {"dns", "connect", "tls"} else "protocol"


def _unresolved(error: socket.gaierror) -> Failure:
    if error.errno == getattr(socket, "EAI_MEMORY", None):
        return Failure(UNMEASURED, _OURS[errno.ENOMEM])
    return Failure("dns", _BY_NUMBER.get(error.errno or 0, "the resolver failed"))


def _of_other(error: BaseException, phase: str) -> Failure:
    if isinstance(error, MemoryError):
        return Failure(UNMEASURED, _OURS[errno.ENOMEM])
    if isinstance(error, EOFError):
        return Failure(_class(phase), f"the server closed the connection while {DOING[phase]}")
    if isinstance(error, UnicodeError) and phase == "dns":
        return Failure("dns", "this is no host name: a label is empty, too long, or has characters that none may have")
    return Failure(_class(phase), f"{type(error).__name__} while {DOING[phase]}")


def _of_system(error: OSError, phase: str) -> Failure:
    if isinstance(error, socket.gaierror):
        return _unresolved(error)
    number = error.errno or _number(error)
    if number in _OURS:
        return Failure(UNMEASURED, _OURS[number])
    words = _WORDS.get(number) or (f"system error {errno.errorcode[number]}" if number in errno.errorcode else type(error).__name__)
    return Failure(_class(phase), words if phase == "connect" else f"{words} while {DOING[phase]}")


def _number(error: OSError) -> int:
    """Of an error that came without one: asyncio raises a bare ConnectionResetError when a peer hangs up in the handshake."""
    kinds = (
        (ConnectionResetError, errno.ECONNRESET),
        (ConnectionAbortedError, errno.ECONNABORTED),
        (ConnectionRefusedError, errno.ECONNREFUSED),
    )
    return next((number for kind, number in kinds if isinstance(error, kind)), errno.EPIPE if isinstance(error, BrokenPipeError) else 0)


def _tls(error: ssl.SSLError, phase: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return why_refused(error)
    reason = str(getattr(error, "reason", None) or "")
    shaken = phase in {"send", "wait", "transfer"}
    if shaken and reason not in _TLS:  # with TLS 1.3 a server refuses a client after the handshake
        return f"TLS broke while {DOING[phase]}: {reason.replace('_', ' ').lower() or type(error).__name__}"
    if reason in _NOT_TLS:
        return "this port does not speak TLS"
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "the server closed the connection without a word"
    # The reason is OpenSSL's own name for it, letters and underscores: nothing a server could choose.
    return _TLS.get(reason) or f"the TLS handshake failed: {reason.replace('_', ' ').lower() or type(error).__name__}"
