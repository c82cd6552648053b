"""Lines of the kernel log as kernels from 2.6 to 6.18 print them, and lines that only look so."""

import time

import pytest

from perfconsole.collectors.kernellog.lines import classify
from perfconsole.collectors.kernellog.oom import Kills

SSH = "/system.slice/ssh.service"
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" + "ab12cd34ef56" + "0" * 52 + ".scope"

TOLD = [
    # disks
    ("blk_update_request: I/O error, dev sda, sector 106553248", "/dev/sda", "critical", "sda: I/O error sector 106553248"),
    ("end_request: I/O error, dev sdb, sector 12", "/dev/sdb", "critical", "sdb: I/O error sector 12"),
    ("print_req_error: critical medium error, dev sda, sector 0", "/dev/sda", "critical", "sda: critical medium error sector 0"),
    (
        "I/O error, dev nvme0n1, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
        "/dev/nvme0n1",
        "critical",
        "nvme0n1: I/O error reading sector 2048",
    ),
    ("Buffer I/O error on device sda1, logical block 5", "/dev/sda1", "critical", "sda1: I/O error at block 5"),
    (
        "Buffer I/O error on dev dm-0, logical block 9, lost async page write",
        "/dev/dm-0",
        "critical",
        "dm-0: written data is lost at block 9",
    ),
    ("nvme nvme0: I/O 5 QID 3 timeout, aborting", "/dev/nvme0", "critical", "nvme0: the controller does not answer in time"),
    (
        "nvme nvme0: I/O tag 5 (1005) opcode 0x2 (I/O Cmd) QID 3 timeout, aborting req_op:READ(0) size:4096",
        "/dev/nvme0",
        "critical",
        "does not answer",
    ),
    ("nvme nvme0: I/O tag 0 (1000) QID 1 timeout, completion polled", "/dev/nvme0", "warning", "an interrupt was missed"),
    ("sd 2:0:0:0: [sdc] rejecting I/O to offline device", "host", "critical", "disk sdc was taken offline"),
    ("sd 2:0:0:0: rejecting I/O to offline device", "host", "critical", "disk 2:0:0:0 was taken offline"),
    ("ata1.00: exception Emask 0x0 SAct 0x8060000 SErr 0x0 action 0x0", "host", "warning", "ata1.00"),
    # filesystems
    (
        "EXT4-fs error (device loop0): trigger_test_error:129: comm bash: 1",
        "/dev/loop0",
        "critical",
        "EXT4 error on loop0: trigger_test_error:129: comm bash: 1",
    ),
    ("EXT4-fs error (device sda1) in ext4_free_inode:362: Corrupt filesystem", "/dev/sda1", "critical", "Corrupt filesystem"),
    ("EXT3-fs error (device sda1): ext3_lookup: deleted inode referenced: 1", "/dev/sda1", "critical", "deleted inode"),
    ("EXT4-fs (loop0): Remounting filesystem read-only", "/dev/loop0", "critical", "was made read-only"),
    ("FAT-fs (sdb1): Filesystem has been set read-only", "/dev/sdb1", "critical", "was made read-only"),
    ("Aborting journal on device loop0-8.", "/dev/loop0", "critical", "gave up its journal"),
    ("EXT4-fs (sda1): This should not happen!! Data will be lost", "/dev/sda1", "critical", "written data is lost"),
    (
        "EXT4-fs warning (device sda1): ext4_end_bio:343: I/O error 10 writing to inode 131 starting block 33024)",
        "/dev/sda1",
        "critical",
        "sda1: written data is lost: inode 131",
    ),
    ("dm-4: writeback error on inode 131, offset 0, sector 33024", "/dev/dm-4", "critical", "dm-4: written data is lost: inode 131"),
    ("XFS (vda4): writeback error on inode 7, offset 0, sector 8", "/dev/vda4", "critical", "vda4: written data is lost: inode 7"),
    (
        "BTRFS warning (device sda1): csum failed root 5 ino 257 off 0 csum 0x8941f998 expected csum 0x98f94189 mirror 1",
        "/dev/sda1",
        "critical",
        "BTRFS on sda1: data is not what was written: root 5 ino 257",
    ),
    (
        "device-mapper: thin: 253:4: switching pool to out-of-data-space (queue IO) mode",
        "host",
        "critical",
        "thin pool 253:4 is in mode out-of-data-space (queue IO)",
    ),
    ("device-mapper: multipath: 253:2: Failing path 8:16.", "host", "warning", "a path to a disk failed: 8:16"),
    ("device-mapper: multipath: Failing path 8:32.", "host", "warning", "a path to a disk failed: 8:32"),
    ("CIFS: VFS: \\\\nas has not responded in 180 seconds. Reconnecting...", "host", "warning", "SMB server \\\\nas does not answer"),
    ("CIFS VFS: Server nas has not responded in 120 seconds. Reconnecting...", "host", "warning", "SMB server nas does not answer"),
    (
        "cgroup: fork rejected by pids controller in /system.slice/web.service",
        "host",
        "critical",
        "no process can be started in /system.slice/web.service",
    ),
    (
        "wild[7]: segfault (11) at 0 nip 10000754 lr 7fff9e code 1 in wild[10000000+10000]",
        "host",
        "warning",
        "wild (pid 7) crashed: segfault in wild",
    ),
    ("XFS (dm-4): Corruption detected. Unmount and run xfs_repair", "/dev/dm-4", "critical", "XFS error on dm-4: Corruption detected"),
    ("XFS (dm-4): I/O Error Detected. Shutting down filesystem", "/dev/dm-4", "critical", "Shutting down"),
    ("XFS (dm-4): Filesystem has been shut down due to log error (0x2).", "/dev/dm-4", "critical", "shut down"),
    (
        'XFS (vda4): metadata I/O error in "xfs_dquot_disk_read+0x14a/0x220 [xfs]" at daddr 0x1478 len 8 error 74',
        "/dev/vda4",
        "critical",
        "metadata I/O error",
    ),
    ("BTRFS error (device sda2): bdev /dev/sdb errs: wr 1, rd 0, flush 0, corrupt 0, gen 0", "/dev/sda2", "critical", "errs: wr 1"),
    ("BTRFS: error (device sda2) in btrfs_commit_transaction:2227: errno=-5 IO failure", "/dev/sda2", "critical", "errno=-5 IO failure"),
    ("BTRFS error (device sda2: state EA): cannot write", "/dev/sda2", "critical", "BTRFS error on sda2: cannot write"),
    ("BTRFS warning (device sda2: state A): csum failed root 5 ino 257 off 0", "/dev/sda2", "critical", "BTRFS on sda2: data"),
    ("BTRFS info (device sda2 state E): forced readonly", "/dev/sda2", "critical", "forced readonly"),
    ("nfs: server filer1 not responding, still trying", "host", "warning", "NFS server filer1 does not answer"),
    ("VFS: file-max limit 65536 reached", "host", "critical", "all 65536 of fs.file-max"),
    # the kernel itself
    ("INFO: task jbd2/sda1-8:412 blocked for more than 120 seconds.", "host", "warning", "jbd2/sda1-8 (pid 412) hangs in the kernel"),
    ("INFO: task cp:77 blocked in I/O wait for more than 122 seconds.", "host", "warning", "cp (pid 77)"),
    ("INFO: task a:1 b:77 blocked for more than 122 seconds.", "host", "warning", "a:1 b (pid 77)"),
    ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "host", "critical", "rcu_preempt stall"),
    ("INFO: rcu_sched self-detected stall on CPU", "host", "critical", "rcu_sched stall"),
    (
        "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:123]",
        "host",
        "critical",
        "CPU 3 was stuck in the kernel for 22 s in kworker/3:1",
    ),
    ("NMI watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [a:1]", "host", "critical", "CPU 0"),
    ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 5", "host", "critical", "CPU 5"),
    ("watchdog: CPU5: Watchdog detected hard LOCKUP on cpu 5", "host", "critical", "CPU 5"),
    ("BUG: kernel NULL pointer dereference, address: 0000000000000000", "host", "critical", "kernel NULL pointer"),
    ("BUG: unable to handle page fault for address: ffffc900001", "host", "critical", "unable to handle page fault"),
    ("kernel BUG at fs/ext4/inode.c:2721!", "host", "critical", "fs/ext4/inode.c:2721"),
    ("Oops: 0002 [#1] PREEMPT SMP PTI", "host", "critical", "Oops: 0002"),
    (
        "clocksource: timekeeping watchdog on CPU2: Marking clocksource 'tsc' as unstable because the skew is too large:",
        "host",
        "warning",
        "clock source tsc",
    ),
    ("nginx: page allocation failure: order:4, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO)", "host", "warning", "memory for nginx"),
    # network
    ("nf_conntrack: nf_conntrack: table full, dropping packet", "host", "critical", "(nf_conntrack) is full"),
    ("nf_conntrack: table full, dropping packet.", "host", "critical", "(nf_conntrack) is full"),
    ("nf_conntrack: nf_conntrack: table full in netns 4026531840, dropping packet", "host", "critical", "(nf_conntrack) is full"),
    ("neighbour: arp_cache: neighbor table overflow!", "host", "warning", "neighbour table (arp_cache)"),
    ("TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.  Check SNMP counters.", "host", "warning", "port 80"),
    ("TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:8080. Sending cookies.", "host", "warning", "port 0.0.0.0:8080"),
    ("TCP: out of memory -- consider tuning tcp_mem", "host", "critical", "net.ipv4.tcp_mem"),
    ("NETDEV WATCHDOG: eth0 (tg3): transmit queue 0 timed out", "host", "critical", "eth0: sending hangs: transmit queue 0"),
    (
        "igb 0000:01:00.0 eno1: NETDEV WATCHDOG: CPU: 3: transmit queue 7 timed out 5120 ms",
        "host",
        "critical",
        "eno1: sending hangs: transmit queue 7",
    ),
    ("e1000e 0000:00:19.0 eth0: Detected Hardware Unit Hang:", "host", "critical", "eth0: the network card hangs"),
    # programs
    (
        "python3[22218]: segfault at 0 ip 00007fcd48f0a4f5 sp 00007ffe01e6a5c8 error 4 in libc.so.6[7fcd48dd5000+155000]",
        "host",
        "warning",
        "python3 (pid 22218) crashed: segmentation fault in libc.so.6",
    ),
    ("a b[7]: segfault at 7f0000 ip 0000000000000000 sp 00007ffd error 14", "host", "warning", "a b (pid 7) crashed: segmentation fault"),
    (
        "traps: app[12] general protection fault ip:55d0 sp:7ffc error:0 in app[55d000+1000]",
        "host",
        "warning",
        "app (pid 12) crashed: general protection in app",
    ),
    (
        "traps: app[12] general protection ip:55d0 sp:7ffc error:0 in app[55d000+1000]",
        "host",
        "warning",
        "app (pid 12) crashed: general protection",
    ),
    ("traps: app[12] trap invalid opcode ip:55d0 sp:7ffc error:0", "host", "warning", "app (pid 12) crashed: invalid opcode"),
    (
        "app[99]: unhandled level 3 translation fault (11) at 0x00000000, esr 0x92000007",
        "host",
        "warning",
        "app (pid 99) crashed: level 3 translation fault",
    ),
    # hardware
    (
        "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (channel:1 slot:0)",
        "host",
        "warning",
        "memory MC0: 1 corrected errors",
    ),
    ("EDAC MC1: 2 UE memory scrubbing error on unknown memory", "host", "critical", "memory MC1: 2 uncorrectable errors"),
    ("mce: [Hardware Error]: Machine check events logged", "host", "warning", "Machine check events logged"),  # corrected ones, too
    ("mce: [Hardware Error]: CPU 2: Machine Check: 0 Bank 8: 8c00004000010090", "host", "warning", "CPU 2: Machine Check"),
    ("mce: [Hardware Error]: CPU 2: Machine Check Exception: 5 Bank 4: be00000000800400", "host", "critical", "Machine Check Exception"),
    ("{1}[Hardware Error]: event severity: corrected", "host", "warning", "the firmware reports one that is corrected"),
    ("{2}[Hardware Error]: event severity: recoverable", "host", "critical", "the firmware reports one that is recoverable"),
    ("Memory failure: 0x2a8d1: Killing mysqld:812 due to hardware memory corruption", "host", "critical", "mysqld (pid 812) was killed"),
    ("pcieport 0000:00:1c.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)", "host", "info", "0000:00:1c.0"),
    (
        "nvme 0000:01:00.0: AER: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer",
        "host",
        "critical",
        "uncorrected (fatal)",
    ),
    ("mce: CPU3: Core temperature above threshold, cpu clock throttled (total events = 1)", "host", "warning", "CPU 3 is too hot"),
    ("CPU0: Package temperature is above threshold, cpu clock is throttled (total events = 2)", "host", "warning", "CPU 0 is too hot"),
    ("thermal thermal_zone0: critical temperature reached (105 C), shutting down", "host", "critical", "thermal_zone0"),
]

