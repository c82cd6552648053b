"""Tests of the screens share one world (see `world`); property tests run the same examples every time, and a busy machine is no failure."""

from consoles import kind, make_world, open_console, still, world
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

__all__ = ["kind", "make_world", "open_console", "still", "world"]
