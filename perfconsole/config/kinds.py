"""Kinds of values a configuration may hold: how each is read, what is accepted, how it is written back. The schema is made of these."""

from collections.abc import Callable, Sequence
from sys import float_info
from typing import Any, Final, NamedTuple

from msgspec import Meta, Struct

from perfconsole.core.text import safe
from perfconsole.core.units import parse_duration, parse_size


class Wrong(ValueError):  # noqa: N818  the value is wrong; nothing went wrong here
    """A value that is not accepted, where there is more to say than what would be.

    Attributes:
        found: What was found, as an error puts it: ``found "2yy"``.
        fix: What is accepted, or what to do.
        at: Where within the value: the number of an item, the name of a key.
    """

    def __init__(self, found: str, fix: str, *at: str | int) -> None:
        super().__init__(found)
        self.found = found
        self.fix = fix
        self.at = at


class Kind(NamedTuple):
    """A kind of value.

    Attributes:
        accepts: What may be written, in words.
        read: The value of what TOML gave; raises ValueError where it is none (its text, if any, says more than `accepts`).
        write: What TOML is given for a value.
        schema: The same for an editor, as JSON Schema.
        choices: Where only some words are accepted.
        table: Where it is a table with keys of its own, those; `many` where it is a list of such tables. Whoever checks reads these.
        private: What it should be, where it may hold a secret: what is refused is not repeated.
    """

    accepts: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    schema: dict[str, Any]
    choices: tuple[str, ...] = ()
    table: type[Struct] | None = None
    many: bool = False
    private: str = ""


def key(kind: Kind, text: str, example: Any = None) -> Meta:
    """The description of a key: its kind, its words, and what to show in the example where the default is "not given"."""
    return Meta(description=text, extra={"kind": kind, "example": example})


class Key(Struct, frozen=True):
    """One key of a table, as it is written."""

    name: str
    attribute: str
    kind: Kind
    text: str
    default: Any
    required: bool
    example: Any


def keys_of(table: type[Struct]) -> dict[str, Key]:
    """The keys a table accepts, in order: those that it needs first, those that it has in common with other tables last."""
    from msgspec import NODEFAULT, structs  # noqa: PLC0415  only once there is a file to read or to write

    out = {}
    own = list(table.__annotations__)
    for info in sorted(structs.fields(table), key=lambda info: (not info.required, own.index(info.name) if info.name in own else len(own))):
        meta: Meta = info.type.__metadata__[0]
        extra = meta.extra or {}
        default = info.default if info.default_factory is NODEFAULT else info.default_factory()
        out[info.encode_name] = Key(
            info.encode_name, info.name, extra["kind"], meta.description or "", default, info.required, extra["example"]
        )
    return out


