"""Names, sockets and TLS, as far as they go without a login: why a server cannot be talked to."""

import socket
import ssl
from collections.abc import Sequence
from typing import Final

from deploy.doctor.check import Finding, ok, problem, stop

Address = tuple[str, int]

TIMEOUT_S: Final = 3.0

ALERT_S: Final = 0.3
"""With TLS 1.3 a server says only after the client's part of the handshake that it wants a certificate."""


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


def check_tls(address: Address, context: ssl.SSLContext, prefix: str, setting: str) -> Finding:
    """Whether both sides accept each other's certificates.

    context: of the client. prefix: of the settings' names (`KAFKA`). setting: names the server.
    """
    try:
        version = _shake_hands(address, context)
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
        return stop(
            f"{spelled(address)} ends the TLS handshake ({(error.strerror or str(error)).lower()})",
            f"check the port in {setting}; without TLS there, {_WITHOUT_TLS[prefix]}",
        )
    return ok(f"{version}, both certificates are accepted")


def speaks_tls(address: Address) -> bool:
    """Whether a server answers a TLS handshake, whatever its certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        _shake_hands(address, context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # it wants a certificate of ours: that is TLS
    except OSError:
        return False
    return True


def _shake_hands(address: Address, context: ssl.SSLContext) -> str:
    """Raises: ssl.SSLError, OSError. Returns: the version of TLS."""
    with (
        socket.create_connection(address, TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=address[0]) as wrapped,
    ):
        wrapped.settimeout(ALERT_S)
        try:
            if wrapped.recv(1) == b"":
                raise ConnectionError("closed")
        except TimeoutError:  # it waits for us to speak, so all is well
            pass
        return wrapped.version() or "TLS"


_WITHOUT_TLS: Final = {
    "KAFKA": "KAFKA_SECURITY_PROTOCOL is PLAINTEXT or SASL_PLAINTEXT",
    "REDIS": "REDIS_URL begins with redis://",
}
