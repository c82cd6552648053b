"""Which programs take a secret where: one table, and the walk along a command line that applies it. No names, no shapes of keys.

What is here depends on the program: ``-p`` is a password to mongo, a port to ssh and a published port to ``docker run``.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

MASK: Final = "***"


class Secrets(NamedTuple):
    """Where a program takes secrets on its command line.

    Attributes:
        letters: Short options whose value follows apart or in the same argument: ``-u X``, ``-uX``.
        flags: Short options without a value, which may stand before one of `letters` in the same argument: ``-sSu X``.
        joined: Beginnings of arguments that carry the value: ``-pX`` where ``-p X`` would be something else.
        apart: Options whose value is the next argument, or comes after ``=``.
        after: Words or flags, each with the number of positional arguments that it takes before those that are secret.
        within: The subcommand without which none of this holds.
        cut: What parts a value's public beginning from the secret: the colon of ``user:password``. Such a value without it is secret
            as a whole, or nothing is where `needs_cut`.
        needs_cut: See `cut`.
        login: Positional arguments are ``user/password@place``.
        pairs: A bare name of a secret is followed by it: ``set aws_secret_access_key X``.
    """

    letters: str = ""
    flags: str = ""
    joined: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    after: tuple[tuple[str, int], ...] = ()
    within: str = ""
    cut: str = ""
    needs_cut: bool = False
    login: bool = False
    pairs: bool = False


_CURL_FLAGS: Final = "#0123469afgGIijJklLMnNOpqRsSvVZ"

_TABLE: Final = (
    ("curl", Secrets("uU", _CURL_FLAGS, cut=":", apart=("--user", "--proxy-user"))),
    ("curl", Secrets("b", _CURL_FLAGS, apart=("--cookie", "--oauth2-bearer"))),
    ("curl", Secrets("E", _CURL_FLAGS, cut=":", needs_cut=True, apart=("--cert", "--proxy-cert"))),
    ("http https xh xhs", Secrets("a", "vhbdSIfjF", cut=":", apart=("--auth",))),
    ("docker podman nerdctl buildah skopeo oras helm crane az", Secrets("p", within="login")),
    (("mysql mysqladmin mysqldump mysqlimport mysqlshow mysqlcheck mysqlslap mysqlpump mysqlbinlog mysqlsh mysql_upgrade mycli mytop"
     " mariadb mariadb-admin mariadb-dump mariadb-import mariadb-show mariadb-check mariadb-slap mariadb-binlog mariadb-upgrade"
     " mariadb-backup mariabackup xtrabackup innobackupex"), Secrets(joined=("-p",), after=(("password", 0),))),
    (("mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop mongofiles mydumper myloader cqlsh restic"
     " rdesktop twine sshpass"), Secrets("p")),
    ("7z 7za 7zr 7zz rar unrar", Secrets(joined=("-p", "-hp"))),
    ("xfreerdp xfreerdp3 wlfreerdp sdl-freerdp", Secrets(joined=("/p:", "/gp:", "/pth:"))),
    ("zip unzip zipinfo", Secrets("P", "rqvojTueymn0123456789")),
    ("sqlcmd osql bcp tsql ipmitool mosquitto_pub mosquitto_sub mosquitto_rr", Secrets("P")),
    ("ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapcompare ldapmodrdn ldapexop", Secrets("w", "xZLnvcMAtu")),
    ("ldappasswd", Secrets("wsa", "xZnv")),
    ("openssl", Secrets(apart=("-k", "-K", "-passin", "-passout", "-hmac", "-macopt"))),
    ("smbclient smbget smbcacls smbcquotas rpcclient winexe net", Secrets("U", "NkELP", cut="%", needs_cut=True, apart=("--user",))),
    ("lftp", Secrets("u", cut=",", needs_cut=True)),
    ("plink pscp psftp putty", Secrets(apart=("-pw",))),
    ("snmpget snmpset snmpwalk snmpbulkwalk snmpbulkget snmpgetnext", Secrets("AXc")),
    ("htpasswd", Secrets(after=(("-b", 1),))),
    ("rabbitmqctl", Secrets(after=(("add_user", 1), ("change_password", 1), ("authenticate_user", 1)))),
    ("vault cargo", Secrets(after=(("login", 0),))),
    ("redis-cli redis-benchmark valkey-cli", Secrets(apart=("-a",), after=(("auth", 0),), pairs=True)),
    ("aws nmcli npm yarn pnpm pip pip3 git gcloud composer poetry ngrok", Secrets(pairs=True)),
    ("sqlplus sqlldr expdp impdp rman", Secrets(login=True)),
)  # fmt: skip
"""Left out on purpose: mysqld, whose ``-p`` is no password, and everything that takes a port where its neighbours take a secret."""

PROGRAMS: Final[dict[str, list[Secrets]]] = {}
for _names, _secrets in _TABLE:
    for _name in _names.split():
        PROGRAMS.setdefault(_name, []).append(_secrets)
"""The table by the program's name in lower case, without its directory."""