def _as_is(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004  every reader says "not this kind" in the same way
    return tuple(_text(item) for item in value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004  likewise
    return value


def _ascii(value: Any) -> bool | str:
    return "auto" if value == "auto" and isinstance(value, str) else _switch(value)


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004  likewise
    found = {name: _text(glob) for name, glob in value.items()}
    if any(safe(text) != text for pair in found.items() for text in pair):  # they are shown wherever the thing is
        raise ValueError
    return found


def _threshold(value: Any) -> float | str:
    """A number, or a text whose unit is judged once the metric is known."""
    if isinstance(value, str):
        return _text(value)
    # A whole number of TOML's may be longer than any float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= float_info.max:
        raise ValueError
    return float(value)


def _path(value: Any) -> str:
    path = _text(value)
    if not path.startswith(("/", "~/")):
        raise ValueError
    return path


def _dsn(value: Any) -> str:
    from perfconsole.config.servers import check_dsn  # noqa: PLC0415  only where there is one

    return check_dsn(_text(value))


def _dsn_shown(value: str) -> str:
    from perfconsole.config.servers import shown  # noqa: PLC0415  likewise

    return shown(value)


def duration_text(seconds: float) -> str:
    """Seconds as a configuration writes them, exactly: ``2s``, ``24h``, ``250ms``."""
    for unit, width in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= width and seconds % width == 0 and not (unit == "d" and seconds == width):  # a day is written 24h
            return f"{seconds / width:.0f}{unit}"
    return f"{seconds * 1000:.10g}ms"


def size_text(size_bytes: float) -> str:
    """Bytes as a configuration writes them, exactly: ``100MB``, ``64MiB``."""
    for unit, width in (("GB", 10**9), ("GiB", 2**30), ("MB", 10**6), ("MiB", 2**20), ("KB", 10**3), ("KiB", 2**10)):
        if size_bytes >= width and size_bytes % width == 0:
            return f"{size_bytes // width:.0f}{unit}"
    return f"{size_bytes:.0f}B"


def duration(least_s: float, most_s: float) -> Kind:
    """A duration within bounds, in seconds."""
    bounds = f"{duration_text(least_s)} to {duration_text(most_s)}"

    def read(value: Any) -> float:
        seconds = parse_duration(_text(value))
        if not least_s <= seconds <= most_s:
            raise ValueError(bounds)
        return seconds

    accepts = f"a duration in quotes such as 250ms 10s 5m 24h 30d, {bounds}"
    return Kind(accepts, read, duration_text, {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$"})


def duration_from_none(most_s: float) -> Kind:
    """A duration up to a bound, in seconds; ``0s`` for none."""
    inner = duration(0.001, most_s)

    def read(value: Any) -> float:
        return 0.0 if value == "0s" else float(inner.read(value))

    def write(seconds: float) -> str:
        return duration_text(seconds) if seconds else "0s"

    return Kind(f"a duration in quotes such as 0s 10s 5m 24h 30d, {duration_text(most_s)} at most", read, write, inner.schema)


def duration_or_off(least_s: float, most_s: float) -> Kind:
    """A duration within bounds or ``off``, which is 0."""
    inner = duration(least_s, most_s)

    def read(value: Any) -> float:
        return 0.0 if value == "off" else float(inner.read(value))

    def write(seconds: float) -> str:
        return duration_text(seconds) if seconds else "off"

    pattern = {"type": "string", "pattern": inner.schema["pattern"].replace("^", "^off$|^", 1)}
    return Kind(inner.accepts + ', or "off"', read, write, pattern)


def size(least_bytes: int, most_bytes: int | None = None) -> Kind:
    """A size in bytes."""

    def read(value: Any) -> int:
        found = parse_size(_text(value))
        if found < least_bytes or (most_bytes is not None and found > most_bytes):
            raise ValueError
        return found

    accepts = f"a size in quotes such as 512MB or 64MiB, at least {size_text(least_bytes)}"
    accepts += f", at most {size_text(most_bytes)}" if most_bytes is not None else ""
    return Kind(accepts, read, size_text, {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? *([KMGT]i?)?B$"})


def choice(*words: str) -> Kind:
    """One of some words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Kind("one of " + " ".join(words), read, _as_is, {"enum": list(words)}, words)


def choices(words: Sequence[str]) -> Kind:
    """A list of some words, each at most once."""
    allowed = tuple(words)

    def read(value: Any) -> tuple[str, ...]:
        found = _texts(value)
        for word in found:
            if word not in allowed:
                raise ValueError(word)
        if len(set(found)) != len(found):
            raise ValueError
        return found

    schema = {"type": "array", "items": {"enum": list(allowed)}, "uniqueItems": True}
    return Kind("a list, each at most once, of " + " ".join(allowed), read, list, schema, allowed)


def some_of(none: str, *words: str) -> Kind:
    """One of some words, or a list of them, each at most once; or the word for none of them."""
    several = choices(words)

    def read(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [] if value == none else [value]
        found: tuple[str, ...] = several.read(value)
        return found

    def write(found: tuple[str, ...]) -> Any:
        return none if not found else found[0] if len(found) == 1 else list(found)

    accepts = f"{none}, or one of {' '.join(words)}, or a list of them, each at most once"
    return Kind(accepts, read, write, {"anyOf": [{"enum": [none, *words]}, several.schema]}, (none, *words))


def nested(table: type[Struct], *, many: bool = False) -> Kind:
    """A table of keys of its own, or a list of such tables; the keys are checked by whoever checks the table around it."""
    names = " ".join(keys_of(table))
    accepts = f"a list of tables with the keys {names}" if many else f"a table with the keys {names}"
    reference = {"$ref": f"#/$defs/{table.__name__}"}

    def unread(value: Any) -> Any:
        expected = list if many else dict
        if not isinstance(value, expected) or (many and not all(isinstance(item, dict) for item in value)):
            raise ValueError
        return value

    schema = {"type": "array", "items": reference} if many else reference
    return Kind(accepts, unread, _as_is, schema, table=table, many=many)


def whole(least: int, most: int) -> Kind:
    """A whole number within bounds."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(f"a whole number, {least} to {most}", read, _as_is, schema)


TEXT: Final = Kind("a text in quotes, not empty", _text, _as_is, {"type": "string", "minLength": 1})
DSN: Final = Kind(
    "a DSN in quotes: postgresql://USER@HOST:PORT/DATABASE, host=... dbname=..., or a reference to one such as ${ORDERS_DSN}",
    _dsn, _dsn_shown, {"type": "string", "minLength": 1}, private="DSN",
)  # fmt: skip
PATH: Final = Kind("a path in quotes that begins with / or ~/", _path, _as_is, {"type": "string", "pattern": "^(/|~/)"})
SWITCH: Final = Kind("true or false", _switch, _as_is, {"type": "boolean"})
ASCII: Final = Kind('"auto", true or false', _ascii, _as_is, {"enum": ["auto", True, False]})
TEXTS: Final = Kind('a list of texts such as ["sd*", "!sdb"]', _texts, list, {"type": "array", "items": {"type": "string", "minLength": 1}})
LABELS: Final = Kind(
    'a table of texts such as { mountpoint = "/var*" }',
    _labels, dict, {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
)  # fmt: skip
THRESHOLD: Final = Kind(
    "a number, or a text with the metric's unit such as 90% 250ms 512MB", _threshold, _as_is, {"type": ["number", "string"]}
)
