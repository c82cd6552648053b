"""What the console itself costs, with the processes that it began."""

import asyncio
import subprocess
import sys
import time

from perfconsole.collectors.own import OwnCollector
from perfconsole.core.ports import Slot


def measured(collector):
    (found,) = asyncio.run(collector.run("host", Slot(0.0, 0.0, 1.0), ())).measured
    return dict(zip((series.name.removeprefix("perfconsole.") for series in found.series), found.values, strict=True))


def test_what_it_began_is_a_part_of_its_cost():
    collector = OwnCollector(2.0, lambda: 0.0, lambda: 0.0)
    began = time.monotonic()
    alone = measured(collector)["memory.usage"]
    code = """
import time
held = bytearray(64 << 20)
end = time.process_time() + 0.3
while time.process_time() < end: pass
print(flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = measured(collector)
        passed = time.monotonic() - began
        child.stdin.close()
    assert found["memory.usage"] > alone + (64 << 20)
    assert found["cpu.utilization"] * passed > 0.25
    after = measured(collector)
    assert after["cpu.utilization"] >= 0  # the child is gone, and nothing is taken back
    assert after["memory.usage"] < alone + (32 << 20)
