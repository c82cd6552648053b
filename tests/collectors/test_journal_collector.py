"""The collector of the journal: what it hands to whom, what it says where there is no journal or no right, and a unit on demand."""

import asyncio
import json
import os
import pwd
import signal
import subprocess
import sys
import textwrap
import time
from math import isnan, nan
from pathlib import Path

import pytest
from quiet import measuring

from perfconsole.collectors.journal import JournalCollector, units
from perfconsole.collectors.journal import access as access_room
from perfconsole.collectors.journal.access import trouble
from perfconsole.collectors.journal.answers import answer
from perfconsole.collectors.journal.budget import Budget
from perfconsole.collectors.journal.detail import Named, facts_of, named
from perfconsole.core.change_requests import UnitArgs
from perfconsole.core.ports import Slot
from perfconsole.core.tick import Event

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
MACHINE = "0123456789abcdef0123456789abcdef"
NOW = 1700000000.0

FOLLOW = """
import json, os, select, sys, time
def say(number, **fields):
    stamp = str(1700000000000000 + number)
    print(json.dumps({"__CURSOR": "c%d" % number, "__REALTIME_TIMESTAMP": stamp, **fields}), flush=True)
if any(word.startswith("--until=") for word in sys.argv):
    sys.exit(0)  # nothing was said before
def follow():
    poll = select.poll()
    poll.register(1, 0)
    poll.poll()
    sys.exit(1)
"""


class Logins:
    """Keeps what it is handed; `notes` of what it is asked."""

    def __init__(self):
        self.entries = []
        self.notes = []

    def take(self, entry):
        self.entries.append(entry)

    def result(self, at, sampled):
        self.notes.append((at, sampled))
        return ("table",), (Event(at, at, "login", "sshd", "somebody", "journal"),)


class Machine:
    """A directory with programs and a journal's file, as a collector sees a machine."""

    def __init__(self, root):
        self.root = root
        self.journal = root / "journals" / MACHINE / "system.journal"
        self.journal.parent.mkdir(parents=True)
        self.journal.write_bytes(b"")
        (root / "machine-id").write_text(MACHINE + "\n")
        (root / "units").mkdir()
        self.boot = 1000.0
        self.made = []

    def program(self, name, body):
        """Put a program there."""
        path = self.root / name
        path.write_text(f"#!{sys.executable} -IS\n" + textwrap.dedent(body))
        path.chmod(0o755)
        return str(path)

    def collector(self, body="follow()", systemctl="", **options):
        """One that follows a program of this body."""
        options.setdefault("program", self.program("journalctl", FOLLOW + textwrap.dedent(body)))
        made = JournalCollector(
            systemctl=self.program("systemctl", systemctl) if systemctl else str(self.root / "systemctl"),
            places=[str(self.root / "journals"), str(self.root / "none")],
            machine_id=str(self.root / "machine-id"),
            unit_files=[str(self.root / "units")],
            **options,
        )
        self.made.append(made)
        return made

    async def run(self, collector, after_s=2.0):
        """One run."""
        self.boot += after_s
        return await collector.run("host", Slot(NOW + self.boot, self.boot, nan), ())

    async def events(self, collector, wanted):
        """What is told until an event is among it."""
        found = []
        deadline = time.monotonic() + PATIENCE_S
        while not any(wanted in event.text for event in found):
            assert time.monotonic() < deadline, found
            found += (await self.run(collector)).events
            await asyncio.sleep(0.01)
        return found


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    for collector in made.made:
        collector.close()


async def test_lines_go_to_those_whom_they_concern(machine):
    body = f"""
    say(1, _PID="1", MESSAGE_ID="{units.STARTED}", UNIT="web.service", MESSAGE="Started Web.", JOB_TYPE="start")
    say(2, _TRANSPORT="kernel", MESSAGE="EXT4-fs error")
    say(3, _PID="9", _COMM="sshd", SYSLOG_IDENTIFIER="sshd", MESSAGE="Failed password")
    say(4, _PID="1", MESSAGE_ID="{units.FAILED}", UNIT="web.service", UNIT_RESULT="signal")
    follow()
    """
    logins, lines = Logins(), []
    collector = machine.collector(body, logins=logins, kernel=lambda at, text: lines.append((at, text)))
    assert not collector.told
    assert isnan(collector.sampled)
    found = await machine.events(collector, "web.service failed")
    assert [event.text for event in found if event.kind == "unit"] == ["web.service started", "web.service failed: signal"]
    assert lines == [(1700000000.000002, "EXT4-fs error")]
    assert [entry.message for entry in logins.entries] == ["Failed password"]
    assert any(event.kind == "login" for event in found)
    assert collector.told
    assert collector.sampled == 1.0
    assert logins.notes[-1] == (NOW + machine.boot, 1.0)
    result = await machine.run(collector)
    assert list(result.tables) == ["table"]
    assert list(result.health) == []


