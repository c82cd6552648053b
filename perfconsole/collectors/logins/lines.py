r"""What sshd, sudo, su, login and PAM say about who tried to get in. Pure: the words of one line in, what they mean out.

Every name in these lines was chosen by whoever knocked: a user may be called ``x from 192.0.2.1 port 22 ssh2``. What the program itself
wrote stands last (the address) or, of a user who exists, first: each pattern says which.

Several lines tell of one attempt (``Invalid user``, ``Failed password``, ``Connection closed by invalid user``), and which of them there
are depends on version and setting: where only keys are accepted nothing is ever a ``Failed password``. So each names its `voice`: of one
connection the voice that counts most is believed, not their sum.

The words are those of OpenSSH 7 to 10, sudo 1.8 and 1.9, sudo-rs, the su and login of util-linux and of shadow, and pam_unix.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from perfconsole.core.text import safe

SSHD: Final = frozenset({"sshd", "sshd-session", "sshd-auth"})
"""One program until OpenSSH 9.7, two from 9.8 on, three from 10.0 on."""

SUDO: Final = frozenset({"sudo", "sudo-rs"})
SU: Final = frozenset({"su", "su-l"})
PROGRAMS: Final = SSHD | SUDO | SU | {"login"}
"""Those whose own words are understood; of others only what PAM says in their name."""

FAILED: Final = "failed"
ACCEPTED: Final = "accepted"
RAN: Final = "ran"
REFUSED: Final = "refused"

_NAME: Final = 64
"""Characters kept of a name. sshd writes 100, and passwords typed where a name belongs are no longer than this."""

_ADDRESS: Final = r"([0-9A-Za-z.:_-]+(?:%[^\s%]+)?)"
"""An address, with the zone of a link-local one; a host name with ``UseDNS``; ``UNKNOWN``."""

_KEY: Final = r"(?:: \S+ \S+(?: ID .* \(serial \d+\) CA \S+ \S+)?)?"
"""What sshd adds of a key or a certificate; the certificate's id is whatever its bearer wrote into it."""


class Attempt(NamedTuple):
    """What one line says.

    Attributes:
        service: ``sshd``, ``sudo``, ``su``, ``login``, or the service that PAM names.
        outcome: `FAILED`, `ACCEPTED` (somebody is in), `RAN` (sudo ran a program), `REFUSED` (sudo would not).
        user: Whom it was tried to be.
        source: The address, the terminal, or (sudo, su) the user who acted.
        times: Attempts that this line alone stands for.
        voice: Which kind of line it is: of those about one connection the loudest counts.
        once: However often this voice speaks of a connection, it means one attempt.
        port: Of the source; 0 where there is none.
        detail: The method of a login; the path of the program that sudo was to run, without its arguments.
    """

    service: str
    outcome: str
    user: str
    source: str
    times: int = 1
    voice: str = ""
    once: bool = False
    port: int = 0
    detail: str = ""


def _pattern(text: str) -> "re.Pattern[str]":
    return re.compile(text.replace("ADDRESS", _ADDRESS).replace("KEY", _KEY), re.DOTALL)


_ACCEPTED: Final = _pattern(r"Accepted (\S+) for (.+?) from ADDRESS port (\d+) ssh2KEY$")
"""A user who exists: the first address is the real one; a certificate's id after it is not."""

_FAILED_KNOWN: Final = _pattern(r"Failed (\S+) for (?!invalid user )(?!illegal user )(.+?) from ADDRESS port (\d+)(?: ssh2)?KEY$")
_FAILED_INVALID: Final = _pattern(r"Failed (\S+) for (?:invalid|illegal) user (.*) from ADDRESS port (\d+)(?: ssh2)?KEY$")
"""A name that somebody made up: the last address is the real one."""

