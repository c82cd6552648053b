"""What happens again and again is told once and then summed up: a login every minute is not a timeline. Pure: time is an argument."""

from typing import Final, Generic, NamedTuple, TypeVar

FOLD_S: Final = 600.0
"""How long the same is not told again after it was told."""

_LONG_S: Final = 3600.0
"""What goes on after that is told once in so long."""

_MOST: Final = 1000

T = TypeVar("T")


class Folded(NamedTuple, Generic[T]):
    """What was not told one by one: `times` times between `first` and `last` (epoch seconds)."""

    what: T
    times: int
    first: float
    last: float


class _Fold(Generic[T]):
    __slots__ = ("count", "first", "last", "until", "what")

    def __init__(self, what: T, until: float) -> None:
        self.what, self.until = what, until
        self.count = 0
        self.first = self.last = 0.0


class Folds(Generic[T]):
    """What was told lately, and how often it happened since."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._folds: dict[object, _Fold[T]] = {}
        self._ended: list[Folded[T]] = []

    def admit(self, key: object, what: T, at: float, count: int = 1) -> bool:
        """Whether to tell it now; if not it is counted.

        Args:
            key: What makes it the same as another.
            what: What is handed back with the sum.
            at: When it happened, epoch seconds.
            count: How often.
        """
        fold = self._folds.get(key)
        while fold is not None and at >= fold.until:
            self._turn(key, fold)
            fold = self._folds.get(key)
        if fold is None:
            if len(self._folds) >= self._most:
                oldest = next(iter(self._folds))
                self._turn(oldest, self._folds[oldest])
                self._folds.pop(oldest, None)
            self._folds[key] = _Fold(what, at + FOLD_S)
            return True
        fold.first = fold.first if fold.count else at
        fold.last = at
        fold.count += count
        return False

    def due(self, at: float) -> list[Folded[T]]:
        """The sums that are to be told by now, each once."""
        for key, fold in [(key, fold) for key, fold in self._folds.items() if at >= fold.until]:
            self._turn(key, fold)
        ended, self._ended = self._ended, []
        return ended

    def _turn(self, key: object, fold: "_Fold[T]") -> None:
        """Its time is over: of what happened within it a sum, and a longer time; what did not happen again is forgotten."""
        if not fold.count:
            del self._folds[key]
            return
        self._ended.append(Folded(fold.what, fold.count, fold.first, fold.last))
        fold.count = 0
        fold.until += _LONG_S