async def test_what_nobody_takes_is_not_asked_for(machine):
    collector = machine.collector('open(sys.argv[0] + ".args", "w").write(" ".join(sys.argv[1:]))\nsay(1, _PID="5", MESSAGE="x")\nfollow()')
    await machine.run(collector)
    deadline = time.monotonic() + PATIENCE_S
    while not (args := machine.root / "journalctl.args").exists() or not args.read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert args.read_text().endswith(" _PID=1")


async def test_a_service_with_a_timer_is_the_timers(machine):
    (machine.root / "units" / "backup.timer").write_text("")
    (machine.root / "units" / "sync@.timer").write_text("")
    body = "".join(
        f'say({number}, _PID="1", MESSAGE_ID="{units.STARTED}", UNIT="{unit}", MESSAGE="Finished X.")\n'
        for number, unit in enumerate(("backup.service", "sync@home.service", "web.service"), 1)
    )
    found = await machine.events(machine.collector(body + "follow()"), "web.service")
    assert [event.text for event in found] == [
        "backup.service ran (backup.timer)",
        "sync@home.service ran (sync@home.timer)",
        "web.service ran",
    ]


async def test_without_journalctl_it_is_off_and_logins_are_for_another_to_ask(machine):
    logins = Logins()
    collector = machine.collector(program="journalctl-that-is-not-here", logins=logins)
    result = await machine.run(collector)
    (health,) = result.health
    assert (health.collector, health.target, health.state) == ("journal", "host", "off")
    assert "journalctl-that-is-not-here is not here" in health.error
    assert list(result.events) == []
    assert logins.notes == [], "who reads log files instead asks it"
    assert not collector.told


async def test_without_a_journal_it_is_off_until_there_is_one(machine):
    machine.journal.unlink()
    collector = machine.collector()
    (health,) = (await machine.run(collector)).health
    assert (health.state, health.fix) == ("off", "in a container, run perfconsole on the host")
    machine.journal.write_bytes(b"")
    assert (await machine.run(collector)).health, "looked at every two seconds"
    assert not (await machine.run(collector, 60.0)).health
    assert collector.told


async def test_without_the_right_it_names_the_group(machine, monkeypatch):
    monkeypatch.setattr(access_room.os, "open", refuse)
    monkeypatch.setattr(access_room.os, "geteuid", lambda: os.getuid() or pwd.getpwnam("nobody").pw_uid)
    name = pwd.getpwuid(os.getuid() or pwd.getpwnam("nobody").pw_uid).pw_name
    found = trouble(sys.executable, [str(machine.root / "journals")], str(machine.root / "machine-id"))
    assert (found.state, found.fix) == ("denied", f"usermod -aG systemd-journal {name} (and log in again)")
    monkeypatch.setattr(access_room.os, "geteuid", lambda: 0)
    assert "CAP_DAC_READ_SEARCH" in trouble(sys.executable, [str(machine.root / "journals")], str(machine.root / "machine-id")).fix
    monkeypatch.setattr(access_room.os, "geteuid", lambda: 3_999_999_999)
    assert "has no name" in trouble(sys.executable, [str(machine.root / "journals")], str(machine.root / "machine-id")).fix


def refuse(path, *_):
    raise PermissionError(13, "Permission denied", path)