NOTHING = [
    "",
    "EXT4-fs (loop0): mounted filesystem fc73e0c3-c24b-445a-93df-3ec67779ec5f r/w with ordered data mode. Quota mode: none.",
    "e1000e 0000:00:1f.6 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
    "e1000e 0000:00:1f.6 eno1: NIC Link is Down",  # who looks at links and arrays tells of it
    "md/raid1:md0: Disk failure on sdb1, disabling device.",
    "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1",  # what it is comes below
    "blk_update_request: 12 callbacks suppressed",
    "blk_update_request: I/O error, dev fd0, sector 0",  # the empty drive of a virtual machine
    "Buffer I/O error on dev sr0, logical block 0, async page read",
    "operation not supported error, dev sda, sector 8 op 0x3:(DISCARD) flags 0x0",
    "critical target error, dev sda, sector 8 op 0x3:(DISCARD) flags 0x800 phys_seg 1 prio class 0",  # fstrim of a disk without it
    'audit: type=1400 audit(1.2:3): apparmor="DENIED" comm="I/O error, dev sda, sector 1"',
    "IN=eth0 OUT= MAC= SRC=203.0.113.9 DST=192.0.2.1 PREFIX=nf_conntrack: table full, dropping packet",
    "usb 1-1: Product: EXT4-fs error (device sda1): x:1: comm y: 1",
    "XFS (dm-4): Ending clean mount",
    "XFS (dm-4): Mounting V5 Filesystem",
    "BTRFS info (device sda2): using crc32c",
    "oom_reaper: reaped process 812 (mysqld), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    "x" * 5000,
]


