"""Leave to hold many connections: a thousand endpoints that hang are more than the usual limit of 1,024 descriptors."""

import resource
from contextlib import suppress
from typing import Final

MOST: Final = 65_536
"""More than anybody has endpoints."""


def allow_many() -> None:
    """As many as this user may have (`setrlimit(2)`: the hard limit), at most `MOST`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
