"""Which of many named things are meant: lists of globs as a configuration writes them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


class Globs:
    """A choice of names: ``["sd*", "!sdb"]`` means every sd but sdb; only exclusions (or nothing at all) means everything else.

    Args:
        patterns: Shell globs; one that starts with ``!`` excludes and wins over any that includes.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._include = [pattern for pattern in patterns if not pattern.startswith("!")]
        self._exclude = [pattern[1:] for pattern in patterns if pattern.startswith("!")]

    def __contains__(self, name: str) -> bool:
        return not self.refuses(name) and (not self._include or self.names(name))

    def names(self, name: str) -> bool:
        """Whether an including pattern matches: the thing was asked for, not merely not refused."""
        return any(fnmatchcase(name, pattern) for pattern in self._include)

    def refuses(self, name: str) -> bool:
        """Whether an excluding pattern matches."""
        return any(fnmatchcase(name, pattern) for pattern in self._exclude)
