"""How the decoder of this process takes odd inputs, as one hash: part of the fingerprint of the rules. Pure.

What the decoder refuses is a dead letter, and what it makes of the rest decides numbers. Its version says too
much, as each release would ask for a rebuild, and too little, as there are several builds of one. So the
decoder that counts is asked, at the start of a process. An outcome is what a value decodes to, or that it is
refused, and never the text of an error. A case more is another fingerprint, so it costs a rebuild.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from threading import Thread
from types import MappingProxyType
from typing import Any, Final

from msgspec import UNSET, Struct

from aggregator.counting.events import NESTING_MAX, EventDecoder
from schemas.ses import Event

TAG_NAMES: Final = ("tenant", "sequence", "template")
"""Of the corpus. What a deployment calls them makes no other decoder."""

REFUSED: Final = "refused"

_VALUES: Final[Mapping[str, bytes]] = {
    # Numbers
    "zero": b"0",
    "minus zero": b"-0",
    "minus zero with a fraction": b"-0.0",
    "a leading zero": b"01",
    "a minus and a leading zero": b"-01",
    "a plus": b"+1",
    "a lone minus": b"-",
    "no digit before the point": b".5",
    "no digit after the point": b"5.",
    "an exponent": b"1e3",
    "an exponent with a plus": b"1E+3",
    "an exponent without digits": b"1e",
    "a whole number as a fraction": b"1.0",
    "the largest exact": b"9007199254740993",
    "the largest of 63 bits": b"9223372036854775807",
    "the largest of 64 bits": b"18446744073709551615",
    "one more than 64 bits": b"18446744073709551616",
    "one less than 63 bits": b"-9223372036854775809",
    "100 digits": b"9" * 100,
    "5000 digits": b"9" * 5_000,
    "a fraction of 400 digits": b"0." + b"3" * 400,
    "the largest float": b"1.7976931348623157e308",
    "larger than any float": b"1e309",
    "a huge exponent": b"1e99999999999",
    "the smallest float": b"5e-324",
    "smaller than any float": b"1e-400",
    "halfway between two floats": b"9007199254740993.0",
    "hexadecimal": b"0x10",
    "an underscore": b"1_000",
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    # Words
    "null": b"null",
    "true": b"true",
    "a capital word": b"True",
    "a cut word": b"nul",
    "undefined": b"undefined",
    # Texts
    "an empty text": b'""',
    "every short escape": b'"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    "an unknown escape": b'"\\x41"',
    "an escaped quote of another kind": b'"\\\'"',
    "an escape of four digits": b'"\\u00e9\\u00E9"',
    "an escape of three digits": b'"\\u0e9"',
    "an escaped NUL": b'"\\u0000"',
    "a pair of surrogates": b'"\\ud83d\\ude00"',
    "a lone high surrogate": b'"\\ud83d"',
    "a lone low surrogate": b'"\\ude00"',
    "surrogates the wrong way round": b'"\\ude00\\ud83d"',
    "a high surrogate and a letter": b'"\\ud83dx"',
    "a high surrogate and another escape": b'"\\ud83d\\u0041"',
    "a noncharacter": b'"\\uffff"',
    "a text without an end": b'"x',
    "a text that ends in an escape": b'"x\\"',
    "a single quote": b"'x'",
    "a NUL within": b'"a\x00b"',
    "a line break within": b'"a\nb"',
    "a tab within": b'"a\tb"',
    "a DEL within": b'"a\x7fb"',
    "a line separator within": b'"a\xe2\x80\xa8b"',
    "UTF-8 of two bytes": b'"\xc3\xa9"',
    "UTF-8 of four bytes": b'"\xf0\x9f\x98\x80"',
    "the last code point": b'"\xf4\x8f\xbf\xbf"',
    "behind the last code point": b'"\xf4\x90\x80\x80"',
    "a surrogate in UTF-8": b'"\xed\xa0\xbd"',
    "an overlong sequence": b'"\xc0\xaf"',
    "a cut sequence": b'"\xe2\x82"',
    "a stray continuation": b'"\x80"',
    "Latin-1": b'"\xe9"',
    "a long text": b'"' + b"x" * 70_000 + b'"',
    "a long text with an escape at its end": b'"' + b"x" * 5_000 + b'\\n"',
    # Arrays and objects
    "an empty array": b"[]",
    "a mixed array": b'[1,"a",null,[2.5],{"k":false}]',
    "a comma at the end of an array": b"[1,]",
    "a missing comma": b"[1 2]",
    "an array without an end": b"[1",
    "an empty object": b"{}",
    "equal keys within": b'{"k":1,"k":2}',
    "an empty key": b'{"":1}',
    "a key that is no text": b"{1:2}",
    "a key without quotes": b"{k:1}",
    "a comma at the end of an object": b'{"k":1,}',
    "a comment": b"1/**/",
    "many keys": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(300)) + b"}",
}
"""JSON values, or what is none: each stands where it is looked at, and where it is skipped."""

_PLACES: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "as message id": (b'{"eventType":"Send","mail":{"messageId":', b"}}"),
    "as destination": (b'{"eventType":"Send","mail":{"messageId":"m","destination":', b"}}"),
    "as a tag": (b'{"eventType":"Send","mail":{"messageId":"m","tags":{"tenant":', b"}}}"),
    "as tags": (b'{"eventType":"Send","mail":{"messageId":"m","tags":', b"}}"),
    "as mail": (b'{"eventType":"Send","mail":', b"}"),
    "as a body": (b'{"eventType":"Send","mail":{"messageId":"m"},"bounce":', b"}"),
    "as detail": (b'{"detail":', b"}"),
    "skipped": (b'{"eventType":"Send","x":', b',"mail":{"messageId":"m"}}'),
    "skipped in tags": (b'{"eventType":"Send","mail":{"messageId":"m","tags":{"x":', b',"tenant":["a"]}}}'),
}


def _nested(depth: int) -> bytes:
    """A record with so many levels, in what is looked at."""
    return b'{"mail":{"messageId":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}}"


def _nested_skipped(depth: int) -> bytes:
    """The same in what is skipped, as objects."""
    return b'{"x":' * depth + b"1" + b"}" * depth


_SEND: Final = b'{"eventType":"Send","mail":{"messageId":"m"}}'
_WHOLE: Final[Mapping[str, bytes]] = {
    "nothing": b"",
    "spaces": b" \t\r\n",
    "a NUL": b"\x00",
    "an event": _SEND,
    "space around": b" \t\r\n" + _SEND + b" \t\r\n",
    "space within": b'{ "eventType"\n:\t"Send" , "mail" :\r{ "messageId" : "m" } }',
    "a form feed before": b"\x0c" + _SEND,
    "a no-break space before": b"\xc2\xa0" + _SEND,
    "a byte order mark": b"\xef\xbb\xbf" + _SEND,
    "UTF-16": _SEND.decode().encode("utf-16-le"),
    "a letter after": _SEND + b"x",
    "a brace after": _SEND + b"}",
    "a NUL after": _SEND + b"\x00",
    "a second event after": _SEND + b"\n" + _SEND,
    "a comment after": _SEND + b"//",
    "cut": _SEND[:-1],
    "no object but an array": b"[" + _SEND + b"]",
    "no object but a text": b'"x"',
    "no object but null": b"null",
    "the type twice": b'{"eventType":"Send","eventType":"Open"}',
    "the type twice, null last": b'{"eventType":"Send","eventType":null}',
    "mail twice": b'{"mail":{"messageId":"m","timestamp":1},"mail":{"messageId":"n"}}',
    "mail twice, no object last": b'{"mail":{"messageId":"m"},"mail":1}',
    "mail twice, no object first": b'{"mail":1,"mail":{"messageId":"m"}}',
    "a tag twice": b'{"mail":{"tags":{"tenant":["a"],"tenant":["b"]}}}',
    "detail twice": b'{"detail":{"eventType":"Send"},"detail":{"eventType":"Open"}}',
    "an escaped key": b'{"event\\u0054ype":"Send"}',
    "a key in capitals": b'{"EVENTTYPE":"Send","eventtype":"Open","event_type":"Click"}',
    "a key with a NUL": b'{"eventType\\u0000":"Send"}',
    "a key with a lone surrogate": b'{"\\ud800":1,"eventType":"Send"}',
    "a key in bad UTF-8": b'{"\xff":1,"eventType":"Send"}',
    "an envelope in an envelope": b'{"detail":{"detail":{"eventType":"Send"}}}',
    "an envelope with a type": b'{"eventType":null,"detail":{"eventType":"Send"}}',
    "an envelope with an older type": b'{"notificationType":1,"detail":{"eventType":"Send"}}',
    "an array for an object": b'{"mail":["m"],"bounce":[]}',
    **{f"{depth} levels": _nested(depth) for depth in (3, 100, NESTING_MAX, NESTING_MAX + 1)},
    **{f"{depth} levels skipped": _nested_skipped(depth) for depth in (100, NESTING_MAX, NESTING_MAX + 1)},
    "as many brackets in a text": b'{"eventType":"' + b"[" * (NESTING_MAX + 9) + b'"}',
}

CORPUS: Final[Mapping[str, bytes]] = MappingProxyType(
    dict(_WHOLE)
    | {
        f"{name}, {place}": before + value + after
        for name, value in _VALUES.items()
        for place, (before, after) in _PLACES.items()
    }
)
"""Values of records by the name of the case."""

Decode = Callable[[bytes], Event[Any] | None]


def outcomes(decode: Decode) -> dict[str, str]:
    """What a decoder makes of each case: `refused`, or what it decodes to, written in ASCII.

    decode: the event of a value; none where it is refused.
    """
    return {name: _outcome(decode(value)) for name, value in CORPUS.items()}


def digest(decode: Decode) -> str:
    """The outcomes as one hash, 64 hex digits."""
    hashed = hashlib.sha256()
    for name, outcome in outcomes(decode).items():
        hashed.update(f"{name}\0{outcome}\0".encode())
    return hashed.hexdigest()


@cache
def decoder_digest() -> str:
    """The `digest` of the decoder that counts in this process.

    It runs in a thread of its own: how deep the decoder goes may depend on how deep the caller's stack is.
    """
    found: list[str] = []
    thread = Thread(target=lambda: found.append(digest(EventDecoder(TAG_NAMES).decode)), name="corpus")
    thread.start()
    thread.join()
    return found[0]


def _outcome(event: Event[Any] | None) -> str:
    return REFUSED if event is None else ascii(_fields(event))


def _fields(struct: Struct) -> dict[str, Any]:
    """What was in an object, field by field; structs within are such objects."""
    found = {name: getattr(struct, name) for name in struct.__struct_fields__}
    return {
        name: _fields(value) if isinstance(value, Struct) else value
        for name, value in found.items()
        if value is not UNSET
    }
