"""The tables of a configuration by name. Imported once there is a file to read or to write."""

from typing import Final

from msgspec import Struct

from perfconsole.config.schema import AlertRule, Alerts, Console, Events, History, Postgres, Privacy, Processes, Security, System
from perfconsole.config.schema_checks import CHECKS, Service

TABLES: Final[dict[str, type[Struct]]] = {
    "console": Console, "system": System, "processes": Processes, **CHECKS, "service": Service, "postgres": Postgres,
    "alerts": Alerts, "alert": AlertRule, "history": History,
    "events": Events, "security": Security, "privacy": Privacy,
}  # fmt: skip
"""In the order in which they are written; ``keys`` is a table of its own kind, as are those of `NOTIFY`."""

NOTIFY: Final = "notify"
"""Those of channels: each has the keys of its `type`, see `schema_notify.CHANNELS`, which only a file with one imports."""

ARRAYS: Final = frozenset({*CHECKS, "service", "postgres", "alert", NOTIFY})
"""Those of which there may be any number, each with a name of its own."""
