"""Which configurations are one to an engine, and which are not; and that no secret can be read off it."""

import hashlib
import os

import pytest
from msgspec.structs import replace

from perfconsole import __version__
from perfconsole.cli import likeness
from perfconsole.cli.likeness import digest, suits
from perfconsole.config.load import parse_text
from perfconsole.config.schema import Config

PLAIN = digest(Config())


def of(text):
    return parse_text(text, env={})


@pytest.mark.parametrize(
    "text",
    [
        '[console]\ntheme = "mono"\nascii = true\nmouse = false\nscreen = "processes"',
        '[processes]\nsort = "memory"\ntree = true',
        '[keys]\nhelp = ["f1"]',
        '[system]\ncpu_normalize = "core"',
        '[history]\ndir = "/var/lib/elsewhere"',
        '[console]\ninterval = "2s"',
    ],
)
def test_how_a_screen_looks_does_not_count(text):
    assert digest(of(text)) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        '[console]\ninterval = "3s"',
        '[console]\nrecording = "off"',
        '[console]\nrecording_size = "50MB"',
        "[console]\nread_only = true",
        '[system]\nmounts = ["/"]',
        "[alerts]\ndefaults = false",
        '[[alert]]\nname = "x"\nseverity = "warning"\nmetric = "system.cpu.utilization"\nabove = 0.5',
        '[[http]]\nname = "x"\nurl = "http://127.0.0.1/"',
        '[[postgres]]\nname = "x"\ndsn = "postgresql://a@b/c"',
    ],
)
def test_what_is_measured_judged_and_kept_counts(text):
    assert digest(of(text)) != PLAIN


def test_so_do_the_file_recorded_into_the_version_and_the_user(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert digest(Config(), "a.rec") == digest(Config(), str(tmp_path / "a.rec")) != PLAIN
    with monkeypatch.context() as patch:
        patch.setattr(likeness, "__version__", __version__ + "x")
        assert digest(Config()) != PLAIN
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 12345)
        assert digest(Config()) != PLAIN
    assert digest(Config()) == PLAIN


def test_the_order_in_which_a_table_was_written_does_not_count():
    one, other = (
        f'[[alert]]\nname = "x"\nseverity = "warning"\nmetric = "system.disk.io"\nabove = 1\nmatch = {{ {match} }}'
        for match in ('device = "sda", direction = "read"', 'direction = "read", device = "sda"')
    )
    assert digest(of(one)) == digest(of(other))


def test_who_may_not_act_suits_either():
    watching = replace(Config(), console=replace(Config().console, read_only=True))
    assert suits(watching, None, PLAIN)
    assert suits(watching, None, digest(watching))
    assert not suits(Config(), None, digest(watching))
    assert not suits(watching, None, digest(of('[console]\ninterval = "3s"')))
    assert not suits(Config(), None, "")


def test_a_secret_in_a_file_counts_and_is_slow_to_guess(monkeypatch):
    """A hundred thousand rounds for each guess, and none where there is nothing to guess."""
    stretch, rounds = hashlib.pbkdf2_hmac, []

    def stretched(name, text, salt, count):
        rounds.append(count)
        return stretch(name, text, salt, count)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", stretched)
    one, other = (of(f'[[postgres]]\nname = "x"\ndsn = "postgresql://a:{word}@b/c"') for word in ("hunter2", "hunter3"))
    assert digest(one) != digest(other)
    assert rounds == [100_000, 100_000]
    digest(Config())
    assert len(rounds) == 2
