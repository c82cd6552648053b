"""Units: what people write in a configuration, and what they read on a screen. Inside there are only seconds, bytes and ratios."""

import re
from math import isfinite, isnan, nan
from typing import Final

_DURATIONS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZES: Final = {
    "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_BINARY: Final = "KMGTPE"
UNKNOWN: Final = "-"


def parse_duration(text: str) -> float:
    """Seconds of ``250ms``, ``10s``, ``5m``, ``1h30m``, ``30d``.

    Raises:
        ValueError: Says what is accepted.
    """
    total, end = 0.0, 0
    for found in _DURATION.finditer(text):
        if found.start() != end:
            break
        total += float(found[1]) * _DURATIONS[found[2]]
        end = found.end()
    if not text or end != len(text) or not isfinite(total):
        message = f"not a duration: {text!r} (accepted: 250ms 10s 5m 24h 30d, and such joined as in 1h30m)"
        raise ValueError(message)
    return total


def parse_size(text: str) -> int:
    """Bytes of ``512MB`` (10^6) or ``64MiB`` (2^20).

    Raises:
        ValueError: Says what is accepted.
    """
    found = _SIZE.fullmatch(text.strip())
    value = float(found[1]) * _SIZES.get(found[2], nan) if found else nan
    if not isfinite(value):
        message = f"not a size: {text!r} (accepted: {' '.join(_SIZES)}, as in 512MB or 64MiB)"
        raise ValueError(message)
    return int(value)


def parse_ratio(text: str | float) -> float:
    """The ratio of ``90%``, ``"0.9"`` or ``0.9``.

    Raises:
        ValueError: Says what is accepted.
    """
    try:
        value = float(text[:-1]) / 100 if isinstance(text, str) and text.endswith("%") else float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        message = f"not a ratio: {text!r} (accepted: 90% or 0.9)"
        raise ValueError(message)
    return value


def percent(ratio: float, digits: int = 0) -> str:
    """``34%``; one digit more where asked; ``-`` when unknown."""
    return UNKNOWN if isnan(ratio) else f"{ratio * 100:.{digits}f}%"


def size(value: float) -> str:
    """Bytes in at most five characters: ``812B  9.1K  310M  1.2G`` (powers of 1024, as free and df -h write them)."""
    if isnan(value):
        return UNKNOWN
    if value < 0:
        return "-" + size(-value)
    if value < 1000:  #  below that the bytes themselves fit
        return f"{value:.0f}B"
    for letter in _BINARY:
        value /= 1024
        if value < 9.95:  #  rounds to 9.9
            return f"{value:.1f}{letter}"
        if value < 999.5 or letter == _BINARY[-1]:  #  rounds to 999
            return f"{value:.0f}{letter}"
    raise AssertionError


def rate(value: float) -> str:
    """Bytes a second: ``4.1M/s``."""
    return UNKNOWN if isnan(value) else size(value) + "/s"


def count(value: float) -> str:
    """A number in at most five characters: ``812  9.1k  310k  1.2M`` (powers of 1000)."""
    if isnan(value):
        return UNKNOWN
    if abs(value) < 9.95 and value != int(value):  #  rounds to 9.9
        return f"{value:.1f}"
    if abs(value) < 9999.5:  #  rounds to 9999
        return f"{value:.0f}"
    for letter in "kMGT":
        value /= 1000
        if abs(value) < 9.95:
            return f"{value:.1f}{letter}"
        if abs(value) < 999.5 or letter == "T":
            return f"{value:.0f}{letter}"
    raise AssertionError


def duration(value: float) -> str:
    """Two units at most: ``0.4s  48s  6m12s  31m00s  2h05m  4d3h  41d``."""
    if not isfinite(value):
        return UNKNOWN
    if value < 0:
        return "-" + duration(-value)
    if value < 9.95:  #  rounds to 9.9
        return f"{value:.1f}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    minutes, seconds = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours}h" if days < 10 else f"{days}d"


def latency(value: float) -> str:
    """A short time: ``340us  8.2ms  310ms  2.1s``."""
    if isnan(value):
        return UNKNOWN
    if value < 0.00095:
        return f"{value * 1e6:.0f}us"
    if value < 0.00995:
        return f"{value * 1e3:.1f}ms"
    if value < 0.9995:
        return f"{value * 1e3:.0f}ms"
    return duration(value)