_NAMED: Final = tuple(
    _pattern(text)
    for text in (
        r"(?:Invalid|Illegal) user (.*) from ADDRESS(?: port (\d+))?$",
        r"Connection (?:closed|reset) by (?:invalid|authenticating) user (.*) ADDRESS port (\d+)(?: \[preauth\])?$",
        r"Disconnected from (?:invalid|authenticating) user (.*) ADDRESS port (\d+)(?: \[preauth\])?$",
        r"Disconnecting (?:invalid|authenticating) user (.*) ADDRESS port (\d+): (?:Too many|Change of user).*$",
        r"maximum authentication attempts exceeded for (?:(?:invalid|illegal) user )?(.*) from ADDRESS port (\d+) ssh2(?: \[preauth\])?$",
        r"User (.*) from ADDRESS not allowed because ()",
    )
)
_ROOT_REFUSED: Final = _pattern(r"ROOT LOGIN REFUSED FROM ADDRESS(?: port (\d+))?(?: \[preauth\])?$")
_KEYBOARD: Final = _pattern(r"PAM: (?:.*?) for (?:illegal user |invalid user )?(.*) from ADDRESS$")
_REPEATED: Final = re.compile(r"message repeated (\d+) times: \[ (.*)\]$", re.DOTALL)

_SUDO_WRONG: Final = re.compile(r"(\d+) incorrect password attempts?$")
_SUDO_REFUSALS: Final = ("NOT in sudoers", "NOT authorized on host", "command not allowed")
_SUDO_TERM: Final = re.compile(r"(?:HOST|USER|TTY|PWD|CHROOT|GROUP|TSID|ENV)=")

_SU: Final = (
    (FAILED, re.compile(r"FAILED SU \(to (.*)\) (\S+) on \S+$")),
    (ACCEPTED, re.compile(r"\(to (.*)\) (\S+) on \S+$")),
    (FAILED, re.compile(r"(?:FAILED|Failed) su for (.*) by (\S+)$")),
    (ACCEPTED, re.compile(r"Successful su for (.*) by (\S+)$")),
)
_LOGIN: Final = (
    (FAILED, re.compile(r"FAILED LOGIN \d+ FROM (?P<source>\S+) FOR (?P<user>.*), [^,]*$", re.DOTALL)),
    (FAILED, re.compile(r"FAILED LOGIN \(\d+\) on '(?P<source>[^' ]*)'(?: from '[^']*')? FOR '(?P<user>.*)', [^']*$", re.DOTALL)),
    (ACCEPTED, re.compile(r"LOGIN ON (?P<source>\S+) BY (?P<user>\S+?)(?: FROM \S+)?$")),
    (ACCEPTED, re.compile(r"(?P<user>ROOT) LOGIN +(?:ON|on) '?(?P<source>[^\s']+)'?(?: FROM .*)?$")),
)
_PAM: Final = re.compile(
    r"pam_\w+\(([\w.+@-]+):auth\): (?:authentication failure|(\d+) more authentication failures?); "
    r"logname=(\S*) uid=(\d+) euid=\d+ tty=(\S*) ruser=(\S*) rhost=(\S*)(?:\s+user=(.*))?$",
    re.DOTALL,
)


def read(identifier: str, message: str) -> Attempt | None:
    """What a line means; None for one that tells of no attempt.

    Args:
        identifier: What the program calls itself, in the journal or before the pid of a line in a file.
        message: What it says. The caller answers for who really said it.
    """
    if repeated := _REPEATED.match(message):  # rsyslog and syslog-ng shorten so
        attempt = read(identifier, repeated[2])
        return attempt and attempt._replace(times=attempt.times * min(int(repeated[1][:6]), 10_000))
    if message.startswith("pam_"):
        return _read_pam(identifier, message)
    reader = _READERS.get(identifier)
    return reader(message) if reader else None


