"""What `perfconsole doctor` says of PostgreSQL servers: each limit with its fix."""

import json
import os
import subprocess
import sys


def doctor(tmp_path, *dsns):
    argv = [sys.executable, "-m", "perfconsole", "doctor", "--json", *(word for dsn in dsns for word in ("--dsn", dsn))]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"HOME": str(tmp_path)}
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120)
    found = [check for check in json.loads(done.stdout)["checks"] if check["area"] == "PostgreSQL"]
    return {check["name"].strip(): check for check in found}


def test_each_limit_has_its_fix(cluster, tmp_path):
    told = doctor(tmp_path, cluster.dsn(user="plain"))
    server = told.pop(f"127.0.0.1:{cluster.port}/postgres")
    assert server["state"] == "ok"
    assert "as plain in postgres" in server["found"]
    assert told["sight"]["fix"] == 'GRANT pg_monitor TO "plain"'
    assert told["cancel, terminate"]["fix"].startswith('GRANT pg_signal_backend TO "plain"')
    assert (told["statements"]["state"], told["I/O times"]["state"]) == ("ok", "limited")
    told = doctor(tmp_path, cluster.dsn("template1", user="monitor"))
    assert told["sight"] == {
        "area": "PostgreSQL",
        "name": "  sight",
        "state": "ok",
        "found": "sessions and statements of every role",
        "fix": "",
    }
    assert told["statements"]["fix"].startswith("CREATE EXTENSION pg_stat_statements")


def test_one_that_cannot_be_reached_is_an_error_and_none_is_none(cluster, tmp_path):
    (down,) = doctor(tmp_path, "postgresql://me@127.0.0.1:1/postgres").values()
    assert (down["state"], down["found"]) == ("error", "127.0.0.1:1: down: connection refused")
    assert down["fix"]
    assert doctor(tmp_path) == {}
