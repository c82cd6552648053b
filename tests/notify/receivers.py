"""Who is told of alerts, on the loopback: an HTTP server and an SMTP server that take what is sent, or do what receivers do on bad days."""

import base64
import json
import socketserver
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from perfconsole.core.notices import Notice
from perfconsole.core.tick import Alert
from perfconsole.notify.channel import Message

T = 1_770_000_000.0  # 2026-02-02T02:40:00Z


class Request(NamedTuple):
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        owner = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        owner.requests.append(Request(self.path, dict(self.headers), body))
        if owner.mood == "close":
            self.close_connection = True
            return
        if owner.mood == "hang":
            owner.over.wait(300)
            return
        if owner.mood == "drip":  # never quiet for long enough to time out by itself
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not owner.over.wait(0.05):
                self.wfile.write(b"X-More: 1\r\n")
            return
        if owner.mood == "endless":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not owner.over.is_set():
                self.wfile.write(b"x" * 65536)
            return
        self.send_response(owner.status)
        text = owner.text.encode() if owner.text is not None else self.path.encode() + body[:500]
        for name, value in {**owner.headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Silence."""


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """The client has gone, which some of these tests want."""


class Receiver:
    """An HTTP server. `status`, `headers`, `text` (None: what was sent comes back) and `mood` say what it answers."""

    def __init__(self, context=None):
        self.requests, self.status, self.headers, self.text, self.mood = [], 200, {}, "ok", ""
        self.over = threading.Event()
        self._server = _Http(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def last(self):
        return self.requests[-1]

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


# Mail -----------------------------------------------------------------------------------------------------------------------------


class Mail(NamedTuple):
    sender: str
    receivers: tuple
    data: bytes
    user: str
    password: str
    encrypted: bool


class _SmtpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        owner = self.server.owner
        self.file = self.request.makefile("rb")
        self.encrypted = owner.tls == "tls"
        if self.encrypted:
            self.request = owner.context.wrap_socket(self.request, server_side=True)
        self.file = self.request.makefile("rb")
        self.user = self.password = ""
        if owner.mood == "hang":
            owner.over.wait(300)
            return
        if owner.mood == "drip":
            while not owner.over.wait(0.05):
                self.request.sendall(b"2")
            return
        self.say(owner.greeting)
        self.sender, self.receivers = "", []
        while line := self.file.readline():
            verb = line[:4].upper().decode("ascii", "replace").strip()
            if not self.obey(verb, line.strip().decode()):
                return

    def finish(self):
        self.file.close()
        self.request.close()

    def say(self, text):
        self.request.sendall(text.encode() + b"\r\n")

    def obey(self, verb, line):
        owner = self.server.owner
        if verb == "EHLO":
            offered = ["250-here"] + ["250-STARTTLS"] * (owner.tls == "starttls" and not self.encrypted)
            self.say("\r\n".join([*offered, "250-AUTH PLAIN", "250 SIZE 1000000"]))
        elif verb == "STAR":
            self.say("220 go on")
            self.request = owner.context.wrap_socket(self.request, server_side=True)
            self.file = self.request.makefile("rb")
            self.encrypted = True
        elif verb == "AUTH":
            _, self.user, self.password = base64.b64decode(line.split()[2]).decode().split("\0")
            self.say(owner.auth)
        elif verb == "MAIL":
            self.sender = line.partition("<")[2].partition(">")[0]
            self.say("250 fine")
        elif verb == "RCPT":
            receiver = line.partition("<")[2].partition(">")[0]
            answer = owner.refuses.get(receiver, "250 fine")
            self.receivers += [receiver] if answer[0] == "2" else []
            self.say(answer)
        elif verb == "DATA":
            self.say("354 go on")
            lines = []
            while (read := self.file.readline()) not in {b".\r\n", b""}:
                lines.append(read[1:] if read.startswith(b".") else read)
            owner.mails.append(Mail(self.sender, tuple(self.receivers), b"".join(lines), self.user, self.password, self.encrypted))
            self.say(owner.taken)
        elif verb == "QUIT":
            self.part(owner)
            return False
        else:
            self.say("250 fine")
        return True

    def part(self, owner):
        if owner.bye == "hang":
            owner.over.wait(300)
        elif owner.bye == "drip":
            with suppress(OSError):
                while not owner.over.wait(0.05):
                    self.request.sendall(b"2")
        elif owner.bye != "close":
            self.say(owner.bye)


class _Smtp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_):
        """As above."""


class MailServer:
    """An SMTP server: `tls` is "", "starttls" or "tls"."""

    def __init__(self, tls="", context=None):
        self.mails, self.tls, self.context, self.mood = [], tls, context, ""
        self.greeting, self.auth, self.taken, self.refuses = "220 here", "235 fine", "250 taken", {}
        self.bye = "221 bye"
        self.over = threading.Event()
        self._server = _Smtp(("127.0.0.1", 0), _SmtpHandler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


# What is told ---------------------------------------------------------------------------------------------------------------------


def alert(rule="memory-critical", *, metric="system.memory.utilization", labels=(), severity="critical", state="firing", **more):
    """An alert that fired at T, ten minutes after its breach began."""
    usual = {"value": 0.92, "limit": 0.9, "stat": "avg", "over_s": 60.0, "n": 30, "fired_at": T, "since": T - 600.0, "at": T}
    told = {**usual, **more}
    named = ",".join(f"{name}={text}" for name, text in labels)
    at, since, value, limit = (told.pop(name) for name in ("at", "since", "value", "limit"))
    return Alert(f"{rule}{{{named}}}", rule, metric, tuple(labels), severity, state, "pending", at, since, value, limit, **told)


def down(name, **more):
    """An endpoint that is down."""
    settings = {"severity": "critical", "above": False, "value": 0.0, "limit": 0.5, "stat": "last", "over_s": 0.0, "n": 1, **more}
    return alert("service-down", metric="httpcheck.up", labels=(("endpoint", name), ("service", "shop")), **settings)


def notice(one, status="firing", channel="ops", made_at=T):
    return Notice(f"{channel}-{one.id}-{status}", channel, status, one, made_at)


def over(one, at=T + 900.0, **more):
    """That it is over."""
    from msgspec.structs import replace

    return notice(replace(one, state="resolved", before="firing", at=at, **more), "resolved", made_at=at)


def message(*notices, host="db1", key="key-1", at=T + 5):
    return Message(key, tuple(one if isinstance(one, Notice) else notice(one) for one in notices), host, at)


def eventually(condition, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return found
