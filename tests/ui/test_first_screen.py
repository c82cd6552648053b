"""Any screen that has a number may be the one to begin with."""

import pytest

from perfconsole.config.schema import SCREENS
from perfconsole.ui.app import ConsoleApp


def test_every_screen_with_a_number_may_be_the_first():
    assert set(SCREENS) == set(ConsoleApp.MODES)


@pytest.mark.parametrize("screen", SCREENS)
async def test_it_begins_with_it_and_goes_on_from_there(world, open_console, screen):
    async with open_console(world, screen=screen) as console:
        assert console.app.current_mode == screen
        await console.press("1")
        assert console.app.current_mode == "operations"
