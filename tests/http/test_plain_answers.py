"""What is read of plain answers without h11 is what h11 reads; whatever h11 would not take, or read otherwise, is left to it."""

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfconsole.collectors.http.lean_engine.plain_answers import begun

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


def by_h11(data, method):
    """Status, headers, version and body as h11 reads them; None when it does not take them, or waits for more."""
    talk = h11.Connection(h11.CLIENT)
    talk.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    talk.send(h11.EndOfMessage())
    talk.receive_data(data)
    body = b""
    try:
        head = talk.next_event()
        if not isinstance(head, h11.Response):
            return None
        while isinstance(event := talk.next_event(), h11.Data):
            body += bytes(event.data)
    except h11.RemoteProtocolError:
        return None
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()]
    whole = isinstance(event, h11.EndOfMessage)
    return head.status_code, headers, f"HTTP/{head.http_version.decode()}", body, whole


TEXT = st.one_of(
    st.sampled_from(
        [b"", b" ", b"\t", b"\r", b"\n", b"\r\n", b":", b"a", b"OK", b"\x00", b"\x7f", b"\xc3\xa4", b"5", b"05", b"5, 5", b"+5"]
    ),
    st.binary(max_size=4),
)
NAMES = st.one_of(
    st.sampled_from([b"Server", b"content-length", b"Content-Length", b"CONTENT-LENGTH ", b"Transfer-Encoding", b"Connection", b" x", b""]),
    TEXT,
)
VALUES = st.one_of(st.sampled_from([b"5", b"0", b" 5 ", b"\t3", b"chunked", b"close", b"a b", b"a\tb", b"9" * 16, b"9" * 21]), TEXT)
STARTS = st.one_of(
    st.sampled_from([
        b"HTTP/1.1 200 OK", b"HTTP/1.0 404 Not Found", b"HTTP/1.1 204", b"HTTP/1.1 304 ", b"HTTP/1.1 101 x", b"HTTP/1.1 100 Continue",
        b"HTTP/2.0 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 999 x", b"http/1.1 200 OK",
        b"\r\nHTTP/1.1 200 OK",
    ]),
    TEXT,
)  # fmt: skip


@st.composite
def answers(draw):
    lines = [
        draw(STARTS),
        *(name + draw(st.sampled_from([b":", b": ", b" :", b""])) + draw(VALUES) for name in draw(st.lists(NAMES, max_size=4))),
    ]
    ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])
    return (
        b"".join(line + draw(ends) for line in lines) + draw(st.sampled_from([b"\r\n", b"\r\n", b"\n", b""])) + draw(st.binary(max_size=8))
    )


@given(answers(), st.sampled_from(["GET", "HEAD", "POST"]))
@example(PLAIN, "GET")
@example(PLAIN, "HEAD")
@example(PLAIN[:-2], "GET")
@example(PLAIN + b"and more", "GET")
@example(PLAIN.replace(b"Content-Type", b"Content-Length"), "GET")
@example(b"HTTP/1.1 200 OK\r\nA: b\n\r\nContent-Length: 2\r\n\r\nOK", "GET")
@example(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nOK", "GET")
@example(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET")
@example(b"HTTP/1.1 204\r\n\r\n", "GET")
def test_what_is_read_is_what_h11_reads(data, method):
    found = begun(data, method)
    if found is not None:
        head, whole = found.head, len(found.body) == found.length
        assert (head.status, head.headers, head.protocol, found.body, whole) == by_h11(data, method)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        b"HTTP/1.0 503 Service Unavailable\r\ncontent-length:0\r\nServer:  a, b \r\nEmpty:\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n",
    ],
)
def test_plain_answers_are_read(data):
    assert begun(data, "GET") is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN[:30],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9000 + b"\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: ä\r\nContent-Length: 0\r\n\r\n".encode(),
    ],
)
def test_what_wants_care_is_left_to_h11(data):
    assert begun(data, "GET") is None
