"""Step 1 of reading a record: from its bytes to the SES event in them. Pure.

What is no event here is a dead letter, and which of two equal keys counts is settled here: so whatever
decodes is part of the rules (`corpus`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from schemas.ses import Event, Record, type_of_array, type_of_json, unwrapped

_T = TypeVar("_T")

NESTING_MAX: Final = 512
"""Deeper records are refused. The decoder's own limit depends on how deep the caller's stack is already."""


class _Decoding(Generic[_T]):
    """From bytes to what is taken of them, for one type of `mail.tags`."""

    def __init__(self, tags: Any, taken: Callable[[Record[Any]], _T]) -> None:
        self._decode = msgspec.json.Decoder(Record[tags]).decode
        self._taken = taken

    def decode(self, value: bytes | None) -> _T | None:
        """What is taken of a record's value; none where it is unreadable."""
        if not value or (_depth_at_most(value) > NESTING_MAX and _nested_too_deep(value)):
            return None
        try:
            if not value.isascii():
                value.decode()  # the decoder does not look into the strings that it skips
            return self._taken(self._decode(value))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


class EventDecoder(_Decoding[Event[Any]]):
    """Decodes events, out of their EventBridge envelopes, whose tags have certain names."""

    def __init__(self, tag_names: Sequence[str]) -> None:
        """Prepare to decode.

        tag_names: of the tags that name the tenant and each further scope; they differ.
        """
        fields = [f"scope_{number}" for number in range(len(tag_names))]
        tags = msgspec.defstruct(
            "Tags",
            [(name, type_of_array | UnsetType, UNSET) for name in fields],
            rename=dict(zip(fields, tag_names, strict=True)),
            frozen=True,
            gc=False,
        )
        self.tags: Final[Any] = tags
        """The type of `mail.tags`: a field for each tag name, in their order."""
        super().__init__(tags | type_of_json, unwrapped)


class RecordDecoder(_Decoding[Record[msgspec.Raw]]):
    """Decodes records whole, envelopes too, and keeps the text of their tags, whatever names these have.

    So what an `EventDecoder` refuses for what stands within tags, by names of its own, is not refused here.
    """

    def __init__(self) -> None:
        super().__init__(msgspec.Raw, lambda record: record)


def _depth_at_most(value: bytes) -> int:
    """What no nesting of a value is above: quickly, so for most records it is all that is counted.

    An object within another takes five bytes, `{"":}`. `replace` jumps from bracket to bracket, where `count`
    looks at each byte: twice as quick on an event, which has a dozen.
    """
    arrays = len(value) - len(value.replace(b"[", b""))
    return arrays + len(value) // 5


def _nested_too_deep(value: bytes) -> bool:
    if value.count(b"[") + value.count(b"{") <= NESTING_MAX:
        return False
    depth = 0
    in_string = escaped = False
    for byte in value:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            if depth > NESTING_MAX:
                return True
        elif byte in (0x5D, 0x7D):
            depth -= 1
    return False
