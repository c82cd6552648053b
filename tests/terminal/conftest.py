"""Consoles in terminals, each with a home of its own; ended when the test is."""

import pytest
from harness import CONSOLE, Pty, environment, figure


@pytest.fixture
def tell(request):
    """Add a line to the table of what it costs: what, the console's figure, the promise."""

    def tell(name, ours, promise):
        figure(request.node, name, ours, promise=promise)

    return tell


@pytest.fixture
def spawn(tmp_path):
    """Start the console (or another program) in a terminal."""
    made = []

    def spawn(*arguments, size=(80, 24), program=CONSOLE, answers=False, stdout=None, **env):
        pty = Pty([*program, *arguments], environment(tmp_path, **env), size, answers=answers, stdout=stdout)
        made.append(pty)
        return pty

    yield spawn
    for pty in made:
        pty.close()


LIVE = r"[0-9.]+%"
"""On the screen once the first numbers are live."""
