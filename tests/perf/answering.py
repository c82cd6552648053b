"""A server to measure checks against, in a process of its own: it answers after so long, and writes down how long it took.

``python answering.py LOG [CERTIFICATE KEY]`` prints one line of JSON with its ports, serves until its input ends, and then writes to LOG,
as JSON, for each target the seconds from a request's first byte to its answer, in the order of the requests.
"""

import asyncio
import json
import ssl
import sys
import time
from collections import defaultdict
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nOK"
LONGEST_S = 600.0

served = defaultdict(list)


class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.began = None
        self.held = b""

    def data_received(self, data):
        self.began = time.monotonic() if self.began is None else self.began
        self.held += data
        if b"\r\n\r\n" not in self.held:
            return
        target = self.held.split(b" ", 2)[1].decode()
        self.held = b""
        delay_ms = float(target.rpartition("ms=")[2]) if "ms=" in target else 0.0
        if delay_ms:
            asyncio.get_running_loop().call_later(delay_ms / 1000, self.answer, target)
        else:
            self.answer(target)

    def answer(self, target):
        now = time.monotonic()  # before it is sent: whoever is not let run in between was no slower for that
        self.transport.write(ANSWER)
        served[target].append(now - self.began)
        self.began = None


async def serve(tls):
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    ports = {"http": plain.sockets[0].getsockname()[1]}
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        context.num_tickets = 0
        secure = await loop.create_server(Answering, "127.0.0.1", 0, ssl=context, backlog=4096)
        ports["https"] = secure.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    ended = loop.create_future()
    loop.add_reader(sys.stdin, lambda: sys.stdin.buffer.read1() or ended.done() or ended.set_result(None))
    await asyncio.wait([ended], timeout=LONGEST_S)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[2:]))
    Path(sys.argv[1]).write_text(json.dumps(served))