AS_NOBODY = """
import os, sys
from perfconsole.collectors.journal.access import trouble
os.chroot(sys.argv[1])  # the way to a test's directory is nobody else's
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(trouble("/journalctl", ["/journals"], "/machine-id"))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becoming nobody needs root")
def test_as_nobody_a_journal_of_root_is_really_denied(machine):
    """By the kernel: journalctl is not begun, which would show nobody's own lines and no fault."""
    machine.program("journalctl", "")
    machine.root.chmod(0o755)
    told = []
    for mode in (0o640, 0o644):
        machine.journal.chmod(mode)
        told.append(
            subprocess.run([sys.executable, "-c", AS_NOBODY, machine.root], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
    assert told[0].startswith("the system's journal may not be read by this user: ")
    assert told[1] == "None\n"


def test_a_machine_without_an_id(machine):
    (machine.root / "machine-id").write_text("../../etc\n")
    assert trouble(sys.executable, [str(machine.root / "journals")], str(machine.root / "machine-id")).state == "off"
    (machine.root / "machine-id").unlink()
    assert "machine-id: No such file" in trouble(sys.executable, [], str(machine.root / "machine-id")).error


async def test_one_that_dies_is_an_error_with_its_words_and_told_no_more(machine):
    collector = machine.collector('print("Failed to open journal: Too many open files", file=sys.stderr)\nsys.exit(1)')
    deadline = time.monotonic() + PATIENCE_S
    while not (health := list((await machine.run(collector)).health)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert health[0].state == "error"
    assert health[0].error.endswith("ended (exit code 1: Failed to open journal: Too many open files)")
    assert not collector.told
    assert isnan(collector.sampled)


async def test_sampling_is_said_and_that_it_is_over(machine):
    collector = machine.collector('for n in range(200): say(n, _PID="5", MESSAGE="x")\nfollow()', logins=(logins := Logins()))
    await machine.run(collector)
    collector._reader._any = Budget(1.0, 10.0)
    deadline = time.monotonic() + PATIENCE_S
    while collector._reader.unread < 100:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    (health,) = (await machine.run(collector)).health
    assert (health.collector, health.target, health.state) == ("journal", "sampled", "stale")
    assert "of the lines were read in the last minute" in health.error
    assert logins.notes[-1][1] < 0.995
    collector._reader._share._buckets.clear()
    (health,) = (await machine.run(collector)).health
    assert (health.target, health.state) == ("sampled", "ok")
    assert list((await machine.run(collector)).health) == []


async def test_closed_while_it_looked_it_begins_nothing(machine):
    collector = machine.collector()
    running = asyncio.ensure_future(machine.run(collector))
    await asyncio.sleep(0)
    collector.close()
    await running
    assert not collector.told
    await machine.run(collector, 120.0)
    assert not collector.told


SHOW = """
import sys
assert sys.argv[1] == "show" and sys.argv[-2] == "--", sys.argv
print("MainPID=4711")
print("Description=Web \\033[1mserver")
print("LoadState=loaded")
print("ActiveState=active")
print("SubState=running")
print("Result=success")
print("NRestarts=0")
print("MemoryMax=536870912")
print("MemoryHigh=infinity")
print("CPUQuotaPerSecUSec=500ms")
print("DropInPaths=")
print("TasksMax=18446744073709551615")
print("FragmentPath=/etc/systemd/system/" + sys.argv[-1])
print("Injected=yes")
"""
TAIL = """
open(sys.argv[0] + ".args", "w").write(json.dumps(sys.argv[1:]))
for number in range(30):
    say(number, SYSLOG_IDENTIFIER="web", _COMM="python3", PRIORITY="4", MESSAGE="line %d" % number)
"""


def detail(collector, *args):
    (operation,) = collector.operations
    assert operation.spec.name == "unit.detail"
    return operation.run(UnitArgs(*args))


async def test_a_unit_on_demand(machine):
    collector = machine.collector(TAIL, systemctl=SHOW)
    found = await detail(collector, "web.service")
    assert found.denied == []
    assert found.facts == [
        ("description", "Web \u241b[1mserver"), ("state", "active (running)"), ("result", "success"), ("main process", "4711"),
        ("defined in", "/etc/systemd/system/web.service"), ("memory limit", "512M"), ("CPU quota", "500ms"),
    ]  # fmt: skip
    assert [line.text for line in found.lines] == [f"line {number}" for number in range(10, 30)]
    assert (found.lines[0].who, found.lines[0].priority, found.lines[0].at) == ("web", 4, 1700000000.00001)
    args = json.loads((machine.root / "journalctl.args").read_text())
    assert args[-1] == "--unit=web.service"
    assert "--lines=20" in args


async def test_a_container_on_demand(machine):
    collector = machine.collector(TAIL, systemctl=SHOW)
    container = "1a2b3c4d5e6f" + "0" * 52
    found = await detail(collector, "docker:1a2b3c4d5e6f", f"/system.slice/docker-{container}.scope")
    assert found.facts[-3][1].endswith(f"docker-{container}.scope")
    assert json.loads((machine.root / "journalctl.args").read_text())[-1] == "CONTAINER_ID=1a2b3c4d5e6f"
    collector = machine.collector("", systemctl=SHOW)
    found = await detail(collector, "docker:1a2b3c4d5e6f", f"/docker/{container}")
    assert found.facts == []
    assert [reason.partition(":")[0] for reason in found.denied] == ["facts", "log"]
    assert "no line of this container" in found.denied[1]


POD = "kubepods-burstable-pod1a2b3c4d5e6f7a8b.slice"
ID = "1a2b3c4d5e6f" + "0" * 52


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("--version.service",), Named()),
        (("-H evil.service",), Named()),
        (("a b.service",), Named()),
        (("web.service\n",), Named()),
        (("web.service --help",), Named()),
        (("x" * 300 + ".service",), Named()),
        (("wéb.service",), Named()),
        (("web",), Named()),
        (("../x.service",), Named()),
        (("docker:--help",), Named()),
        (("mine", "/user.slice/-x.scope"), Named()),
        (("web.service", "/"), Named()),
        (("getty@tty1.service",), Named("getty@tty1.service")),
        (("dev-disk-by\\x2duuid.swap",), Named("dev-disk-by\\x2duuid.swap")),
        (("serial-getty@ttyS0.service", "/system.slice/serial\\x2dgetty@ttyS0.service"), Named("serial\\x2dgetty@ttyS0.service")),
        (("web.service", "/system.slice/web.service/below"), Named()),
        (("pod:1a2b3c4d5e6f", f"/kubepods.slice/{POD}"), Named(POD)),
        (("pod:1a2b3c4d5e6f", f"/kubepods.slice/{POD}/cri-containerd-{ID}.scope"), Named(f"cri-containerd-{ID}.scope", "1a2b3c4d5e6f")),
        (("docker:1a2b3c4d5e6f", f"/docker/{ID}"), Named("", "1a2b3c4d5e6f")),
        (("cri:1a2b3c4d5e6f7a8b",), Named("", "1a2b3c4d5e6f")),
        (("user@7.service", "/user.slice/user-7.slice/user@7.service"), Named("user@7.service")),
        (("dbus.service", "/user.slice/user-7.slice/user@7.service/app.slice/dbus.service"), Named("dbus.service", user="7")),
    ],
)
async def test_what_is_no_name_is_handed_to_no_program(machine, args, expected):
    assert named(UnitArgs(*args)) == expected
    if expected == Named():
        collector = machine.collector("open(sys.argv[0] + '.args', 'w')", systemctl="import sys\nopen(sys.argv[0] + '.args', 'w')")
        found = await detail(collector, *args)
        assert (found.facts, found.lines, len(found.denied)) == ([], [], 2)
        assert not list(machine.root.glob("*.args"))


