"""What a configuration may say, with its defaults: the one description that is read, checked, documented and written from.

Endpoints are in `perfconsole.config.schema_checks`, channels in `perfconsole.config.schema_notify`, all tables by name in
`perfconsole.config.tables`.
"""

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Struct, field

from perfconsole.config import kinds
from perfconsole.config.kinds import key as _key

if TYPE_CHECKING:  # 15 ms of the time to the first numbers, which only a file with endpoints should cost
    from perfconsole.config.schema_checks import Dns, Http, Service, Tcp, TlsCheck
    from perfconsole.config.schema_notify import Notify

INTERVAL: Final = kinds.duration(0.5, 3600.0)
"""Not under the engine's beat; over an hour nothing would be live any more."""

_LASTING: Final = kinds.duration_from_none(30 * 86400.0)
_WINDOW: Final = kinds.duration(1.0, 86400.0)

STATS: Final = ("last", "avg", "min", "max", "p50", "p90", "p95", "p99", "ratio")
"""Of `core.alert_stats`, which a configuration is not to import: a test holds them together."""

PROCESS_COLUMNS: Final = (
    "pid", "user", "state", "cpu", "time", "memory", "pss", "threads", "nice", "read", "write", "files", "started", "unit", "name",
    "command",
)  # fmt: skip
"""Columns of the process table as people write them."""

TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""As libpq's sslmode has them."""

SERVER_VARIABLES: Final = ("PGHOST", "PGHOSTADDR", "PGSERVICE")
"""Those of libpq's variables that name a PostgreSQL server; PGUSER, PGDATABASE and the like name none."""

SCREENS: Final = ("operations", "queries", "endpoints", "processes", "alerts", "changes")


class Console(
    Struct,
    frozen=True,
    kw_only=True,
    rename={"interval_s": "interval", "recording_s": "recording", "recording_size_bytes": "recording_size"},
):
    """The console itself."""

    interval_s: Annotated[float, _key(INTERVAL, "Time between two measurements of system and processes.")] = 2.0
    theme: Annotated[str, _key(kinds.TEXT, "Colours; `perfconsole themes` lists them.")] = "midnight"
    read_only: Annotated[bool, _key(kinds.SWITCH, "Refuse every action that changes something (signals, nice values).")] = False
    ascii: Annotated[bool | str, _key(kinds.ASCII, "Draw with ASCII only; auto does so where the terminal or the locale needs it.")] = (
        "auto"
    )
    mouse: Annotated[bool, _key(kinds.SWITCH, "Use the mouse; false leaves selecting text to the terminal.")] = True
    screen: Annotated[
        str, _key(kinds.choice(*SCREENS), "The screen to begin with: operations, queries, endpoints, processes, alerts or changes.")
    ] = "operations"
    bell: Annotated[
        tuple[str, ...],
        _key(
            kinds.some_of("off", "bell", "osc9", "osc777", "desktop"),
            "What a console does when an alert fires: off, bell, osc9 or osc777 (by the terminal, also through ssh), desktop; or a list.",
        ),
    ] = ()
    recording_s: Annotated[
        float,
        _key(kinds.duration_or_off(60.0, 30 * 86400.0), 'How far back the recording in the state directory reaches; "off" keeps none.'),
    ] = 86400.0
    recording_size_bytes: Annotated[
        int, _key(kinds.size(10**6), "The most the recording may take on disk; the oldest part goes first.")
    ] = 100_000_000


class System(Struct, frozen=True, kw_only=True):
    """What is measured of this machine. Lists of shell globs choose; one that begins with ! excludes."""

    mounts: Annotated[
        tuple[str, ...], _key(kinds.TEXTS, 'Mount points, e.g. ["/", "/srv/*"] or ["!/mnt/*"]; empty: every real filesystem.')
    ] = ()
    disks: Annotated[tuple[str, ...], _key(kinds.TEXTS, 'Block devices, e.g. ["nvme*"]; empty: every physical one.')] = ()
    networks: Annotated[tuple[str, ...], _key(kinds.TEXTS, 'Network interfaces, e.g. ["!veth*"]; empty: every physical one.')] = ()
    units: Annotated[tuple[str, ...], _key(kinds.TEXTS, 'Units and containers, e.g. ["*.service", "!user-*"]; empty: every one.')] = ()
    cpu_normalize: Annotated[
        str, _key(kinds.choice("machine", "core"), "What 100% of a process's CPU is: the whole machine, or one core (as top shows it).")
    ] = "machine"


