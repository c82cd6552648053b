"""Certificates with every fault, made by the ``openssl`` program: lifetimes are counted from now, so no file of them would last."""

import ssl
import subprocess
import time
from pathlib import Path

DAY_S = 86400.0
HERE = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")

_CONFIG = """
[ca]
default_ca = here
[here]
database = {place}/index.txt
new_certs_dir = {place}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical,CA:true
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:false
subjectAltName = {names}
"""


class Pair:
    """A certificate with its key; `chain` is what a server sends: the leaf, then whoever signed it but the root."""

    def __init__(self, place, name, issuer=None):
        self.name = name
        self.cert = place / f"{name}.pem"
        self.key = place / f"{name}.key"
        self.issuer = issuer
        self.chain = place / f"{name}.chain.pem"

    def bundle(self):
        above, parts = self, []
        while above is not None and (above.issuer is not None or above is self):
            parts.append(above.cert.read_text())
            above = above.issuer
        self.chain.write_text("".join(parts))
        return self

    def server_context(self, client_ca=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        if client_ca is not None:
            context.load_verify_locations(client_ca.cert)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Authority:
    """Signs what it is asked for. `root` signs; `issue` makes leaves (or with `ca=True` an intermediate)."""

    def __init__(self, place):
        self.place = Path(place)
        (self.place / "index.txt").touch()
        self.root = self.issue("root", ca=True, self_signed=True, days=365)

    def issue(self, name, *, begins_days=-30.0, days=30.0, names=HERE, issuer=None, ca=False, self_signed=False):
        """A certificate from `begins_days` to `days` from now; both may be in the past."""
        if not self_signed:
            issuer = issuer or self.root
        pair = Pair(self.place, name, issuer)
        config = self.place / f"{name}.cnf"
        config.write_text(_CONFIG.format(place=self.place, names=",".join(names)))
        request = self.place / f"{name}.csr"
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", pair.key)
        self._openssl("req", "-new", "-config", config, "-key", pair.key, "-subj", f"/CN={name}", "-out", request)
        signer = ("-selfsign", "-keyfile", pair.key) if self_signed else ("-cert", issuer.cert, "-keyfile", issuer.key)
        dates = ("-startdate", _stamp(begins_days), "-enddate", _stamp(days))
        sections = ("-extensions", "root" if ca else "leaf")
        self._openssl("ca", "-batch", "-notext", "-config", config, *signer, *dates, *sections, "-in", request, "-out", pair.cert)
        return pair.bundle()

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")


def _stamp(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY_S))


def usual(place):
    """One authority, and a server's certificate for each fault, by the name that `misbehaving.Lab.port` takes."""
    authority = Authority(place)
    middle = authority.issue("middle", ca=True, days=200)
    pairs = {
        "good": authority.issue("good", issuer=middle, days=90),
        "expired": authority.issue("expired", days=-3),
        "near": authority.issue("near", days=5),
        "future": authority.issue("future", begins_days=2),
        "wrong_name": authority.issue("wrong_name", names=("DNS:other.example",)),
        "self_signed": authority.issue("self_signed", self_signed=True),
        "client": authority.issue("client", names=("DNS:client",)),
    }
    return authority, pairs