@pytest.mark.parametrize(("line", "scope", "severity", "words"), TOLD)
def test_what_a_line_means(line, scope, severity, words):
    found = classify(line)
    assert found is not None
    assert (found.scope, found.severity) == (scope, severity)
    assert words in found.text


@pytest.mark.parametrize("line", NOTHING)
def test_lines_that_mean_nothing_here(line):
    assert classify(line) is None


def test_a_process_that_calls_itself_like_an_error_is_a_crash_and_no_more():
    for name in ("I/O error, dev", "EXT4-fs error (", "mce: [Hardware", "traps: x[1] tr"):
        found = classify(f"{name}[7]: segfault at 0 ip 0000 sp 0000 error 4 in x[1+2]")
        assert found is not None
        assert found.text.startswith(name[:5])
        assert "crashed" in found.text
        assert found.scope == "host"


def context(pid=812, limit=SSH, victim=SSH, constraint="MEMCG", name="python3"):
    memcg = f"oom_memcg={limit}" if constraint == "MEMCG" else "global_oom"
    return (
        f"oom-kill:constraint=CONSTRAINT_{constraint},nodemask=(null),cpuset=/,mems_allowed=0-1,{memcg},"
        f"task_memcg={victim},task={name},pid={pid},uid=1000"
    )


def killed(pid=812, prefix="Memory cgroup out of memory: ", name="python3"):
    rest = "total-vm:40208kB, anon-rss:30336kB, file-rss:6604kB, shmem-rss:0kB, UID:1000 pgtables:112kB oom_score_adj:0"
    return f"{prefix}Killed process {pid} ({name}) {rest}"


