"""Tests of how long something took: they hold clocks against each other, and between two looks a busy machine does the work of others.

A fault tells a wrong time whenever it is tried, and a busy machine does so now and then: such a test is tried again before it fails. This
is for what measures time, and for limits that the machine may use up before what they are for has begun; for nothing else.
"""

import asyncio
import functools
import inspect
import time

TRIES = 12


def measuring(test):
    """Try a test again where it fails, later and later; with servers (`lab`, `server`) that begin to count anew."""
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def tried(*args, **fixtures):
            for number in range(1, TRIES):
                try:
                    return await test(*args, **fixtures)
                except AssertionError:
                    await asyncio.sleep(0.1 * number)
                    _anew(fixtures)
            return await test(*args, **fixtures)

    else:

        @functools.wraps(test)
        def tried(*args, **fixtures):
            for number in range(1, TRIES):
                try:
                    return test(*args, **fixtures)
                except AssertionError:
                    time.sleep(0.1 * number)
                    _anew(fixtures)
            return test(*args, **fixtures)

    return tried


def _anew(fixtures):
    if "lab" in fixtures:
        fixtures["lab"].forget()
    if "server" in fixtures:
        fixtures["server"].asked.clear()
    if "monkeypatch" in fixtures:  # what the test itself put in place: no other fixture here uses it
        fixtures["monkeypatch"].undo()
