"""Tests of the screens share one world (see `world`); property tests run the same examples every time, and a busy machine is no failure."""

import gc

from consoles import kind, make_world, open_console, still, world
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

gc.set_threshold(100_000)  # a fifth of the time would be spent looking for garbage among Textual's style objects

__all__ = ["kind", "make_world", "open_console", "still", "world"]
