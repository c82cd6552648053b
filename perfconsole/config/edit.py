"""Changing a rule in a configuration that somebody wrote: comments, order and everything else in the file stay as they are.

Nothing is written that could not be read again: the new text is checked as the old one was, and a fault of it is told and changes nothing.
"""

import codecs
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from perfconsole.config.load import ConfigFileError, parse_text
from perfconsole.config.places import config_dir
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe
from perfconsole.core.tick import Rule
from perfconsole.core.units import parse_duration

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

KEYS: Final = ("severity", "above", "below", "for", "over", "clear", "keep_firing_for", "respond_within", "runbook", "enabled")
"""What is changed of a rule; what it is about is no change of it, but another rule."""

_SHORT_S: Final = 10.0
"""For how long what fires at once is to last at least, where it is written by somebody whom no channel tells."""

_TIMES: Final = re.compile(r"alert\[\d+\]\.(?:over|for): ")


def edit_rule(path: str | None, rule: Rule, changes: Mapping[str, str], env: Mapping[str, str]) -> Path:
    """Change keys of a rule where it is written; one that ships becomes one of the file's own, and is left out there.

    Args:
        path: The file in force; None where there is none: the user's is begun then.
        rule: The rule as it is in force.
        changes: Key to what a person would write for it (``10m``, ``90%``, ``0.9``, ``true``); an empty text takes the key away.
        env: The environment.

    Returns:
        The file.

    Raises:
        ConfigError: When it may not be written, was changed meanwhile, or would not be a configuration any more; then it is as it was.
    """
    unknown = [key for key in changes if key not in KEYS]
    if unknown:
        raise ConfigError(f"{safe(unknown[0])} of a rule is not changed here", f"these are: {' '.join(KEYS)}")
    place = Path(path).resolve() if path else config_dir(env) / "config.toml"
    before = _read(place)
    text, form = _plain(before, place)
    parse_text(text, env=env, path=str(place))  # what is no configuration to begin with is told as that
    try:
        changed = _edited(text, rule, changes, place)
        parse_text(changed, env=env, path=str(place))
    except ConfigFileError as error:
        late = all(_TIMES.search(fault.message) for fault in error.errors)
        raise (_unsayable(text, rule, env, place) if late else None) or error from error
    _replace(place, before, form.of(changed))
    return place


class _Form(NamedTuple):
    """How a file is written: what stands before its text, and how its lines end."""

    mark: bytes
    end: bytes

    def of(self, text: str) -> bytes:
        """A text in this form."""
        return self.mark + text.encode().replace(b"\n", self.end)


def _plain(data: bytes, place: Path) -> tuple[str, _Form]:
    """The text of a file, with lines that end as they do here, the last one too; and the form that it had.

    Raises:
        ConfigError: When it is no text.
    """
    plain = data.removeprefix(codecs.BOM_UTF8)
    crlf = plain.count(b"\r\n")
    form = _Form(data[: len(data) - len(plain)], b"\r\n" if crlf and crlf == plain.count(b"\n") else b"\n")  # a mixture stays one
    try:
        text = plain.replace(form.end, b"\n").decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place}: it is not UTF-8", "save the file as UTF-8") from error
    return text + "\n" * bool(text and not text.endswith("\n")), form


def _unsayable(text: str, rule: Rule, env: Mapping[str, str], place: Path) -> ConfigError | None:
    """That a rule which ships can be none of the file's own, whatever is changed of it, for it fits itself to what is measured seldom."""
    if rule.source or not rule.stretches or not rule.for_s:
        return None
    try:
        parse_text(_edited(text, rule, {}, place), env=env, path=str(place))
    except ConfigFileError as error:
        why = _TIMES.split(error.errors[0].message, maxsplit=1)[-1]
        return ConfigError(
            f"{place}: {safe(rule.name)} waits longer where something is measured seldom, which no [[alert]] can say: {why}",
            "disable it in [alerts], and write [[alert]]s that name endpoints in match",
        )
    return None


