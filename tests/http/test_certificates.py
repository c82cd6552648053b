"""What a handshake tells of certificates, accepted or not."""

import asyncio
import ssl
import time
from math import isnan

import pytest

from perfconsole.collectors.http.network import certificates
from perfconsole.collectors.http.network.certificates import chain_of, facts, refused, unverified
from perfconsole.collectors.http.network.contexts import Contexts
from perfconsole.collectors.http.network.refusals import why_refused
from perfconsole.core.checks import Certificate, Tls, TlsFacts

DAY_S = 86400.0


class Sent:
    """A certificate as the TLS library hands it out, with what this one says."""

    def __init__(self, **info):
        self.info = info

    def get_info(self):
        if "fault" in self.info:
            raise self.info["fault"]
        return self.info

    def public_bytes(self, _encoding):
        return repr(self.info).encode()


class Refused(ssl.SSLCertVerificationError):
    def __init__(self, code, message="certificate verify failed"):
        self.verify_code = code
        self.verify_message = message


def named(not_before=0.0, not_after=0.0, names=("a.example",), subject="CN=a.example", issuer="CN=Some CA"):
    return Certificate(subject, issuer, names, not_before, not_after)


async def handshake(lab, listener, tls, host="127.0.0.1"):
    context = await Contexts().get(tls)
    _, writer = await asyncio.open_connection("127.0.0.1", lab.port(listener), ssl=context, server_hostname=host)
    told = facts(writer.get_extra_info("ssl_object"), verified=not tls.insecure)
    writer.transport.abort()
    return told


async def test_the_chain_of_an_accepted_handshake(lab):
    told = await handshake(lab, "good", Tls(ca=str(lab.ca)))
    assert told.verified
    assert told.error == ""
    assert told.version == "TLSv1.3"
    assert told.cipher
    leaf, middle = told.chain
    assert (leaf.subject, leaf.issuer, middle.subject, middle.issuer) == ("CN=good", "CN=middle", "CN=middle", "CN=root")
    assert leaf.names == ("localhost", "127.0.0.1", "0:0:0:0:0:0:0:1")
    assert 89 < (leaf.not_after - time.time()) / DAY_S < 91
    assert 199 < (middle.not_after - time.time()) / DAY_S < 201
    assert leaf.not_before < time.time()


async def test_of_an_unverified_handshake_the_chain_is_read_too(lab):
    told = await handshake(lab, "expired", Tls(insecure=True))
    assert (told.verified, told.error, told.chain[0].subject) == (False, "", "CN=expired")


@pytest.mark.parametrize(
    ("listener", "trusted", "words", "days"),
    [
        ("expired", True, "certificate not accepted: expired 3 days ago, on ", -3),
        ("future", True, "certificate not accepted: not valid before ", 30),
        ("wrong_name", True, "certificate not accepted: made for other.example, not for 127.0.0.1", 30),
        ("self_signed", True, "certificate not accepted: self-signed", 30),
        ("good", False, "certificate not accepted: unknown issuer: CN=root", 90),
    ],
)
async def test_a_refused_handshake_still_tells_its_dates(lab, listener, trusted, words, days):
    tls = Tls(ca=str(lab.ca)) if trusted else Tls()
    with pytest.raises(ssl.SSLCertVerificationError) as failed:
        await handshake(lab, listener, tls)
    told = refused(failed.value, "127.0.0.1")
    assert told.error.startswith(words)
    assert not told.verified
    assert abs((told.chain[0].not_after - time.time()) / DAY_S - days) < 0.1
    assert lab.connections[listener] <= 1  # no second handshake was needed


def test_other_errors_are_no_refusal():
    assert refused(ssl.SSLError(1, "something else"), "x") is None
    assert refused(TimeoutError(), "x") is None


async def test_where_the_library_kept_nothing_a_second_handshake_reads_the_chain(lab):
    told = TlsFacts(error="certificate not accepted: expired")
    whole = await unverified(told, lambda: handshake(lab, "expired", Tls(insecure=True)))
    assert (whole.error, whole.verified, whole.chain[0].subject) == (told.error, False, "CN=expired")
    assert await unverified(whole, None) is whole  # known already

    async def broken():
        raise ConnectionResetError

    assert await unverified(told, broken) is told


