"""Themes: one TOML file each, from the package and from the user's configuration directory. Knows nothing of the terminal UI."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from perfconsole.config import places
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe

DEFAULT: Final = "midnight"
ANSI_COLOURS: Final = tuple(
    f"ansi_{bright}{colour}"
    for bright in ("", "bright_")
    for colour in ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
)


class ThemeSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The colours of a theme by what they are for.

    A colour is ``#rrggbb``; in a theme with `ansi` it is one of `ANSI_COLOURS` or empty, which is the terminal's own default.
    Where `selection_bg` is empty the selected row is to be drawn in reverse; severity is always shown by glyph and word as well.

    Attributes:
        name: The name of its file.
        dark: Whether the background is dark.
        ansi: Drawn with the terminal's own palette, not with true colours.
        dim: Text of lesser weight: units, keys, what is old.
        chart: Lines and bars without a severity.
    """

    name: str
    background: str
    surface: str
    panel: str
    foreground: str
    dim: str
    accent: str
    border: str
    selection_bg: str
    selection_fg: str
    ok: str
    warning: str
    critical: str
    stale: str
    unknown: str
    chart: str
    dark: bool = True
    ansi: bool = False


COLOURS: Final = tuple(field for field in ThemeSpec.__struct_fields__ if field not in {"name", "dark", "ansi"})


class Found(NamedTuple):
    """A theme file; `origin` is ``shipped`` or ``yours``."""

    name: str
    path: Path
    origin: str


class LoadedTheme(NamedTuple):
    """A theme to draw with, and what should be said about it: a bad file is a notice and the default theme."""

    spec: ThemeSpec
    notices: tuple[str, ...] = ()


def load_theme(name: str, *, env: Mapping[str, str]) -> LoadedTheme:
    """The theme of a name: the user's file, else the shipped one. Only that file is read.

    Raises:
        ConfigError: When there is no such theme.
    """
    notices: list[str] = []
    for found in _files(name, env):
        try:
            return LoadedTheme(read_theme(found.path), tuple(notices))
        except ConfigError as error:
            notices.append(f"{error} (the theme is not used)")
    if notices:
        return LoadedTheme(read_theme(shipped_dir() / f"{DEFAULT}.toml"), tuple(notices))
    from perfconsole.config.wording import suggestion  # noqa: PLC0415  only for the mistake

    known = names(env)
    near = suggestion(name, known)
    raise ConfigError(f'no theme is called "{safe(name, 60)}"', f"{near + ' ' if near else ''}(there are: {' '.join(known)})")


def names(env: Mapping[str, str]) -> list[str]:
    """Names of all themes, sorted; none is read."""
    return [found.name for found in list_themes(env)]


def list_themes(env: Mapping[str, str]) -> list[Found]:
    """All themes by name; one of the user's stands in for a shipped one of that name."""
    every = {found.name: found for found in [*_listed(shipped_dir(), "shipped"), *_listed(user_dir(env), "yours")]}
    return [every[name] for name in sorted(every)]


def user_dir(env: Mapping[str, str]) -> Path:
    """Where a user's themes are looked for."""
    return places.config_dir(env) / "themes"


def shipped_dir(package: Path | None = None) -> Path:
    """Where the shipped themes are: inside an installed package, beside it in a checkout."""
    package = package or Path(__file__).parent.parent
    inside = package / "themes"
    return inside if inside.is_dir() else package.parent / "themes"


def _files(name: str, env: Mapping[str, str]) -> list[Found]:
    if "/" in name or not name:  # a name, not a way to any file
        return []
    both = (Found(name, user_dir(env) / f"{name}.toml", "yours"), Found(name, shipped_dir() / f"{name}.toml", "shipped"))
    return [found for found in both if _exists(found.path)]


def _listed(directory: Path, origin: str) -> list[Found]:
    try:
        paths = sorted(directory.iterdir())
    except OSError:
        return []
    return [Found(path.stem, path, origin) for path in paths if path.suffix == ".toml" and path.stem.isprintable()]


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def read_theme(path: Path) -> ThemeSpec:
    """Read one file.

    Raises:
        ConfigError: Naming file, line and key of the first fault, and what is accepted.
    """
    from perfconsole.config.toml import parse  # noqa: PLC0415  the line scanner is for files

    try:
        if not path.is_file():
            raise ConfigError(f"{safe(str(path))}: not a file")
        document = parse(str(path), path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{safe(str(path))}: cannot be read: {error.strerror}") from error
    values = document.values
    switches = {key: values.pop(key, default) for key, default in (("dark", True), ("ansi", False))}
    for key, value in switches.items():
        if not isinstance(value, bool):
            raise document.error((key,), f"found {value!r}", "accepted: true or false")
    for key, value in values.items():
        if key not in COLOURS:
            raise document.error((key,), "not a colour of a theme", f"accepted: dark ansi {' '.join(COLOURS)}")
        if not _is_colour(value, ansi=switches["ansi"]):
            accepted = f'"" or one of {" ".join(ANSI_COLOURS)}' if switches["ansi"] else '"#rrggbb" (names only with ansi = true)'
            raise document.error((key,), f"found {value!r}", f"accepted: {accepted}")
    if missing := [key for key in COLOURS if key not in values]:
        raise ConfigError(f"{safe(str(path))}: no {' '.join(missing)}", "a theme gives every colour")
    return ThemeSpec(name=path.stem, **switches, **values)


def _is_colour(value: object, *, ansi: bool) -> bool:
    if not isinstance(value, str):
        return False
    if ansi:
        return not value or value in ANSI_COLOURS
    return len(value) == 7 and value[0] == "#" and all(digit in "0123456789abcdefABCDEF" for digit in value[1:])
