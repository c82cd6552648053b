"""The screens that have a number and are imported only where somebody goes there: 0.3 MiB each, which no start waits for."""

from perfconsole.ui.screens.base import ConsoleScreen


def queries() -> ConsoleScreen:
    """What loads the databases."""
    from perfconsole.ui.screens.queries import QueriesScreen  # noqa: PLC0415  see above

    return QueriesScreen()


def endpoints() -> ConsoleScreen:
    """What is checked."""
    from perfconsole.ui.screens.endpoints import EndpointsScreen  # noqa: PLC0415  see above

    return EndpointsScreen()


def alerts() -> ConsoleScreen:
    """What fires."""
    from perfconsole.ui.screens.alerts import AlertsScreen  # noqa: PLC0415  see above

    return AlertsScreen()


def changes() -> ConsoleScreen:
    """What changed."""
    from perfconsole.ui.screens.changes import ChangesScreen  # noqa: PLC0415  see above

    return ChangesScreen()
