"""The configuration a command works with: the file in use, and over it what the command line says."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from perfconsole.config.load import Loaded, load
from perfconsole.config.schema import INTERVAL, SERVER_VARIABLES, Config, Console
from perfconsole.core.errors import ConfigError

if TYPE_CHECKING:  # argparse takes 15 ms, which a console without options need not wait for
    from argparse import Namespace


def settle(args: "Namespace") -> Loaded:
    """Load the configuration and apply the options of the command line.

    Args:
        args: Parsed arguments; those that a command does not have are left as configured.

    Raises:
        ConfigError: When the file or an option is wrong.
    """
    loaded = load(getattr(args, "config", None), env=os.environ)
    return loaded._replace(config=_applied(loaded.config, args))


def _applied(config: Config, args: "Namespace") -> Config:
    changes: dict[str, object] = {}
    if getattr(args, "interval", None) is not None:
        changes["interval_s"] = _interval_s(args.interval)
    if getattr(args, "theme", None) is not None:
        changes["theme"] = _theme(args.theme)
    if getattr(args, "read_only", None):
        changes["read_only"] = True
    if getattr(args, "no_record", False):
        changes["recording_s"] = 0.0
    if changes:
        config = replace(config, console=_replaced(config.console, changes))
    if getattr(args, "url", None):
        config = _with_endpoints(config, args.url)
    dsns = getattr(args, "dsn", None) or ()
    named = not config.postgres and any(os.environ.get(name) for name in SERVER_VARIABLES)
    return _with_servers(config, dsns) if dsns or named else config


def _with_endpoints(config: Config, urls: Sequence[str]) -> Config:
    """Those of the command line beside those of the file."""
    from perfconsole.config import endpoints

    taken = {check.name for check in endpoints.checks(config)}
    added = []
    for url in urls:
        one = endpoints.of_option(url, taken)
        name = one.name or endpoints.name_of("http", {"url": url})
        if name in taken:
            raise ConfigError(f"--url: two endpoints would be called {name!r}", "give each URL once; one in the file has the other's name")
        taken.add(name)
        added.append(one)
    return replace(config, http=(*config.http, *added))


def _with_servers(config: Config, dsns: Sequence[str]) -> Config:
    """Those of the command line beside those of the file; where there are neither, the one that the environment names."""
    from perfconsole.config import servers
    from perfconsole.config.schema import Postgres

    found = [servers.of_option(dsn) for dsn in dsns] or [servers.of_environment(os.environ)]
    added = [Postgres(name=one.name, dsn=one.dsn) for one in found]
    names = [server.name for server in (*config.postgres, *added)]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--dsn: two servers would be called {name!r}", 'give it a name of its own: [[postgres]] name = "..."')
    return replace(config, postgres=(*config.postgres, *added))


def _replaced(console: Console, changes: dict[str, object]) -> Console:
    return replace(console, **changes)


def _interval_s(text: str) -> float:
    try:
        return float(INTERVAL.read(text))
    except ValueError as error:
        raise ConfigError(f"--interval: found {text!r}", f"accepted: {INTERVAL.accepts.replace(' in quotes', '')}") from error


def _theme(name: str) -> str:
    from perfconsole.config import themes, wording

    known = themes.names(os.environ)
    if name not in known:
        near = wording.suggestion(name, known)
        raise ConfigError(f"--theme: no theme is called {name!r}", f"{near + ' ' if near else ''}(there are: {' '.join(known)})")
    return name
