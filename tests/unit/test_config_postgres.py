"""PostgreSQL servers as they are configured: DSNs, services, the environment, and secrets that are none of a configuration's business."""

import os
from argparse import Namespace

import pytest

from perfconsole.cli.dispatch import dispatch
from perfconsole.cli.settings import settle
from perfconsole.config import load as loading
from perfconsole.config import secrets, servers
from perfconsole.config.load import ConfigFileError, load, parse_text
from perfconsole.config.schema import SERVER_VARIABLES, Postgres
from perfconsole.config.servers import ServerSettings, keywords_of
from perfconsole.config.write import render
from perfconsole.core.errors import ConfigError


def table(**keys):
    return "[[postgres]]\n" + "".join(f"{key} = {value!r}\n" for key, value in {"name": "orders", **keys}.items())


def faults(text):
    with pytest.raises(ConfigFileError) as caught:
        parse_text(text, env={}, path="f.toml")
    return [str(error) for error in caught.value.errors]


# DSNs -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("postgresql://me@db1:5433/shop", {"user": "me", "host": "db1", "port": "5433", "dbname": "shop"}),
        ("postgres://db1", {"host": "db1"}),
        ("postgresql://", {}),
        ("postgresql:///shop?host=/run/postgresql&port=6000", {"dbname": "shop", "host": "/run/postgresql", "port": "6000"}),
        ("postgresql://m%40e@[::1]:5433/a%20b?sslmode=require",
         {"user": "m@e", "host": "::1", "port": "5433", "dbname": "a b", "sslmode": "require"}),
        ("postgresql://me:1+2#3%2B@db1/shop?sslpassword=4+5#6",
         {"user": "me", "password": "1+2#3+", "host": "db1", "dbname": "shop", "sslpassword": "4+5#6"}),
        ("postgresql://a:5433,b/shop", {"host": "a,b", "port": "5433,5432", "dbname": "shop"}),
        ("host=db1 dbname=shop user = me", {"host": "db1", "dbname": "shop", "user": "me"}),
        (r"host=db1 application_name='it\'s a \\ b' options=''", {"host": "db1", "application_name": r"it's a \ b", "options": ""}),
        ("host=/run/postgresql options='-c search_path=a'", {"host": "/run/postgresql", "options": "-c search_path=a"}),
        ("service=orders", {"service": "orders"}),
    ],
)  # fmt: skip
def test_a_dsn_says_what_libpq_reads_in_it(dsn, said):
    assert keywords_of(dsn, {}) == said


@pytest.mark.parametrize(
    "dsn", ["orders", "mysql://db1/shop", "host=", "host=a b", "postgresql://me:a/b@db1/x", "postgresql://me:file:/x@db1/shop", "host='a"]
)
def test_what_is_no_dsn_is_refused_without_repeating_it(dsn):
    if dsn == "host=":  # nothing said, which libpq takes too
        assert keywords_of(dsn, {}) == {"host": ""}
        return
    (fault,) = faults(table(dsn=dsn))
    assert fault.startswith("f.toml:3: postgres[1].dsn: found a text that is no DSN: ")
    assert dsn not in fault
    assert "postgresql://USER@HOST" in fault


def test_secrets_are_looked_up_where_they_are_needed(tmp_path):
    file = tmp_path / "secret"
    file.write_text("p@ss/w:ord \n")
    env = {"PW": "a@b/c:d%20", "WHOLE": "postgresql://me@db9/shop"}
    assert keywords_of("postgresql://me:${PW}@db1/shop", env)["password"] == "a@b/c:d%20"
    assert keywords_of(f"postgresql://me@db1/shop?password=file:{file}", env)["password"] == "p@ss/w:ord "
    assert keywords_of(f"host=db1 password=file:{file}", env)["password"] == "p@ss/w:ord "
    assert keywords_of("${WHOLE}", env)["host"] == "db9"
    file.write_text("host=db8 user=me\n")
    assert keywords_of(f"file:{file}", env) == {"host": "db8", "user": "me"}


def test_a_reference_that_leads_nowhere_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"\$\{NOPE\} is not set.*export NOPE"):
        keywords_of("host=db1 password=${NOPE}", {})
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        secrets.resolve(f"file:{tmp_path}/nope", {})
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    assert secrets.resolve(f"file:{fifo}", {}) == ""  # nobody writes: not waited for


# Where it comes from --------------------------------------------------------------------------------------------------------------


def test_the_dsn_wins_over_the_service_and_that_over_the_environment(tmp_path):
    file = tmp_path / "services"
    file.write_text("[orders]\nhost=service\nport=1\ndbname=service\n[other]\nhost=x\n")
    env = {"PGSERVICEFILE": str(file), "PGHOST": "env", "PGPORT": "2", "PGDATABASE": "env", "PGUSER": "env"}
    settings = ServerSettings("orders", "service=orders dbname=dsn", tls="require")
    assert settings.keywords(env) == {"host": "service", "port": "1", "dbname": "dsn", "user": "env", "sslmode": "require"}
    assert ServerSettings("orders", service="other").keywords(env)["host"] == "x"
    with pytest.raises(ConfigError, match=rf'service "none" is not defined: add \[none\] to {file}'):
        ServerSettings("orders", service="none").keywords(env)
    file.write_text("host=nowhere\n")
    with pytest.raises(ConfigError, match="not a service file"):
        ServerSettings("orders", service="orders").keywords(env)


