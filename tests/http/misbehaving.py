"""A server with every fault: HTTP over TCP, TLS and a unix socket, and a proxy, each as bad as it is asked to be.

In tests: ``with Lab(place) as lab: lab.url("/hang")``; a thread serves with a loop of its own. As a program (``python misbehaving.py
DIRECTORY``) it prints one line of JSON with its ports and serves until its input ends: for measurements that no thread may disturb.
Its clock is `time.monotonic`, which is one for all processes of a machine.
"""

import asyncio
import base64
import contextlib
import functools
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from authority import usual

GUARD = ("proxyuser", "proxy-pa55")
"""Who may use the listener ``guarded`` as a proxy."""

DRIP = 10


class Seen(NamedTuple):
    """A request as the server saw it; `began` first byte received, `answered` answer handed to the kernel (NaN: not yet)."""

    listener: str
    method: str
    target: str
    headers: tuple
    body: bytes
    began: float
    answered: float

    @property
    def path(self):
        return self.target.partition("?")[0]

    def header(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Asked(NamedTuple):
    """What a behaviour gets: the request, the ways to talk back, and its arguments."""

    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    arguments: dict
    lab: "Lab"

    def number(self, name, default=0.0):
        return float(self.arguments.get(name, default))

    async def answer(self, status=200, body=b"OK", headers=(), reason="Because"):
        head = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
        if status >= 200 and status not in {204, 304}:
            head.append(f"Content-Length: {len(body)}")
        sent = b"" if self.seen.method == "HEAD" or status in {204, 304} else body
        await self.write("\r\n".join([*head, "\r\n"]).encode("latin-1") + sent)

    async def write(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self):
        """Until the client is gone."""
        while await self.reader.read(65536):
            pass


async def ok(asked):
    await asked.answer()


async def slow(asked):
    await asyncio.sleep(asked.number("ms") / 1000)
    await asked.answer()


async def status(asked):
    await asked.answer(int(asked.seen.path.rsplit("/", 1)[1]), b"as asked")


async def as_json(asked):
    body = {"status": "UP", "version": "1.2.3", "db": {"pool": {"used": 8, "max": 10}}, "items": [{"id": 1}, {"id": 2}]}
    await asked.answer(body=json.dumps(body).encode(), headers=[("Content-Type", "application/json")])


async def echo(asked):
    seen = asked.seen
    body = {"method": seen.method, "target": seen.target, "headers": seen.headers, "body": seen.body.decode("latin-1")}
    await asked.answer(body=json.dumps(body).encode(), headers=[("Content-Type", "application/json")])


async def hang(asked):
    await asked.gone()


async def drip(asked):
    await asked.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    count, pause_s = int(asked.number("n", DRIP)), asked.number("ms", 100) / 1000
    for _ in range(count):
        await asyncio.sleep(pause_s)
        await asked.write(b"1\r\n.\r\n")
    await asked.write(b"0\r\n\r\n")


async def close(asked):
    asked.writer.close()


async def rst(asked):
    reset(asked.writer)


def reset(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def garbage(asked):
    await asked.write(b"\x00\xff\x1b[31mnot HTTP at all\r\n\r\n" * 20)
    asked.writer.close()


async def truncated(asked):
    await asked.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
    asked.writer.close()


async def endless(asked):
    await asked.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await asked.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")


async def big(asked):
    await asked.answer(body=b"b" * int(asked.number("kb", 64) * 1024))


async def headers_slow(asked):
    await asked.write(b"HTTP/1.1 200 OK\r\n")
    count, pause_s = int(asked.number("n", 1)), asked.number("ms", 100) / 1000
    for number in range(count):
        await asyncio.sleep(pause_s)
        await asked.write(f"X-Slow-{number}: yes\r\n".encode())
    await asked.write(b"Content-Length: 2\r\n\r\nOK")


async def headers_endless(asked):
    await asked.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        await asked.write(b"X-More: and more\r\n" * 500)


async def redirect(asked):
    """``?n=3`` hops to /ok, -1 for ever; ``?to=URL`` one hop to there; ``&status=303``, ``&secret=x`` stays in each Location."""
    left, to = int(asked.number("n", 1)), asked.arguments.get("to")
    kept = "".join(f"&{name}={asked.arguments[name]}" for name in ("status", "secret", "ms") if name in asked.arguments)
    await asyncio.sleep(asked.number("ms") / 1000)
    if to is None:
        following = left - 1 if left > 0 else left
        to = f"/redirect?n={following}{kept}" if following else "/ok?" + kept.removeprefix("&")
    await asked.answer(int(asked.number("status", 302)), b"elsewhere", [("Location", to), ("Set-Cookie", "hop=crumbs; Path=/")])


async def auth(asked):
    user, password, bearer = (asked.arguments.get(name, "") for name in ("user", "password", "bearer"))
    wanted = f"Bearer {bearer}" if bearer else "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    given = asked.seen.header("authorization")
    if given == [wanted]:
        await asked.answer(body=b"welcome")
    else:  # as careless servers do: what was sent comes back
        echoed = [("WWW-Authenticate", 'Basic realm="lab"'), ("X-You-Sent", " ".join(given))]
        await asked.answer(401, f"not with {' '.join(given)}".encode(), echoed)


async def cookie(asked):
    await asked.answer(
        headers=[("Set-Cookie", "session=c00kie-of-lab; Path=/")], body=b"sent: " + " ".join(asked.seen.header("cookie")).encode()
    )


async def hostile(asked):
    """What would take over a terminal, in headers and in the body."""
    await asked.answer(500, "\x1b]0;owned\x07\x1b[2Jsecond line\r\nthird\u202e line".encode(), [("X-Bad", "\x1b[31mred")])


async def gzipped(asked):
    import gzip

    await asked.answer(body=gzip.compress(b"unpacked text"), headers=[("Content-Encoding", "gzip")])


@functools.cache
def packed():
    """Small when packed, 64 MiB when not; takes 0.2 s."""
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()


async def bomb(asked):
    await asked.answer(body=packed(), headers=[("Content-Encoding", "gzip")])


async def early(asked):
    """An informational answer before the real one."""
    await asked.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    await asyncio.sleep(asked.number("ms") / 1000)
    await asked.answer()


async def until_closed(asked):
    """A body without a length: it ends with the connection, ``ms`` after its last byte."""
    await asked.write(b"HTTP/1.0 200 OK\r\n\r\nold ways")
    await asyncio.sleep(asked.number("ms") / 1000)
    asked.writer.close()


async def stats(asked):
    lab = asked.lab
    body = {"counts": dict(lab.counts), "connections": dict(lab.connections), "seen": [seen[:3] + seen[5:] for seen in lab.requests]}
    await asked.answer(body=json.dumps(body).encode())


BEHAVIOURS = {
    "ok": ok, "slow": slow, "status": status, "json": as_json, "echo": echo, "hang": hang, "drip": drip, "close": close, "rst": rst,
    "garbage": garbage, "truncated": truncated, "endless": endless, "big": big, "headers_slow": headers_slow, "redirect": redirect,
    "headers_endless": headers_endless, "auth": auth, "cookie": cookie, "hostile": hostile, "gzipped": gzipped, "bomb": bomb,
    "early": early, "until_closed": until_closed, "stats": stats,
}  # fmt: skip


class Lab:
    """The server. Listeners, by name:

    ``plain`` and ``guarded`` (a proxy that wants `GUARD`) speak HTTP; ``good near expired future wrong_name self_signed`` TLS with that
    certificate, ``mutual`` TLS that wants the certificate of ``client``; ``tls_hang`` never answers a handshake, ``tls_slow`` begins it
    after `tls_slow_s`; ``not_tls`` talks plainly before it is asked; ``full`` has a full backlog. Each accepts as a proxy, too.
    """

    tls_slow_s = 0.3

    def __init__(self, place):
        self.place = Path(place)
        self.authority, self.pairs = usual(self.place)
        self.ca = self.authority.root.cert
        self.unix = str(self.place / "lab.sock")
        self.ports = {}
        self.ports6 = {}
        self.requests = deque(maxlen=20000)
        self.counts = Counter()
        self.connections = Counter()
        self._full = []
        self._tasks = set()
        self._thread = threading.Thread(target=self._run, name="misbehaving", daemon=True)
        self._ready = threading.Event()

    def __enter__(self):
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the server did not start")
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        for kept in self._full:
            with contextlib.suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in accept
            kept.close()

    def port(self, listener="plain"):
        return self.ports[listener]

    def url(self, path="/ok", listener="plain", host="127.0.0.1"):
        """The address of a path; ``https`` for the listeners with a certificate."""
        scheme = "http" if listener in {"plain", "guarded"} else "https"
        port = self.ports6[listener] if host == "::1" else self.ports[listener]
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"

    def seen(self, text):
        """Requests whose target has `text` in it, in the order in which they came."""
        return [seen for seen in list(self.requests) if text in seen.target]

    def last(self, text):
        return self.seen(text)[-1]

    def settled(self, text, count=1, within_s=60.0):
        """`seen`, once `count` of them have their answer's time: the client may be told before the server has written it down."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            found = [seen for seen in self.seen(text) if seen.answered == seen.answered]
            if len(found) >= count:
                return found
            time.sleep(0.002)
        return self.seen(text)

    def forget(self):
        self.requests.clear()
        self.counts.clear()
        self.connections.clear()

    # What follows runs in the thread.

    def _run(self):
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # broken handshakes are what it is for
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self):
        self._stop = asyncio.Event()
        servers = [await self._listen("plain"), await self._listen("guarded")]
        for name, pair in self.pairs.items():
            servers.append(await self._listen(name, pair.server_context()))
        self._start_mutual()
        servers += [
            await self._raw("tls_hang", self._hold),
            await self._raw("tls_slow", self._delay),
            await self._raw("not_tls", self._blurt),
        ]
        servers.append([await asyncio.start_unix_server(self._accept("unix"), self.unix)])
        self._fill()
        self._ready.set()
        await self._stop.wait()
        for server in (one for several in servers for one in several):
            server.close()
        for _ in range(2):  # some were accepted this very moment
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0.02)  # transports say goodbye

    async def _listen(self, name, context=None):
        return await self._raw(name, self._accept(name), context)

    async def _raw(self, name, accept, context=None):
        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context, backlog=1024)
        self.ports[name] = server.sockets[0].getsockname()[1]
        servers = [server]
        with contextlib.suppress(OSError):  # machines without IPv6
            servers.append(await asyncio.start_server(accept, "::1", self.ports[name], ssl=context, backlog=1024))
            self.ports6[name] = self.ports[name]
        return servers

    def _fill(self):
        """A listener that accepts nobody, and as many connections as make the kernel drop further ones."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.ports["full"] = listening.getsockname()[1]
        self._full.append(listening)
        for _ in range(3):
            client = socket.socket()
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(listening.getsockname())
            self._full.append(client)

    def _start_mutual(self):
        """In a thread with blocking sockets: asyncio drops the alert that tells a client why its handshake was refused."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.ports["mutual"] = listening.getsockname()[1]
        self._full.append(listening)
        context = self.pairs["good"].server_context(self.authority.root)

        def serve():
            with contextlib.suppress(OSError):  # closed: the end
                while True:
                    talk, _ = listening.accept()
                    talk.settimeout(60)
                    self.connections["mutual"] += 1
                    with contextlib.suppress(OSError), context.wrap_socket(talk, server_side=True) as secured:
                        secured.recv(65536)
                        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
                        secured.recv(65536)
                    talk.close()

        threading.Thread(target=serve, name="mutual", daemon=True).start()

    def _accept(self, listener):
        async def accept(reader, writer):
            self._own(writer)
            self.connections[listener] += 1
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError, asyncio.LimitOverrunError):
                    while await self._one(listener, reader, writer):
                        pass
            finally:
                writer.transport.abort() if writer.transport.is_closing() else writer.close()

        return accept

    def _own(self, writer):
        """Note a connection: those that are open when the server ends are ended with it."""
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda ended: writer.transport.abort() if ended.cancelled() else None)

    async def _one(self, listener, reader, writer):
        """One request; whether another may follow on the connection."""
        first = await reader.read(1)
        if not first:
            return False
        began = time.monotonic()
        if not first.isalpha():
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = line.split(" ")
        headers = tuple((name, value.strip()) for name, _, value in (text.partition(":") for text in lines))
        seen = Seen(listener, method, target, headers, b"", began, float("nan"))
        length = int((seen.header("content-length") or ["0"])[0])
        seen = seen._replace(body=await reader.readexactly(length))
        self.counts[seen.path] += 1
        self.requests.append(seen)
        position = len(self.requests) - 1
        asked = Asked(seen, reader, writer, {}, self)
        if method == "CONNECT" or "://" in target:
            await self._relay(asked)
            return False
        await self._behave(asked)
        with contextlib.suppress(IndexError):
            if self.requests[position] is seen:
                self.requests[position] = seen._replace(answered=time.monotonic())
        return not writer.transport.is_closing() and seen.header("connection") != ["close"]

    async def _behave(self, asked):
        path, _, query = asked.seen.target.partition("?")
        asked = asked._replace(arguments=dict(parse_qsl(query, keep_blank_values=True)))
        behaviour = BEHAVIOURS.get(unquote(path.strip("/").split("/")[0]))
        if behaviour is None:
            await asked.answer(404, b"no such path")
        else:
            await behaviour(asked)

    async def _relay(self, asked):
        """What a proxy does: a tunnel, or one request in its absolute form."""
        seen = asked.seen
        wanted = "Basic " + base64.b64encode(":".join(GUARD).encode()).decode()
        if seen.listener == "guarded" and seen.header("proxy-authorization") != [wanted]:
            await asked.answer(407, b"who are you?", [("Proxy-Authenticate", "Basic")])
            return
        authority, slash, path = (seen.target if seen.method == "CONNECT" else seen.target.split("://", 1)[1]).partition("/")
        host, _, port = authority.rpartition(":") if ":" in authority.rpartition("]")[2] else (authority, "", "80")
        try:
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            await asked.answer(502, b"the proxy cannot connect")
            return
        if seen.method == "CONNECT":
            await asked.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            kept = [f"{name}: {value}" for name, value in seen.headers if not name.lower().startswith("proxy-")]
            writer.write("\r\n".join([f"{seen.method} {slash}{path} HTTP/1.1", *kept, "\r\n"]).encode("latin-1") + seen.body)
        await self._join(asked.reader, asked.writer, reader, writer)

    @staticmethod
    async def _join(reader, writer, other_reader, other_writer):
        async def pump(source, sink):
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, other_writer), pump(other_reader, writer))

    async def _hold(self, reader, writer):
        self._own(writer)
        self.connections["tls_hang"] += 1
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass
        writer.close()

    async def _delay(self, reader, writer):
        self._own(writer)
        self.connections["tls_slow"] += 1
        await asyncio.sleep(self.tls_slow_s)
        await self._join(reader, writer, *await asyncio.open_connection("127.0.0.1", self.ports["good"]))

    async def _blurt(self, reader, writer):
        self._own(writer)
        self.connections["not_tls"] += 1
        writer.write(b"220 mail.example ESMTP ready\r\n")
        with contextlib.suppress(OSError):
            await reader.read(65536)
        writer.close()


def main():
    with Lab(sys.argv[1]) as lab:
        print(json.dumps({"ports": lab.ports, "ca": str(lab.ca), "unix": lab.unix}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