LIST = r"""
import sys
if sys.argv[1] == "list-units":
    assert sys.argv[-1] == "disk*check@a*b.service", sys.argv
    for unit in ("disk-check@a-bb.service", r"disk-check@a\x2db.service", "disk-check@a-b.servicex"):
        print(unit, "loaded failed failed Check")
else:
    print("LoadState=loaded")
    print("Description=" + sys.argv[-1])
"""


async def test_a_unit_without_a_group_is_asked_for_as_systemd_calls_it(machine):
    found = await detail(machine.collector(TAIL, systemctl=LIST), "disk-check@a-b.service")
    assert found.facts == [("description", "disk-check@a\\x2db.service")]
    assert json.loads((machine.root / "journalctl.args").read_text())[-1] == "--unit=disk-check@a\\x2db.service"
    other = 'import sys\nprint("LoadState=loaded" if sys.argv[1] == "show" else "", "Description=" + sys.argv[-1], sep="\\n")'
    found = await detail(machine.collector(TAIL, systemctl=other), "disk-check@a-b.service")
    assert found.facts == [("description", "disk-check@a-b.service")]


async def test_a_unit_of_a_user_is_not_taken_for_the_system_s_of_that_name(machine):
    collector = machine.collector(TAIL, systemctl=SHOW)
    found = await detail(collector, "dbus.service", "/user.slice/user-7.slice/user@7.service/app.slice/dbus.service")
    assert found.facts == []
    assert "systemd of uid 7" in found.denied[0]
    assert json.loads((machine.root / "journalctl.args").read_text())[-5:] == [
        "_SYSTEMD_USER_UNIT=dbus.service", "_UID=7", "+", "USER_UNIT=dbus.service", "_UID=7",
    ]  # fmt: skip
    assert len(found.lines) == 20


