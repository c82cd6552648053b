"""One misbehaving server a session; each test starts with its counters at nothing."""

import shutil
import tempfile
from pathlib import Path

import pytest
from misbehaving import Lab


@pytest.fixture(scope="session")
def _lab():
    place = Path(tempfile.mkdtemp(prefix="perfconsole-http-"))  # short: the path of a unix socket has at most 107 bytes
    try:
        with Lab(place) as lab:
            yield lab
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def lab(_lab):
    _lab.forget()
    return _lab
