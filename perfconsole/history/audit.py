"""The audit file: who did what to this machine from the console. An action that cannot be written down is not done."""

import errno
import os
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import msgspec
from msgspec import Struct

from perfconsole.core.errors import RequestError


class AuditFile:
    """Appends one line of JSON before an action and one after it: ``at uid user op args outcome``, the outcome empty before.

    Opened for each line: actions are rare, and a file that was rotated away is begun anew.

    Args:
        path: Made with mode 0600 when it is not there, its directory with 0700.
        clock: Epoch seconds.
    """

    def __init__(self, path: str | PathLike[str], clock: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._clock = clock

    def __call__(self, peer: str, op: str, args: Struct, outcome: str) -> None:
        """Write one line; takes as long as the disk does.

        Args:
            peer: The user who asks.
            op: Name of the operation.
            args: Its arguments.
            outcome: What came of it; empty before acting.

        Raises:
            RequestError: When it cannot be written before acting. Afterwards that is no error: the action is done, and the first line
                says who wanted it.
        """
        at = self._clock()
        entry = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z",
            "uid": os.getuid(),
            "user": peer,
            "op": op,
            "args": msgspec.structs.asdict(args),
            "outcome": outcome,
        }
        try:
            self._append(msgspec.json.encode(entry) + b"\n")
        except OSError as error:
            if not outcome:
                raise RequestError(
                    f"{op} is refused, for it cannot be written down: {self._path}: {error.strerror}", "make the audit file writable"
                ) from error

    def _append(self, line: bytes) -> None:
        if not self._path.parent.is_dir():
            self._path.parent.mkdir(0o700, parents=True)
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":  # a line that found no room to its end does not take the next one along
                line = b"\n" + line
            if os.write(fd, line) < len(line):  # a full disk takes a part first, and refuses only what comes after
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(fd)
