"""What all probers of one process share: lookups of names that are joined, and TLS settings that are loaded once."""

from asyncio import Future
from typing import Any

from perfconsole.collectors.http.network.contexts import Contexts
from perfconsole.collectors.http.network.lag import Lag
from perfconsole.collectors.http.network.names import Resolver


class Shared:
    """The resolver, the TLS contexts and the measure of a loop's lateness; all belong to the loop on which they are first used.

    Attributes:
        compatible: The engine that takes long to load, once a check needed it (`http_client.loaded`).
    """

    def __init__(self, resolver: Resolver | None = None, contexts: Contexts | None = None) -> None:
        self.resolver = resolver or Resolver()
        self.contexts = contexts or Contexts()
        self.lag = Lag()
        self.compatible: Future[Any] | None = None
