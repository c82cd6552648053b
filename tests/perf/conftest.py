"""Programs in terminals, and figures: see `tests/conftest.py`."""

import pytest
from harness import Pty, environment, figure


@pytest.fixture
def tell(request):
    """Add a line to the table at the end: what, the console's figure, the floor's, the promise."""

    def tell(name, ours, floor="", promise=""):
        figure(request.node, name, ours, floor, promise)

    return tell


@pytest.fixture
def spawn(tmp_path):
    """Start a program in a terminal."""
    made = []

    def spawn(argv, *, size=(160, 48), **env):
        pty = Pty(argv, environment(tmp_path, **env), size)
        made.append(pty)
        return pty

    yield spawn
    for pty in made:
        pty.close()
