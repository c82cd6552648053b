"""What a terminal can show, judged by its environment alone: nothing is asked of it. Knows nothing of the terminal UI."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Abilities(NamedTuple):
    """What a terminal can show: whether only ASCII, and how many colours (0 where NO_COLOR asks for none)."""

    ascii: bool
    colours: int


_ASCII_TERMS: Final = frozenset({"linux", "vt100", "vt102", "vt220", "dumb", "ansi"})
_FEW_COLOURS: Final = frozenset({"linux", "vt100", "vt102", "vt220", "dumb", "ansi", "xterm", "screen", "rxvt"})
_TRUECOLOUR: Final = frozenset({"truecolor", "24bit"})


def abilities(env: Mapping[str, str], *, ascii_only: bool | str = "auto") -> Abilities:
    """What the terminal that this environment describes can show.

    Args:
        env: The environment: TERM, COLORTERM, NO_COLOR (any value but an empty one, as no-color.org has it) and the locale.
        ascii_only: ``console.ascii``: true, false, or auto.
    """
    term = env.get("TERM", "")
    if env.get("NO_COLOR"):
        colours = 0
    elif env.get("COLORTERM", "").lower() in _TRUECOLOUR:
        colours = 1 << 24
    else:
        colours = 256 if "256color" in term or term not in _FEW_COLOURS else 16
    if ascii_only == "auto":
        ascii_only = term in _ASCII_TERMS or not _utf8(env)
    return Abilities(bool(ascii_only), colours)


def _utf8(env: Mapping[str, str]) -> bool:
    """Whether the locale speaks UTF-8; one that was never set is taken to, as Python itself does.

    Python coerces LC_CTYPE to C.UTF-8 where the locale is C (PEP 538): with LANG=C that is Python's word, not the user's.
    """
    coerced = env.get("LC_CTYPE") == "C.UTF-8" and env.get("LANG") in {"C", "POSIX"}
    locale = env.get("LC_ALL") or ("" if coerced else env.get("LC_CTYPE", "")) or env.get("LANG", "")
    return not locale or "utf8" in locale.lower().replace("-", "")
