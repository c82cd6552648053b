"""What is typed in one go: over a slow line the key that opens a prompt and the words for it arrive together."""

import pytest

pytestmark = pytest.mark.slow


def test_words_that_come_with_the_key_of_a_prompt_are_its_words(spawn):
    pty = spawn(size=(120, 30))
    pty.wait_text(r"CPU +\S.*\d+%")
    pty.send("mdeploy 1.4.2\r")
    assert pty.until(lambda: "deploy 1.4.2" in pty.screen()), pty.screen()
    pty.send("8")
    assert pty.until(lambda: "WHAT HAPPENED" in pty.screen() and "deploy 1.4.2" in pty.screen()), pty.screen()
    pty.send("/no such thing\r")
    assert pty.until(lambda: "filter 'no such thing'" in pty.screen()), pty.screen()
    assert pty.leave()[0] == 0
