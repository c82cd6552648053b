"""Errors to failures: the class, the words, and whose fault it is."""

import asyncio
import errno
import os
import resource
import socket
import ssl

import pytest

from perfconsole.collectors.http.network.faults import failure_of, timed_out
from perfconsole.collectors.http.network.prober import Failure
from perfconsole.core.checks import CLASSES, PHASES


def oserror(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "phase", "cause", "words"),
    [
        (errno.ECONNREFUSED, "connect", "connect", "connection refused"),
        (errno.EHOSTUNREACH, "connect", "connect", "no route to the host"),
        (errno.ENETUNREACH, "connect", "connect", "the network is unreachable"),
        (errno.ECONNRESET, "connect", "connect", "connection reset by the server"),
        (errno.ECONNRESET, "tls", "tls", "connection reset by the server while TLS was being set up"),
        (errno.ECONNRESET, "wait", "protocol", "connection reset by the server while the answer was awaited"),
        (errno.EPIPE, "send", "protocol", "connection closed by the server while the request was being sent"),
        (errno.ECONNRESET, "transfer", "protocol", "connection reset by the server while the answer was being received"),
        (errno.EPROTO, "connect", "connect", "system error EPROTO"),
        (
            errno.EMFILE,
            "connect",
            "unmeasured",
            "this process may not open more files: raise its limit (ulimit -n), or check less at a time",
        ),
        (errno.ENFILE, "connect", "unmeasured", "this machine has no file descriptor left (fs.file-max)"),
        (errno.ENOBUFS, "send", "unmeasured", "this machine has no memory left for sockets"),
        (
            errno.EADDRNOTAVAIL,
            "connect",
            "unmeasured",
            "no local port or address is left to connect from (net.ipv4.ip_local_port_range)",
        ),
    ],
)
def test_errors_of_the_system(number, phase, cause, words):
    failure = failure_of(oserror(number), phase)
    assert (failure.cause, failure.text, failure.at_least) == (cause, words, False)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("error", [TimeoutError(), oserror(errno.ETIMEDOUT)])
def test_timeouts_are_given_up_in_their_phase(phase, error):
    failure = failure_of(error, phase)
    assert (failure.cause, failure.at_least) == ("timeout", True)
    assert failure.text == timed_out(phase).text


def test_a_limit_that_was_reached_is_named():
    assert timed_out("wait", 2.5).text == "timeout of 2.5 s while the answer was awaited"


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        ValueError("x"),
        ConnectionResetError(),
        EOFError(),
        asyncio.IncompleteReadError(b"secret", 9),
        ssl.SSLError(1, "x"),
        KeyError("secret"),
    ],
)
@pytest.mark.parametrize("phase", PHASES)
def test_whatever_is_raised_has_a_class_and_quotes_nothing(error, phase):
    failure = failure_of(error, phase)
    assert failure.cause in CLASSES
    assert failure.text.isprintable()
    assert "secret" not in failure.text


@pytest.mark.parametrize(
    ("reason", "phase", "words"),
    [
        (
            "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
            "transfer",
            "TLS broke while the answer was being received: decryption failed or bad record mac",
        ),
        ("WRONG_VERSION_NUMBER", "wait", "TLS broke while the answer was awaited: wrong version number"),
        ("WRONG_VERSION_NUMBER", "tls", "this port does not speak TLS"),
        ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "tls", "the TLS handshake failed: decryption failed or bad record mac"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "wait", "the server wants a client certificate"),  # told after the handshake
    ],
)
def test_tls_that_breaks_after_its_handshake_did_not_fail_in_it(reason, phase, words):
    error = ssl.SSLError(1, reason)
    error.reason = reason
    assert (failure_of(error, phase).cause, failure_of(error, phase).text) == ("tls", words)


def test_a_hangup_in_the_handshake_which_asyncio_raises_without_a_number():
    assert failure_of(ConnectionResetError(), "tls").text == "connection reset by the server while TLS was being set up"


def test_what_a_library_wrapped_is_looked_into():
    wrapped, bare, loop = RuntimeError("secret"), RuntimeError("secret"), LookupError()
    wrapped.__cause__ = oserror(errno.ECONNREFUSED)
    assert failure_of(wrapped, "connect").text == "connection refused"
    bare.__context__ = wrapped
    assert failure_of(bare, "connect").text == "connection refused"
    loop.__cause__ = loop
    assert failure_of(loop, "wait").text == "LookupError while the answer was awaited"


def test_a_failure_stays_what_it_is():
    failure = Failure("status", "status 503")
    assert failure_of(failure, "wait") is failure


async def refused_by(place, **how):
    with pytest.raises(OSError) as failed:  # noqa: PT012  # whichever of the two fails
        _, writer = await asyncio.open_connection(*place, **how)
        writer.transport.abort()
    return failed.value


async def test_a_closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
    assert failure_of(await refused_by(place), "connect").text == "connection refused"


@pytest.mark.parametrize("listener", ["plain", "not_tls"])
async def test_a_port_that_speaks_no_tls(lab, listener):
    error = await refused_by(("127.0.0.1", lab.port(listener)), ssl=ssl.create_default_context(), server_hostname="localhost")
    failure = failure_of(error, "tls")
    assert (failure.cause, failure.text) == ("tls", "this port does not speak TLS")


def handshake_error(client, server):
    """What a client raises, in memory: asyncio's servers hang up without sending their alert."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server, server_hostname="localhost"), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                if end is ends[0]:
                    return error
    raise AssertionError("the handshake was done")


def test_no_version_or_cipher_in_common(lab):
    client, server = ssl.create_default_context(cafile=lab.ca), lab.pairs["good"].server_context()
    client.maximum_version, server.minimum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    assert failure_of(handshake_error(client, server), "tls").text == "no TLS version in common with the server"
    server = lab.pairs["good"].server_context()
    server.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # of another kind of key than the certificate's
    text = failure_of(handshake_error(client, server), "tls").text
    assert text == "the server refused the handshake: no cipher in common, or it wants a client certificate"


async def test_no_descriptor_left_is_nobodys_fault_but_ours():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        lowest = os.dup(server.fileno())
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            error = await refused_by(server.getsockname())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failure_of(error, "connect").cause == "unmeasured"