def _edited(text: str, rule: Rule, changes: Mapping[str, str], place: Path) -> str:
    import tomlkit  # noqa: PLC0415  only to edit: 20 ms
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415  likewise

    try:
        document = tomlkit.parse(text)
        table = _table(document, rule)
        if table is None:
            if rule.source:
                raise ConfigError(f"{place}: no [[alert]] is called {safe(rule.name)} any more", "ctrl+r reads it again")
            _sayable(rule, changes)
            table = _adopted(document, rule)
        for key, value in changes.items():
            if value == "":
                table.pop(key, None)
            else:
                table[key] = _value(value)
        if "above" in changes and changes["above"] != "":
            table.pop("below", None)
        elif "below" in changes and changes["below"] != "":
            table.pop("above", None)
        return tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigError(f"{place}: {error}") from error


def _sayable(rule: Rule, changes: Mapping[str, str]) -> None:
    """See that a rule that ships can be one of the file's own.

    Raises:
        ConfigError: When it cannot; with the ``[[alert]]`` that comes nearest.
    """
    from perfconsole.config.rule_text import instead  # noqa: PLC0415  only to edit

    if rule.only:
        first, *others = sorted(rule.only)
        beside = f", and one likewise for each of: {' '.join(map(safe, others))}" if others else ""
        match = tuple((name, first if name == "endpoint" else glob) for name, glob in rule.match)
        raise ConfigError(f"{rule.name} is about marked endpoints: no [[alert]] can say that", f"{instead(rule, match=match)}{beside}")
    if not (rule.for_s or rule.notify or _lasts(changes.get("for", ""))):
        raise ConfigError(
            f"{rule.name} fires at once: say how long it is to last (for), or name a channel in [alerts] notify",
            f"else an [[alert]] is a threshold, which tells nobody; it may be written as {instead(rule, for_s=_SHORT_S)}",
        )


def _lasts(written: str) -> bool:
    """Whether what somebody wrote for ``for`` is more than nothing; what is no duration is found out with the rest."""
    try:
        return parse_duration(written) > 0
    except ValueError:
        return bool(written)


def _table(document: "TOMLDocument", rule: Rule) -> Any:
    """The rule's own table in a file; None where there is none."""
    return next((table for table in document.get("alert", ()) if table.get("name") == rule.name), None)


def _adopted(document: "TOMLDocument", rule: Rule) -> Any:
    """A table for a rule that ships, at the end of the file, and the rule's name among those that are left out."""
    import tomlkit  # noqa: PLC0415  only to edit
    from tomlkit.items import Array  # noqa: PLC0415  likewise

    from perfconsole.config.rule_text import rule_lines  # noqa: PLC0415  likewise

    alerts = document.setdefault("alerts", tomlkit.table())
    names = alerts.setdefault("disable", tomlkit.array())
    if rule.name not in names:
        names.append(rule.name)
    made = tomlkit.parse("\n".join(rule_lines(rule)[1:]) + "\n")["alert"][0]
    if "alert" not in document:
        document.append("alert", tomlkit.aot())
    elif isinstance(document["alert"], Array):  # alert = [{ ... }]
        inline = tomlkit.inline_table()
        inline.update(made.unwrap())
        made = inline
    document["alert"].append(made)
    return document["alert"][-1]


def _value(written: str) -> Any:
    """What somebody wrote, as TOML has it: a number and true are themselves, everything else is a text."""
    if written in {"true", "false"}:
        return written == "true"
    for number in (int, float):
        with suppress(ValueError):
            return number(written)
    return written


def _read(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read: {error.strerror}") from error


def _replace(place: Path, before: bytes, after: bytes) -> None:
    """Put another content in place of the one that was read, whole or not at all; with the mode and the owner that the file had."""
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = place.stat() if place.exists() else None
        if found and not os.access(place, os.W_OK):
            raise PermissionError(13, os.strerror(13))
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if found:
                    os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
                    if (found.st_uid, found.st_gid) != (os.getuid(), os.getgid()):
                        os.fchown(descriptor, found.st_uid, found.st_gid)
                file.write(after)
                file.flush()
                os.fsync(descriptor)
            if _read(place) != before:
                raise ConfigError(f"{place}: was changed meanwhile, and is left as it is", "ctrl+r reads it again")
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{place}: cannot be written: {error.strerror}", "change it where it is kept, then ctrl+r") from error
