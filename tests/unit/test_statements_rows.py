"""Windows as rows: of very many statements the first ones, found without holding a loop."""

from perfconsole.collectors.postgres.statements.rows import MOST, SEARCHED, Known, rows
from perfconsole.collectors.postgres.statements.source import Extension, Flights
from perfconsole.collectors.postgres.statements.texts import Names, Texts
from perfconsole.core.ledger import Ledger, Window
from perfconsole.core.tables import View


def test_the_first_of_fifty_thousand_by_what_is_sorted_by_in_slices():
    sums = {(1, 1, n, True): (n % 1000 + 1, float(n), *[0.0] * 8) for n in range(1, 50_001)}
    known = Known(Ledger(), Extension("1.11", "public", "", 8192, 50_000, False, True), Flights({}, frozenset(), known=True),
                  Texts(), Names(), frozenset())  # fmt: skip
    for views, least in (([View("statement", sort="load")], MOST), ([View("statement", sort="calls", match="x")], SEARCHED)):
        steps, slices = rows(known, Window("open", 0.0, 1000.0, sums), views), 0
        try:
            while True:
                next(steps)
                slices += 1
        except StopIteration as done:
            made, _ = done.value
        assert slices >= 50_000 / 3000 * 2
        assert len(made) == least
        kept = {row.queryid for row in made}
        assert kept == set(range(50_001 - MOST, 50_001)) if least == MOST else all(row.calls > 950 for row in made)
