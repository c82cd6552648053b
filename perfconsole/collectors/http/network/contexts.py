"""TLS contexts: one for each way in which TLS is spoken, loaded in a thread, shared by all who speak it so.

Reading the system's 140 certificates takes 23 ms and, kept, 0.6 MiB: not on the loop, and not once an endpoint.
"""

import asyncio
import os
import ssl
import sys
import time
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.collectors.loop import ask
from perfconsole.core.checks import Tls
from perfconsole.core.text import safe

HTTP: Final = ("http/1.1",)

LOOK_S: Final = 10.0
"""How long a context is used before its files are looked at again: a renewed client certificate needs no restart."""

_Key = tuple[Tls, tuple[str, ...]]
_Stamps = tuple[tuple[int, int, int], ...]


class _Kept(NamedTuple):
    context: ssl.SSLContext
    stamps: _Stamps
    look_at: float


class ReadingObject(ssl.SSLObject):
    """Leaves the server's certificates on the error of a verification that failed, as `chain`.

    Without that they are lost with the connection, and an expired certificate could only be dated by a second handshake, which may reach
    another server behind the same address.
    """

    def do_handshake(self) -> None:
        """As that of the base class."""
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            error.chain = sent_chain(self)  # type: ignore[attr-defined]  # read by certificates.refused
            raise


def sent_chain(connection: Any) -> Sequence[Any]:
    """The certificates as the server sent them, the leaf first, each with ``get_info`` and ``public_bytes``.

    From the object below the public one: before Python 3.13 that has no way to the chain, and since then one that returns DER only,
    which nothing in the standard library reads.
    """
    below = getattr(connection, "_sslobj", None)
    return (below.get_unverified_chain() or ()) if below is not None else ()


class Contexts:
    """TLS contexts by settings.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[_Key, _Kept] = {}
        self._pending: dict[_Key, Future[_Kept | Failure]] = {}

    async def get(self, tls: Tls, protocols: tuple[str, ...] = HTTP) -> ssl.SSLContext:
        """The context for these settings; the server's name is the caller's to give to the handshake.

        Args:
            tls: How TLS is spoken.
            protocols: Offered by ALPN; none offers nothing.

        Raises:
            Failure: ``unmeasured``, when a file cannot be used, with what to do.
        """
        key = (Tls(tls.ca, tls.cert, tls.key, tls.insecure) if tls.server_name else tls, protocols)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.look_at:
            return kept.context
        made = await asyncio.shield(self._pending.get(key) or self._looked_up(key, kept))
        if isinstance(made, Failure):
            raise Failure(made.cause, made.text)
        return made.context

    def _looked_up(self, key: _Key, kept: _Kept | None) -> "Future[_Kept | Failure]":
        def look_up() -> _Kept | Failure:
            try:
                stamps = _stamps(key[0])
                context = kept.context if kept is not None and kept.stamps == stamps else _context(*key)
            except Failure as failure:
                return failure
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                return Failure(UNMEASURED, f"the TLS settings cannot be used: {type(error).__name__}; look at tls.ca, tls.cert and tls.key")
            return _Kept(context, stamps, self._clock() + LOOK_S)

        def take(done: "Future[_Kept | Failure]") -> None:
            del self._pending[key]
            made = done.result()
            if isinstance(made, _Kept):
                self._kept[key] = made

        try:
            pending = ask(look_up, "perfconsole-tls")
        except RuntimeError:
            raise Failure(UNMEASURED, "this machine allows no further thread to read certificates in") from None
        self._pending[key] = pending
        pending.add_done_callback(take)
        return pending


def _files(tls: Tls) -> tuple[str, ...]:
    system = "" if tls.insecure else _system()[0]
    return tuple(filter(None, (tls.ca or system, tls.cert, tls.key)))


def _stamps(tls: Tls) -> _Stamps:
    """What changes when a file does: its time, size and number. In a thread: a file on a dead NFS server never answers."""
    try:
        found = [os.stat(path) for path in _files(tls)]  # noqa: PTH116  # a loop's worth of pathlib for one system call
    except OSError as error:
        raise _unreadable(str(error.filename), error) from None
    return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in found)


def _context(tls: Tls, protocols: tuple[str, ...]) -> ssl.SSLContext:
    # Not create_default_context: since Python 3.13 that refuses certificates that curl and browsers take, and it writes session keys
    # to wherever SSLKEYLOGFILE says.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = ReadingObject
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _trust(context, tls.ca)
    if tls.cert:
        _identify(context, tls)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def _trust(context: ssl.SSLContext, ca: str) -> None:
    if not ca:
        _trust_system(context)
        return
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        raise Failure(UNMEASURED, f"{safe(ca)} holds no certificate: tls.ca names a file of PEM certificates") from None
    except OSError as error:
        raise _unreadable(ca, error) from None


def _trust_system(context: ssl.SSLContext) -> None:
    """Not `load_default_certs`: that asks SSL_CERT_FILE and SSL_CERT_DIR, and whom a check trusts is said in its `tls.ca`, or nowhere."""
    if sys.platform == "win32":
        context.load_default_certs()  # its own store
        return
    file, directory = _system()
    if not file and not directory:
        import certifi  # noqa: PLC0415  # httpx brings it; only needed in containers without certificates of their own

        file = certifi.where()
    context.load_verify_locations(file or None, directory or None)


def _system() -> tuple[str, str]:
    """File and directory of the system's certificates, as OpenSSL was built to find them; empty where there are none."""
    paths = ssl.get_default_verify_paths()
    file, directory = paths.openssl_cafile, paths.openssl_capath
    there = os.path.isfile(file)  # noqa: PTH113  # as below
    return file if there else "", directory if os.path.isdir(directory) and os.listdir(directory) else ""  # noqa: PTH112, PTH208  # only whether there is one


def _identify(context: ssl.SSLContext, tls: Tls) -> None:
    def refuse() -> str:
        # Without this OpenSSL asks for the passphrase on the terminal, over the screen, and waits.
        raise _Locked

    try:
        context.load_cert_chain(tls.cert, tls.key or None, refuse)
    except _Locked:
        path = safe(tls.key or tls.cert)
        raise Failure(UNMEASURED, f"{path} is encrypted: give a key without a passphrase, readable by this user alone") from None
    except ssl.SSLError as error:
        what = "are no pair" if error.reason == "KEY_VALUES_MISMATCH" else "hold no PEM certificate and key"
        raise Failure(UNMEASURED, f"{safe(tls.cert)} and {safe(tls.key or tls.cert)} {what}") from None
    except OSError as error:
        raise _unreadable(f"{tls.cert} or {tls.key}" if tls.key else tls.cert, error) from None


class _Locked(Exception):  # noqa: N818  # it passes through OpenSSL to the one who asked, and no further
    """A key wants a passphrase."""


def _unreadable(path: str, error: OSError) -> Failure:
    return Failure(
        UNMEASURED, f"{safe(path)} cannot be read: {error.strerror or 'unknown error'}; it has to be a file readable by this user"
    )
