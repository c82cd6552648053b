"""Files of samples: what is read, what is refused and with which words, and that it takes no more memory than it should."""

import tracemalloc
from io import BufferedReader, BytesIO
from math import isnan, nan

import pytest

from perfconsole.core.errors import ConfigError
from perfconsole.core.tick import SeriesDef
from perfconsole.sources.sample_lines import read
from perfconsole.sources.samples import SampleFile

HEADER = "time,metric,endpoint,service,value\n"
UP = "httpcheck.up"


def samples(text):
    return list(read(BufferedReader(BytesIO(text if isinstance(text, bytes) else text.encode())), "f"))


def series(name, **labels):
    return SeriesDef(name, tuple(sorted(labels.items())))


def test_csv():
    text = HEADER + '100,httpcheck.up,web,shop,1\n\n100.5,system.load.1m,,,0.25\n"101",httpcheck.up,"a, ""b""",,-3e2\n'
    assert samples(text) == [
        (2, series(UP, endpoint="web", service="shop"), 100.0, 1.0),
        (4, series("system.load.1m"), 100.5, 0.25),
        (5, series(UP, endpoint='a, "b"'), 101.0, -300.0),
    ]


def test_json_lines():
    text = (
        '\n{"t": 100, "metric": "httpcheck.up", "labels": {"service": "shop", "endpoint": "web"}, "value": 1}\n'
        '{"t": "1970-01-01T00:01:41Z", "metric": "system.load.1m", "value": 0.25}\n'
        '{"t": 102.5, "metric": "system.load.1m", "labels": {"cpu": ""}, "value": 1}'
    )
    assert samples(text) == [
        (2, series(UP, endpoint="web", service="shop"), 100.0, 1.0),
        (3, series("system.load.1m"), 101.0, 0.25),
        (4, series("system.load.1m"), 102.5, 1.0),
    ]


@pytest.mark.parametrize(
    ("written", "at"),
    [("0", 0.0), ("1770000000.25", 1770000000.25), ("1.77e9", 1770000000.0), ("2026-02-02T02:40:00Z", 1770000000.0),
     ("2026-02-02t02:40:00z", 1770000000.0), ("2026-02-02 03:40:00+01:00", 1770000000.0),
     ("2026-02-02T02:40:00.125-00:00", 1770000000.125)],
)  # fmt: skip
def test_times(written, at):
    assert [sample.at for sample in samples(f"time,metric,value\n{written},m,1\n")] == [at]


@pytest.mark.parametrize("written", ["", " ", "NaN", "nan", "inf", "-Infinity"])
def test_what_says_that_it_is_unknown_is_unknown(written):
    (sample,) = samples(f"time,metric,value\n1,m,{written}\n")
    assert isnan(sample.value)
    (sample,) = samples('{"t": 1, "metric": "m", "value": null}')
    assert isnan(sample.value)


def test_a_byte_order_mark_and_other_line_ends_are_let_pass():
    assert samples(b"\xef\xbb\xbftime,metric,value\r\n1,m,2\r\n") == [(2, series("m"), 1.0, 2.0)]
    assert samples(b'\xef\xbb\xbf{"t": 1, "metric": "m", "value": 2}\r\n') == [(1, series("m"), 1.0, 2.0)]


