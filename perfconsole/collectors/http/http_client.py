"""The compatible engine: httpx, for what the lean one does not do, which is proxies. All else it does with the same outcome
(tests/http/test_conformance.py).

httpx takes 100 ms to import and 33 more for its first request: in a thread, and before the first check that needs it.
"""

from asyncio import Future
...
