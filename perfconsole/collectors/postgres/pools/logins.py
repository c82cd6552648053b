"""How a client proves who it is: passwords from a password file, md5, SCRAM-SHA-256 (RFC 5802, 7677), and TLS as libpq words it.

Only for connections that the driver cannot make. The standard library does the cryptography; nothing here is kept.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl

_MOST_ITERATIONS: Final = 1_000_000
"""More would let a server keep this process busy for seconds: PostgreSQL takes 4,096."""


class LoginError(Exception):
    """A login that does not go on; the text says why."""


def password_from_file(words: Mapping[str, str], host: str, port: str) -> str | None:
    """The password that ``~/.pgpass`` has for a connection (libpq, section 34.16); None where it has none, or others can read the file.

    Args:
        words: The keywords of the connection.
        host: Where it goes; a directory is ``localhost`` there.
        port: Likewise.
    """
    path = words.get("passfile") or os.path.expanduser("~/.pgpass")  # noqa: PTH111  one name is all it takes
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  likewise
            if os.fstat(file.fileno()).st_mode & 0o077:
                return None
            lines = file.read(1 << 20).splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    wanted = ("localhost" if host.startswith("/") else host, port, words.get("dbname", ""), words.get("user", ""))
    for line in lines:
        fields = _fields(line)
        if len(fields) == 5 and not line.startswith("#") and all(field in {"*", want} for field, want in zip(fields, wanted, strict=False)):
            return fields[4]
    return None


def _fields(line: str) -> list[str]:
    """The parts between colons; a backslash takes what follows as it is."""
    fields, escaped = [""], False
    for char in line:
        if escaped or char not in ":\\":
            fields[-1] += char
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            fields.append("")
    return fields


def md5_answer(user: str, password: str, salt: bytes) -> str:
    """What a server that asks for md5 wants to hear."""
    import hashlib  # noqa: PLC0415  only to log in

    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()


class Scram:
    """One exchange of SCRAM-SHA-256, without channel binding.

    Attributes:
        proven: The server has shown that it knows the password too.
    """

    MECHANISM = "SCRAM-SHA-256"

    def __init__(self, password: str) -> None:
        import unicodedata  # noqa: PLC0415  only to log in

        # SASLprep, but for its tables of what is forbidden: a server takes a password that cannot be prepared as it is.
        self._password = unicodedata.normalize("NFKC", password).encode()
        self._nonce = b64encode(os.urandom(18)).decode()
        self._first = f"n=,r={self._nonce}"
        self._signature = b""
        self.proven = False

    @property
    def first(self) -> bytes:
        """The first message."""
        return b"n,," + self._first.encode()

    def final(self, challenge: bytes) -> bytes:
        """The proof, for what the server answered to the first message.

        Raises:
            LoginError: When the answer is none, or not to this exchange.
        """
        import hashlib  # noqa: PLC0415  only to log in
        import hmac  # noqa: PLC0415  likewise

        try:
            said = dict(part.split("=", 1) for part in challenge.decode().split(","))
            nonce, salt, iterations = said["r"], b64decode(said["s"]), int(said["i"])
        except (ValueError, KeyError):
            raise LoginError("the server's SCRAM challenge cannot be read") from None
        if not nonce.startswith(self._nonce) or nonce == self._nonce or not 0 < iterations <= _MOST_ITERATIONS:
            raise LoginError("the server's SCRAM challenge is not an answer to ours")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c={b64encode(b'n,,').decode()},r={nonce}"
        message = f"{self._first},{challenge.decode()},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return f"{without_proof},p={b64encode(proof).decode()}".encode()

    def check(self, final: bytes) -> None:
        """See that the server knows the password too.

        Raises:
            LoginError: When it does not: it is another one than the password is for.
        """
        import hmac  # noqa: PLC0415  likewise

        if not self._signature or not hmac.compare_digest(final, b"v=" + b64encode(self._signature)):
            raise LoginError("the server does not know the password: it is not the one that was meant")
        self.proven = True


def tls_context(words: Mapping[str, str], mode: str) -> "ssl.SSLContext":
    """TLS as ``sslmode`` and its files say.

    Raises:
        OSError: When a file cannot be read or is none (`ssl.SSLError`).
    """
    import ssl  # noqa: PLC0415  only with TLS

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    root = words.get("sslrootcert", "")
    verify = mode in {"verify-ca", "verify-full"} or (mode == "require" and bool(root))  # as libpq has it
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if verify and root not in {"", "system"}:
        context.load_verify_locations(root)
    elif verify:
        context.load_default_certs()
    if words.get("sslcert"):
        context.load_cert_chain(words["sslcert"], words.get("sslkey") or None, words.get("sslpassword"))
    return context
