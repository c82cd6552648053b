"""Checking what a file says against the schema: every fault is noted with its line, and the rest is checked all the same."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from perfconsole.config import actions, check_alerts, check_endpoints, servers, themes
from perfconsole.config.kinds import Key, Kind, Wrong, keys_of
from perfconsole.config.lines import Path
from perfconsole.config.schema import AlertRule, Config, Postgres
from perfconsole.config.schema_checks import CHECKS, Checked
from perfconsole.config.tables import ARRAYS, NOTIFY, TABLES
from perfconsole.config.toml import Document
from perfconsole.config.wording import shown, suggestion
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe


class Checker:
    """Turns a document into a configuration.

    Args:
        document: What the file says.
        env: The environment, for where themes are.
        shared: Others can read the file: no password may stand in it.
        found_here: It was found in the working directory: it may not send for files, nor say where what is kept goes.

    Attributes:
        errors: What was wrong, in the order of the lines once `config` was called.
    """

    def __init__(self, document: Document, env: Mapping[str, str], *, shared: bool = False, found_here: bool = False) -> None:
        self._document = document
        self._env = env
        self._shared = shared
        self._found_here = found_here
        self._noted: list[tuple[int, ConfigError]] = []

    @property
    def errors(self) -> list[ConfigError]:
        """The faults by line."""
        return [error for _, error in sorted(self._noted, key=lambda noted: noted[0])]

    def config(self) -> Config:
        """The configuration; to be used only where there are no `errors`."""
        made: dict[str, Any] = {}
        for name, value in self._document.values.items():
            if name in ARRAYS:
                made[name] = self._array(name, value)
            elif name == "keys":
                made[name] = self._keys(value)
            elif name in TABLES:
                if self._is_table((name,), value, f"[{name}]"):
                    made[name] = TABLES[name](**self._values((name,), value, keys_of(TABLES[name])))
            else:
                self._unknown((name,), name, [*TABLES, NOTIFY, "keys"], "tables")
        history = made.get("history")
        if self._found_here and history and history.dir:
            found = "a state directory in a configuration that was found in the working directory"
            self._note(("history", "dir"), found, "name it with --config")
        self._theme()
        written = self._document.values.get("alert", [])
        check_alerts.names(self._note, made.get("alerts", Config().alerts), written if isinstance(written, list) else [])
        if not self._document.values.keys().isdisjoint([*CHECKS, "service"]):
            check_endpoints.together(self._note, self._document.values, self._document.lines.of)
        self._names_of_channels(made)
        config = Config(**made)
        if not self._noted:
            check_alerts.together(self._note, config)
        return config

    # One table --------------------------------------------------------------------------------------------------------------------

    def _values(self, at: Path, table: dict[str, Any], keys: dict[str, Key]) -> dict[str, Any]:
        """The good values of a table, by attribute."""
        out = {}
        for name, value in table.items():
            key = keys.get(name)
            if key is None:
                self._unknown((*at, name), name, list(keys), f"keys in [{'.'.join(part for part in at if isinstance(part, str))}]")
                continue
            try:
                found = key.kind.read(value)
            except Wrong as wrong:
                self._note((*at, name, *wrong.at), wrong.found, wrong.fix)
            except ValueError as error:
                self._refuse((*at, name), key, value, str(error))
            else:
                out[key.attribute] = self._nested((*at, name), key.kind, found)
        return out

    def _nested(self, at: Path, kind: Kind, value: Any) -> Any:
        """What was read; of tables within the table their own keys."""
        if kind.table is None:
            return value
        if kind.many:
            return tuple(self._made((*at, number), kind.table, item) for number, item in enumerate(value))
        return self._made(at, kind.table, value)

    def _made(self, at: Path, table: type[Struct], item: dict[str, Any]) -> Struct | None:
        """A table from its keys; None when one of them is wrong or missing."""
        before, keys = len(self._noted), keys_of(table)
        values = self._values(at, item, keys)
        needed = [key.name for key in keys.values() if key.required]
        missing = [name for name in needed if name not in item]
        if missing:
            self._note(at, f"no {', '.join(missing)}", f"needed: {' '.join(needed)}")
        return table(**values) if len(self._noted) == before else None

    def _refuse(self, at: Path, key: Key, value: Any, reason: str) -> None:
        if key.kind.private and isinstance(value, str | list):  # not repeated: what cannot be read may hold a password anywhere
            found = f"found a {'text' if isinstance(value, str) else 'list'} that is no {key.kind.private}"
            self._note(at, found, reason or f"accepted: {key.kind.accepts}")
            return
        wrong = reason if reason and key.kind.choices else value
        near = suggestion(wrong, key.kind.choices) if key.kind.choices and isinstance(wrong, str) else ""
        self._note(at, f"found {shown(value)}{_type(value)}", f"accepted: {key.kind.accepts}" + (f"; {near}" if near else ""))

    def _unknown(self, at: Path, name: str, known: list[str], what: str) -> None:
        near = suggestion(name, known)
        self._note(at, f'"{safe(name, 60)}" is not known yet', f"{near + ' ' if near else ''}(known {what}: {' '.join(known)})")

    def _is_table(self, at: Path, value: Any, written: str) -> bool:
        if isinstance(value, dict):
            return True
        found = "an array of tables" if isinstance(value, list) and value and isinstance(value[0], dict) else shown(value)
        self._note(at, f"found {found}", f"accepted: a table, written {written}")
        return False

    def _note(self, at: Path, message: str, fix: str = "") -> None:
        self._noted.append((self._document.lines.of(at), self._document.error(at, message, fix)))

    # Arrays of tables -------------------------------------------------------------------------------------------------------------

    def _array(self, table: str, value: Any) -> tuple[Struct, ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._note((table,), "found a single table" if isinstance(value, dict) else f"found {shown(value)}",
                       f"accepted: tables of an array, each written [[{table}]] in double brackets")  # fmt: skip
            return ()
        made: list[Struct] = []
        lines: dict[str, int] = {}
        for number, item in enumerate(value):
            one = self._one((table, number), item)
            name = item.get("name") if table not in CHECKS else None  # those of all endpoints are judged together
            if isinstance(name, str) and name in lines:
                self._note(
                    (table, number, "name"),
                    f"found {shown(name)}, which the {table} on line {lines[name]} is called",
                    "give it a name of its own",
                )
            elif isinstance(name, str):
                lines[name] = self._document.lines.of((table, number))
            made += [one] if one else []
        return tuple(made)

    def _one(self, at: Path, item: dict[str, Any]) -> Struct | None:
        table = str(at[0])
        if table == "alert":
            return self._alert(at, item)
        if table == "postgres":
            return self._postgres(at, item)
        if table == NOTIFY:
            return self._channel(at, item)
        made = self._made(at, TABLES[table], item)
        if isinstance(made, Checked):
            check_endpoints.alone(self._note, at, made, check_endpoints.Circumstances(self._shared, self._found_here))
        return made

    def _postgres(self, at: Path, item: dict[str, Any]) -> Postgres | None:
        before = len(self._noted)
        values = self._values(at, item, keys_of(Postgres))
        if "name" not in item:
            self._note(at, "no name", "a server needs a name of its own; dsn, service or the PG* variables say where it is")
        if "dsn" in item and "service" in item:
            self._note((*at, "service"), "both dsn and service", "accepted: one of them, or service=... within the dsn")
        dsn = values.get("dsn", "")
        if dsn and self._shared and servers.password_in(dsn):
            self._note((*at, "dsn"), "a password stands in it, and others can read this file", f"chmod 600, or {servers.INSTEAD}")
        if dsn and self._found_here and servers.sends_for_files(dsn):
            self._note((*at, "dsn"), "file: in a configuration that was found in the working directory", "name it with --config")
        return Postgres(**values) if len(self._noted) == before else None

    # Channels ---------------------------------------------------------------------------------------------------------------------

    def _channel(self, at: Path, item: dict[str, Any]) -> Struct | None:
        from perfconsole.config import check_notify  # noqa: PLC0415  only a file with channels pays for what they are
        from perfconsole.config.schema_notify import Notify  # noqa: PLC0415  likewise

        table = check_notify.type_of(self._note, at, item)
        made = self._made(at, table, item) if table else None
        if isinstance(made, Notify):
            check_notify.alone(self._note, at, made, check_endpoints.Circumstances(self._shared, self._found_here))
        return made

    def _names_of_channels(self, made: dict[str, Any]) -> None:
        """Names of channels are those of some."""
        if any(one.notify for one in (made.get("alerts"), *made.get("alert", ())) if one):
            from perfconsole.config import check_notify  # noqa: PLC0415  likewise

            check_notify.names(self._note, self._document.values)

    # Alerts -----------------------------------------------------------------------------------------------------------------------

    def _alert(self, at: Path, item: dict[str, Any]) -> AlertRule | None:
        before = len(self._noted)
        keys = keys_of(AlertRule)
        values = self._values(at, item, keys)
        missing = [key.name for key in keys.values() if key.required and key.name not in item]
        if missing:
            self._note(
                at,
                f"no {', '.join(missing)}",
                f"an alert needs {' '.join(key.name for key in keys.values() if key.required)}, and above or below",
            )
        check_alerts.thresholds(self._note, at, values, item)
        if len(self._noted) != before:
            return None
        rule = AlertRule(**values)
        check_alerts.alone(self._note, at, rule)
        return rule

    # Keys and themes --------------------------------------------------------------------------------------------------------------

    def _keys(self, value: Any) -> dict[str, tuple[str, ...]]:
        if not self._is_table(("keys",), value, "[keys]"):
            return {}
        out: dict[str, tuple[str, ...]] = {}
        # A dotted id without quotes is a table to TOML: nav.down = "n" and "nav.down" = "n" mean the same.
        for at, found in _leaves(("keys",), value):
            name = ".".join(map(str, at[1:]))
            if name not in actions.BY_ID:
                near = suggestion(name, list(actions.BY_ID))
                self._note(at, f'"{safe(name, 60)}" is no action', near or "`perfconsole keys` lists them")
                continue
            keys = self._key_list(at, found)
            if keys is not None:
                out[name] = keys
        for key, first, second in actions.clashes(actions.keymap(out)):
            mine, other = (second, first) if second.id in out else (first, second)
            self._note(self._key_path(value, mine.id), f'"{key}" already does {other.id} ({other.title})',
                       "choose another key, or give that action another one too")  # fmt: skip
        return out

    def _key_list(self, at: Path, found: Any) -> tuple[str, ...] | None:
        items = found if isinstance(found, list) else [found]
        if not all(isinstance(item, str) for item in items):
            self._note(at, f"found {shown(found)}{_type(found)}", 'accepted: a key such as "n" or "ctrl+n", or a list of keys; [] for none')
            return None
        try:
            keys = tuple(dict.fromkeys(actions.read_key(item) for item in items))
        except ValueError as error:
            self._note(at, f"no such key: {safe(str(error))}")
            return None
        for taken in actions.TAKEN.intersection(keys):
            self._note(at, f'"{taken}" cannot be taken', "it always quits")
        return keys

    def _key_path(self, table: dict[str, Any], action: str) -> Path:
        """The path under which an action stands in the file: quoted whole, or dotted."""
        return ("keys", action) if action in table else ("keys", *action.split("."))

    def _theme(self) -> None:
        console = self._document.values.get("console")
        name = console.get("theme") if isinstance(console, dict) else None
        if isinstance(name, str) and name.strip():
            known = themes.names(self._env)
            if name not in known:
                near = suggestion(name, known)
                self._note(
                    ("console", "theme"),
                    f"found {shown(name)}, which is no theme",
                    f"{near + ' ' if near else ''}(there are: {' '.join(known)})",
                )


def _leaves(at: Path, table: dict[str, Any]) -> list[tuple[Path, Any]]:
    out: list[tuple[Path, Any]] = []
    for name, value in table.items():
        out += _leaves((*at, name), value) if isinstance(value, dict) and value else [((*at, name), value)]
    return out


def _type(value: Any) -> str:
    """The type of a found value where seeing it does not tell."""
    return " (a number)" if isinstance(value, int | float) and not isinstance(value, bool) else ""
