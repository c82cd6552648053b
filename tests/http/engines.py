"""Both engines side by side: one check carried out by each, and what they tell of it that has to be the same."""

import socket
from math import isnan

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.httpx_engine.http_client import HttpxProber
from perfconsole.collectors.http.lean_engine.lean import LeanProber
from perfconsole.collectors.http.network.names import Resolver
from perfconsole.core.checks import Check

ENGINES = {"lean": LeanProber, "httpx": HttpxProber}


def nameless():
    """What checks share where no name is known to anybody."""

    def unknown(*_):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    return Shared(Resolver(unknown))


async def probed(engine, target, *, shared=None, **settings):
    """One check by one engine, with time enough on a busy machine."""
    settings = {"timeout_s": 60.0} | settings
    prober = ENGINES[engine](Check(name="x", service="s", kind="http", target=target, **settings), shared or Shared())
    try:
        return await prober.probe()
    finally:
        prober.close()


async def alike(target, **settings):
    """One check by each: the outcome of the lean engine, once that of httpx is found to be the same."""
    lean, httpx = [await probed(engine, target, **settings) for engine in ENGINES]
    assert (lean.engine, httpx.engine) == ("lean", "httpx")
    assert told(httpx) == told(lean)
    return lean


def told(outcome):
    """An outcome without its times."""
    return {
        "verdict": (outcome.name, outcome.ok, outcome.cause, outcome.error, outcome.at_least),
        "phases": entered(outcome),
        "where": (outcome.address, outcome.protocol),
        "answer": (outcome.status, None if isnan(outcome.size_bytes) else outcome.size_bytes, outcome.headers, outcome.body),
        "tls": outcome.tls,
        "assertions": outcome.assertions,
        "hops": [(hop.url, hop.status) for hop in outcome.hops],
    }


def entered(outcome):
    """The phases that were."""
    return [name for name in outcome.phases.__struct_fields__ if not isnan(getattr(outcome.phases, name))]
