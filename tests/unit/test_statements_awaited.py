"""Which statements somebody waits for, as far as texts and pg_stat_activity tell."""

import time

import pytest

from perfconsole.collectors.postgres.statements import awaited
from perfconsole.collectors.postgres.statements.awaited import Awaited
from perfconsole.collectors.postgres.statements.source import Flights
from perfconsole.collectors.postgres.statements.texts import Texts

KEY = (10, 5, 77, True)
PLACE = KEY[:3]


def with_text(text):
    texts = Texts()
    texts._keep(PLACE, text)
    return Awaited(texts)


def seen(left_out=(), others=(), running=()):
    return Flights({key: (1, 1.0, text) for key, text in running}, frozenset(), True, {}, frozenset(left_out), frozenset(others))


@pytest.mark.parametrize(
    "text",
    [
        "COPY t TO STDOUT", "copy (SELECT 1) to stdout", "VACUUM ANALYZE t", "ANALYZE t", "analyse t", "CREATE INDEX i ON t (a)",
        "CREATE TABLE a AS SELECT 1", "REINDEX TABLE t", "REFRESH MATERIALIZED VIEW v", "CLUSTER t", "ALTER TABLE t ADD c int",
        "DROP TABLE t", "CHECKPOINT", "-- nightly\n  /* load\n t */ COPY t FROM STDIN",
    ],
)  # fmt: skip
def test_nobody_waits_for_what_copies_or_maintains(text):
    assert not with_text(text).for_(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "", "SELECT 1", "(SELECT 1) UNION SELECT 2", "WITH copy AS (SELECT 1) SELECT * FROM copy", "INSERT INTO t VALUES (1)",
        "UPDATE copy SET a = 1", "CALL p()", "FETCH 10 FROM c", "/* COPY */ SELECT 1", "-- VACUUM\nSELECT 1", "copying", "COMMIT",
    ],
)  # fmt: skip
def test_for_all_else_somebody_does_and_for_what_is_not_known_too(text):
    assert with_text(text).for_(KEY)
    assert Awaited(Texts()).for_(KEY)


def test_a_text_that_runs_is_heard_of_before_it_is_read():
    one = Awaited(Texts())
    one.overhear(seen(running=[(KEY, "VACUUM t")]))
    assert not one.for_(KEY)


def test_what_an_application_runs_that_is_left_out_may_last_until_another_runs_it_too():
    one = Awaited(Texts())
    one.overhear(seen(left_out=[PLACE]))
    one.overhear(seen())
    assert not one.for_(KEY)
    assert one.for_((10, 5, 78, True))
    one.overhear(seen(left_out=[PLACE], others=[PLACE]))
    assert one.for_(KEY)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(awaited, "_HELD", 100)
    one = Awaited(Texts())
    for i in range(1000):
        one.overhear(seen(left_out=[(10, 5, i)]))
    assert len(one._left_out) <= 100
    assert not one.for_((10, 5, 999, True))


def test_no_text_holds_the_loop_long():
    texts = ["/* a */ " * 2000 + "SELECT 1", "/*" * 8000, "--\n" * 5000 + "SELECT", "(" * 16000, " " * 16000]
    began = time.process_time()
    for text in texts:
        assert with_text(text).for_(KEY)
    assert time.process_time() - began < 0.5
