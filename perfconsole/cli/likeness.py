"""Whether two consoles would measure the same: the digest of a configuration, which the holder of a lease writes down for others."""

import os
from typing import Final

import msgspec
from msgspec.structs import asdict, replace

from perfconsole import __version__
from perfconsole.config.schema import Config

_COUNTS: Final = ("interval_s", "read_only", "recording_s", "recording_size_bytes")
"""Of [console]: the rest is how a screen looks, and each console has one of its own."""

_STRETCHED: Final = 100_000


def digest(config: Config, record: str | None = None) -> str:
    """The same for all that measure, judge and keep the same here, in this version, as this user; whatever their screens look like.

    A configuration holds secrets by reference. Where one stands in it all the same, as a private file may have it, or something looks
    like one, trying to guess it from the digest is made slow.

    Args:
        config: A settled configuration.
        record: The file that is recorded into in place of the state directory.
    """
    import hashlib

    said = {name: getattr(config, name) for name in config.__struct_fields__ if name not in {"console", "processes", "keys", "history"}}
    said["console"] = [getattr(config.console, name) for name in _COUNTS]
    said["system"] = replace(config.system, cpu_normalize="")
    said["history"] = asdict(config.history) | {"dir": ""}  # it is where the lease lies, however it was named
    said["here"] = [__version__, os.uname().nodename, os.getuid(), os.path.abspath(record) if record else ""]  # noqa: PTH100  links count
    text = msgspec.json.encode(said, order="deterministic")
    if not (config.postgres or config.http or config.tcp or config.tls or config.dns or config.notify):  # nobody to be named to
        return hashlib.sha256(text).hexdigest()
    from perfconsole.core.redact import redact  # 6 ms

    shown = redact(text.decode()).encode()
    if shown == text:
        return hashlib.sha256(text).hexdigest()
    return hashlib.pbkdf2_hmac("sha256", text, shown, _STRETCHED).hex()


def suits(wanted: Config, record: str | None, found: str) -> bool:
    """Whether an engine with this digest may stand in for one of a configuration's own: one that may act also for one that may not."""
    if found == digest(wanted, record):
        return True
    acting = replace(wanted, console=replace(wanted.console, read_only=False))
    return wanted.console.read_only and found == digest(acting, record)
