"""What a request says of itself: its key, its query string, its path."""

from urllib.parse import parse_qsl, unquote_to_bytes

from fastapi import Request
from fastapi.security.utils import get_authorization_scheme_param


def key_of(request: Request) -> str | None:
    """The API key in `Authorization: Bearer <key>`; None where there is none."""
    scheme, key = get_authorization_scheme_param(request.headers.get("Authorization"))
    return key if key and scheme.lower() == "bearer" else None


def query_of(request: Request) -> list[tuple[str, str]]:
    """Names and values in the order of the query string."""
    return parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)


def path_is_exact(request: Request) -> bool:
    """Whether the decoded path is the path that was sent: bytes that are no UTF-8 are no id that we know."""
    sent: bytes = request.scope["raw_path"]
    decoded: str = request.scope["path"]
    return unquote_to_bytes(sent) == decoded.encode()
