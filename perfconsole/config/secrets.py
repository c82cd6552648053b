"""Secrets by reference: ``${ENV}`` and ``file:/run/secrets/x``.

What is kept, shown and written is the reference; the secret itself is looked up when it is needed, and goes nowhere else.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE: Final = "file:"
_MOST_BYTES: Final = 65536
"""No secret is longer; ``file:/dev/zero`` must end too."""


def is_reference(text: str) -> bool:
    """Whether a text is nothing but one reference: ``${NAME}`` or ``file:/path``."""
    return bool(_VARIABLE.fullmatch(text)) or is_file(text)


def is_file(text: str) -> bool:
    """Whether a text is a reference to a file."""
    return text.startswith(_FILE + "/")


def without(text: str, instead: str) -> str:
    r"""A text with something else in place of each reference; ``\1`` there is the name of the variable."""
    return instead.replace(r"\1", text.rpartition("/")[2]) if is_file(text) else _VARIABLE.sub(instead, text)


def resolve(text: str, env: Mapping[str, str]) -> str:
    """A text with its references looked up.

    Args:
        text: ``file:/path`` as a whole, or any text with ``${NAME}`` in it.
        env: The environment.

    Raises:
        ConfigError: When a variable is not set, or the file cannot be read. It names the reference, never a value.
    """
    if is_file(text):
        return _read(text.removeprefix(_FILE))

    def look_up(found: re.Match[str]) -> str:
        value = env.get(found[1])
        if value is None:
            raise ConfigError(f"${{{found[1]}}} is not set in the environment", f"export {found[1]} before perfconsole is started")
        return value

    return _VARIABLE.sub(look_up, text)


def _read(path: str) -> str:
    try:
        # Not blocking: a secret that is a pipe without a writer must not hold up everything else.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(_MOST_BYTES) or b""
        return data.decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise ConfigError(f"file:{safe(path)} cannot be read: {reason}", "a file with the secret in it, readable by this user") from error
