"""The errors that cross rooms. Third-party exceptions are turned into these at the border and never leak."""


class PerfconsoleError(Exception):
    """A failure that is told to the user in one line.

    Attributes:
        message: What happened, and where.
        fix: What to do about it; empty when there is nothing to say.
    """

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}: {self.fix}" if self.fix else self.message


class ConfigError(PerfconsoleError):
    """A configuration that cannot be used: names file, line, key, what was found and what is accepted."""


class CollectorError(PerfconsoleError):
    """One run of one collector failed; it becomes a `Health` on the pane, never an exit.

    Attributes:
        state: The health state it stands for: ``error``, ``denied`` (a right is missing) or ``off`` (not available here).
    """

    def __init__(self, message: str, fix: str = "", state: str = "error") -> None:
        super().__init__(message, fix)
        self.state = state


class RequestError(PerfconsoleError):
    """A request that was refused or failed: unknown operation, read-only, identity changed, timed out."""


class RecordingError(PerfconsoleError):
    """A recording that cannot be read or written."""
