"""Which of many named things are meant."""

import pytest

from perfconsole.core.globs import Globs


@pytest.mark.parametrize(
    ("patterns", "name", "meant", "asked"),
    [
        ((), "sda", True, False),
        (("sd*",), "sda", True, True),
        (("sd*",), "nvme0n1", False, False),
        (("sd*", "!sdb"), "sdb", False, True),
        (("sd*", "!sdb"), "sdc", True, True),
        (("!loop*",), "sda", True, False),
        (("!loop*",), "loop7", False, False),
        (("/mnt/[ab]",), "/mnt/b", True, True),
        (("SD*",), "sda", False, False),
    ],
)
def test_choosing(patterns, name, meant, asked):
    chosen = Globs(patterns)
    assert (name in chosen) is meant
    assert chosen.names(name) is asked
