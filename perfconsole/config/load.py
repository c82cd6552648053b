"""Finding, reading and checking a configuration. Every fault is told at once, each with its line, and nothing half-starts."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from perfconsole.config import places
from perfconsole.config.schema import Config
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe

LOCAL_NAME: Final = "perfconsole.toml"
SYSTEM_FILE: Final = "/etc/perfconsole/config.toml"
_OTHERS_READ: Final = stat.S_IRGRP | stat.S_IROTH
_MOST_BYTES: Final = 2**20
"""No honest configuration is longer; ``--config /dev/zero`` must end too."""


class Loaded(NamedTuple):
    """A configuration, the file that it came from (None: the defaults alone), and what should be said about the search.

    Attributes:
        rule_places: Where each of its alert rules is written, as ``file:line``.
    """

    config: Config
    path: str | None
    notices: tuple[str, ...] = ()
    rule_places: tuple[str, ...] = ()


class ConfigFileError(ConfigError):
    """All that is wrong with one file, in the order of its lines.

    Attributes:
        errors: One error a fault.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


def load(path: str | None, *, env: Mapping[str, str]) -> Loaded:
    """The configuration in force.

    Args:
        path: The file that was asked for; None searches ``$PERFCONSOLE_CONFIG``, the working directory, the user's and the system's.
        env: The environment.

    Raises:
        ConfigError: With one line a fault: file, line, key, what was found, what is accepted.
    """
    asked = path if path is not None else env.get("PERFCONSOLE_CONFIG") or None
    if asked is not None:  # a name may be empty by mistake (--config "$UNSET"): that is no leave to search
        data, mode = _read(asked, found=False)
        config, rule_places = _parsed(asked, data, env, shared=bool(mode & _OTHERS_READ))
        return Loaded(config, asked, rule_places=rule_places)
    notices: list[str] = []
    for candidate in _candidates(env):
        try:
            data, mode = _read(candidate, found=True)
        except FileNotFoundError:
            continue
        if candidate == LOCAL_NAME and (reason := _foreign(candidate)):
            notices.append(f"./{LOCAL_NAME} is not used, because {reason}: --config {LOCAL_NAME} uses it all the same")
            continue
        shown = os.path.abspath(candidate)  # noqa: PTH100  Path.absolute leaves the .. in
        config, rule_places = _parsed(shown, data, env, shared=bool(mode & _OTHERS_READ), found_here=candidate == LOCAL_NAME)
        return Loaded(config, shown, tuple(notices), rule_places)
    return Loaded(Config(), None, tuple(notices))


def _candidates(env: Mapping[str, str]) -> Iterator[str]:
    yield LOCAL_NAME
    yield str(places.config_dir(env) / "config.toml")
    yield SYSTEM_FILE


def _read(path: str, *, found: bool) -> tuple[bytes, int]:
    """The bytes and the mode of a file; one that was found (not asked for) must be a regular one, so that no stray pipe blocks the start.

    Raises:
        FileNotFoundError: Only where the file was searched for.
        ConfigError: When it cannot be read.
    """
    shown = safe(path) or '""'
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_NONBLOCK if found else 0))
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if found and not stat.S_ISREG(mode):
                raise ConfigError(f"{shown}: {_what(mode)}, not a file", "move it out of the way, or name a file with --config")
            data = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if found:
            raise FileNotFoundError from error
        raise ConfigError(f"{shown}: no such file", "`perfconsole init --write` makes one") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{shown}: a directory, not a file", f"name the file in it: {shown.rstrip('/')}/config.toml") from error
    except PermissionError as error:
        raise ConfigError(
            f"{shown}: may not be read by this user", f"chmod or chown it, or name another file with --config: {error.strerror}"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise ConfigError(f"{shown}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{shown}: longer than 1 MiB", "that is no configuration of perfconsole")
    return data, mode


def _what(mode: int) -> str:
    names = ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in names if test(mode)), "a device")


def _foreign(path: str) -> str:
    """Why a file in the working directory does not count; empty when it does.

    The link and what it leads to must both be ours: in /tmp anyone may leave a link to a file of root's.
    """
    for status in (os.lstat(path), os.stat(path)):  # noqa: PTH116  Path.stat would follow the same path a second time for no gain
        if status.st_uid not in {os.getuid(), 0}:
            return f"it belongs to another user (uid {status.st_uid})"
        shared = stat.S_IWOTH | (stat.S_IWGRP if status.st_gid not in {os.getgid(), 0} else 0)
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & shared:
            return "others may write to it"
    return ""


def _parsed(
    path: str, data: bytes, env: Mapping[str, str], *, shared: bool = False, found_here: bool = False
) -> tuple[Config, tuple[str, ...]]:
    """The configuration that some bytes say, and where each of its alert rules is written.

    Raises:
        ConfigError: Naming every fault.
    """
    from perfconsole.config.check import Checker  # noqa: PLC0415  most starts have no file, and need none of this
    from perfconsole.config.toml import parse, place  # noqa: PLC0415  likewise

    document = parse(path, data)
    checker = Checker(document, env, shared=shared, found_here=found_here)
    config = checker.config()
    if checker.errors:
        raise ConfigFileError(checker.errors)
    return config, tuple(place(path, document.lines.of(("alert", number))) for number in range(len(config.alert)))


def parse_text(text: str, *, env: Mapping[str, str], path: str = "config") -> Config:
    """The configuration that a text says.

    Raises:
        ConfigError: Naming every fault.
    """
    return _parsed(path, text.encode(), env)[0]
