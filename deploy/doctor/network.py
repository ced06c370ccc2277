"""Names, sockets and TLS, as far as they go without a login: why a server cannot be talked to."""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from deploy.doctor.check import Finding, ok, problem, stop
from schemas.shared.tls import client_context

Address = tuple[str, int]

TIMEOUT_S: Final = 3.0

LISTENED_S: Final = 0.3

_QUESTIONS: Final = {
    # ApiVersions, version 0, without a client's name: it is answered before any login
    "KAFKA": b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff",
    "REDIS": b"PING\r\n",  # answered too where it wants a login first
}
"""With TLS 1.3 a server says only after the client's part of the handshake that it wants a certificate, so it
has accepted ours when it has answered something."""


def spelled(address: Address) -> str:
    """An address as people write it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_unreachable(address: Address) -> str | None:
    """Why nothing can be sent to an address; none where a connection comes about."""
    host, port = address
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter for what can be no name
        return f"the name {host} is not known here ({getattr(error, 'strerror', '') or error})"
    try:
        socket.create_connection(address, TIMEOUT_S).close()
    except TimeoutError:
        return f"{spelled(address)} does not answer within {TIMEOUT_S:g} s"
    except OSError as error:
        return f"{spelled(address)} takes no connection ({(error.strerror or str(error)).lower()})"
    return None


def check_addresses(addresses: Sequence[Address], setting: str) -> list[Finding]:
    """Whether servers can be reached, by name and port. setting: names them."""
    why = {address: why_unreachable(address) for address in addresses}
    bad = {address: text for address, text in why.items() if text is not None}
    if not bad:
        return [ok(", ".join(map(spelled, addresses)))]
    report = stop if len(bad) == len(why) else problem
    return [report(text, _fix_of_address(text, setting)) for text in bad.values()]


def _fix_of_address(why: str, setting: str) -> str:
    if "is not known" in why:
        return f"check the host name in {setting}, and the DNS of this host"
    return f"check host and port in {setting}, whether the server runs, and the firewalls between"


def check_tls(
    addresses: Sequence[Address], files: tuple[str, str, str], prefix: str, setting: str
) -> Finding:
    """Whether both sides accept each other's certificates, at the first address that answers.

    files: our CA, certificate and key, as `client_context` takes them. prefix: of the settings' names
    (`KAFKA`). setting: names the server.
    """
    context = client_context(prefix, *files)
    address = next(each for each in addresses if why_unreachable(each) is None)
    try:
        with _connected(address, context) as connection:
            _ask(connection, _QUESTIONS[prefix])
            version = connection.version()
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in {62, 64}:  # OpenSSL's *_MISMATCH of host name and address
            return stop(
                f"the certificate of {spelled(address)} is of another name",
                f"name the host in {setting} as its certificate does, or have one issued for {address[0]}",
            )
        return stop(
            f"the certificate of {spelled(address)} is not trusted ({error.verify_message})",
            f"{prefix}_SSL_CA_LOCATION must name the PEM file of the CA that signed it",
        )
    except ssl.SSLError as error:
        reason = (error.reason or "no TLS").lower().replace("_", " ")
        if "alert" in reason:
            return stop(
                f"{spelled(address)} refuses our certificate ({reason})",
                f"{prefix}_SSL_CERTIFICATE_LOCATION and {prefix}_SSL_KEY_LOCATION must name one that it"
                " trusts",
            )
        return stop(
            f"{spelled(address)} does not speak TLS ({reason})",
            f"check the port in {setting}; without TLS there, {_WITHOUT_TLS[prefix]}",
        )
    except OSError as error:
        late = isinstance(error, TimeoutError)
        how = f"not answered within {TIMEOUT_S:g} s" if late else (error.strerror or str(error)).lower()
        return stop(
            f"{spelled(address)} ends the TLS handshake ({how})",
            f"check the port in {setting}; without TLS there, {_WITHOUT_TLS[prefix]}",
        )
    return ok(f"{version}, both certificates are accepted")


def speaks_tls(address: Address) -> bool:
    """Whether a server answers a TLS handshake, whatever its certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        _connected(address, context).close()
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # it wants a certificate of ours: that is TLS
    except OSError:
        return False
    return True


def _connected(address: Address, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Raises: ssl.SSLError, OSError."""
    with socket.create_connection(address, TIMEOUT_S) as plain:
        return context.wrap_socket(plain, server_hostname=address[0])


def _ask(connection: ssl.SSLSocket, question: bytes) -> None:
    """Wait for an answer, whatever it says. Raises: ssl.SSLError, OSError.

    First listen: a refusal that has come is lost where the question then fails, as nobody takes it any more.
    """
    connection.settimeout(LISTENED_S)
    try:
        heard = connection.recv(1)
    except TimeoutError:
        connection.settimeout(TIMEOUT_S)
        with suppress(OSError):  # what was said before is still to be read, and says why
            connection.sendall(question)
        heard = connection.recv(1)
    if heard == b"":
        raise ConnectionError("closed")


_WITHOUT_TLS: Final = {
    "KAFKA": "KAFKA_SECURITY_PROTOCOL is PLAINTEXT or SASL_PLAINTEXT",
    "REDIS": "REDIS_URL begins with redis://",
}
