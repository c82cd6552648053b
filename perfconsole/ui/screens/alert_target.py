"""From an alert to what it is about: the screen of the endpoint, of the server, of the processes."""

from typing import TYPE_CHECKING

from perfconsole.core.endpoints import TARGET, EndpointTable, identity
from perfconsole.core.tables import View
from perfconsole.core.tick import Alert
from perfconsole.ui.verdict import of_databases

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp


def target_name(alert: Alert) -> str:
    """Where the way leads, in words: ``checkout``, ``Queries of orders``, ``Processes``."""
    labels = dict(alert.labels)
    if alert.metric.startswith("httpcheck."):
        return labels.get("endpoint") or "Endpoints"
    return f"Queries of {labels['server']}" if of_databases(alert) and labels.get("server") else "Processes"


def wanted_views(alert: Alert) -> list[View]:
    """What has to be known to go there."""
    name = dict(alert.labels).get("endpoint", "")
    return [View("endpoint", TARGET, limit=0, keys=(identity(name),))] if name else []


async def go_to_target(app: "ConsoleApp", alert: Alert) -> None:
    """Show what an alert is about; where that is one endpoint, over the screen it was gone to from."""
    labels = dict(alert.labels)
    if alert.metric.startswith("httpcheck."):
        table = app.state.table(EndpointTable, TARGET)
        row = next((row for row in table.rows if row.name == labels.get("endpoint")), None) if table else None
        if row is not None:
            from perfconsole.ui.screens.endpoint import EndpointScreen  # noqa: PLC0415  only when opened

            await app.push_screen(EndpointScreen(row))
            return
        await app.do_screen_endpoints()
        if labels.get("endpoint"):
            app.tell(f"endpoint {labels['endpoint']} is not among those that are known now", "warning")
    elif of_databases(alert):
        await app.do_screen_queries()
        from perfconsole.ui.screens.queries import QueriesScreen  # noqa: PLC0415  only where somebody goes there

        if isinstance(app.front, QueriesScreen):
            app.front.choose(labels.get("server", ""))
    else:
        await app.do_screen_processes()
