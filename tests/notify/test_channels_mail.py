"""Mail to real SMTP servers: what arrives, how it threads, and what servers do on bad days."""

import asyncio
import threading
import time
from email import message_from_bytes, policy

import pytest
from authority import Authority
from msgspec.structs import replace
from receivers import MailServer, T, alert, down, eventually, message, notice, over

from perfconsole.config.load import parse_text
from perfconsole.core.tick import Ack
from perfconsole.notify.channel import SendError
from perfconsole.notify.making import channels

ENV = {"USER_NAME": "me", "PASSWORD": "hush-hush"}
LOGIN = 'user = "${USER_NAME}"\npassword = "${PASSWORD}"'


@pytest.fixture
def server():
    made = MailServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def mail(server, keys="", tls="none", to='["ops@example.org"]', sender="perfconsole <alerts@example.org>"):
    text = (
        f'[[notify]]\nname = "mail"\ntype = "email"\nfrom = "{sender}"\nto = {to}\nhost = "127.0.0.1:{server.port}"\ntls = "{tls}"\n{keys}'
    )
    (made,) = channels(parse_text(text, env={}), ENV)
    return made


def sent(made, told):
    return asyncio.run(made.send(told))


def refusal(made, told=None):
    with pytest.raises(SendError) as caught:
        sent(made, told or message(alert()))
    assert str(caught.value).isprintable()
    assert "hush" not in str(caught.value)
    return caught.value


def read(one):
    return message_from_bytes(one.data, policy=policy.default)


def test_a_mail(server):
    assert sent(mail(server), message(alert())) == "taken by the server for 1 receiver"
    (got,) = server.mails
    assert (got.sender, got.receivers, got.user, got.encrypted) == ("alerts@example.org", ("ops@example.org",), "", False)
    assert max(map(len, got.data.split(b"\r\n"))) < 998
    assert got.data.isascii()
    arrived = read(got)
    assert arrived["From"] == "perfconsole <alerts@example.org>"
    assert arrived["To"] == "ops@example.org"
    assert arrived["Subject"] == "[CRIT] db1: memory avg 92% > 90% over 1m, for 10m"
    assert arrived["Date"] == "Mon, 02 Feb 2026 02:40:05 +0000"
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived["Message-ID"].endswith("@db1>")
    assert arrived["References"] is None
    assert arrived.get_content_type() == "text/plain"
    assert (
        arrived.get_content()
        .replace("\r\n", "\n")
        .startswith(f"{arrived['Subject']}\n\nCRIT  memory avg 92% > 90% over 1m, for 10m\n      rule: memory-critical")
    )


def test_mails_of_one_alert_stand_in_one_thread(server):
    made = mail(server)
    for one, key in ((notice(alert()), "a"), (notice(alert(), "overdue"), "b"), (over(alert()), "c"), (notice(alert(fired_at=T + 1)), "d")):
        sent(made, message(one, key=key))
    first, second, third, other = map(read, server.mails)
    assert second["In-Reply-To"] == third["In-Reply-To"] == third["References"] == first["Message-ID"]
    assert len({one["Message-ID"] for one in (first, second, third, other)}) == 4
    assert other["References"] is None


def test_the_same_message_has_the_same_id(server):
    made = mail(server)
    for told in (message(over(alert())), message(over(alert()), at=T + 99)):
        sent(made, told)
    assert read(server.mails[0])["Message-ID"] == read(server.mails[1])["Message-ID"]


def test_several_alerts_refer_to_the_threads_of_each(server):
    made = mail(server)
    sent(made, message(down("a")))
    sent(made, message(down("a"), down("b"), key="k"))
    sent(made, message(*(down(f"s{number}") for number in range(500)), key="l"))
    first, both, storm = map(read, server.mails)
    assert first["Message-ID"] in both["References"].split()
    assert len(both["References"].split()) == 2
    assert len(storm["References"].split()) == 20


def test_no_header_can_be_smuggled_in(server):
    bad = "x\r\nBcc: victim@example.org\r\n\r\nbody\n.\nQUIT"
    one = replace(down(bad), ack=Ack(bad, T, bad))
    sent(mail(server), message(one, host=bad, key=bad))
    (got,) = server.mails
    arrived = read(got)
    assert "victim@example.org" not in got.receivers
    assert arrived["Bcc"] is None
    assert arrived["Subject"].startswith("[CRIT] x  Bcc: victim@example.org")
    assert "@x--Bcc--victim-example.org----body-.-QUIT>" in arrived["Message-ID"]


