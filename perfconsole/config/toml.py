"""A TOML file as a document: its values, and for each key path the line to name in an error."""

from typing import Any, Final, NamedTuple

from perfconsole.config.lines import Lines, Path
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe

_CHARS: Final = 4000
"""Of a fault: the longest lists all metrics."""


class Document(NamedTuple):
    """What a file says, and where."""

    path: str
    values: dict[str, Any]
    lines: Lines

    def error(self, at: Path, message: str, fix: str = "") -> ConfigError:
        """An error at a key path."""
        return ConfigError(f"{place(self.path, self.lines.of(at))}: {dotted(at)}: {safe(message, _CHARS)}", safe(fix, _CHARS))


def place(path: str, line: int) -> str:
    """``file:line``, or the file alone."""
    return f"{safe(path)}:{line}" if line else safe(path)


def dotted(at: Path) -> str:
    """A key path as people write it: ``alert[2].above``; tables of an array are counted from 1."""
    text = ""
    for part in at:
        text += f"[{part + 1}]" if isinstance(part, int) else ("." if text else "") + safe(part, 60)
    return text


def parse(path: str, data: bytes) -> Document:
    """Read a document.

    Args:
        path: Its name, for errors.
        data: Its bytes; a byte-order mark is let pass.

    Raises:
        ConfigError: When it is not UTF-8 or not TOML, or says something twice.
    """
    import tomllib  # noqa: PLC0415  3 ms that only a file should cost

    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{place(path, line)}: the byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8") from error
    lines = Lines(text.replace("\r\n", "\n"))
    if lines.endless:
        raise ConfigError(f"{place(path, lines.endless)}: nested too deeply", "no setting needs more than two levels")
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{place(path, 0)}: nested too deeply", "no setting needs more than two levels") from error
    except ValueError as error:
        raise _syntax(path, text, lines, str(error)) from error
    return Document(path, values, lines)


def _syntax(path: str, text: str, lines: Lines, message: str) -> ConfigError:
    """What the TOML parser said, with the key where something is there twice (its message names none)."""
    if lines.twice:
        twice = lines.twice[0]
        return ConfigError(
            f"{place(path, twice.line)}: {dotted(twice.path)}: written twice, first on line {twice.first}", "remove one of them"
        )
    import re  # noqa: PLC0415  only for the mistake

    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if not found:
        return ConfigError(f"{place(path, 0)}: not TOML: {safe(message)}")
    line = int(found[1]) if found[1] else text.rstrip("\n").count("\n") + 1
    written = safe([*text.split("\n"), ""][line - 1].strip(), 60)
    says = safe(message[: found.start()])
    return ConfigError(f'{place(path, line)}: not TOML: {says[:1].lower()}{says[1:]}, in "{written}"', _advice(written))


def _advice(written: str) -> str:
    """What is most often meant by a line that is not TOML: a value without its quotes."""
    _, equals, value = written.partition("=")
    value = value.strip()
    if equals and value and value[0] not in "\"'[{" and " " not in value:
        return f'texts, durations and sizes stand in quotes: "{value}"'
    return "accepted: [table] or key = value"
