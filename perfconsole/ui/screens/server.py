"""One PostgreSQL server in detail: what is read of it on request, in sections, with the statements that would mend what is wrong."""

from perfconsole.core.requests import POSTGRES_DETAIL, ServerArgs
from perfconsole.ui.screens.facts import FactsScreen


class ServerScreen(FactsScreen):
    """A server: its sections behind each other, the selected fact below.

    Args:
        server: Its configured name.
    """

    SCOPE = "queries"
    SPEC = POSTGRES_DETAIL
    ONLY_LIVE = "a recording does not hold this: it is read of a live server only"

    def __init__(self, server: str) -> None:
        super().__init__(server, ServerArgs(server))

    @property
    def concern(self) -> tuple[str, str]:
        """What alerts are to be about to be meant here."""
        return "server", self.subject
