"""What is typed, as the terminal sends it: whatever its pieces, each key comes once, and nothing ends the thread that waits for them."""

import os
from threading import Thread
from time import monotonic, sleep

import pytest

from perfconsole.ui.driver import ConsoleDriver, Told

LONG_S = 20.0


class Typed(ConsoleDriver):
    """A driver that waits for keys at a pipe, and does nothing else."""

    def __init__(self, fileno):
        self.fileno, self._debug, self.exit_event, self.keys = fileno, False, Told(), []
        self.thread = Thread(target=self.run_input_thread)

    def process_message(self, message):
        self.keys.append(message.key)

    def has(self, *keys):
        until = monotonic() + LONG_S
        while self.keys != [*keys] and monotonic() < until:
            sleep(0.002)
        assert self.keys == [*keys]


@pytest.fixture
def terminal():
    reader, writer = os.pipe()
    driver = Typed(reader)
    driver.thread.start()
    yield driver, lambda data: os.write(writer, data)
    driver.exit_event.set()
    driver.thread.join(LONG_S)
    alive = driver.thread.is_alive()
    driver.exit_event.clear()
    for number in (reader, writer, driver.exit_event.fd, driver.exit_event._teller):
        os.close(number)
    assert not alive


def test_a_character_that_comes_in_two_pieces_is_one_key(terminal):
    driver, write = terminal
    write(b"a")
    driver.has("a")
    write("é".encode()[:1])
    sleep(0.05)  # it may be read with what follows: then this shows nothing, and is well all the same
    write("é".encode()[1:])
    driver.has("a", "é")
    write(b"q")
    driver.has("a", "é", "q")


def test_a_byte_of_no_character_ends_nothing(terminal):
    """A terminal that speaks Latin-1: its é is the beginning of a character that never comes."""
    driver, write = terminal
    write(b"\xe9")
    sleep(0.05)
    write(b"q")
    driver.has("replacement_character", "q")


def test_an_escape_that_nothing_follows_is_a_key(terminal):
    driver, write = terminal
    write(b"\x1b")
    driver.has("escape")
    write(b"\x1b[A")
    driver.has("escape", "up")