def test_the_environment_names_a_server_only_where_it_says_where(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "SYSTEM_FILE", str(tmp_path / "none"))
    for name in (*SERVER_VARIABLES, "PERFCONSOLE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"XDG_CONFIG_HOME": str(tmp_path), "PGUSER": "me", "PGDATABASE": "shop", "PGPORT": "5433"}.items():
        monkeypatch.setenv(name, value)
    assert settle(Namespace()).config.postgres == ()
    monkeypatch.setenv("PGHOST", "db1")
    assert settle(Namespace()).config.postgres == (Postgres(name="db1:5433/shop"),)
    (found,) = servers.servers(settle(Namespace()).config)
    assert found.keywords() == {"host": "db1", "user": "me", "dbname": "shop", "port": "5433"}
    assert [one.name for one in settle(Namespace(dsn=["host=a", "host=b"])).config.postgres] == ["a", "b"]
    (tmp_path / "perfconsole.toml").write_text(table())
    assert [one.name for one in settle(Namespace()).config.postgres] == ["orders"]


def test_a_server_is_called_after_where_it_is():
    assert servers.of_environment({"PGSERVICE": "orders", "PGHOST": "db1"}).name == "orders"
    assert servers.of_environment({"PGHOST": "/run/postgresql"}).name == "local"


def test_what_is_configured_stands_alone():
    config = parse_text(table(dsn="host=db1", interval="10s", tls="verify-full", databases=["shop*"], exclude=["pgbench"]), env={})
    expected = ServerSettings("orders", "host=db1", "", "verify-full", ("shop*",), ("pgbench",), 10.0)
    assert servers.servers(config) == (expected,)


# Files ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[postgres]]\ndsn = 'host=db1'\n", "postgres[1]: no name"),
        (table() + table(), 'found "orders", which the postgres on line 1 is called'),
        (table(dsn="host=a", service="b"), "both dsn and service"),
        (table(tls="on"), 'found "on": accepted: one of disable allow prefer require verify-ca verify-full'),
        (table(interval="100ms"), "accepted: a duration"),
        (table(host="db1"), '"host" is not known yet'),
        ("[postgres]\nname = 'x'\n", "written [[postgres]] in double brackets"),
    ],
)
def test_a_mistake_is_told_with_its_line(text, said):
    assert any(said in fault for fault in faults(text))


@pytest.mark.parametrize("dsn", ["postgresql://me:hunter2@db1/shop", "host=db1 password='hunter2'", "postgresql://db1/x?password=hunter2"])
def test_a_password_may_stand_only_in_a_file_that_nobody_else_reads(tmp_path, dsn):
    path = tmp_path / "config.toml"
    path.write_text(table(dsn=dsn))
    path.chmod(0o600)
    config = load(str(path), env={}).config
    assert "hunter2" not in render(config)
    for mode in (0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(ConfigFileError) as caught:
            load(str(path), env={})
        assert "others can read this file: chmod 600, or" in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_references_may_stand_anywhere_and_are_what_is_shown(tmp_path):
    path = tmp_path / "config.toml"
    for dsn in ("postgresql://me:${PW}@db1/shop", "host=db1 password=file:/run/secrets/x", "${DSN}", "file:/run/secrets/dsn"):
        path.write_text(table(dsn=dsn))
        path.chmod(0o644)
        config = load(str(path), env={}).config
        assert config.postgres == (Postgres(name="orders", dsn=dsn),)
        assert parse_text(render(config), env={}) == config


def test_a_file_found_in_the_working_directory_sends_for_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "SYSTEM_FILE", str(tmp_path / "none"))
    for dsn in ("host=db1 password=file:/etc/shadow", "file:/etc/shadow"):
        (tmp_path / "perfconsole.toml").write_text(table(dsn=dsn))
        with pytest.raises(ConfigFileError, match="name it with --config"):
            load(None, env={"HOME": str(tmp_path)})
        assert load("perfconsole.toml", env={}).config.postgres


# The command line -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--dsn", "postgresql://me:hunter2@db1/x"], "a password on the command line can be read by every user of this machine"),
        (["--dsn", "db1"], "--dsn: not a DSN"),
        (["--dsn", "host=db1", "--dsn", "host=db1"], "two servers would be called 'db1'"),
    ],
)
def test_a_dsn_option_that_cannot_be_used_is_refused(capsys, monkeypatch, args, said):
    monkeypatch.delenv("PERFCONSOLE_CONFIG", raising=False)
    assert dispatch(["snapshot", *args]) == 64
    told = capsys.readouterr().err
    assert said in told
    assert "hunter2" not in told
    assert told.count("\n") == 1


def test_an_option_names_a_server_by_its_host():
    for dsn, name in (("postgresql://me@db1:5433/shop", "db1:5433/shop"), ("host=db1", "db1"), ("postgresql:///shop", "local/shop")):
        assert servers.of_option(dsn) == ServerSettings(name, dsn)


def test_the_sql_of_a_role_is_printed(capsys):
    assert dispatch(["init", "--postgres"]) == 0
    said = capsys.readouterr().out
    assert "GRANT pg_monitor TO perfconsole;" in said
    assert dispatch(["init", "--postgres", "--write"]) == 64
