"""Writing configurations: the commented example, the effective values as TOML, the JSON Schema, and a file that others cannot read."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import NODEFAULT, Struct

from perfconsole.config.kinds import Key, keys_of
from perfconsole.config.schema import Config
from perfconsole.config.tables import ARRAYS, NOTIFY, TABLES
from perfconsole.core.errors import ConfigError

_HEAD: Final = """\
# perfconsole: every key, with its default. Nothing here is needed: perfconsole without a configuration watches this machine.
# Lines that begin with # and a key are the defaults (or, where none exists, an example): take the # away and change the value.
# Looked for in: --config FILE, $PERFCONSOLE_CONFIG, ./perfconsole.toml (yours or root's, and not writable by others),
# $XDG_CONFIG_HOME/perfconsole/config.toml (~/.config/perfconsole/config.toml), /etc/perfconsole/config.toml.
# Durations are written "250ms" "10s" "5m" "24h" "30d", sizes "512MB" "64MiB", ratios "90%" or 0.9.
# `perfconsole config check` tells what is wrong with a file, `perfconsole config show` what is in force.
"""
_KEYS_TEXT: Final = """\
# Keys: an action and the key or keys that do it, in place of its own; [] for none. `perfconsole keys` lists all of them.
# One character, or such as "ctrl+n" "f5" "pagedown" "space". ctrl+c always quits.
"""
_ALTERNATIVES: Final = frozenset({"below", "service", "bearer", "connect_to"})
"""Keys in place of one before them: the two may not stand together, so these stay comments when the rest is taken for what it says."""


def example() -> str:
    """A configuration in which everything is commented out and explained."""
    seen: dict[str, str] = {}
    tables = [_example_table(name, table, seen) for name, table in TABLES.items()]
    return "\n".join([_HEAD, *tables, *_example_channels(), _KEYS_TEXT + '#[keys]\n#help = ["?", "f1"]\n'])


def _example_channels() -> Iterator[str]:
    from perfconsole.config.schema_notify import CHANNELS  # noqa: PLC0415  only when it is written about

    seen: dict[str, str] = {}
    for kind, table in CHANNELS.items():
        yield _example_table(NOTIFY, table, seen, f"the {kind}")


def _example_table(name: str, table: type[Struct], seen: dict[str, str], place: str = "") -> str:
    """A table with its keys, what is a table in it at its end; what is the same in an earlier one is only named.

    Args:
        name: The table's name.
        table: What it holds.
        seen: Of keys that several tables have in common, the table in which they are explained; added to.
        place: What it is called when a later one refers to it; by its name unless given.
    """
    place = place or f"[[{name}]]"
    header = f"#[[{name}]]" if name in ARRAYS else f"[{name}]"
    lines = [f"# {(table.__doc__ or '').strip()}", header]
    common = [key for key in keys_of(table).values() if key.attribute not in table.__annotations__]
    again = [key for key in common if seen.setdefault(key.name, place) != place]
    shown = [key for key in keys_of(table).values() if key not in again]
    for key in [key for key in shown if not _spread(key)]:
        lines += [f"# {key.text}", f"#{_example_line(key)}"]
    if again:
        lines.append(f"# And as in {seen[again[0].name]}: {' '.join(key.name for key in again)}.")
    for key in filter(_spread, shown):
        lines += _example_nested(name, key)
    return "\n".join(lines) + "\n"


def _spread(key: Key) -> bool:
    """Whether it is a table of several keys, each of which has something to say."""
    return key.kind.table is not None and len(keys_of(key.kind.table)) > 1


def _example_nested(name: str, key: Key) -> Iterator[str]:
    assert key.kind.table
    yield f"# {key.text}"
    yield f"#[[{name}.{key.name}]]" if key.kind.many else f"#[{name}.{key.name}]"
    for inner in keys_of(key.kind.table).values():
        yield f"# {inner.text}"
        yield f"#{_example_line(inner)}"


def _example_line(key: Key) -> str:
    if key.name in _ALTERNATIVES:
        return " " + _line(key.name, key.example)
    if key.example is not None:
        return _line(key.name, key.example)
    return _line(key.name, key.kind.write(key.default))


def _line(name: str, value: Any) -> str:
    return f"{name} = {_inline(value)}"


def _inline(value: Any) -> str:
    """A value on one line: the example takes comments away line by line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(_line(*item) for item in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    import tomli_w  # noqa: PLC0415  only when something is written

    return tomli_w.dumps({"x": value}).rstrip("\n").removeprefix("x = ")


def render(config: Config) -> str:
    """All effective values as TOML; what has no value (no state directory was named, no threshold below) is left out."""
    import tomli_w  # noqa: PLC0415  likewise

    document: dict[str, Any] = {}
    for name in TABLES:
        value = getattr(config, name)
        document[name] = [_values(item) for item in value] if name in ARRAYS else _values(value)
    document[NOTIFY] = [_values(channel) for channel in config.notify]
    document["keys"] = {action: list(keys) for action, keys in config.keys.items()}
    return tomli_w.dumps({name: value for name, value in document.items() if value})


def _values(table: Struct, *, brief: bool = False) -> dict[str, Any]:
    """The keys of a table as they are written.

    Args:
        table: Any of `TABLES`, or one within it.
        brief: Only those that are not as they are by default.
    """
    found = ((key, getattr(table, key.attribute)) for key in keys_of(type(table)).values())
    kept = ((key, value) for key, value in found if value is not None and value not in ("", {}) and not (brief and value == key.default))
    written = {key.name: _written(key, value) for key, value in kept}
    return {name: value for name, value in written.items() if value != {}}


def _written(key: Key, value: Any) -> Any:
    if key.kind.table is None:
        return key.kind.write(value)
    return [_values(item, brief=True) for item in value] if key.kind.many else _values(value, brief=True)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file, for editors: the texts that people write, not the numbers they become."""
    import msgspec  # noqa: PLC0415  its schema part only here

    from perfconsole.config.schema_notify import CHANNELS  # noqa: PLC0415  only when it is written about

    tables = [*TABLES.values(), *CHANNELS.values()]
    _, definitions = msgspec.json.schema_components(tables, ref_template="#/$defs/{name}")
    described = {table.__name__: table for table in _with_nested(tables)}
    for name, table in described.items():
        definition = definitions[name]
        definition["properties"] = {key.name: _property(key) for key in keys_of(table).values()}
        definition["additionalProperties"] = False
        definition.pop("default", None)
    one_key = {"type": "string", "minLength": 1}
    top: dict[str, Any] = {name: {"$ref": f"#/$defs/{table.__name__}"} for name, table in TABLES.items()}
    top.update({name: {"type": "array", "items": top[name]} for name in ARRAYS if name in TABLES})
    top[NOTIFY] = {"type": "array", "items": {"oneOf": [{"$ref": f"#/$defs/{table.__name__}"} for table in CHANNELS.values()]}}
    top["keys"] = {"type": "object", "additionalProperties": {"anyOf": [one_key, {"type": "array", "items": one_key}]}}
    definitions["AlertRule"]["oneOf"] = [{"required": ["above"]}, {"required": ["below"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "perfconsole configuration", "type": "object",
        "properties": top, "additionalProperties": False, "$defs": {name: definitions[name] for name in described},
    }  # fmt: skip


def _with_nested(tables: Iterable[type[Struct]]) -> Iterator[type[Struct]]:
    """Tables, and those within them."""
    for table in tables:
        yield table
        yield from _with_nested(key.kind.table for key in keys_of(table).values() if key.kind.table)


def _property(key: Key) -> dict[str, Any]:
    out: dict[str, Any] = {"description": key.text, **key.kind.schema}
    if not key.required and not key.kind.table and key.default not in (None, "", NODEFAULT):
        out["default"] = key.kind.write(key.default)
    return out


def write_new(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read (0600), whole or not at all.

    Args:
        path: Where; missing directories are made, for the owner alone.
        text: What.
        force: Replace one that is there.

    Raises:
        ConfigError: When it exists and may not be replaced, or cannot be written.
    """
    written = path.with_name(f".{path.name}.{os.getpid()}") if force else path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # O_EXCL follows no link and fails where anything stands, so that nothing is looked at first and replaced after all.
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if force:
            written.replace(path)
    except OSError as error:
        written.unlink(missing_ok=True)
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> ConfigError:
    if isinstance(error, FileExistsError) and os.path.lexists(path) and path.parent.is_dir():
        return ConfigError(f"{path}: exists and is left as it is", "--force replaces it")
    return ConfigError(f"{path}: cannot be written: {error.strerror}", "`perfconsole init` prints it, to be put elsewhere")