def test_foreign_text_is_made_safe():
    (sample,) = samples('time,metric,na\x1bme,value\n1,m\x1b[31m,"a\nb",2\n')
    assert sample.series == series("m␛[31m", **{"na␛me": "a b"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f: found nothing in it: expected the header time,metric,<label>...,value, JSON lines, or a recording"),
        ("\n\n", "f: found nothing in it"),
        ("a,b\n", 'f:1: found "a,b": expected the header time,metric,<label>...,value, each label once'),
        ("time,value\n", 'f:1: found "time,value": expected the header'),
        ("time,metric,a,a,value\n", "each label once"),
        ("time,metric,,value\n", "f:1: found"),
        ("\ntime,metric,value\n1,m\n", "f:3: found 2 fields: expected the 3 that the first line names"),
        ("time,metric,value\n1,m,abc\n", 'f:2: found the value "abc": expected a number, or nothing or NaN where it is unknown'),
        ("time,metric,value\n1,m,1\nsoon,m,1\n", 'f:3: found the time "soon": expected RFC 3339 with a zone (2026'),
        ("time,metric,value\n2026-02-02T02:40:00,m,1\n", 'f:2: found the time "2026-02-02T02:40:00", which has no zone: expected'),
        ("time,metric,value\n2026-02-30T02:40:00Z,m,1\n", 'f:2: found the time "2026-02-30T02:40:00Z": expected RFC 3339'),
        ("time,metric,value\n1770000000000,m,1\n", 'f:2: found the time "1770000000000", which is none in seconds'),
        ("time,metric,value\n-1,m,1\n", "which is none in seconds"),
        ("time,metric,value\nnan,m,1\n", "which is none in seconds"),
        ("time,metric,value\n1,,1\n", "f:2: found no metric"),
        ("time,metric,value\n" + "x" * 70000, "f:2: found a line of over 65536 bytes"),
        ('{"t": 1, "metric": "m"}', "f:1: found what is no sample: Object missing required field `value`"),
        ('{"t": 1, "metric": "m", "value": 1}\n\n{"t": 1, "metric": "m", "value": "1"}', "f:3: found what is no sample: Expected `flo"),
        ('{"t": 1, "metric": "m", "value": 1, "label": {"a": "b"}}', "unknown field `label`"),
        ('{"t": 1, "metric": "m", "value": 1', "f:1: found what is no sample: Input data was truncated"),
        ('{"t": "later", "metric": "m", "value": 1}', 'f:1: found the time "later"'),
        (b"time,metric,value\r1,m,1\r", "f:1: found what is no CSV"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_line_in_one(text, expected):
    with pytest.raises(ConfigError) as caught:
        samples(text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


# Taken together -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def taken():
    made = []

    def take(lines, wanted=lambda _: True):
        made.append(SampleFile(BufferedReader(BytesIO((HEADER + "\n".join(lines)).encode())), "f", wanted))
        return made[-1]

    yield take
    for file in made:
        file.close()


def told(file):
    return [(reading.group, reading.at, *reading.values) for tick in file.ticks() for reading in tick.readings]


def test_each_series_is_a_group_with_an_interval_of_its_own(taken):
    lines = [f"{at},httpcheck.up,{name},shop,1" for at in range(100, 200, 5) for name, every in (("a", 5), ("b", 10)) if not at % every]
    file = taken(lines)
    first = next(file.ticks())
    assert [(group.id, dict(group.series[0].labels)["endpoint"], group.interval_s) for group in first.groups] == [
        (1, "a", 5.0),
        (2, "b", 10.0),
    ]
    assert told(file) == told(file)  # as often as it is asked
    assert (file.count, len(told(file))) == (30, 30)
    assert file.shapes == {UP: {("endpoint", "service")}}
    assert file.notes == []


def test_time_is_told_up_to_the_last_sample_of_all(taken):
    file = taken(["100,httpcheck.up,a,shop,1", "250.5,system.load.1m,,,1"], lambda series: series.name == UP)
    ticks = list(file.ticks())
    assert (ticks[0].at, ticks[-1].at, ticks[-1].boot) == (100.0, 250.5, 250.5)
    assert told(file) == [(1, 100.0, 1.0)]


def test_disorder_is_refused_with_both_lines(taken):
    with pytest.raises(ConfigError) as caught:
        taken(["101,httpcheck.up,a,shop,1", "", "100,system.load.1m,,,1"])
    assert str(caught.value) == "f:4: found a time before that of line 2: expected samples ordered by time: sort the lines"


def test_what_is_not_clear_is_noted_with_how_many_and_where(taken):
    file = taken([
        "100,httpcheck.up,a,shop,1", "100,httpcheck.up,a,shop,0", "100,httpcheck.up,b,shop,", "101,httpcheck.upp,b,shop,1",
        "101,httpcheck.upp,c,shop,1", "102,xyzzy,,,1",
    ])  # fmt: skip
    assert file.notes == [
        '"httpcheck.upp" is no metric (2 samples, the first on line 5): did you mean "httpcheck.up"?',
        '"xyzzy" is no metric (1 sample, the first on line 7)',
        "the sample on line 4 is no number: unknown, which is neither a breach nor a recovery",
        "the sample on line 3 is of the same series and time as one before, and left out",
    ]
    assert repr(told(file)) == repr([(1, 100.0, 1.0), (2, 100.0, nan)])


class Endless:
    """A file that is made while it is read."""

    def __init__(self, lines):
        self.lines, self.closed = lines, False
        self.held = b""

    def readable(self):
        return True

    def writable(self):
        return False

    def seekable(self):
        return False

    def readinto(self, buffer):
        while len(self.held) < len(buffer) and (line := next(self.lines, None)):
            self.held += line
        size = min(len(buffer), len(self.held))
        buffer[:size], self.held = self.held[:size], self.held[size:]
        return size


def peak_bytes(count):
    """The most memory that was held while so many samples were read and told."""
    lines = (f"{100 + number // 10},httpcheck.up,w{number % 10},shop,1\n".encode() for number in range(count))
    whole = (line for part in ((HEADER.encode(),), lines) for line in part)
    tracemalloc.start()
    try:
        file = SampleFile(BufferedReader(Endless(whole)), "f", lambda _: True)
        assert sum(len(tick.readings) for tick in file.ticks()) == count
        file.close()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(monkeypatch):
    """Past what is held in memory before the temporary file is one on a disk."""
    monkeypatch.setattr("perfconsole.sources.samples._HELD_BYTES", 200_000)
    few, many = peak_bytes(10_000), peak_bytes(100_000)
    assert many < 1.3 * few
