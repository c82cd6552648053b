"""Patterns on foreign text, under a time limit: ``(a|aa)+$`` takes longer than the universe on sixty letters that a server may choose."""

from functools import lru_cache
from typing import Any, Final

LIMIT_S: Final = 0.25
"""For one pattern on one text: an ordinary one takes 10 ms for a mebibyte."""


@lru_cache(256)
def _compiled(pattern: str) -> Any:
    import regex  # noqa: PLC0415  # 10 ms, which no console without such a check waits for

    return regex.compile(pattern)


def is_found(pattern: str, text: str, within_s: float) -> bool:
    """Whether a pattern is found anywhere in a text. Lets other threads run meanwhile.

    Raises:
        TimeoutError: When that is not known in time, or after `LIMIT_S`.
        ValueError: When it is no pattern.
    """
    if within_s <= 0:
        raise TimeoutError
    import regex  # noqa: PLC0415  # as above

    try:
        return _compiled(pattern).search(text, timeout=min(within_s, LIMIT_S), concurrent=True) is not None
    except regex.error as error:
        raise ValueError(f"it is no pattern: {error}") from None