class Processes(Struct, frozen=True, kw_only=True):
    """The table of processes."""

    columns: Annotated[
        tuple[str, ...], _key(kinds.choices(PROCESS_COLUMNS), f"Columns, of: {' '.join(PROCESS_COLUMNS)}; empty: those that fit.")
    ] = ()
    sort: Annotated[str, _key(kinds.choice(*PROCESS_COLUMNS), "The column to sort by.")] = "cpu"
    tree: Annotated[bool, _key(kinds.SWITCH, "Begin with the tree of parents and children.")] = False


class Postgres(Struct, frozen=True, kw_only=True, rename={"interval_s": "interval"}):
    """A PostgreSQL server; as many of these tables as you like. With neither dsn nor service the PG* variables say where it is."""

    name: Annotated[str, _key(kinds.TEXT, "A name of its own.", "orders")]
    dsn: Annotated[
        str,
        _key(
            kinds.DSN,
            'Where it is. Passwords by reference: "${ENV}", "file:/run/secrets/x" (as ?password=file:/...), or in ~/.pgpass. '
            "The database pgbouncer is the admin console of that pooler: its pools are watched.",
            "postgresql://perfconsole@db1.example:5432/postgres?sslmode=require",
        ),
    ] = ""
    service: Annotated[str, _key(kinds.TEXT, "Or an entry of ~/.pg_service.conf, in place of dsn:", "orders")] = ""
    interval_s: Annotated[
        float, _key(kinds.duration(1.0, 3600.0), "Time between two looks; sessions that are looked at are asked for every second.")
    ] = 5.0
    databases: Annotated[
        tuple[str, ...], _key(kinds.TEXTS, 'Databases to tell apart, e.g. ["shop*", "!shop_test"]; empty: the busiest.')
    ] = ()
    tls: Annotated[str, _key(kinds.choice(*TLS_MODES), f"{', '.join(TLS_MODES)}; wins over the sslmode of the dsn.", "require")] = ""
    exclude: Annotated[
        tuple[str, ...], _key(kinds.TEXTS, 'Applications whose sessions are not listed and whose statements may last, e.g. ["pgbench*"].')
    ] = ()


class Alerts(Struct, frozen=True, kw_only=True):
    """The rules that ship: thresholds, which colour a value and list it as over its threshold, and alerts, which last for a while."""

    defaults: Annotated[bool, _key(kinds.SWITCH, "The shipped rules are in force; `perfconsole alerts rules` lists them.")] = True
    disable: Annotated[tuple[str, ...], _key(kinds.TEXTS, 'Shipped rules to leave out, e.g. ["cpu-warning"].')] = ()
    notify: Annotated[tuple[str, ...], _key(kinds.TEXTS, 'Who is told of alerts, of [[notify]] tables: e.g. ["slack"]; [] is nobody.')] = ()


class AlertRule(
    Struct,
    frozen=True,
    kw_only=True,
    rename={
        "over_s": "over", "for_s": "for", "keep_s": "keep_firing_for", "max_gap_s": "max_gap", "respond_s": "respond_within",
    },
):  # fmt: skip
    """A rule of your own; as many of these tables as you like. Exactly one of above and below. Without for and notify it is a threshold."""

    name: Annotated[str, _key(kinds.TEXT, "A name of its own.", "var-nearly-full")]
    severity: Annotated[str, _key(kinds.choice("critical", "warning", "info"), "critical, warning or info.", "warning")]
    metric: Annotated[str, _key(kinds.TEXT, "A metric, as `perfconsole snapshot` names them.", "system.filesystem.utilization")]
    match: Annotated[
        dict[str, str],
        _key(kinds.LABELS, "Labels and globs: exactly these labels. Without: the unlabelled series (the total).", {"mountpoint": "/var*"}),
    ] = {}
    above: Annotated[
        float | None, _key(kinds.THRESHOLD, "Over this, in the metric's unit: 90%, 250ms, 512MB or a plain number.", "80%")
    ] = None
    below: Annotated[float | None, _key(kinds.THRESHOLD, "Or under this, in place of above:", "10%")] = None
    stat: Annotated[
        str, _key(kinds.choice(*STATS), f"Of the samples of the last `over`: {' '.join(STATS)} (the share that is not 1).", "avg")
    ] = "last"
    over_s: Annotated[float | None, _key(_WINDOW, "The time that the statistic is over; 1m unless given; last has none.", "1m")] = None
    for_s: Annotated[float, _key(_LASTING, "How long it has to last; a threshold colours at once.", "10m")] = 0.0
    clear: Annotated[
        float | None, _key(kinds.THRESHOLD, "How far it has to come back, written like above and below; without: to the limit.", "75%")
    ] = None
    keep_s: Annotated[
        float | None, _key(_LASTING, "How long it has to stay there to be over; without: a third of for, 5m at most.", "1m")
    ] = None
    max_gap_s: Annotated[
        float | None, _key(_LASTING, "The longest time without a sample that counts; without: two intervals and a timeout.", "30s")
    ] = None
    min_samples: Annotated[int, _key(kinds.whole(1, 1_000_000), "Of fewer samples nothing is known.")] = 1
    min_events: Annotated[int, _key(kinds.whole(0, 1_000_000), "Of a ratio: so many must count against it. Of last: so many in a row.")] = 0
    no_data: Annotated[
        str, _key(kinds.choice("keep", "alert", "ok"), "What silence is: keep leaves it as it is, alert is a breach, ok a recovery.")
    ] = "keep"
    depends_on: Annotated[
        tuple[str, ...],
        _key(
            kinds.TEXTS,
            "http:NAME, postgres:NAME: while one is down, this one tells nobody (host, seen from itself, never is).",
            ["postgres:orders"],
        ),
    ] = ()
    respond_s: Annotated[
        float | None, _key(_LASTING, "Within what time somebody should answer; without: 5m critical, 1h warning.", "15m")
    ] = None
    runbook: Annotated[str, _key(kinds.TEXT, "Where it is written what to do.", "https://wiki.example/runbooks/disk")] = ""
    enabled: Annotated[bool, _key(kinds.SWITCH, "Whether it counts.")] = True
    notify: Annotated[
        tuple[str, ...] | None, _key(kinds.TEXTS, "Who is told of it; without: whom [alerts] notify names; [] is nobody.", ["ops"])
    ] = None


