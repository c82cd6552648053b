"""What checks cost with httpx as it comes: one client, a new connection each, so many a second for so long; prints CPU and latencies.

``python plain_httpx.py URL RATE SECONDS [CA]``
"""

import asyncio
import json
import ssl
import sys
import time

import httpx

url, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
verify = ssl.create_default_context(cafile=sys.argv[4]) if len(sys.argv) > 4 else True
latencies = []


async def check(client, number):
    began = time.perf_counter()
    await client.get(f"{url}/{number % 1000}")
    latencies.append(time.perf_counter() - began)


async def main():
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, verify=verify, trust_env=False, timeout=60) as client:
        await check(client, 0)
        latencies.clear()
        loop = asyncio.get_running_loop()
        began, used = loop.time(), time.process_time()
        tasks = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(began + number / rate - loop.time())
            tasks.append(asyncio.create_task(check(client, number)))
        await asyncio.gather(*tasks)
        return time.process_time() - used, loop.time() - began


cpu_s, took_s = asyncio.run(main())
print(json.dumps({"cpu_ratio": cpu_s / took_s, "latencies": latencies}))