_NAMING: Final = re.compile(r"-[nhH]|--(?:name|namespace|host|hostname|network|net|link|service|container|image|database|db|group|label)")
"""Options whose value is only called like a program: ``docker run --name mongo -p 27017:27017``."""

_TOKEN: Final = re.compile(r"""[|;&\n]+|(?:[^\s"'|;&]|"[^"]{0,4096}"|'[^']{0,4096}'|["'])+""")
_MOST: Final = 3
"""Programs of one command line that are remembered: sudo, docker and the shell hand the rest of theirs to another."""


def hide(text: str, names: re.Pattern[str]) -> str:
    """Hide what the programs named in a shell text take as secrets.

    Args:
        text: Free text; what follows ``|``, ``;`` or ``&`` is another command.
        names: Matches the name of a secret, whole.
    """
    return "".join(_pieces(text, names))


def _pieces(text: str, names: re.Pattern[str]) -> Iterator[str]:
    command, end = Command(names), 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        yield text[end : found.start()]
        end = found.end()
        if token[0] in "|;&\n":
            command = Command(names)
            yield token
        else:
            yield command.hidden(token) or token
    yield text[end:]


class Command:
    """A command line, gone along argument by argument.

    Args:
        names: Matches the name of a secret, whole.
    """

    def __init__(self, names: re.Pattern[str]) -> None:
        self._names = names
        self._programs: list[list[Secrets]] = []
        self._within: set[str] = set()
        self._awaiting: Secrets | None = None
        self._skip: int | None = None
        self._previous = ""

    def hidden(self, argument: str) -> str:
        """The next argument with its secret hidden; empty when this program takes none there."""
        previous, self._previous = self._previous, argument
        if self._awaiting:
            secrets, self._awaiting = self._awaiting, None
            return _part(argument, secrets)
        for secrets in chain.from_iterable(self._programs):
            if secrets.within and secrets.within not in self._within:
                continue
            option = argument[:1] == "-" or (argument[:1] == "/" and secrets.joined)
            shown = self._option(argument, secrets) if option else self._positional(previous, argument, secrets)
            if shown or self._awaiting:
                return shown
        self._note(previous, argument)
        return ""

    def _option(self, argument: str, secrets: Secrets) -> str:
        """An option with its value hidden; one whose value comes next is remembered."""
        for beginning in secrets.joined:
            if argument.startswith(beginning) and len(argument) > len(beginning):
                return beginning + MASK
        name, equals, value = argument.partition("=")
        if name in secrets.apart:
            if equals:
                return f"{name}={_part(value, secrets)}"
            self._awaiting = secrets
            return ""
        for word, skip in secrets.after:
            if word[0] == "-" and argument[1:2] != "-" and word[1] in argument:
                self._skip = skip
        return self._letters(argument, secrets) if argument[1:2] != "-" else ""

    def _letters(self, argument: str, secrets: Secrets) -> str:
        for i, letter in enumerate(argument[1:40], 1):
            if letter in secrets.letters:
                if i + 1 < len(argument):
                    return argument[: i + 1] + _part(argument[i + 1 :], secrets)
                self._awaiting = secrets
                return ""
            if letter not in secrets.flags:
                break
        return ""

    def _positional(self, previous: str, argument: str, secrets: Secrets) -> str:
        if self._skip is not None and secrets.after:
            self._skip -= 1
            return MASK if self._skip < 0 else ""
        for word, skip in secrets.after:
            if argument.lower() == word:
                self._skip = skip
        if secrets.pairs and previous[:1] != "-" and self._names.fullmatch(previous):
            return MASK
        user, slash, rest = argument.partition("/")
        if secrets.login and slash and user and user[0] != "@":
            at, place = rest.rpartition("@")[1:]
            return f"{user}/{MASK}{at}{place if at else ''}"
        return ""

    def _note(self, previous: str, argument: str) -> None:
        """Remember a program that begins here, or a subcommand."""
        word = argument.rpartition("/")[2].lstrip("$(`\"'").lower()
        secrets = PROGRAMS.get(word)
        if secrets and secrets not in self._programs and not _NAMING.fullmatch(previous):
            self._programs = [secrets, *self._programs[: _MOST - 1]]
        elif self._programs and len(word) < 20:
            self._within.add(word)


def _part(value: str, secrets: Secrets) -> str:
    """The secret part of an option's value hidden."""
    public, cut, secret = value.strip("\"'").partition(secrets.cut) if secrets.cut else ("", "", value)
    if cut and secret:
        return f"{public}{cut}{MASK}"
    # "TOKEN:" is how a token is given where a user and a password are expected.
    return value if secrets.needs_cut and not cut else MASK
