"""From an alert to what it is about: the screen of the endpoint, of the server, of the unit, of the machine, of the processes."""

from typing import TYPE_CHECKING, Final

from perfconsole.core.endpoints import TARGET, EndpointTable, identity
from perfconsole.core.tables import View
from perfconsole.core.tick import Alert
from perfconsole.core.words import BLIND
from perfconsole.ui import unseen
from perfconsole.ui.logins import ACCESS
from perfconsole.ui.verdict import of_databases

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp


_FAILED_UNITS: Final = "system.units.failed"
_OF_THE_MACHINE: Final = {
    "system.filesystem.": "Writers now",
    "system.array.": "Arrays",
    "system.conntrack.": "Conntrack",
    "system.tcp.": "Listeners",
    "system.logins.": ACCESS,
}
"""Sections of this machine in detail, by what a metric begins with."""


def _about(alert: Alert) -> dict[str, str]:
    """Labels of what it is about: of monitoring that is blind, of what cannot be seen."""
    labels = dict(alert.labels)
    if alert.metric != BLIND:
        return labels
    place = {"postgres": "server", "http": "endpoint"}.get(labels.get("collector", "").partition(".")[0], "")
    return {place: labels.get("target", "")} if place else {}


def _is_of_endpoints(alert: Alert, about: dict[str, str]) -> bool:
    return alert.metric.startswith("httpcheck.") or (alert.metric == BLIND and "endpoint" in about)


def _section(alert: Alert) -> str:
    """The section of this machine's details that it leads to; empty for another place."""
    if alert.metric == BLIND:
        return unseen.TITLE
    return next((title for start, title in _OF_THE_MACHINE.items() if alert.metric.startswith(start)), "")


def target_name(alert: Alert) -> str:
    """Where the way leads, in words: ``checkout``, ``Queries of orders``, ``shop.service``, ``this machine: Arrays``, ``Processes``."""
    about = _about(alert)
    if _is_of_endpoints(alert, about):
        return about.get("endpoint") or "Endpoints"
    if about.get("server"):
        return f"Queries of {about['server']}"
    if about.get("unit"):
        return about["unit"]
    if alert.metric == _FAILED_UNITS:
        return "Units"
    return f"this machine: {title}" if (title := _section(alert)) else "Queries" if of_databases(alert) else "Processes"


def wanted_views(alert: Alert) -> list[View]:
    """What has to be known to go there."""
    name = _about(alert).get("endpoint", "")
    return [View("endpoint", TARGET, limit=0, keys=(identity(name),))] if name else []


async def go_to_target(app: "ConsoleApp", alert: Alert) -> None:
    """Show what an alert is about; where that is one endpoint or unit, over the screen it was gone to from."""
    about = _about(alert)
    if _is_of_endpoints(alert, about):
        await _open_endpoint(app, about.get("endpoint", ""))
    elif about.get("server") or of_databases(alert):
        await _open_queries(app, about.get("server", ""))
    elif about.get("unit"):
        await open_unit(app, about["unit"])
    elif title := _section(alert):
        from perfconsole.ui.screens.system import open_system  # noqa: PLC0415  only where somebody goes there

        await open_system(app, title)
    else:
        await _open_processes(app, units=alert.metric == _FAILED_UNITS)


async def _open_endpoint(app: "ConsoleApp", name: str) -> None:
    table = app.state.table(EndpointTable, TARGET)
    row = next((row for row in table.rows if row.name == name), None) if table else None
    if row is not None:
        from perfconsole.ui.screens.endpoint import EndpointScreen  # noqa: PLC0415  likewise

        await app.push_screen(EndpointScreen(row))
        return
    await app.do_screen_endpoints()
    if name:
        app.tell(f"endpoint {name} is not among those that are known now", "warning")


async def _open_queries(app: "ConsoleApp", server: str) -> None:
    from perfconsole.ui.screens.queries import QueriesScreen  # noqa: PLC0415  likewise

    await app.do_screen_queries()
    if isinstance(app.front, QueriesScreen):
        app.front.choose(server)


async def _open_processes(app: "ConsoleApp", *, units: bool) -> None:
    from perfconsole.ui.screens.processes import ProcessesScreen  # noqa: PLC0415  likewise

    await app.do_screen_processes()
    if units and isinstance(app.front, ProcessesScreen) and not app.front.units:
        app.front.do_process_units()


async def open_unit(app: "ConsoleApp", name: str) -> None:
    """Show a unit or container by its name."""
    from perfconsole.ui.screens.unit import UnitScreen  # noqa: PLC0415  likewise
    from perfconsole.ui.unit_rows import row_of  # noqa: PLC0415  likewise

    await app.push_screen(UnitScreen(row_of(name)))
