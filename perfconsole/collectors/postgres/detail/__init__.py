"""What is read of a server on request: all sections of facts, each of which stands alone."""

from typing import Final

from perfconsole.collectors.postgres.connection import Server
from perfconsole.collectors.postgres.detail import advice, connections, maintenance, replication, sizes, visibility
from perfconsole.collectors.postgres.detail.facts import Inquiry
from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import ServerDetail

_SECTIONS: Final = (
    connections.read, sizes.read_databases, sizes.read_tables, maintenance.read, replication.read, advice.read, visibility.read,
)  # fmt: skip


async def read(server: Server) -> ServerDetail:
    """All sections of one server.

    Args:
        server: Whom to ask: a connection of its own, since sessions are asked for each second.

    Raises:
        RequestError: When it cannot be asked at all.
    """
    try:
        await server.ready()
    except ServerError as error:
        raise RequestError(error.message, error.fix) from None
    inquiry = Inquiry(server)
    return ServerDetail([await section(inquiry) for section in _SECTIONS])
