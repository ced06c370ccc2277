"""TLS towards Kafka and Redis: the files that settings name, read once at the start.

A file that cannot be used is a wrong setting, reported with the setting's name before anything connects.
What the other side makes of a certificate shows only when it is asked.
"""

import ssl


def client_context(prefix: str, ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """What a client needs to speak TLS: it checks the server's certificate and its host name.

    prefix: of the settings' names, for errors (`KAFKA`). ca: the PEM file of the CAs to trust; none: those of
    this machine. certificate, key: the PEM files of the client's own certificate with its chain, and of its
    key, which is not encrypted; both or none.
    Raises: ValueError where a file cannot be used; it names the setting.
    """
    names = f"{prefix}_SSL_CERTIFICATE_LOCATION", f"{prefix}_SSL_KEY_LOCATION"
    if bool(certificate) != bool(key):
        raise ValueError(f"{names[0]} and {names[1]} go together")
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except OSError as error:
        raise ValueError(f"{prefix}_SSL_CA_LOCATION {ca}: {_reason(error)}") from error
    if certificate:
        try:
            context.load_cert_chain(certificate, key, password=_not_asked)
        except (OSError, ValueError) as error:
            raise ValueError(f"{names[0]} {certificate}, {names[1]} {key}: {_reason(error)}") from error
    return context


def _not_asked() -> str:
    """OpenSSL would ask the terminal for the password of a key that is encrypted."""
    raise ValueError("the key is encrypted, which no setting can open")


def _reason(error: OSError | ValueError) -> str:
    """What OpenSSL or the file system says, without Python's own numbers and line."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
