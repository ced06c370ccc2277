"""The way out of ingest, for an attack: a proxy behind which SNS answers for what is known and hangs else.

ingest knows of it by `HTTPS_PROXY`, and of its certificate authority by `SSL_CERT_FILE`, so the true
program makes true calls over TLS and none of them leaves this machine.
"""

import datetime as dt
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.pipeline.webhook import TOPIC_ARN

HOST: Final = f"sns.{TOPIC_ARN.split(':')[3]}.amazonaws.com"
HANGS_S: Final = 20.0


class SnsNet:
    """Listens on a free port of 127.0.0.1.

    known: what lies at a path. asked: the paths that were asked for.
    """

    def __init__(self, directory: Path) -> None:
        """Make a certificate authority. directory: where its certificate goes."""
        self.known: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._context = _context(directory)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._ended = threading.Event()
        self.environment = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._listener.getsockname()[1]}",
            "SSL_CERT_FILE": str(directory / "authority.pem"),
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link, suppress(OSError):
            link.settimeout(HANGS_S)
            _head(link)  # CONNECT host:443
            link.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._context.wrap_socket(link, server_side=True) as inner:
                path = _head(inner).split(b" ")[1].decode()
                self.asked.append(path)
                body = self.known.get(path.partition("?")[0])
                if body is None:
                    self._ended.wait(HANGS_S)
                    return
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                inner.sendall(head.encode() + body)


def _head(link: socket.socket) -> bytes:
    """A request's line and headers. Raises: OSError."""
    read = b""
    while b"\r\n\r\n" not in read:
        part = link.recv(4096)
        if not part:
            raise ConnectionError("closed before the head had come")
        read += part
    return read


def _context(directory: Path) -> ssl.SSLContext:
    """What a server for `HOST` needs; its authority's certificate goes to `authority.pem`."""
    authority, pem = _certificate("made up", None)
    key, certificate = _certificate(HOST, authority)
    (directory / "authority.pem").write_bytes(pem)
    chain = directory / "server.pem"
    chain.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


def _certificate(
    name: str, issuer: ec.EllipticCurvePrivateKey | None
) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """A key and its certificate as PEM. issuer: who signs; none: it signs for itself, and may for others."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    host = name if issuer else "made-up.invalid"
    signed_by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made up")])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    )
    return key, built.sign(issuer or key, SHA256()).public_bytes(Encoding.PEM)
