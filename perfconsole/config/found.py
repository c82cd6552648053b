"""PostgreSQL servers of this machine that nobody configured: their sockets are looked for, and nothing is connected to.

Imported by a console that starts without a server, so it imports next to nothing itself.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from stat import S_ISSOCK, S_IWOTH
from typing import Final

DIRECTORIES: Final = ("/var/run/postgresql", "/tmp")  # noqa: S108  where servers put them: Debian's and Red Hat's, and PostgreSQL's own
_PREFIX: Final = ".s.PGSQL."


def sockets(directories: Sequence[str] = DIRECTORIES) -> list[tuple[str, str]]:
    """Directory and port of each socket of a server, one a port.

    Where everybody may write, only those of root, of the server's usual account and of ourselves count: a socket that anybody laid out
    there would be told our password.
    """
    return list({port: (directory, port) for directory in reversed(directories) for port in _ports(directory)}.values())[::-1]


def _ports(directory: str) -> Iterator[str]:
    with suppress(OSError):
        shared = os.stat(directory).st_mode & S_IWOTH  # noqa: PTH116  pathlib costs its import
        for name in sorted(os.listdir(directory), reverse=True):  # noqa: PTH208  likewise
            port = name.removeprefix(_PREFIX)
            if port != name and port.isascii() and port.isdecimal():
                with suppress(OSError):
                    found = os.stat(f"{directory}/{name}")  # noqa: PTH116  likewise
                    if S_ISSOCK(found.st_mode) and (not shared or found.st_uid in _trusted()):
                        yield port


def _trusted() -> set[int]:
    import pwd  # noqa: PLC0415  only where there is a socket in /tmp

    trusted = {0, os.geteuid()}
    with suppress(KeyError):
        trusted.add(pwd.getpwnam("postgres").pw_uid)
    return trusted
