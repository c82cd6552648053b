"""Where things are kept: XDG directories, and root's system-wide ones."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NAME: Final = "perfconsole"
SYSTEM_STATE: Final = "/var/lib/perfconsole"

ADDRESS_BYTES: Final = 107
"""What the address of a unix socket (`sun_path`) takes beside its final zero."""


def home(env: Mapping[str, str]) -> Path:
    """The caller's home directory; ``/`` for one that has none (a service account)."""
    if env.get("HOME"):
        return Path(env["HOME"])
    import pwd  # noqa: PLC0415  only where HOME is not set

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")


def config_dir(env: Mapping[str, str]) -> Path:
    """``$XDG_CONFIG_HOME/perfconsole``; a relative value is ignored, as the XDG specification asks."""
    return _xdg(env, "XDG_CONFIG_HOME", ".config")


def state_dir(env: Mapping[str, str], configured: str = "") -> Path:
    """The state directory: what ``[history] dir`` says, else ``/var/lib/perfconsole`` for root, else ``$XDG_STATE_HOME/perfconsole``."""
    if configured:
        return expand(env, configured)
    if os.getuid() == 0 and not env.get("XDG_STATE_HOME"):
        return Path(SYSTEM_STATE)
    return _xdg(env, "XDG_STATE_HOME", ".local/state")


def expand(env: Mapping[str, str], path: str) -> Path:
    """A path in which a leading ``~`` stands for the home directory."""
    return home(env) / path[2:] if path.startswith("~/") else Path(path)


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """A path as the address of a unix socket has room for it: a long one by way of its directory, opened (Linux).

    So the socket lies where it should, however long the way there is.
    """
    if len(os.fsencode(path)) <= ADDRESS_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _xdg(env: Mapping[str, str], variable: str, default: str) -> Path:
    base = Path(env.get(variable, ""))
    return (base if base.is_absolute() else home(env) / default) / NAME
