"""PostgreSQL servers: what a DSN, a service or the environment says about one, as libpq's own keywords (libpq, section 34.1.2).

Passwords stay references until `ServerSettings.keywords` is asked, immediately before connecting.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from perfconsole.config import secrets
from perfconsole.core.errors import ConfigError
from perfconsole.core.redact import redact
from perfconsole.core.text import safe

if TYPE_CHECKING:
    from perfconsole.config.schema import Config

SCHEMES: Final = ("postgresql", "postgres")
DEFAULT_PORT: Final = "5432"

_ENVIRONMENT: Final = {
    "PGHOST": "host", "PGHOSTADDR": "hostaddr",
    "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user", "PGPASSWORD": "password", "PGPASSFILE": "passfile",
    "PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert", "PGSSLCERT": "sslcert", "PGSSLKEY": "sslkey", "PGSSLCRL": "sslcrl",
    "PGTARGETSESSIONATTRS": "target_session_attrs", "PGKRBSRVNAME": "krbsrvname", "PGOPTIONS": "options",
}  # fmt: skip

INSTEAD: Final = '"${ENV}" or "?password=file:/run/secrets/x" in its place, ~/.pgpass, or service=...'
_SECRET: Final = ("password", "sslpassword")
_ACCEPTED: Final = "postgresql://USER@HOST:PORT/DATABASE, or host=... dbname=... user=..."


class ServerSettings(NamedTuple):
    """One PostgreSQL server, as it was configured.

    Attributes:
        name: Unique; the ``server`` label of its series.
        dsn: A URI or libpq keywords, secrets as references; empty for the libpq environment alone.
        service: An entry of the service file; empty for none.
        tls: One of `schema.TLS_MODES`; empty leaves it to the DSN, the environment, and libpq's ``prefer``.
        databases: Globs of the databases that are told apart; empty for all.
        exclude: Globs of applications whose sessions are left out.
        interval_s: Seconds between two looks.
        database: In place of the one that all these name; empty for that one.
        offered: Where it was found, when nobody configured it: it is not connected to until somebody says so.
    """

    name: str
    dsn: str = ""
    service: str = ""
    tls: str = ""
    databases: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    interval_s: float = 5.0
    database: str = ""
    offered: str = ""

    def keywords(self, env: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The keywords for this server, secrets looked up; the DSN wins over the service, and that over the environment.

        Raises:
            ConfigError: When a reference leads nowhere, the service is not defined, or the DSN is none.
        """
        said = keywords_of(self.dsn, env)
        service = self.service or said.pop("service", "") or ("" if self.dsn else env.get("PGSERVICE", ""))
        from_env = {keyword: env[name] for name, keyword in _ENVIRONMENT.items() if env.get(name)}
        merged = from_env | (service_entry(service, env) if service else {}) | said
        if self.tls:
            merged["sslmode"] = self.tls
        if self.database:
            merged["dbname"] = self.database
        return merged


