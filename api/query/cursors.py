"""Pages of ids. Pure.

A page is what comes after an id in the order of bytes, so that ids that become known meanwhile move no
other, and an id that is there all the time comes exactly once. A cursor is that id, made opaque.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from api.errors import INVALID_PARAMETER, ApiError


def read_cursor(text: str | None) -> str | None:
    """The id in a cursor; None where none was given. Raises: ApiError INVALID_PARAMETER."""
    if text is None:
        return None
    try:
        cursor = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode()
    except (UnicodeError, binascii.Error):
        cursor = None
    if cursor is None or write_cursor(cursor) != text:
        raise ApiError(
            INVALID_PARAMETER, "`cursor` must be the `next_cursor` of the page before, unchanged.", "cursor"
        )
    return cursor


def write_cursor(last: str) -> str:
    """The cursor of the page that follows an id."""
    return urlsafe_b64encode(last.encode()).decode().rstrip("=")


def page_of(ids: Sequence[str], limit: int) -> tuple[Sequence[str], str | None]:
    """A page, and the cursor of the next one where there is one.

    ids: of the page, and one more if there is one.
    """
    if len(ids) <= limit:
        return ids, None
    return ids[:limit], write_cursor(ids[limit - 1])
