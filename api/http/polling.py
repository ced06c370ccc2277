"""What makes polling cheap: a tag over the numbers, and how long an answer keeps. Pure.

The tag is weak and covers what a client would see change: numbers, points, statuses. It leaves out the
echoed range and the one before (both may end with the clock's now) and `complete_through` (it moves each
second), so an answer without news is a 304, which carries `X-Complete-Through` all the same.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

PAST_S: Final = 300
OPEN_S: Final = 2
"""How long (s) an answer about the past keeps, and one that still grows."""

_MOVING: Final = ("from", "to", "complete_through")


def etag(body: Mapping[str, Any], form: str) -> str:
    """The weak entity tag of a body. form: `json` or `csv`, which have tags of their own."""
    numbers = _standing(body)
    if "previous" in numbers:
        numbers["previous"] = _standing(numbers["previous"])
    packed = msgspec.json.encode((form, numbers))
    return f'W/"{hashlib.sha256(packed).hexdigest()[:24]}"'  # processors have instructions for SHA-256


def _standing(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _MOVING}


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether the client holds this tag already (weak comparison, RFC 9110 section 13.1.2)."""
    held = [part.strip() for part in (if_none_match or "").split(",")]
    return "*" in held or tag.removeprefix("W/") in (part.removeprefix("W/") for part in held)


def cache_control(to_ms: int, now_ms: int, through_ms: int | None) -> str:
    """How long a client may keep the answer; nobody else may.

    to_ms: the end of the range; through_ms: up to when everything is counted, None where unknown.
    """
    is_past = through_ms is not None and to_ms < min(now_ms, through_ms)
    return f"private, max-age={PAST_S if is_past else OPEN_S}"