def keywords_of(dsn: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a DSN says, by libpq's keywords.

    Args:
        dsn: A URI, keywords with values, or one reference to either.
        env: Where references are looked up; None leaves them as they are.

    Raises:
        ConfigError: When it is none; the message does not repeat it, for it may hold a password.
    """
    if secrets.is_reference(dsn):
        if env is None:
            return {}
        dsn = secrets.resolve(dsn, env)
    if not dsn.strip():
        return {}
    said = _of_uri(dsn) if "://" in dsn.partition("=")[0] else dict(_of_words(dsn))
    return said if env is None else {keyword: secrets.resolve(value, env) for keyword, value in said.items()}


def check_dsn(dsn: str) -> str:
    """A DSN as it stands.

    Raises:
        ValueError: When it is none.
    """
    try:
        keywords_of(dsn)
    except ConfigError as error:
        raise ValueError(error.fix) from error
    return dsn


def password_in(dsn: str) -> bool:
    """Whether a secret stands in a DSN itself, not as a reference."""
    said = keywords_of(dsn)
    return any(said.get(keyword) and not secrets.is_reference(said[keyword]) for keyword in _SECRET)


def sends_for_files(dsn: str) -> bool:
    """Whether a DSN, or a value in it, is a reference to a file."""
    return secrets.is_file(dsn) or any(map(secrets.is_file, keywords_of(dsn).values()))


def shown(dsn: str) -> str:
    """A DSN without the secrets in it; references stay."""
    return redact(dsn) if password_in(dsn) else dsn


def of_option(dsn: str) -> ServerSettings:
    """The server that ``--dsn`` names; it is called by its host, or what there is instead.

    Raises:
        ConfigError: When it is no DSN, or holds a password: every user of the machine can read a command line.
    """
    try:
        said = keywords_of(dsn)
        secret = password_in(dsn)
    except ConfigError as error:
        raise ConfigError(f"--dsn: {error.message}", error.fix) from error
    if secret:
        raise ConfigError("--dsn: a password on the command line can be read by every user of this machine", INSTEAD)
    return ServerSettings(_called(said), dsn)


def of_environment(env: Mapping[str, str]) -> ServerSettings:
    """The server that libpq's variables name (`schema.SERVER_VARIABLES`)."""
    return ServerSettings(_called({"service": env.get("PGSERVICE", ""), "host": env.get("PGHOSTADDR") or env.get("PGHOST", ""),
                                   "port": env.get("PGPORT", ""), "dbname": env.get("PGDATABASE", "")}))  # fmt: skip


def of_socket(directory: str, port: str) -> ServerSettings:
    """A server that was found on this machine: asked for by nobody yet; for the rest libpq's defaults hold."""
    said = {"host": directory, "port": port}
    return ServerSettings(_called(said), f"host='{directory}' port={port}", offered=f"{directory}:{port}")


def servers(config: "Config") -> tuple[ServerSettings, ...]:
    """The servers of a checked configuration."""
    return tuple(
        ServerSettings(one.name, one.dsn, one.service, one.tls, one.databases, one.exclude, one.interval_s) for one in config.postgres
    )


def _called(said: Mapping[str, str]) -> str:
    if said.get("service"):
        return safe(said["service"], 60)
    host = (said.get("host") or "local").split(",")[0]
    port = said.get("port", "").split(",")[0]
    name = "local" if host.startswith("/") else host
    name += f":{port}" if port not in {"", DEFAULT_PORT} else ""
    return safe(name + (f"/{said['dbname']}" if said.get("dbname") else ""), 60)


def _of_uri(dsn: str) -> dict[str, str]:
    try:
        # To libpq + and # are signs like any other, also in a password.
        parts = urlsplit(dsn.replace("+", "%2B").replace("#", "%23"))
    except ValueError as error:
        raise ConfigError("not a DSN", f"accepted: {_ACCEPTED}") from error
    if parts.scheme not in SCHEMES:
        raise ConfigError(f'not a DSN: it begins with "{safe(parts.scheme, 20)}://"', f"accepted: {_ACCEPTED}")
    who, _, where = parts.netloc.rpartition("@")
    if ":file:" in parts.netloc:
        raise ConfigError("not a DSN", "a password from a file is written postgresql://USER@HOST/DATABASE?password=file:/run/secrets/x")
    user, _, password = who.partition(":")
    hosts, ports = _hosts(where)
    found = {"user": user, "password": password, "host": hosts, "port": ports, "dbname": parts.path.removeprefix("/")}
    out = {keyword: unquote(value) for keyword, value in found.items() if value}
    return out | dict(parse_qsl(parts.query))


def _hosts(where: str) -> tuple[str, str]:
    """Hosts and ports of ``a:5433,[::1],b``, each joined by commas as libpq wants them."""
    hosts, ports = [], []
    for entry in where.split(","):
        host, colon, port = entry.rpartition(":") if not entry.endswith("]") else (entry, "", "")
        hosts.append((host if colon else entry).strip("[]"))
        ports.append(port if colon else DEFAULT_PORT)
    given = any(":" in entry.rpartition("]")[2] for entry in where.split(","))
    if not all(port.isdigit() for port in ports):
        raise ConfigError("not a DSN: the port is no number", f"accepted: {_ACCEPTED}; in a password / : @ are written %2F %3A %40")
    return ",".join(hosts), ",".join(ports) if given else ""


def _of_words(dsn: str) -> Iterable[tuple[str, str]]:
    r"""``host=db1 password='a b\'c'``: quotes and backslashes as libpq reads them."""
    import re  # noqa: PLC0415  only where there is such a DSN

    at = 0
    word = re.compile(r"\s*([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)")
    while at < len(dsn.rstrip()):
        found = word.match(dsn, at)
        if not found:
            raise ConfigError("not a DSN", f"accepted: {_ACCEPTED}")
        value = found[2] if found[2] is not None else found[3]
        yield found[1], re.sub(r"\\(.)", r"\1", value)
        at = found.end()


def service_entry(name: str, env: Mapping[str, str]) -> dict[str, str]:
    """What the service files say under a name (libpq, section 34.17): the user's file first, then the system's.

    Raises:
        ConfigError: When no file has it.
    """
    import configparser  # noqa: PLC0415  only where there is a service

    files = [env["PGSERVICEFILE"]] if env.get("PGSERVICEFILE") else [os.path.expanduser("~/.pg_service.conf")]  # noqa: PTH111  a text is kept
    files.append(f"{env.get('PGSYSCONFDIR', '/etc/postgresql-common')}/pg_service.conf")
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{safe(file)}: not a service file", "each entry is [name] and lines of keyword=value") from error
        if parser.has_section(name):
            return dict(parser.items(name))
    raise ConfigError(f'service "{safe(name, 60)}" is not defined', f"add [{safe(name, 60)}] to {safe(files[0])}")
