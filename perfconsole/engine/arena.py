"""One heap for all threads. Knows the C library and nothing of ours."""

from contextlib import suppress
from typing import Final

_ARENA_MAX: Final = -8
"""``M_ARENA_MAX`` of mallopt(3)."""


def share() -> None:
    """Have threads that begin from now on share the heaps there are: glibc gives each its own, 1 MiB for a console's eight.

    They allocate one after the other anyway, for each of them holds the interpreter while it does. Elsewhere there is nothing to do: no
    other C library has this, and not every Python has ctypes. Takes 2 ms.
    """
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415  who starts no engine does not need it

        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