def _read_sshd(message: str) -> Attempt | None:
    # As an error it is marked so in the text: 9.8 and later write "error: maximum ...", others likewise through syslog.
    message = message.removeprefix("error: ")
    if found := _ACCEPTED.match(message):
        return _of_sshd(ACCEPTED, found[2], found[3], found[4], detail=safe(found[1], 32))
    if found := _FAILED_KNOWN.match(message) or _FAILED_INVALID.match(message):
        # "none" is how a client asks what is accepted: no attempt by itself, but the name is told.
        if found[1] == "none":
            return _of_sshd(FAILED, found[2], found[3], found[4], voice="named", once=True)
        return _of_sshd(FAILED, found[2], found[3], found[4], voice="method")
    if found := _KEYBOARD.match(message):
        return _of_sshd(FAILED, found[1], found[2], "", voice="keyboard")
    if found := _ROOT_REFUSED.match(message):
        return _of_sshd(FAILED, "root", found[1], found[2], voice="named", once=True)
    return next((_of_sshd(FAILED, *found.groups(), voice="named", once=True) for found in _named(message)), None)


def _named(message: str) -> "Iterator[re.Match[str]]":
    """The lines that name a user without saying how often."""
    return (found for pattern in _NAMED if (found := pattern.match(message)))


def _of_sshd(outcome: str, user: str, source: str, port: str | None, *, voice: str = "", once: bool = False, detail: str = "") -> Attempt:
    number = int(port) if port and len(port) <= 5 else 0
    return Attempt("sshd", outcome, safe(user, _NAME), safe(source, _NAME), 1, voice, once, number, detail)


def _read_sudo(message: str) -> Attempt | None:
    """``USER : WHAT WENT WRONG ; TTY=... ; PWD=... ; USER=... ; COMMAND=...``, the second only if something did.

    Taken apart by hand: the directory is the user's to name, and a pattern with so many ends would try them all.
    """
    user, _, rest = message.partition(" : ")
    head, found, command = rest.partition("COMMAND=")
    if not found:
        return None
    terms = [term.strip() for term in head.split(" ;")]
    said = "" if _SUDO_TERM.match(terms[0]) else terms[0]
    target = next((term[5:] for term in reversed(terms) if term.startswith("USER=")), "")
    path = safe(command.partition(" ")[0], 200)
    attempt = Attempt("sudo", RAN, safe(target, _NAME), safe(user.strip(), _NAME), voice="words", detail=path)
    if not said:
        return attempt
    if wrong := _SUDO_WRONG.match(said):
        return attempt._replace(outcome=FAILED, times=min(int(wrong[1][:4]), 100))
    return attempt._replace(outcome=REFUSED) if said.endswith(_SUDO_REFUSALS) else None


def _read_su(message: str) -> Attempt | None:
    for outcome, pattern in _SU:
        if found := pattern.match(message):
            return Attempt("su", outcome, safe(found[1], _NAME), safe(found[2], _NAME), voice="words")
    return None


def _read_login(message: str) -> Attempt | None:
    for outcome, pattern in _LOGIN:
        if found := pattern.match(message):
            user = found["user"].lower() if found["user"] == "ROOT" else found["user"]
            return Attempt("login", outcome, safe(user, _NAME), safe(found["source"].removeprefix("/dev/"), _NAME), voice="words")
    return None


def _read_pam(identifier: str, message: str) -> Attempt | None:
    """An authentication failure as pam_unix tells it: for sudo-rs and most services there is no other word of it.

    sshd's are left out: it tells each itself, and with keyboard-interactive PAM speaks from a process of its own, so that they could not be
    told apart.
    """
    found = _PAM.match(message)
    if not found or identifier in SSHD or found[1] == "sshd":
        return None
    service, more, logname, _, tty, ruser, rhost, user = found.groups()
    service = "su" if service in SU else "sudo" if service in {*SUDO, "sudo-i"} else service
    source = ruser or logname if service in {"su", "sudo"} else rhost or tty.removeprefix("/dev/")
    count = min(int(more[:4]), 100) if more else 1
    wanted = "" if service == "sudo" else user or ""  # sudo asks for one's own password
    return Attempt(safe(service, 32), FAILED, safe(wanted, _NAME), safe(source or "?", _NAME), count, "pam")


_READERS: Final[dict[str, Callable[[str], Attempt | None]]] = {
    **dict.fromkeys(SSHD, _read_sshd), **dict.fromkeys(SUDO, _read_sudo), **dict.fromkeys(SU, _read_su), "login": _read_login,
}  # fmt: skip
