"""The example, the schema and what is read are one description."""

import re
from pathlib import Path

import msgspec
import pytest

from perfconsole.config.kinds import keys_of
from perfconsole.config.load import parse_text
from perfconsole.config.schema import AlertRule, Config, Postgres
from perfconsole.config.schema_checks import CHECKS, Quick
from perfconsole.config.tables import ARRAYS, TABLES
from perfconsole.config.write import example, json_schema, render

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def uncommented():
    return re.sub(r"(?m)^#(?! )", "", example())


def test_the_file_in_the_repository_is_what_init_prints():
    assert (ROOT / "config.example.toml").read_text() == example()


def test_as_it_stands_it_is_the_defaults():
    assert parse_text(example(), env={}) == Config()


def test_uncommented_it_loads_and_every_documented_default_is_the_default(uncommented):
    config = parse_text(uncommented, env={})
    for name in ("console", "system", "processes", "alerts"):
        assert getattr(config, name) == getattr(Config(), name)
    assert [(one.name, one.url) for one in config.http] == [("checkout", "https://shop.example/checkout")]
    assert [one.interval_s for one in (*config.tcp, *config.tls, *config.dns)] == [10.0, 3600.0, 30.0]
    assert config.postgres == (
        Postgres(name="orders", dsn="postgresql://perfconsole@db1.example:5432/postgres?sslmode=require", tls="require"),
    )
    assert config.alert == (
        AlertRule(
            name="var-nearly-full", severity="warning", metric="system.filesystem.utilization", match={"mountpoint": "/var*"}, above=0.8,
            stat="avg", over_s=60.0, for_s=600.0, clear=0.75, keep_s=60.0, max_gap_s=30.0, depends_on=("postgres:orders",), respond_s=900.0,
            runbook="https://wiki.example/runbooks/disk", notify=("ops",),
        ),
    )  # fmt: skip


OWN = [(name, key) for name, table in TABLES.items() for key in keys_of(table).values() if key.attribute in table.__annotations__]
COMMON = [(name, key) for name, table in CHECKS.items() for key in keys_of(table).values() if key.attribute not in table.__annotations__]


@pytest.mark.parametrize(("table", "key"), [*OWN, *COMMON], ids=lambda value: getattr(value, "name", value))
def test_every_key_is_in_it_with_its_words(table, key):
    section = example().split(f"[{table}]", 1)[1]
    where, names = re.search(r"# And as in \[\[(\w+)\]\]: (.*)\.\n", section).groups() if table in {"tcp", "tls", "dns"} else ("", "")
    if key.name in names.split():  # what kinds of checks have in common is explained once
        section = example().split(f"[{where}]", 1)[1]
    assert key.text
    assert re.search(rf"# {re.escape(key.text)}\n(# ?{key.name} = |#\[\[?\w+\.{key.name}\])", section)


@pytest.mark.parametrize("nested", [key.kind.table for table in CHECKS.values() for key in keys_of(table).values() if key.kind.table])
def test_keys_of_tables_within_tables_are_explained_too(nested):
    for key in keys_of(nested).values():
        assert re.search(rf"# {re.escape(key.text)}\n# ?{key.name} = ", example()) or nested is Quick


def test_what_is_rendered_reads_back_the_same(uncommented):
    for text in ("", uncommented, "[console]\nrecording = 'off'\ninterval = '1500ms'\nrecording_size = '1234567B'\n"):
        config = parse_text(text, env={})
        assert parse_text(render(config), env={}) == config


def test_the_json_schema_describes_what_people_write(uncommented):
    import tomllib

    schema = json_schema()
    definitions = schema["$defs"]
    assert definitions["Console"]["properties"]["interval"]["default"] == "2s"
    written = tomllib.loads(uncommented)
    for name, table in TABLES.items():
        values = written[name][0] if name in ARRAYS else written[name]
        properties = definitions[table.__name__]["properties"]
        assert set(values) <= set(properties)
        for key, value in values.items():
            pattern = properties[key].get("pattern")
            assert pattern is None or re.search(pattern, value), key
            assert value in properties[key].get("enum", [value]), key
    assert definitions["AlertRule"]["required"] == ["name", "severity", "metric"]
    assert msgspec.json.encode(schema)


def test_the_columns_that_may_be_written_are_those_the_screen_has():
    from perfconsole.config.schema import PROCESS_COLUMNS
    from perfconsole.ui.columns import PROCESS

    assert set(PROCESS_COLUMNS) == set(PROCESS)
