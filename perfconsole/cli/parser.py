"""The command line's words: commands, options, examples. Made once a command was given; the commands themselves are imported after that."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from perfconsole import __version__
from perfconsole.cli.dispatch import USAGE, notice

_EXAMPLES: Final = """\
examples:
  perfconsole                             open the console on this machine
  perfconsole --interval 5s --read-only   slowly, and without any action that changes something
  perfconsole snapshot --json | jq .      what is known now, for programs
  perfconsole replay                      the recording that this machine keeps
  perfconsole mark "deploy 1.4.2"         put on the timeline what is being done, from a deploy script
  perfconsole events --since 1h           what changed here within the last hour
  perfconsole doctor                      what this user cannot see, and why

exit codes: 0 clean, 1 warning, 2 critical, 3 could not be measured, 64 usage or configuration"""


_OPTIONS: Final = ("interval", "theme", "read_only", "record", "no_record", "dsn", "url")
"""Options that stand before a command."""

_TAKEN_BY: Final = {
    "snapshot": ("dsn", "url"), "queries": ("dsn",), "queries explain": ("dsn",), "doctor": ("dsn", "url"),
    "record": ("interval", "dsn", "url"), "replay": ("theme",),
}  # fmt: skip
"""Those of them that a command takes too; the rest is the console's."""


class Parser(argparse.ArgumentParser):
    """argparse with the house's manners: one line, exit 64, no guessing at abbreviated options."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        """Say it in one line and leave with 64; what it quotes may be a URL with a password in it."""
        from perfconsole.core.redact import redact

        notice(f"{redact(message)} (see `{self.prog} --help`)")
        raise SystemExit(USAGE)


def build() -> Parser:
    """The parser of the whole command line.

    Returns:
        One whose result has `command` (``console`` when none was named) and, of ``config`` and ``themes``, `verb`.
    """
    parser = Parser(
        prog="perfconsole",
        description="One terminal console for the machine, its HTTP services and its PostgreSQL servers.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"perfconsole {__version__}")
    _settings(parser, None)
    _targets(parser, None)
    _opening(parser)
    parser.set_defaults(command="console")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_snapshot, _probe, _queries, _alerts, _events, _mark, _notify, _record, _replay, _init, _config, _doctor, _themes, _keys):
        add(commands)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; an option of the console before a command that has no use for it is a mistake, not a wish to be passed over."""
    parser = build()
    args = parser.parse_args(argv)
    if args.command != "console":
        for option in _OPTIONS:
            if getattr(args, option, None) and option not in _TAKEN_BY.get(args.command, ()):
                parser.error(f"--{option.replace('_', '-')} is for the console, `{args.command}` does not take it")
    return args


Commands = Any
"""What `add_subparsers` returns; argparse keeps its type to itself."""


def _settings(parser: argparse.ArgumentParser, default: Any) -> None:
    # A command takes these too; there they are suppressed when absent, so that `--config F snapshot` and `snapshot --config F` agree.
    parser.add_argument("--config", metavar="FILE", default=default, help="use this configuration file and no other")


