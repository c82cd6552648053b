"""Bodies as text and as JSON. Everything in them was chosen by somebody else: what reading them may cost is bounded here.

C code that reads JSON holds the interpreter until it is done: 20 ms for an ordinary mebibyte, 117 ms for a hostile one, and every other
check would be late by that. So what has many values is read piece by piece (`_Patient`), in a thread that stops to let the others run
(`pausing`): three times slower, and the others are late by 5 ms at most.
"""

import gc
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from encodings.aliases import aliases
from json import JSONDecodeError, decoder, scanner
from typing import Any, Final

SMALL_BYTES: Final = 32_768
"""Of a body that is tested on the loop: 4 ms at worst, 0.6 ms of an ordinary one."""

_QUICK_VALUES: Final = 10_000
"""Read by C code: in 3 ms at worst (a number with an exponent takes 0.3 us), however long the texts among them are."""

VALUES: Final = 262_144
"""In one JSON body, at most: an ordinary mebibyte has 175,000, and each takes 100 bytes once it is read."""

_PIECE_CHARS: Final = 4096
_FOLLOWS: Final = frozenset(",]} \t\n\r")

_PAUSE_S: Final = 0.001

_NO_TEXT: Final = frozenset({"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "utf_7", "uu_codec", "zlib_codec"})
_ENCODINGS: Final = frozenset(aliases.values()) - _NO_TEXT


class Unread(Exception):  # noqa: N818  # the body's fault
    """A body that is no JSON, or more than is read; the text says what."""


def text_of(body: bytes, charset: str) -> str:
    """A body as text.

    Args:
        body: As it was sent, without any content encoding.
        charset: As the server names it. One that is not known, and those that are no encodings of text, are taken for UTF-8: asked for by
            name, Python would load any module of that name, and remember those it has not.
    """
    name = charset.strip().lower().replace("-", "_").replace(" ", "_")
    codec = aliases.get(name, name)
    if codec not in _ENCODINGS or codec == "utf_8":
        return body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    return body.decode(codec, "replace")


def json_of(text: str) -> Any:
    """A body's JSON.

    Raises:
        Unread: When it is none, or more than `VALUES`.
    """
    values = 0 if len(text) <= SMALL_BYTES else text.count(",") + text.count("[") + text.count("{")
    if values > VALUES:
        raise Unread(f"more than {VALUES} values: so much JSON is not tested")
    read = json.loads if values <= _QUICK_VALUES else _Patient().decode
    try:
        return read(text)
    except RecursionError:
        raise Unread("JSON that is nested too deeply") from None
    except JSONDecodeError as error:
        raise Unread(f"no JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        raise Unread("JSON with a number of more than 4300 digits") from None


class _Patient(json.JSONDecoder):
    """Reads what is long with the standard library's scanner in Python, and with that in C whatever ends within `_PIECE_CHARS`.

    All of it in Python would be 25 times slower than in C; with pieces it is 3 times for an ordinary body, and no call of C is long.
    """

    def __init__(self) -> None:
        super().__init__()
        self._quick: Any = self.scan_once  # type: ignore[has-type]  # of the base class, which the stubs do not type
        # Public names of the standard library that its type stubs leave out.
        self.parse_object = lambda at, strict, _, *hooks: decoder.JSONObject(at, strict, self._scan, *hooks)  # type: ignore[attr-defined]
        self.parse_array = lambda at, _: decoder.JSONArray(at, self._scan)  # type: ignore[attr-defined]
        self.scan_once = self._slow = scanner.py_make_scanner(self)  # type: ignore[attr-defined]

    def _scan(self, text: str, at: int) -> tuple[Any, int]:
        """The value that begins at a place, and where it ends."""
        piece = text[at : at + _PIECE_CHARS]
        try:
            value, size = self._quick(piece, 0)
        except (StopIteration, ValueError, RecursionError):  # cut off, or wrong: in Python it is told which, and where
            return self._slow(text, at)  # type: ignore[no-any-return]  # as above
        # A number may be cut where it reads like a shorter one: a value has ended only where something that may follow one does.
        return (value, at + size) if piece[size : size + 1] in _FOLLOWS else self._slow(text, at)


@contextmanager
def pausing(until: float) -> Iterator[None]:
    """Let other threads run every millisecond, and end what takes longer than `until`; for Python code of a thread of its own.

    By a trace function: it is called with every call of a function, also those of libraries that know of no limits. The collector of
    garbage waits meanwhile: it comes with every 700 lists that are read, finds nothing, and held everybody up for 70 ms at a time.

    Args:
        until: On the clock of `time.monotonic`.

    Raises:
        TimeoutError: From wherever the code is.
    """
    pause_at = 0.0

    def look(*_: Any) -> None:
        nonlocal pause_at
        now = time.monotonic()
        if now > until:
            raise TimeoutError
        if now > pause_at:
            time.sleep(0)
            pause_at = time.monotonic() + _PAUSE_S

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