NOW = 1_800_000_000.0  # 2027-01-15


@pytest.mark.parametrize(
    ("code", "chain", "words"),
    [
        (10, (named(not_after=NOW - 1800),), "expired 1 hour ago, on 2027-01-15"),
        (10, (named(not_after=NOW - 1.5 * DAY_S),), "expired 1 day ago, on 2027-01-13"),
        (
            10,
            (named(not_after=NOW + 1), named(not_after=NOW - 9 * DAY_S, subject="CN=Old CA")),
            "that of CN=Old CA expired 9 days ago, on 2027-01-06",
        ),
        (10, (named(not_after=NOW + 1),), "expired"),  # the root, which no server sends
        (10, (), "expired"),
        (9, (named(not_before=NOW + 7200),), "not valid before 2027-01-15, in 2 hours"),
        (9, (), "not yet valid"),
        (18, (), "self-signed"),
        (19, (named(),), "its root is not trusted here: CN=Some CA"),
        (20, (), "unknown issuer"),
        (62, (named(names=()),), "made for no name at all, not for x.example"),
        (62, (named(names=tuple("abcdef")),), "made for a, b, c, d and 2 more, not for x.example"),
        (62, (), "made for another name"),
        (64, (named(),), "made for a.example, not for x.example"),
        (999, (), "some new reason"),
    ],
)
def test_refusals_in_words(code, chain, words):
    assert why_refused(Refused(code, "some new reason"), chain, "x.example", NOW) == f"certificate not accepted: {words}"


def test_hostile_certificates():
    (plain, huge, broken, undated) = chain_of([
        Sent(subject=((("commonName", "\x1b[31mred\nline"),), (("organizationName", "Org"),)), notAfter="Jan  1 00:00:00 2027 GMT"),
        Sent(subject=((("commonName", "x" * 100_000),),), subjectAltName=tuple(("DNS", f"{n}.example") for n in range(10_000))),
        Sent(fault=UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")),
        Sent(notBefore="yesterday", notAfter=""),
    ])  # fmt: skip
    assert plain.subject == "CN=␛[31mred line, O=Org"
    assert plain.not_after == 1_798_761_600
    assert isnan(plain.not_before)
    assert len(huge.subject) == 256
    assert len(huge.names) == 64
    assert broken.subject == "(not readable)"
    assert isnan(undated.not_before)
    assert isnan(undated.not_after)
    assert len(chain_of([Sent()] * 1000)) == 16


def test_a_certificate_is_read_once_and_one_that_is_renewed_again():
    looked = []

    class Counted(Sent):
        def get_info(self):
            looked.append(self.info["serialNumber"])
            return super().get_info()

    def shown(number):
        return Counted(subject=((("commonName", f"n{number}"),),), serialNumber=f"of the test, {number}")

    assert [chain_of([shown(1)])[0].subject for _ in range(3)] == ["CN=n1"] * 3
    assert chain_of([shown(2)])[0].subject == "CN=n2"
    assert len(looked) == 2
    for number in range(3000):  # whoever shows a new one each time does not fill the memory
        chain_of([shown(number)])
    chain_of([shown(1)])
    assert looked[-1] == "of the test, 1"


def test_who_makes_up_certificates_fills_no_memory():
    """What was read is remembered by its digest: a server that has a new one each time, with all the names it may, is not."""
    before = len(certificates._read)
    for number in range(600):
        chain_of([Sent(subjectAltName=[("DNS", f"{number}-{one}-" + "x" * 300) for one in range(64)])])
    assert len(certificates._read) == before
    for number in range(600):
        chain_of([Sent(subjectAltName=[("DNS", f"{number}.example")])])
    assert len(certificates._read) == 512
    assert chain_of([Sent(subjectAltName=[("DNS", "599.example")])])[0].names == ("599.example",)