def test_what_is_not_ascii_arrives(server):
    sent(mail(server, sender="Wächter <alerts@example.org>"), message(down("größe ✓ 日本")))
    (got,) = server.mails
    assert got.data.isascii()
    arrived = read(got)
    assert arrived["Subject"] == "[CRIT] db1: größe ✓ 日本 is down, for 10m"
    assert arrived["From"].addresses[0].display_name == "Wächter"
    assert "größe ✓ 日本" in arrived.get_content()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_over_tls_with_a_password(authority, tls):
    server = MailServer(tls, authority.issue(f"leaf-{tls}").bundle().server_context())
    try:
        sent(mail(server, f'{LOGIN}\nca = "{authority.root.cert}"', tls), message(alert()))
        (got,) = server.mails
        assert (got.user, got.password, got.encrypted) == ("me", "hush-hush", True)
        assert "the certificate is not accepted" in str(refusal(mail(server, LOGIN, tls)))
        assert len(server.mails) == 1
    finally:
        server.close()


def test_no_password_goes_where_there_is_no_tls(server):
    """The server does not offer it."""
    assert "STARTTLS" in str(refusal(mail(server, LOGIN, "starttls")))
    assert server.mails == []


@pytest.mark.parametrize(
    ("change", "expected", "final"),
    [
        ({"greeting": "421 busy"}, "answered 421 busy", False),
        ({"greeting": "554 go away"}, "answered 554 go away", True),
        ({"auth": "535 5.7.8 bad hush-hush"}, "answered 535 5.7.8 bad ***", True),
        ({"refuses": {"ops@example.org": "550 no such user"}}, "answered 550 no such user", True),
        ({"refuses": {"ops@example.org": "450 greylisted"}}, "answered 450 greylisted", False),
        ({"taken": "452 disk full"}, "answered 452 disk full", False),
        ({"taken": "554 5.7.1 spam"}, "answered 554 5.7.1 spam", True),
    ],
)
def test_bad_answers(server, change, expected, final):
    vars(server).update(change)
    found = refusal(mail(server, LOGIN))
    assert (str(found), found.final) == (expected, final)


def test_who_is_refused_is_told_and_the_others_have_it(server):
    server.refuses = {"b@example.org": "550 no"}
    assert (
        sent(mail(server, to='["ops@example.org", "b@example.org"]'), message(alert())) == "taken by the server, but not for b@example.org"
    )
    assert len(server.mails) == 1


@pytest.mark.parametrize("bye", ["hang", "drip", "close", "421 too busy", "500 what", "nonsense"])
def test_what_was_taken_is_taken_whatever_becomes_of_the_goodbye(server, bye):
    """To try again would tell everybody twice."""
    server.bye = bye
    began = time.monotonic()
    assert sent(mail(server, 'timeout = "500ms"'), message(alert())) == "taken by the server for 1 receiver"
    assert time.monotonic() - began < 60  # it hangs for minutes
    assert len(server.mails) == 1
    eventually(lambda: not any(thread.name == "perfconsole-mail" for thread in threading.enumerate()))


def test_why_it_was_refused_is_told_whatever_becomes_of_the_goodbye(server):
    server.taken, server.bye = "452 disk full", "500 what"
    assert str(refusal(mail(server))) == "answered 452 disk full"


def test_a_password_is_hidden_as_it_was_sent(server):
    server.auth = "535 bad AG1lAGh1c2gtaHVzaA=="
    assert str(refusal(mail(server, LOGIN))) == "answered 535 bad ***"


@pytest.mark.parametrize("mood", ["hang", "drip"])
def test_a_server_that_never_answers(server, mood):
    server.mood = mood
    began = time.monotonic()
    found = refusal(mail(server, 'timeout = "300ms"'))
    assert (str(found), found.final) == ("no answer within 0.3 s", False)
    assert time.monotonic() - began < 60  # it hangs for minutes
    eventually(lambda: not any(thread.name == "perfconsole-mail" for thread in threading.enumerate()))


def test_a_server_that_is_not_there(server):
    server.close()
    found = refusal(mail(server))
    assert (str(found), found.final) == ("Connection refused", False)


def test_a_password_that_is_not_there(server):
    found = refusal(mail(server, 'user = "${USER_NAME}"\npassword = "${GONE}"'))
    assert (str(found).partition(":")[0], found.final) == ("${GONE} is not set in the environment", False)


def test_the_preview(server):
    made = mail(server, LOGIN)
    shown = made.preview(message(alert()))
    assert shown.startswith(f"SMTP 127.0.0.1:{server.port} (none, as ${{USER_NAME}})\nFrom: perfconsole <alerts@example.org>\n")
    assert "\n\n[CRIT] db1: memory avg 92%" in shown
    assert "hush" not in shown + repr(made)
