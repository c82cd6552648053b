"""perfconsole: one terminal console for the machine, its HTTP services and its PostgreSQL servers."""

__version__ = "0.1.0"
