"""Pictures are taken of the machine that the tests of the screens look at."""

import pytest
from consoles import still
from world import HISTORY, World, frozen_costs

__all__ = ["still"]


@pytest.fixture(scope="session")
def night():
    """Fifteen minutes of a night, the last six of them bad. Nobody moves its clock: one will do for every picture."""
    with frozen_costs():
        world = World(HISTORY)
    yield world
    world.close()
