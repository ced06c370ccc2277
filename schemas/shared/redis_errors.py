"""What went wrong with Redis, in a sentence that anybody may read.

Law: a sentence about the connection never quotes redis-py's own text, which names hosts and addresses. What
Redis itself answers (`OOM ...`, a right that its user lacks) holds none and is quoted as it is.
"""

import ssl
from collections.abc import Iterator

import redis
from redis.exceptions import NoPermissionError


def describe(error: Exception) -> str:
    """What is wrong, without any address.

    error: as redis-py raised it, its cluster client too, which has a family of its own.
    """
    return next(filter(None, map(_sentence, _chain(error))), None) or str(error)


def _sentence(error: BaseException) -> str | None:
    """What an error by itself says; none where it only wraps another, or is an answer of Redis."""
    said: str | None
    match error:
        case ssl.SSLCertVerificationError(
            verify_code=62 | 64
        ):  # OpenSSL's *_MISMATCH of host name and address
            said = "Redis's certificate is of another name; check the host in REDIS_URL"
        case ssl.SSLCertVerificationError():
            said = f"Redis's certificate is not trusted ({error.verify_message}); check REDIS_SSL_CA_LOCATION"
        case ssl.SSLError():
            reason = (error.reason or "no TLS").lower().replace("_", " ")
            said = f"the TLS handshake with Redis fails ({reason}); check REDIS_URL and REDIS_SSL_*"
        case redis.AuthenticationError():
            said = "Redis refuses the login; check user and password in REDIS_URL"
        case NoPermissionError():
            said = f"this Redis user lacks a right: {error}"
        case TimeoutError() | redis.TimeoutError():
            said = "Redis does not answer in time"
        case OSError():
            said = f"Redis cannot be reached ({error.strerror or type(error).__name__}); check REDIS_URL"
        case _:
            said = None
    return said


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of, from the outside in."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__