def told(*lines):
    kills = Kills()
    found = [found for number, line in enumerate(lines) if (found := kills.take(number * 0.001, line))]
    return [(finding.scope, finding.text) for finding in found]


def test_a_kill_at_a_limit_is_one_finding_of_two_lines():
    assert told("Tasks state (memory values in pages):", context(), killed()) == [
        ("ssh.service", "python3 was killed: the memory limit of ssh.service was reached; it held 36M (pid 812, uid 1000)")
    ]


def test_a_limit_above_the_unit_is_named_beside_it():
    [(scope, text)] = told(context(limit="/system.slice"), killed())
    assert scope == "ssh.service"
    assert text.startswith(
        "python3 of ssh.service was killed: the memory limit of system.slice was reached; it held 36M (pid 812, uid 1000)"
    )


def test_a_container_is_named_by_its_id():
    [(scope, _)] = told(context(limit=POD, victim=POD), killed())
    assert scope == "pod:ab12cd34ef56"


def test_the_machine_ran_out():
    [(scope, text)] = told(context(constraint="NONE"), killed(prefix="Out of memory: "))
    assert scope == "ssh.service"
    assert "of ssh.service was killed: the machine ran out of memory; it held 36M" in text
    [(_, text)] = told(context(constraint="NONE"), killed(prefix="Out of memory (oom_kill_allocating_task): "))
    assert "the machine ran out of memory" in text


