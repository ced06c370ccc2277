"""Pages of ids. Pure.

A page is what comes after an id in the order of bytes, so that ids that become known meanwhile move no
other, and an id that is there all the time comes exactly once. A cursor is that id, made opaque.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from heapq import nsmallest

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


def page_of(ids: Iterable[bytes], after: str | None, limit: int) -> tuple[list[str], str | None]:
    """A page of ids, and the cursor of the next one where there is one."""
    later = (raw for raw in ids if after is None or raw > after.encode())
    page = [raw.decode() for raw in nsmallest(limit + 1, later)]
    if len(page) <= limit:
        return page, None
    return page[:limit], write_cursor(page[limit - 1])
