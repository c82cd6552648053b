"""PostgreSQL on the Operations screen, a line a server; where there is none, or nothing of HTTP, a line that says how it is configured."""

from collections.abc import Sequence
from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tick import Health
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.verdict import checked, judge, of_databases, worst_of
from perfconsole.ui.widgets.pane import Pane

_MOST: Final = 6
"""Servers that get a line; the others are on the Queries screen."""

NO_ENDPOINTS: Final = "no endpoints: [[http]] in config.toml, or --url https://host/"

_NAME: Final = 12
_NAME_MOST: Final = 24
"""Cells of a name: a server without one of its own is called by its address, of which the end tells it from the next."""

LONG_S: Final = 1.0
"""A client that waits longer for a pooler's connection has met a pool that is too small, or connections that are held."""

_SEEN_S: Final = 5.0
"""Sessions are told once a second; a busy machine, or a server that takes its time, makes that two or three."""

SEVERITIES: Final = {"error": "critical", "denied": "warning", "stale": "stale", "off": "unknown"}
"""Of the states of a server that cannot be asked, or not for all."""
_NOT_WELL: Final = frozenset({"error", "denied", "stale"})


def servers(state: State) -> list[Health]:
    """How the PostgreSQL servers do that are looked at, by name: who answers first is another one at each start."""
    names = {series.labels.get("server") for series in state.every("postgresql.up")}
    return sorted(
        (health for (collector, target), health in state.health.items() if collector == "postgres" and target in names),
        key=lambda health: health.target,
    )


def offered(state: State) -> list[Health]:
    """Servers that were found on this machine, and are not asked until somebody says so."""
    return [health for (collector, _), health in state.health.items() if collector == "postgres" and health.state == "off"]


def offer(health: Health, how: str) -> str:
    """``a PostgreSQL server was found at /var/run/postgresql:5432: press c to connect``."""
    return f"a PostgreSQL server was found at {health.error}: {how}"


def trouble(state: State, server: str, at: float) -> list[str]:
    """Why what is shown of a server, which is of the moment `at`, is not what is; in words, with the fix."""
    health = state.health.get(("postgres", server))
    if health is None or health.state not in _NOT_WELL:
        return []
    age = f"shown is what was known {units.duration(state.at - at)} ago" if state.at - at > 1 else ""
    fix = "" if health.state == "stale" and age else health.fix  # it says no more than that
    return [": ".join(filter(None, (health.error, fix, age)))]


def long_ago(state: State, server: str, at: float) -> list[str]:
    """That the sessions shown, which are of the moment `at`, were: they are told once a second, but only while somebody looks."""
    age_s = state.at - at
    if age_s < _SEEN_S or trouble(state, server, at):
        return []
    return [f"seen {units.duration(age_s)} ago: sessions are kept only while somebody looks at them"]


def server_severity(state: State, health: Health) -> str:
    """How a server does: whether it can be asked; if so, the worst that is the matter with it, as the header counts it."""
    matter = (alert for alert in judge(state).matter if of_databases(alert) and dict(alert.labels).get("server") == health.target)
    return SEVERITIES.get(health.state) or worst_of(matter) or "ok"


class PlacesPane(Pane):
    """One line a PostgreSQL server; one for HTTP while nothing is checked: where something is, that has a pane of its own."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  as many as there are servers
        """What is not watched and how it would be, or how it does."""
        known = servers(state)[:_MOST]
        cells = min(_NAME_MOST, max([_NAME, *(len(health.target) + 1 for health in known)]))
        lines = [] if checked(state) else [self._place("HTTP", NO_ENDPOINTS, cells)]
        lines += [self._server(state, health, cells) for health in known] or [self._place("POSTGRESQL", self._no_server(state))]
        if self.size.height != len(lines):
            self.styles.height = len(lines)
        return lines

    def _no_server(self, state: State) -> str:
        found = offered(state)
        if not found:
            return "no servers: [[postgres]] in config.toml, or --dsn postgresql://host/database"
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        keys = self.console_app.keymap.sign("screen.queries"), self.console_app.keymap.sign("postgres.connect")
        return offer(found[0], f"press {keys[0]}, then {keys[1]} to connect{more}")

    def _place(self, name: str, text: str, cells: int = _NAME) -> Line:
        return self.line("panel").gap().put(name, "title", cells).put(text, "dim")

    def _server(self, state: State, health: Health, cells: int) -> Line:
        line = self.line("panel").gap().put(health.target, "title", cells - 1).gap()
        severity = server_severity(state, health)
        line.put(f"{self.look.glyph(severity)} {WORDS[severity]}", severity).gap(2)
        if health.state in SEVERITIES:
            return line.put(health.error).put(f"  {health.fix}" if health.fix else "", "dim")
        for title, text, role in self._facts(state, health.target):
            if text and line.left > len(title) + len(text) + 3:
                line.put(f"{title} ", "dim").put(text, role).gap(2)
        return line

    def _facts(self, state: State, server: str) -> list[tuple[str, str, str]]:
        """Title, text and role of what is told of a server that is well, the most telling first; empty texts are left out."""

        def value(name: str) -> float:
            return state.value(f"postgresql.{name}", server=server)

        blocked = value("sessions.blocked")
        waiting, longest = value("pool.waiting"), value("pool.max_wait")
        used = "" if isnan(value("connections.utilization")) else f" ({units.percent(value('connections.utilization'))})"
        active = state.value("postgresql.sessions", server=server, state="active")
        facts = [
            ("clients waiting", waiting_text(waiting, longest), "critical" if longest >= LONG_S else "foreground"),
            ("connections", units.count(value("connections")) + used, "foreground"),
            ("active", units.count(active), "foreground"),
            ("blocked", units.count(blocked) if blocked > 0 else "", "critical"),
            ("tps", units.count(value("transactions")), "foreground"),
            ("cache", units.percent(value("cache.hit_ratio"), 1), "foreground"),
            ("oldest", _age(value("transaction.longest")), "foreground"),
            ("lag", _age(value("replication.lag")), "foreground"),
            ("WAL", units.rate(value("wal.bytes")), "dim"),
            ("temp", units.rate(value("temp.bytes")) if value("temp.bytes") > 0 else "", "foreground"),
        ]
        return [(title, "" if text.startswith(units.UNKNOWN) else text, role) for title, text, role in facts]


def pooler(state: State, server: str) -> bool:
    """Whether it is the console of a pooler, and well."""
    return not isnan(state.value("postgresql.pool.waiting", server=server))


def waiting_text(clients: float, longest_s: float) -> str:
    """How many clients of a pooler wait for a connection, and for how long the first of them has: ``3 (2.1s)``."""
    return units.count(clients) + (f" ({units.latency(longest_s)})" if clients > 0 else "")


def _age(seconds: float) -> str:
    return "" if isnan(seconds) or seconds < 1 else units.duration(seconds)