def _servers(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument("--dsn", metavar="DSN", action="append", default=default,
                        help="a PostgreSQL server, e.g. postgresql://me@db1/shop; as often as there are servers")  # fmt: skip


def _targets(parser: argparse.ArgumentParser, default: Any) -> None:
    _servers(parser, default)
    parser.add_argument("--url", metavar="URL", action="append", default=default,
                        help="an HTTP endpoint, e.g. http://localhost:8080/health; as often as there are endpoints")  # fmt: skip


def _opening(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the console")
    group.add_argument("--interval", metavar="TIME", help="time between measurements: 500ms 2s 1m [2s]")
    group.add_argument("--theme", metavar="NAME", help="colours; `perfconsole themes` lists them")
    group.add_argument("--read-only", action="store_true", default=None, help="refuse every action that changes something")
    recording = group.add_mutually_exclusive_group()
    recording.add_argument("--record", metavar="FILE", help="record to this file instead of the state directory")
    recording.add_argument("--no-record", action="store_true", help="keep no recording")


def _command(commands: Commands, name: str, text: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    shown = "examples:\n" + "\n".join(f"  perfconsole {example}" for example in examples)
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text[0].lower() + text[1:], description=text + ".", epilog=shown)
    _settings(parser, argparse.SUPPRESS)
    parser.set_defaults(command=name)
    return parser


def _snapshot(commands: Commands) -> None:
    parser = _command(commands, "snapshot", "Print what is known now",
                      ["snapshot", "snapshot --json | jq '.metrics[] | select(.name == \"system.cpu.utilization\")'",
                       "snapshot --json | jq '.thresholds[] | select(.severity == \"critical\")'"])  # fmt: skip
    _targets(parser, argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.snapshot/1")
    parser.add_argument("--fail-on", choices=("warning", "critical"),
                        help="exit 1 or 2 while an alert of this severity or worse fires (a mere threshold is none), "
                             "2 also while an endpoint fails its check")  # fmt: skip


def _probe(commands: Commands) -> None:
    parser = _command(commands, "probe", "Check one endpoint now, and say where its time goes",
                      ["probe https://shop.example/checkout", "probe checkout --count 60", "probe 'http://localhost:8080/?key=${KEY}'",
                       "probe http://localhost:8080/health --timeout 2s --json | jq .phases"])  # fmt: skip
    parser.add_argument(
        "target", metavar="URL", help="http://HOST:PORT/PATH or https://..., or the name of a configured endpoint of any kind"
    )
    parser.add_argument("--count", type=int, default=1, metavar="N",
                        help="so many times, a second apart, with percentiles and a chart: 1 to 1000 [1]")  # fmt: skip
    parser.add_argument("--timeout", metavar="TIME", help="the most one may take, redirects included: 10ms to 60s [5s, or as configured]")
    parser.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.probe/1")


def _queries(commands: Commands) -> None:
    parser = _command(commands, "queries", "Print what loads a PostgreSQL server",
                      ["queries --dsn postgresql://db1/orders", "queries --window 30s --sort calls",
                       "queries --json | jq '.statements[0]'"])  # fmt: skip
    _servers(parser, argparse.SUPPRESS)
    parser.add_argument("--window", "--interval", default="5s", metavar="TIME", help="how long to measure: 1s to 1h [5s]")
    parser.add_argument("--server", metavar="NAME", help="which of several configured servers")
    parser.add_argument("--sort", default="load", metavar="FIELD",
                        choices=("load", "calls", "exec_s", "mean_s", "max_s", "rows", "shared_read", "temp_written", "wal_bytes"),
                        help="load calls exec_s mean_s max_s rows shared_read temp_written wal_bytes [load]")  # fmt: skip
    parser.add_argument("--match", default="", metavar="WORDS", help="only statements with these words in query, user or database")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many [20]")
    parser.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.queries/1")
    verbs = parser.add_subparsers(metavar="explain", dest="verb")
    _explain(verbs)


def _explain(verbs: Commands) -> None:
    text = "Print how the planner would run a statement; nothing is run but with --analyze, and that is rolled back"
    parser = _command(verbs, "explain", text,
                      ["queries explain 4711", "queries explain 4711 --live", "queries explain 4711 --values c42 2026-01-01 --analyze",
                       "queries explain 4711 --index 'shop.orders (customer, placed)'",
                       "queries explain 4711 --json | jq '.nodes[] | select(.findings != [])'"])  # fmt: skip
    parser.set_defaults(command="queries explain")
    _servers(parser, argparse.SUPPRESS)
    parser.add_argument("queryid", type=int, metavar="QUERYID", help="of pg_stat_statements; `perfconsole queries --json` lists them")
    parser.add_argument("--server", metavar="NAME", default=argparse.SUPPRESS, help="which of several configured servers")
    parser.add_argument("--database", metavar="NAME", help="of several databases that have it, this one [the one it took most time in]")
    parser.add_argument("--user", metavar="NAME", help="likewise of several users")
    parser.add_argument(
        "--values", nargs="+", metavar="VALUE", help="with these values for $1 $2 ..., written without quotes; NULL is none"
    )
    parser.add_argument(
        "--live", action="store_true", help="with the values of a session that runs it now, or ran it last; the plan then shows them"
    )
    parser.add_argument("--analyze", action="store_true",
                        help="run it with those values (of a session, unless given) and measure: SELECT only, 20s at most")  # fmt: skip
    parser.add_argument(
        "--index", metavar="INDEX", help="as if there were this index too, where hypopg is installed: 'table (column, ...)'"
    )
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as one JSON object, perfconsole.explain/1")


def _alerts(commands: Commands) -> None:
    text = "List the alerts that stand, silence or acknowledge them; list the rules in force, or try them on samples that were kept"
    parser = _command(commands, "alerts", text, ["alerts list", "alerts silence endpoint=shop --for 1h --reason deploy", "alerts rules"])
    verbs = parser.add_subparsers(metavar="list|silence|unsilence|ack|rules|backtest", dest="verb", required=True)
    _standing(verbs)
    listed = _verb(verbs, "rules", "List the rules in force, alerts and thresholds, with where each is written",
                   ["alerts rules", "alerts rules --json | jq -r '.rules[] | select(.kind == \"alert\") | .name'"])  # fmt: skip
    listed.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.rules/1")
    _backtest(verbs)


def _standing(verbs: Commands) -> None:
    """What is asked of the engine that evaluates alerts here (a console that runs), or of what the last one left."""
    listed = _verb(verbs, "list", "List the alerts that pend or fire, and silences",
                   ["alerts list", "alerts list --json | jq '.alerts[] | select(.state == \"firing\")'"],
                   "exit codes: 0 nothing fires that is not muted, 1 a warning, 2 a critical one; 3 nobody could be asked")  # fmt: skip
    listed.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.alerts/1")
    silenced = _verb(verbs, "silence", "Have what matches notify nobody for a while",
                     ["alerts silence rule=response-time-* --for 4h --reason 'load test'",
                      "alerts silence endpoint=shop severity=warning --for 30m --reason deploy"],
                     "all pairs have to match, as globs of a shell; labels: rule, severity, metric and those of the series")  # fmt: skip
    silenced.add_argument("match", metavar="LABEL=GLOB", nargs="+", help="what is meant")
    silenced.add_argument("--for", metavar="TIME", dest="duration", required=True, help="until when: 30m 4h 2d from now on")
    silenced.add_argument("--reason", metavar="TEXT", required=True, help="why, for whoever comes next")
    ended = _verb(verbs, "unsilence", "End a silence", ["alerts unsilence 3f9a0c1b"])
    ended.add_argument("id", metavar="ID", help="its id, as `alerts list` has it")
    acked = _verb(verbs, "ack", "Take an alert on, so that others know and it is not told again as overdue",
                  ["alerts ack service-down-critical", "alerts ack '*{endpoint=shop,*' --text looking"])  # fmt: skip
    acked.add_argument("alert", metavar="ALERT", help="its id, a glob of ids, or a rule: all of its alerts")
    acked.add_argument("--text", metavar="TEXT", default="", help="what is to be said of it")
    acked.add_argument("--give-back", action="store_true", help="nobody has it on any more")
    for verb in (silenced, ended, acked):
        verb.add_argument("--by", metavar="NAME", help="who you are, where an account is shared [the user]")


def _backtest(verbs: Commands) -> None:
    tried = _verb(verbs, "backtest", "Print every transition that the rules would have made of samples, before they wake anyone",
                  ["alerts backtest --samples week.csv", "alerts backtest --samples incident.rec --rule service-down",
                   "alerts backtest --config new.toml --samples - --json < week.jsonl | jq '.transitions[] | select(.to == \"firing\")'"],
                  "samples: CSV with the header time,metric,<label>...,value (RFC 3339 or epoch seconds; an empty label is none), JSON\n"
                  'lines {"t", "metric", "labels", "value"}, both ordered by time; or a recording: its file, or its directory\n\n'
                  "exit codes: 0 when they were tried, whatever fired: that is past; 3 a recording that cannot be read; 64 a wrong line,\n"
                  "usage or configuration")  # fmt: skip
    tried.add_argument("--samples", metavar="FILE", required=True, help="what they are tried on; - for standard input")
    tried.add_argument("--rule", metavar="NAME", action="append", help="this rule alone, as often as there are")
    tried.add_argument("--thresholds", action="store_true", help="the rules without a duration as well, which only colour a value")
    tried.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.backtest/1")


def _verb(verbs: Commands, name: str, text: str, examples: Sequence[str], more: str = "") -> argparse.ArgumentParser:
    """A verb of a command, that takes ``--config`` too."""
    shown = "examples:\n" + "\n".join(f"  perfconsole {example}" for example in examples) + (f"\n\n{more}" if more else "")
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text[0].lower() + text[1:], description=text + ".", epilog=shown)
    _settings(parser, argparse.SUPPRESS)
    return parser


_BEFORE_NOW: Final = re.compile(r"-\d")
"""What argparse is to take for a value though it begins as an option does: ``--at -5m``."""


def _events(commands: Commands) -> None:
    parser = _command(commands, "events", "Print what changed here: units, packages, files, alerts, marks",
                      ["events", "events --since 1h --kind mark --kind package", "events --since -30m --until 14:02",
                       "events --json | jq -r '.events[] | select(.severity == \"critical\") | .text'"])  # fmt: skip
    parser._negative_number_matcher = _BEFORE_NOW  # noqa: SLF001  the only way to have a value begin with a minus
    parser.add_argument("--since", metavar="TIME", help="from when on: 2h -2h (ago), 14:02, RFC 3339 [2h; a recording: all of it]")
    parser.add_argument("--until", metavar="TIME", help="up to when, likewise [now]")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND", help="only of this kind, as often as there are")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="the newest N: 1 to 10000 [1000]")
    parser.add_argument("--recording", metavar="FILE", help="those in a recording: its file, or its directory")
    parser.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.events/1")


def _mark(commands: Commands) -> None:
    parser = _command(commands, "mark", "Put on the timeline that something was done, as a deploy",
                      ["mark deploy 1.4.2", "mark", "mark 'cache emptied' --at -5m",
                       "mark --note 'it was the cache' --by anna"])  # fmt: skip
    parser._negative_number_matcher = _BEFORE_NOW  # noqa: SLF001  as above
    parser.add_argument("text", metavar="TEXT", nargs="*", help="what was done, up to 500 characters [mark]")
    parser.add_argument("--at", metavar="TIME", help="when: -5m, 14:02, RFC 3339, epoch seconds [now]")
    parser.add_argument("--note", action="store_true", help="something that was found out, not done")
    parser.add_argument("--by", metavar="NAME", help="who says so, where an account is shared [the user]")


def _notify(commands: Commands) -> None:
    text = "List who is told of alerts, or try one of them"
    parser = _command(commands, "notify", text, ["notify list", "notify test slack", "notify test slack --dry-run"])
    verbs = parser.add_subparsers(metavar="list|test", dest="verb", required=True)
    listed = _verb(verbs, "list", "List the channels, and the alerts that each is told of",
                   ["notify list", "notify list --json | jq -r '.channels[] | select(.rules == []) | .name'"])  # fmt: skip
    tried = _verb(verbs, "test", "Send a message that says it is a test, and print the request and its answer",
                  ["notify test slack", "notify test slack --dry-run"],
                  "exit codes: 0 taken (or shown, with --dry-run); 3 not taken; 64 no such channel, usage or configuration")  # fmt: skip
    tried.add_argument("name", metavar="NAME", help="the channel, as [[notify]] calls it")
    tried.add_argument("--dry-run", action="store_true", help="print the request, send nothing")
    for added in (listed, tried):
        added.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.notify/1")


def _record(commands: Commands) -> None:
    parser = _command(
        commands, "record", "Record this machine to a file, without a console", ["record night.rec", "record incident.rec --for 10m"]
    )
    _targets(parser, argparse.SUPPRESS)
    parser.add_argument("file", metavar="FILE", help="where to; a file that is there is not overwritten")
    parser.add_argument("--for", dest="duration", metavar="TIME", help="how long: 30s 10m 8h [until interrupted]")


def _replay(commands: Commands) -> None:
    parser = _command(commands, "replay", "Open the console over a recording", ["replay", "replay incident.rec"])
    parser.add_argument("file", metavar="FILE", nargs="?", help="a recording, or a directory of them [the state directory's]")
    # Suppressed, so that `--theme paper replay` is not undone by this parser's own default.
    parser.add_argument("--theme", metavar="NAME", default=argparse.SUPPRESS, help="colours; `perfconsole themes` lists them")


def _init(commands: Commands) -> None:
    parser = _command(
        commands, "init", "Print a configuration in which every key is explained", ["init", "init --write", "init --postgres | psql"]
    )
    parser.add_argument(
        "--write", action="store_true", help="create $XDG_CONFIG_HOME/perfconsole/config.toml (or the --config file), mode 0600"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--postgres", action="store_true", help="print the SQL of a PostgreSQL role for it instead; nothing is executed")


def _config(commands: Commands) -> None:
    text = "Check, show or describe the configuration"
    parser = _command(
        commands, "config", text, ["config check", "config --config new.toml check", "config show", "config schema > schema.json"]
    )
    verbs = parser.add_subparsers(metavar="check|show|schema", dest="verb", required=True)
    for verb, says, example in (
        ("check", "Tell everything that is wrong with a configuration", "config check new.toml"),
        ("show", "Print the values in force, and which file they come from", "config show"),
    ):
        added = verbs.add_parser(
            verb, help=says[0].lower() + says[1:], description=says + ".", epilog=f"examples:\n  perfconsole {example}"
        )
        added.add_argument("file", metavar="FILE", nargs="?", help="this file [the one in use]")
        _settings(added, argparse.SUPPRESS)
    verbs.add_parser("schema", help="print the JSON Schema, for editors", description="Print the JSON Schema of a configuration file.",
                     epilog="examples:\n  perfconsole config schema > perfconsole.schema.json")  # fmt: skip


def _doctor(commands: Commands) -> None:
    parser = _command(commands, "doctor", "Say what this user cannot see and why",
                      ["doctor", "doctor --json | jq -r '.checks[] | select(.state != \"ok\") | .fix'"])  # fmt: skip
    _targets(parser, argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="as one JSON object, perfconsole.doctor/1")


def _themes(commands: Commands) -> None:
    parser = _command(commands, "themes", "List the themes, or show one", ["themes", "themes show paper"])
    verbs = parser.add_subparsers(metavar="list|show", dest="verb")
    verbs.add_parser("list", help="list them", description="List the themes.", epilog="examples:\n  perfconsole themes list")
    show = verbs.add_parser("show", help="show the colours of one", description="Show the colours of a theme.",
                            epilog="examples:\n  perfconsole themes show nord")  # fmt: skip
    show.add_argument("name", metavar="NAME", help="the theme")


def _keys(commands: Commands) -> None:
    _command(commands, "keys", "List the keys in force", ["keys", "keys | grep process"])
