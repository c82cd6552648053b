"""The server itself: that it does what the other tests rely on."""

import socket
import ssl
import time


def exchange(lab, path, port=None):
    with socket.create_connection(("127.0.0.1", port or lab.port()), timeout=60) as talk:
        talk.sendall(f"GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while part := talk.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_it_counts_and_keeps_time(lab):
    began = time.monotonic()
    assert exchange(lab, "/slow?ms=50").startswith(b"HTTP/1.1 200")
    (seen,) = lab.settled("/slow")
    assert lab.counts == {"/slow": 1}
    assert began <= seen.began <= seen.answered <= time.monotonic()
    assert 0.05 <= seen.answered - seen.began < 60


def test_its_certificates_are_what_they_are_called(lab):
    context = ssl.create_default_context(cafile=str(lab.ca))
    wrong = {}
    for name in ("good", "near", "expired", "future", "wrong_name", "self_signed", "mutual"):
        try:
            raw = socket.create_connection(("127.0.0.1", lab.port(name)), timeout=60)
            with raw, context.wrap_socket(raw, server_hostname="localhost") as talk:
                talk.sendall(b"GET /ok HTTP/1.1\r\nConnection: close\r\n\r\n")
                talk.recv(100)
        except ssl.SSLCertVerificationError as error:
            wrong[name] = error.verify_code
        except (ssl.SSLError, ConnectionError):
            wrong[name] = "refused"
    assert wrong == {"expired": 10, "future": 9, "wrong_name": 62, "self_signed": 18, "mutual": "refused"}


def test_a_full_backlog_lets_nobody_in(lab):
    with socket.socket() as talk:
        talk.settimeout(0.3)
        began = time.monotonic()
        try:
            talk.connect(("127.0.0.1", lab.port("full")))
        except TimeoutError:
            return
        raise AssertionError(f"connected after {time.monotonic() - began:.3f} s")


def test_it_is_a_proxy(lab):
    assert exchange(lab, lab.url("/ok")).endswith(b"OK")
    assert b"407" in exchange(lab, lab.url("/ok"), lab.port("guarded"))
    assert [seen.target for seen in lab.seen("/ok")][:2] == [lab.url("/ok"), "/ok"]
