"""TLS contexts: loaded once, off the loop, read again when a file changed; what cannot be read says what to do."""

import asyncio
import os
import ssl
import threading

import pytest

from perfconsole.collectors.http.network.contexts import LOOK_S, Contexts
from perfconsole.collectors.http.network.prober import Failure
from perfconsole.core.checks import Tls


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


async def refusal(tls):
    with pytest.raises(Failure) as failed:
        await Contexts().get(tls)
    assert failed.value.cause == "unmeasured"
    return failed.value.text


async def test_the_same_settings_share_one_context_whatever_the_name():
    contexts = Contexts()
    first, second = await asyncio.gather(contexts.get(Tls()), contexts.get(Tls(server_name="other.example")))
    assert first is second
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.check_hostname
    assert first.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert await contexts.get(Tls(), protocols=()) is not first


async def test_insecure_takes_everything():
    context = await Contexts().get(Tls(insecure=True))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


async def test_no_certificate_is_read_on_the_loops_thread(monkeypatch):
    threads = []
    load = ssl.SSLContext.load_verify_locations

    def noted(self, *arguments):
        threads.append(threading.current_thread())
        load(self, *arguments)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    await Contexts().get(Tls())
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_file_that_changed_is_read_again(lab, tmp_path, clock):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(lab.ca.read_bytes())
    contexts = Contexts(clock)
    tls = Tls(ca=str(ca))
    first = await contexts.get(tls)
    clock.now = LOOK_S + 1
    assert await contexts.get(tls) is first  # looked at, not changed
    ca.write_bytes(lab.pairs["self_signed"].cert.read_bytes())
    os.utime(ca, (1, 1))
    assert await contexts.get(tls) is first  # not looked at yet
    clock.now += LOOK_S + 1
    second = await contexts.get(tls)
    assert second is not first
    assert second.get_ca_certs() != first.get_ca_certs()
    ca.unlink()
    clock.now += LOOK_S + 1
    with pytest.raises(Failure, match="No such file"):
        await contexts.get(tls)
    ca.write_bytes(lab.ca.read_bytes())
    assert await contexts.get(tls)  # mended, and at once


async def test_files_that_cannot_be_used(lab, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    client, other = lab.pairs["client"], lab.pairs["good"]
    assert await refusal(Tls(ca=str(tmp_path / "none.pem"))) == (
        f"{tmp_path}/none.pem cannot be read: No such file or directory; it has to be a file readable by this user"
    )
    assert "Is a directory" in await refusal(Tls(ca=str(tmp_path)))
    assert await refusal(Tls(ca="a\0b")) == "the TLS settings cannot be used: ValueError; look at tls.ca, tls.cert and tls.key"
    assert await refusal(Tls(ca=str(empty))) == f"{empty} holds no certificate: tls.ca names a file of PEM certificates"
    assert await refusal(Tls(insecure=True, cert=str(empty))) == f"{empty} and {empty} hold no PEM certificate and key"
    assert await refusal(Tls(insecure=True, cert=str(client.cert), key=str(other.key))) == f"{client.cert} and {other.key} are no pair"
    assert "none.key cannot be read" in await refusal(Tls(insecure=True, cert=str(client.cert), key=str(tmp_path / "none.key")))


async def test_an_encrypted_key_asks_nobody_for_its_passphrase(lab, tmp_path):
    client = lab.pairs["client"]
    locked = tmp_path / "locked.key"
    lab.authority._openssl("ec", "-in", client.key, "-aes128", "-passout", "pass:pa55", "-out", locked)
    assert await refusal(Tls(insecure=True, cert=str(client.cert), key=str(locked))) == (
        f"{locked} is encrypted: give a key without a passphrase, readable by this user alone"
    )


async def test_a_pipe_in_place_of_a_file_holds_up_its_own_check_alone(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    contexts = Contexts()
    hanging = asyncio.ensure_future(contexts.get(Tls(ca=str(pipe))))
    await contexts.get(Tls(insecure=True))
    assert not hanging.done()
    os.close(os.open(pipe, os.O_WRONLY))
    with pytest.raises(Failure, match="holds no certificate"):
        await hanging


async def test_a_machine_without_certificates_has_those_that_httpx_brings(monkeypatch):
    import certifi

    read = []
    load = ssl.SSLContext.load_verify_locations

    def noted(self, file=None, directory=None):
        read.append((file, directory))
        load(self, file, directory)

    nowhere = ssl.get_default_verify_paths()._replace(openssl_cafile="/no/such", openssl_capath="/no/such")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    assert len((await Contexts().get(Tls())).get_ca_certs()) > 50
    assert read == [(certifi.where(), None)]
