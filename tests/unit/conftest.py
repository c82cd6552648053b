"""Property tests run the same examples every time, and a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")
