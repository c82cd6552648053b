"""Time that passes only when nobody has anything to do, and when somebody burns it: loops whose hours take milliseconds.

A fake prober that takes 3 ms of Python takes them from all others, as on the real loop; a timer comes up to 1 ms late, as from epoll.
"""

import asyncio
from math import ceil

from perfconsole.collectors.http.checking.checker import Moment
from perfconsole.core.checks import Check, Outcome, Phases

EPOCH = 1_800_000_000.0


class Lapse(asyncio.SelectorEventLoop):
    """A loop with a time of its own, that begins at a thousand seconds."""

    def __init__(self):
        super().__init__()
        self.elapsed = 1_000.0
        self.asleep = 0.0
        select = self._selector.select

        def pass_time(timeout=None):
            assert timeout is not None, "nobody will ever wake up"
            self.elapsed += ceil(max(timeout, 0) * 1e3) * 1e-3
            return select(0)

        self._selector.select = pass_time

    def time(self):
        return self.elapsed

    def burn(self, seconds):
        """Hold the loop."""
        self.elapsed += seconds

    def clock(self):
        """Wall clock and CLOCK_BOOTTIME."""
        return Moment(EPOCH + self.elapsed + self.asleep, self.elapsed + self.asleep)


def run(work):
    """Run a coroutine function, given its loop, to its end."""
    with asyncio.Runner(loop_factory=Lapse) as runner:
        loop = runner.get_loop()
        return runner.run(work(loop))


def check(name, **fields):
    return Check(**({"name": name, "kind": "http", "target": f"http://{name}/", "service": "shop"} | fields))


def outcome(of, at, *, cause="", total_s=0.01, **fields):
    """A plain outcome: up after 10 ms, or a failure with a cause."""
    return Outcome(of.name, at, not cause, cause, f"{cause} in words" if cause else "", Phases(wait=total_s), total_s, **fields)


class Fake:
    """A prober whose peer takes so long to answer, and whose own work so long; `script` gives causes of failures in turn.

    Attributes:
        begun: Loop times at which it was asked.
    """

    def __init__(self, of, shared, *, answers_s=0.001, burns_s=0.0, script=()):
        self.check = of
        self.answers_s, self.burns_s = answers_s, burns_s
        self.script = list(script)
        self.begun, self.running, self.closed = [], 0, 0

    async def probe(self):
        loop = asyncio.get_running_loop()
        assert self.running == 0, "two checks of one endpoint at a time"
        self.running += 1
        self.begun.append(loop.time())
        began = loop.time()
        try:
            loop.burn(self.burns_s / 2)
            cause = self.script.pop(0) if self.script else ""
            hangs = self.answers_s > self.check.timeout_s
            await asyncio.sleep(min(self.answers_s, self.check.timeout_s))
            loop.burn(self.burns_s / 2)
        finally:
            self.running -= 1
        cause = "timeout" if hangs else cause
        return outcome(self.check, loop.clock().at, cause=cause, total_s=loop.time() - began, at_least=hangs)

    def close(self):
        self.closed += 1
