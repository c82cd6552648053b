"""What is imported, by command: each of these costs tens of milliseconds or megabytes that a person waits for or a machine lacks."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from harness import environment

UI = {"textual", "rich"}
CLIENTS = {"httpx", "asyncpg", "plotext", "sqlite3", "sqlparse"}
HEAVY = UI | CLIENTS | {"tomli_w", "msgspec", "psutil", "asyncio", "tomllib", "subprocess"}
_DUMP = """
import atexit, json, os, sys
out = sys.argv.pop(1)
atexit.register(lambda: json.dump(sorted(sys.modules), open(out, "w")))
from perfconsole.__main__ import main
sys.exit(main())
"""


def tops(path):
    """The top-level names of the modules that were imported."""
    return {name.partition(".")[0] for name in json.loads(path.read_text())}


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (["--version"], HEAVY),
        (["--help"], UI | CLIENTS | {"psutil", "asyncio", "msgspec"}),
        (["keys"], UI | CLIENTS | {"psutil", "asyncio"}),
        (["themes"], UI | CLIENTS | {"psutil", "asyncio"}),
        (["config", "show"], UI | CLIENTS | {"psutil", "asyncio"}),
        (["config", "schema"], UI | CLIENTS | {"psutil", "asyncio"}),
        (["init"], UI | CLIENTS | {"psutil", "asyncio"}),
        (["doctor"], UI | CLIENTS | {"psutil", "asyncio"}),
        (["alerts", "rules"], UI | CLIENTS | {"psutil", "asyncio"}),
        (["alerts", "rules", "--json"], UI | CLIENTS | {"psutil", "asyncio"}),
        (["alerts", "backtest", "--samples", "-"], UI | CLIENTS | {"psutil", "asyncio"}),  # of which there are none: 64
        (["snapshot"], UI | CLIENTS),  # it may wait for sensors, which psutil reads
        (["snapshot", "--json"], UI | CLIENTS),
        ([], UI | CLIENTS | {"psutil", "asyncio"}),
    ],
    ids=lambda value: " ".join(value) or "no terminal" if isinstance(value, list) else "",
)
def test_a_command_imports_only_what_it_needs(tmp_path, arguments, never):
    out = tmp_path / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", _DUMP, str(out), *arguments], check=False, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, env=environment(tmp_path), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in {0, 64}, done.stderr
    assert tops(out) & never == set()


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Silence."""


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_probe_loads_its_own_client_and_no_other(tmp_path, more):
    out = tmp_path / "modules.json"
    with HTTPServer(("127.0.0.1", 0), _Answering) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-c", _DUMP, str(out), "probe", f"http://127.0.0.1:{server.server_port}/", *more], check=False,
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env=environment(tmp_path), cwd=tmp_path,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert tops(out) & (UI | CLIENTS | {"psutil", "httpcore", "dns", "regex", "jsonpath_rfc9535", "tomllib"}) == set()


@pytest.mark.slow
def test_the_console_when_its_first_numbers_are_shown(spawn, tmp_path):
    """On Linux /proc is read directly; clients of other services wait until there is one to be asked."""
    out = tmp_path / "modules.json"
    pty = spawn([sys.executable, "-c", _DUMP, str(out)])
    pty.wait_stream(r"memory\D*\d+%")
    assert pty.leave()[0] == 0
    assert tops(out) & (CLIENTS | {"psutil", "argparse", "tomli_w"}) == set()