class History(Struct, frozen=True, kw_only=True):
    """What is kept."""

    dir: Annotated[
        str,
        _key(
            kinds.PATH,
            "The state directory. Default: ~/.local/state/perfconsole, for root /var/lib/perfconsole.",
            "~/.local/state/perfconsole",
        ),
    ] = ""


WATCHED: Final = (
    "/etc/fstab",
    "/etc/hosts",
    "/etc/sysctl.conf",
    "/etc/sysctl.d/*.conf",
    "/etc/security/limits.conf",
    "/etc/ssh/sshd_config",
    "/etc/crontab",
    "/etc/cron.d/*",
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.d/*.conf",
    "/etc/docker/daemon.json",
    "/etc/nginx/**/*.conf",
    "/etc/nginx/sites-enabled/*",
    "/etc/apache2/**/*.conf",
    "/etc/haproxy/haproxy.cfg",
    "/etc/postgresql/*/*/*.conf",
    "/etc/pgbouncer/pgbouncer.ini",
)
"""What is behind many an incident, and on most machines has not changed for weeks."""


class Events(Struct, frozen=True, kw_only=True):
    """What is put on the timeline of changes, beside what the machine itself says."""

    watch: Annotated[
        tuple[str, ...],
        _key(kinds.TEXTS, 'Files and globs whose changes are told, e.g. ["/etc/nginx/**/*.conf"]; those of this console always are.'),
    ] = WATCHED
    marks_dir: Annotated[
        str,
        _key(kinds.PATH, "A directory: a file put there is a mark, its first line the text.", "/run/perfconsole/marks.d"),
    ] = ""


class Security(Struct, frozen=True, kw_only=True):
    """Observations about access: logins, listeners, accounts, executables. No intrusion detection."""

    enabled: Annotated[bool, _key(kinds.SWITCH, "Look at logins, sudo, listening sockets, accounts and executables.")] = True


class Privacy(Struct, frozen=True, kw_only=True):
    """What is left out of what is shown and kept."""

    mask_ips: Annotated[bool, _key(kinds.SWITCH, "Show the network of a remote address only (/24, /64).")] = False


class Config(Struct, frozen=True, kw_only=True):
    """A whole configuration."""

    console: Console = field(default_factory=Console)
    system: System = field(default_factory=System)
    processes: Processes = field(default_factory=Processes)
    http: "tuple[Http, ...]" = ()
    tcp: "tuple[Tcp, ...]" = ()
    tls: "tuple[TlsCheck, ...]" = ()
    dns: "tuple[Dns, ...]" = ()
    service: "tuple[Service, ...]" = ()
    postgres: tuple[Postgres, ...] = ()
    alerts: Alerts = field(default_factory=Alerts)
    alert: tuple[AlertRule, ...] = ()
    notify: "tuple[Notify, ...]" = ()
    history: History = field(default_factory=History)
    events: Events = field(default_factory=Events)
    security: Security = field(default_factory=Security)
    privacy: Privacy = field(default_factory=Privacy)
    keys: dict[str, tuple[str, ...]] = {}
