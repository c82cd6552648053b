"""Keywords of libpq as the driver takes them: one host after the other, and as people call them. No connection is made here."""

from collections.abc import Mapping
from typing import Final

from perfconsole.config.servers import DEFAULT_PORT
from perfconsole.core.text import safe

_WORDS: Final = frozenset(
    {
        "host", "port", "user", "password", "passfile", "dbname", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword",
        "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "krbsrvname", "gsslib", "options",
    }
)  # fmt: skip
"""Keywords that the driver understands; it would send any other to the server as a setting, and the server would refuse it."""


def each(words: Mapping[str, str]) -> list[Mapping[str, str]]:
    """The keywords for each of several hosts; all in one where the driver has to compare them."""
    count = len(words.get("host", "").split(","))
    if count == 1 or words.get("target_session_attrs") == "prefer-standby":
        return [words]
    parts = {keyword: words[keyword].split(",") for keyword in ("host", "hostaddr", "port") if words.get(keyword)}
    return [{**words, **{keyword: values[min(i, len(values) - 1)] for keyword, values in parts.items()}} for i in range(count)]


def uri(words: Mapping[str, str]) -> str:
    """The keywords as the one form of DSN that the driver reads."""
    from urllib.parse import quote, urlencode  # noqa: PLC0415  only to connect

    known = {keyword: value for keyword, value in words.items() if keyword in _WORDS}
    if "hostaddr" in words:
        known["host"] = words["hostaddr"]
    return "postgresql://?" + urlencode(known, quote_via=quote)


def where(words: Mapping[str, str]) -> str:
    """Host and port, of several each: ``db1:5432,db2:5432``."""
    hosts = (words.get("host") or "localhost").split(",")
    ports = (words.get("port") or DEFAULT_PORT).split(",")
    return safe(",".join(f"{host}:{ports[min(i, len(ports) - 1)]}" for i, host in enumerate(hosts)), 120)
