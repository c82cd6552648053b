"""Hooks: real programs, what they are given, what they are not, and what becomes of those that hang."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from quiet import measuring
from receivers import T, alert, down, eventually, message, notice, over

from perfconsole.config.load import parse_text
from perfconsole.core.tick import Ack
from perfconsole.notify.channel import SendError
from perfconsole.notify.making import channels

ENV = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8", "HOOK_TOKEN": "hush", "PGPASSWORD": "hush"}


def hooks(*commands, keys=""):
    tables = [f"[[notify]]\nname = 'h{number}'\ntype = 'hook'\ncommand = {json.dumps(one)}\n{keys}" for number, one in enumerate(commands)]
    return channels(parse_text("\n".join(tables), env={}), ENV)


def hook(*command, keys=""):
    (made,) = hooks(command, keys=keys)
    return made


def python(text):
    return [sys.executable, "-c", text]


def sent(made, told):
    return asyncio.run(made.send(told))


def refusal(made, told=None):
    with pytest.raises(SendError) as caught:
        sent(made, told or message(alert()))
    assert str(caught.value).isprintable()
    assert not caught.value.final
    return str(caught.value)


def test_what_it_is_told(tmp_path):
    one = replace(alert(), ack=Ack("ann", T + 1, "looking"))
    assert sent(hook("tee", str(tmp_path / "in")), message(notice(one), over(down("cart")))).startswith("exit status 0: {")
    told = json.loads((tmp_path / "in").read_bytes())
    first, second = told.pop("alerts")
    assert told.pop("text").startswith("CRIT  memory avg 92% > 90% over 1m, for 10m\n")
    assert told == {
        "schema": "perfconsole.notice/1",
        "generated_at": "2026-02-02T02:40:05.000Z",
        "host": "db1",
        "key": "key-1",
        "channel": "h0",
        "status": "firing",
        "severity": "critical",
        "test": False,
        "subject": "[CRIT] db1: 1 alert: memory-critical; 1 resolved: service-down",
    }
    assert first == {
        "id": "memory-critical{}",
        "status": "firing",
        "severity": "critical",
        "state": "firing",
        "rule": "memory-critical",
        "metric": "system.memory.utilization",
        "labels": {},
        "value": 0.92,
        "limit": 0.9,
        "above": True,
        "stat": "avg",
        "over_s": 60.0,
        "n": 30,
        "since": "2026-02-02T02:30:00.000Z",
        "fired_at": "2026-02-02T02:40:00.000Z",
        "resolved_at": None,
        "flapping": False,
        "text": "memory avg 92% > 90% over 1m, for 10m",
        "ack": {"by": "ann", "at": "2026-02-02T02:40:01.000Z", "text": "looking"},
        "runbook": None,
    }
    assert (second["status"], second["state"], second["resolved_at"]) == ("resolved", "resolved", "2026-02-02T02:55:00.000Z")
    assert second["labels"] == {"endpoint": "cart", "service": "shop"}


def test_its_environment_holds_no_secret_of_ours(tmp_path):
    sent(hook(*python(f"import os, json; json.dump(dict(os.environ), open({str(tmp_path / 'env')!r}, 'w'))")), message(alert()))
    found = json.loads((tmp_path / "env").read_text())
    found.pop("LC_CTYPE", None)  # Python's own
    assert found == {
        "PATH": ENV["PATH"],
        "HOME": "/nowhere",
        "LC_ALL": "C.UTF-8",
        "PERFCONSOLE_KEY": "key-1",
        "PERFCONSOLE_CHANNEL": "h0",
        "PERFCONSOLE_HOST": "db1",
        "PERFCONSOLE_STATUS": "firing",
        "PERFCONSOLE_SEVERITY": "critical",
        "PERFCONSOLE_SUBJECT": "[CRIT] db1: memory avg 92% > 90% over 1m, for 10m",
    }


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_it_inherits_no_descriptor(tmp_path):
    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        told = sent(hook("ls", "/proc/self/fd"), message(alert()))
    finally:
        os.close(held)
    assert told == "exit status 0: 0 1 2 3"  # the last is the listing itself


def test_no_shell_reads_it(tmp_path):
    assert sent(hook("printf", "%s", f"$HOME; touch {tmp_path}/x"), message(alert())) == f"exit status 0: $HOME; touch {tmp_path}/x"
    assert not (tmp_path / "x").exists()


def test_text_of_others_stays_text():
    bad = message(down("$(id)\n\x1b[2J"), host="`id`")
    assert sent(hook("printenv", "PERFCONSOLE_SUBJECT"), bad) == "exit status 0: [CRIT] `id`: $(id) ␛[2J is down, for 10m"


def test_what_fails_is_told():
    assert refusal(hook("sh", "-c", "echo no pager >&2; exit 3")) == "exit status 3: no pager"
    assert refusal(hook("sh", "-c", "kill -TERM $$")) == "killed by SIGTERM"
    assert refusal(hook("/nowhere/page")) == "/nowhere/page was not started: No such file or directory"


def test_it_need_not_read(tmp_path):
    storm = message(*(down(f"s{number}") for number in range(2000)))  # more than a pipe holds
    assert sent(hook("true"), storm) == "exit status 0"
    assert refusal(hook("false"), storm) == "exit status 1"


def test_much_output_is_bounded():
    told = sent(hook("sh", "-c", "cat >/dev/null; head -c 30000000 /dev/zero | tr '\\0' x"), message(alert()))
    assert len(told) < 300


@measuring
def test_one_that_hangs_is_killed_with_all_it_started(tmp_path):
    script = f"sleep 300 & echo $! $$ > {tmp_path}/pids; echo begun; wait"
    began = time.monotonic()
    assert refusal(hook("sh", "-c", script, keys='timeout = "300ms"')) == "killed after 0.3 s, still running: begun"
    assert time.monotonic() - began < 60  # it runs for five minutes
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        eventually(lambda pid=pid: not _runs(pid))


def test_one_that_does_not_read_is_killed_too():
    storm = message(*(down(f"s{number}") for number in range(2000)))
    assert refusal(hook("sleep", "300", keys='timeout = "300ms"'), storm) == "killed after 0.3 s, still running"


def test_one_that_is_given_up_is_killed(tmp_path):
    """The outbox cancels what takes too long for it."""

    async def cancelled():
        task = asyncio.ensure_future(
            hook("sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 300", keys='timeout = "1m"').send(message(alert()))
        )
        await _wait(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    eventually(lambda: not _runs(int((tmp_path / "pid").read_text())), within_s=30)  # its own time would be a minute


async def _wait(condition):
    await asyncio.to_thread(eventually, condition)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_it_leaves_behind_holds_nobody_up(tmp_path):
    began = time.monotonic()
    made = hook("sh", "-c", f"sleep 300 & echo $! > {tmp_path}/pid; echo done")
    assert sent(made, message(alert())) == "exit status 0: done"
    assert time.monotonic() - began < 60  # what it left runs for five minutes
    left = int((tmp_path / "pid").read_text())
    assert _runs(left)  # it ended well: what it began goes on
    os.kill(left, 9)


def test_four_at_once(tmp_path):
    script = f"echo x >> {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    made = hooks(*[["sh", "-c", script]] * 6)

    async def all_of_them():
        tasks = [asyncio.ensure_future(one.send(message(alert()))) for one in made]
        await _wait(lambda: (tmp_path / "begun").exists() and (tmp_path / "begun").read_text().count("x") >= 4)
        await asyncio.sleep(0.2)
        at_once = (tmp_path / "begun").read_text().count("x")
        (tmp_path / "go").touch()
        return at_once, await asyncio.gather(*tasks)

    assert asyncio.run(all_of_them()) == (4, ["exit status 0"] * 6)


def test_the_preview_shows_what_is_run():
    shown = hook("/usr/local/bin/page", "--loud", "two words").preview(message(alert()))
    assert shown.startswith('run ["/usr/local/bin/page", "--loud", "two words"]\nPERFCONSOLE_KEY=key-1\n')
    assert json.loads(shown.partition("\n\n")[2])["schema"] == "perfconsole.notice/1"
    secret = hook("/usr/local/bin/page", "--token", "hush")
    assert "hush" not in secret.preview(message(alert())) + repr(secret)