async def test_without_systemd_the_facts_say_why(machine):
    collector = machine.collector(
        TAIL, systemctl='import sys\nsys.exit("System has not been booted with systemd as init system (PID 1). Can\'t operate.")'
    )
    found = await detail(collector, "web.service")
    assert found.facts == []
    assert len(found.lines) == 20
    assert found.denied[0].endswith("System has not been booted with systemd as init system (PID 1). Can't operate.")
    (machine.root / "systemctl").unlink()
    found = await detail(machine.collector(TAIL), "web.service")
    assert found.denied[0].endswith("systemctl cannot be run: No such file or directory")


async def test_a_log_that_may_not_be_read_says_what_mends_it(machine):
    machine.journal.unlink()
    found = await detail(machine.collector(TAIL, systemctl=SHOW), "web.service")
    assert found.lines == []
    assert found.denied[0].startswith("log: no journal is kept here")


def test_a_unit_that_there_is_not():
    assert facts_of(b"LoadState=not-found\nActiveState=inactive\nSubState=dead\n") == [("loaded", "no: systemd finds no such unit")]
    assert facts_of(b"") == []
    assert facts_of(b"\xff\xfe\nActiveState=failed\nSubState=failed\nNeedDaemonReload=yes\nLoadState=masked\n") == [
        ("loaded", "masked"), ("state", "failed"), ("changed on disk", "yes: in force after systemctl daemon-reload"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("ActiveState=active\nExecMainCode=0\nExecMainStatus=0", [("state", "active")]),
        ("ActiveState=failed\nExecMainCode=1\nExecMainStatus=75", [("state", "failed"), ("last exit", "status 75")]),
        ("ActiveState=failed\nExecMainCode=exited\nExecMainStatus=0", [("state", "failed"), ("last exit", "status 0")]),
        ("ActiveState=failed\nExecMainCode=2\nExecMainStatus=9", [("state", "failed"), ("last exit", "ended by SIGKILL")]),
        ("ExecMainCode=dumped\nExecMainStatus=11", [("last exit", "ended by SIGSEGV, core dumped")]),
        ("ActiveState=active\nActiveEnterTimestamp=B\nInactiveEnterTimestamp=A", [("state", "active"), ("active since", "B")]),
        ("ActiveState=inactive\nActiveEnterTimestamp=A\nInactiveEnterTimestamp=B", [("state", "inactive"), ("inactive since", "B")]),
        ("ActiveState=activating\nActiveEnterTimestamp=A\nInactiveEnterTimestamp=B", [("state", "activating")]),
        ("ActiveState=reloading\nActiveEnterTimestamp=A\nInactiveEnterTimestamp=", [("state", "reloading"), ("active since", "A")]),
    ],
)
def test_what_no_longer_holds_is_no_fact(shown, told):
    assert facts_of(shown.encode()) == told


@pytest.mark.parametrize(
    ("body", "within_s", "fault"),
    [
        ("import time; time.sleep(600)", 1.0, "did not answer in time"),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", 100.0, "said more than 100000 bytes"),
        ("import os\nwhile True: os.write(2, b'x' * 65536)", 100.0, "said more than 100000 bytes"),
        ("import os, time; os.close(1); os.close(2); time.sleep(600)", 1.0, "ended with exit code -9"),
        ("import sys; print('half'); sys.exit('no \\ncan do')", 100.0, "no "),
    ],
)
@measuring
def test_a_program_is_waited_for_in_bounds(machine, body, within_s, fault):
    program = machine.program("it", f"import os\nopen(__file__ + '.pid', 'w').write(str(os.getpid()))\n{body}")
    began = time.monotonic()
    found = answer([program], within_s, 100_000)
    assert found.fault == fault
    assert time.monotonic() - began < 100  # it never ends
    assert len(found.out) < 300_000
    said = machine.root / "it.pid"
    pid = int(said.read_text() or 0) if said.exists() else 0
    if pid:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIG_DFL)


async def test_the_loop_is_free_while_programs_are_waited_for(machine):
    collector = machine.collector("time.sleep(1)", systemctl="import time\ntime.sleep(1)")
    asked = asyncio.ensure_future(detail(collector, "web.service"))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns > 8  # hundreds; two where it waits for each
    assert (await asked).lines == []


async def test_where_the_past_is_not_told_the_journal_is_followed_all_the_same(machine):
    program = machine.program("hangs-once", FOLLOW.replace("sys.exit(0)  # nothing was said before", "time.sleep(5)") + "follow()")
    collector = machine.collector(program=program)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await machine.run(collector)
    assert not collector.told
    began = time.monotonic()
    assert (await machine.run(collector)).health == []
    assert collector.told
    assert time.monotonic() - began < 100