def test_numa_nodes_ran_out():
    [(_, text)] = told(context(constraint="CPUSET"), killed(prefix="Out of memory: "))
    assert "NUMA nodes" in text


def test_kernels_before_5_0():
    task = f"Task in {SSH} killed as a result of limit of /system.slice"
    chosen = "Memory cgroup out of memory: Kill process 812 (python3) score 1001 or sacrifice child"
    assert told(task, chosen, "Killed process 812 (python3) total-vm:9kB, anon-rss:1024kB, file-rss:0kB, shmem-rss:0kB") == [
        ("ssh.service", "python3 of ssh.service was killed: the memory limit of system.slice was reached; it held 1.0M (pid 812)")
    ]
    chosen = "Out of memory: Kill process 812 (java) score 901 or sacrifice child"
    assert told(chosen, "Killed process 813 (java) total-vm:9kB, anon-rss:2048kB, file-rss:0kB") == [
        ("host", "java was killed: the machine ran out of memory; it held 2.0M (pid 813)")
    ]


@pytest.mark.parametrize("who", ["812 (java), UID 48, ", "812, UID 48, (java) "])
def test_red_hats_own_forms(who):
    assert told(f"Killed process {who}total-vm:9kB, anon-rss:2048kB, file-rss:0kB") == [
        ("host", "java was killed: memory ran out; it held 2.0M (pid 812, uid 48)")
    ]


def test_a_group_that_is_killed_together():
    group = f"Tasks in {SSH} are going to be killed due to memory.oom.group set"
    found = told(context(limit="/system.slice"), killed(), group, killed(813, name="child"))
    assert [scope for scope, _ in found] == ["ssh.service", "ssh.service"]
    assert found[1][1].startswith("child of ssh.service was killed: the memory limit of system.slice was reached")


def test_a_kill_of_another_process_is_not_said_to_be_of_the_same_group():
    found = told(context(), killed(813))
    assert found == [("host", "python3 was killed: the memory limit of its cgroup was reached; it held 36M (pid 813, uid 1000)")]


def test_lines_that_belong_together_come_together():
    kills = Kills()
    kills.take(0.0, context())
    assert kills.leftover(2.0) is None
    late = kills.leftover(6.0)
    assert late is not None
    assert late[0] == 0.0
    assert late[1].text == "python3 was killed: the memory limit of ssh.service was reached (pid 812, uid 1000)"
    assert kills.leftover(7.0) is None
    assert kills.seen == 1


def test_a_name_cannot_forge_another_victim():
    [(_, text)] = told(context(name="a,pid=1,uid=0"), killed(name=") total-vm:1kB"))
    assert text.startswith(") total-vm:1kB was killed: ")
    assert text.endswith("(pid 812, uid 1000)")


def test_a_cgroup_cannot_forge_another():
    [(scope, text)] = told(context(limit=f"/x,task_memcg={SSH},task=a", victim="/user.slice/user-1000.slice"), killed())
    assert scope == "host"
    assert "ssh.service" not in text


def test_a_cgroup_whose_path_imitates_the_line_costs_no_time():
    path = "".join(word * 20 for word in (",oom_memcg=", ",task_memcg=", ",task=", ",pid=1"))
    kills = Kills()
    began = time.process_time()
    for _ in range(50):
        kills.take(0.0, context(limit=path)[:-1])
        kills.take(0.0, f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=x{path}"[:1024])
    assert (time.process_time() - began) / 100 < 0.05  # 0.1 ms; a pattern that tries every way takes minutes


def test_only_the_kernels_forms_count():
    assert told("sshd: Killed process 1 (x) total-vm:1kB", "Killed process 1", "oom-kill:constraint=", "Out of memory: hi") == []
