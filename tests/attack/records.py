"""Attacks by those who can put records on the topic: what SES never says, and Kafka takes all the same.

Long because it is one list of attacks, each with the records that it needs.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from deploy.traffic import DAY, HOUR, iso
from tests import wire
from tests.attack.attack import Attack
from tests.attack.batches import CODECS, Rec, RefusedByKafkaError, batch, body_of
from tests.attack.measure import MIB, Limits
from tests.attack.scene import Scene

TENANT: Final = "attacker"
BROKER_TAKES: Final = 1_000_000
Run = Callable[[Scene, int], int]


def now_ms() -> int:
    """Now, in ms since 1970."""
    return time.time_ns() // 1_000_000


def event(message: str, *, sent_ms: int | None = None, people: list[str] | None = None, **tags: Any) -> bytes:
    """A Send. sent_ms: none: an hour ago. people: none: one. tags: beside the tenant, as lists of strings."""
    mail = {
        "timestamp": iso(now_ms() - HOUR if sent_ms is None else sent_ms),
        "messageId": message,
        "destination": ["someone@mailbox.example"] if people is None else people,
        "tags": {"tenant": [TENANT], **tags},
    }
    return json.dumps({"eventType": "Send", "mail": mail}).encode()


def padded(value: bytes, size: int) -> bytes:
    """The same event, so many bytes long."""
    return value[:-1] + b" " * (size - len(value)) + b"}"


def some(number: int) -> list[Rec]:
    """Events that count, so that what is refused is never most of what was read."""
    at = now_ms()
    return [Rec(event(f"some {at} {each}"), at, b"some") for each in range(number)]


def _unreadable_giants(scene: Scene, tries: int) -> int:
    at = now_ms()
    for number in range(tries):
        scene.write([Rec(b"x" * (1_300_000 + number), at)], partition=number % 4)
    scene.write(some(5))
    scene.recount()
    return tries


def _bombs(scene: Scene, tries: int) -> int:
    """One record of 150 MB by each codec that packs it into what the broker takes, or as much as fits."""
    done = 0
    for name in (name for name in CODECS if name != "none"):
        size = 150 * 1_000_000
        packed = b""
        record = Rec(None, 0)
        while size > BROKER_TAKES:
            record = Rec(b"0" * size, now_ms())
            packed = batch([record], name)
            if len(packed) < BROKER_TAKES:
                break
            size //= 2
        for number in range(tries):
            scene.write_raw(packed, [record], partition=number % 4)
            done += 1
    scene.write(some(5))
    scene.recount()
    return done


def _many_in_a_small_batch(scene: Scene, tries: int) -> int:
    """Events of 1 MiB each, hundreds of them in a batch of some kilobytes."""
    record = Rec(padded(event("whole megabytes"), MIB), now_ms())
    scene.write([record] * tries, most=100)
    scene.recount()
    return tries


def _keys_and_headers(scene: Scene, tries: int) -> int:
    at = now_ms()
    value = event("great keys")
    shapes = (
        Rec(value, at, b"k" * 900_000),
        Rec(value, at, b"k" * 1_300_000),
        Rec(value, at, b"k", (("h", b"h" * 900_000),)),
        Rec(value, at, b"k", (("h", b"h" * 1_300_000),)),
        Rec(value, at, b"", tuple((f"h{number}", None) for number in range(20_000))),
        Rec(b"unreadable", at, b"k" * 900_000),
        Rec(b"unreadable", at, b"\xff\0", (("\0", b"\xff"),)),
    )
    for _ in range(tries):
        scene.write(shapes, most=1)
    scene.write(some(5 * tries))
    scene.recount()
    return tries * len(shapes)


def _damaged_payloads(scene: Scene, tries: int) -> int:
    """What stands in a batch does not unpack, or not beyond its last record, and its checksum is right."""
    at = now_ms()
    lost = [Rec(None, at)] * 3  # unreadable, without a value and at the batch's latest time
    for number in range(tries):
        records = [Rec(event(f"damaged {number} {each}"), at) for each in range(3)]
        shapes = _damaged(body_of(records))
        name, payload, whole = shapes[number % len(shapes)]
        with suppress(RefusedByKafkaError):  # where the broker has looked so far
            scene.write_raw(batch(records, name, payload), records if whole else lost)
    scene.write(some(5))
    return tries


def _damaged(body: bytes) -> list[tuple[str, bytes, bool]]:
    """By which codec, what stands in the batch, and whether all records can be read from it."""
    packed = {name: wire.packed(codec, [body]) for name, codec in CODECS.items()}
    zipped = packed["gzip"]
    return [
        (
            "gzip",
            zipped[:-8] + bytes(8),
            True,
        ),  # the checksum at its end is wrong, which no one needs to read
        ("gzip", zipped[:-6], True),
        *((name, packed[name] + b"rubbish", True) for name in ("none", "gzip", "lz4", "zstd")),
        ("lz4", packed["lz4"][:-4], True),
        *((name, b"\xff" * 100, False) for name in ("gzip", "snappy", "lz4", "zstd")),
        *(
            (name, packed[name][: len(packed[name]) // 2], False)
            for name in ("gzip", "snappy", "lz4", "zstd")
        ),
    ]


def _people(number: int, repeats: int) -> Run:
    def run(scene: Scene, tries: int) -> int:
        people = [f"{each}@x.example" for each in range(number)]
        records = [
            Rec(event(f"to many {each}", people=people), now_ms()) for each in range(max(1, tries // repeats))
        ]
        for record in records:
            scene.write([record] * repeats, most=repeats if number * repeats < 2_000_000 else 1)
        return len(records) * repeats

    return run


def _great_tags(scene: Scene, tries: int) -> int:
    """Each record another tag of 900 KB, of which only the first string counts."""
    at = now_ms()
    for number in range(tries):
        long = f"{number} " + "x" * 900_000
        template = [long if number % 4 == 0 else "t"]
        scene.write([Rec(event(f"great tags {number}", sequence=["s", long], template=template), at)])
    scene.write(some(10))
    return tries


_ODD: Final[tuple[bytes | None, ...]] = (
    None,
    b"",
    b" ",
    b"null",
    b"[]",
    b'"text"',
    b"0",
    b"{}",
    b"\xef\xbb\xbf" + event("with a mark"),
    event("utf-16").decode().encode("utf-16"),
    event("latin").replace(b"someone", b"som\xe9"),
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"eventType":"Send","mail":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    event("not a number").replace(b'"Send"', b'"Send", "x": NaN'),
    event("infinite").replace(b'"Send"', b'"Send", "x": -Infinity'),
    event("half a letter").replace(b"someone", b"\\ud83d"),
    event("half a dead letter \\ud83d").replace(b"\\\\ud83d", b"\\ud83d"),
    event("nul").replace(b"someone", b"some\\u0000one"),
    event("twice").replace(b'"eventType": "Send"', b'"eventType": 1, "eventType": "Send"'),
    event("cut off")[:-1],
    event("two") + event("three"),
    event("trailing") + b"\0",
    b'{"eventType":"Send"}',
    b'{"eventType":["Send"]}',
    b'{"eventType":"Send","mail":null}',
    b'{"eventType":"Send","mail":{"messageId":""}}',
    b'{"eventType":"Send","mail":{"messageId":7}}',
    b'{"detail":{"detail":{"eventType":"Send"}}}',
    event("tags").replace(b'{"tenant": ["attacker"]}', b"[]"),
    event("tags").replace(b'["attacker"]', b'[["attacker"]]'),
    event("tags").replace(b'["attacker"]', b'{"0": "attacker"}'),
    event("tags").replace(b'"attacker"', b'"' + b"t" * 256 + b'"'),
    event("no one", people=[]),
    event("someone").replace(b'["someone@mailbox.example"]', b'[null, 7, {"a": []}]'),
    event("someone").replace(b'["someone@mailbox.example"]', b'{"length": 1}'),
)


def _odd_shapes(scene: Scene, tries: int) -> int:
    at = now_ms()
    for number in range(tries):
        scene.write((Rec(value, at, b"odd") for value in _ODD), partition=number % 4)
        scene.write(some(len(_ODD)), partition=number % 4)
    return tries * len(_ODD)


def _odd_times(scene: Scene, tries: int) -> int:
    """Record times and event times before 1970 and far ahead. Kafka refuses some of them."""
    done = 0
    at = now_ms()
    for number in range(tries):
        shapes = [
            Rec(event(f"odd times {number}"), -1),
            Rec(event(f"odd times {number}", sent_ms=-5 * DAY), -4 * DAY),
            Rec(b"unreadable", -(2**62)),
            Rec(b"unreadable", 2**62),
            Rec(event(f"far ahead {number}"), at + 3_000 * DAY),
            Rec(event(f"1970 {number}", sent_ms=0), 0),
            Rec(event(f"wrong {number}").replace(iso(at)[:4].encode(), b"9999"), at),
            Rec(event(f"wrong {number}").replace(iso(at)[:4].encode(), b"0000"), at),
        ]
        for record in shapes:
            with suppress(RefusedByKafkaError):  # where the broker's own bounds forbid it
                scene.write([record], partition=number % 4, packed_by="none")
            done += 1
        scene.write(some(len(shapes)), partition=number % 4)
    return done


def _unreadable_while_redis_refuses(scene: Scene, tries: int) -> int:
    """Fewer than the watch for floods minds, read again with each resync while Redis takes no writes."""
    at = now_ms()
    scene.redis.config_set("maxmemory", 1)
    try:
        scene.write([Rec(b"unreadable %d" % number, at) for number in range(tries)])
        scene.write(some(tries // 10))
        time.sleep(20)
    finally:
        scene.redis.config_set("maxmemory", 0)
    return tries


def _burst(make: Callable[[int, int], bytes], times: Callable[[int, int], int]) -> Run:
    """make: from a record's number and now, an event; times: likewise, its Kafka time."""

    def run(scene: Scene, tries: int) -> int:
        at = now_ms()
        burst: Iterator[Rec] = (Rec(make(number, at), times(number, at)) for number in range(tries))
        return scene.write(burst, most=1_000, packed_by="lz4")

    return run


def _of_a_new_tenant(number: int, _: int) -> bytes:
    return event(f"tenant {number}", tenant=[f"new tenant {number}"])


def _of_a_new_id(number: int, _: int) -> bytes:
    return event(f"id {number}", sequence=[f"{number:0255}"])


def _of_another_day(number: int, _: int) -> bytes:
    return event(f"day {number}", sent_ms=number * DAY)


ATTACKS: Final = (
    Attack(
        "unreadable records of 1.3 MB, packed",
        "dead letters `too_large`; counting and every reader go on",
        _unreadable_giants,
        tries=8,
        short=1,
    ),
    Attack(
        "records that unpack to 150 MB",
        "the same, in bounded memory",
        _bombs,
        tries=2,
        short=0,
        limits=Limits(settle_s=120),
        renew=True,
    ),
    Attack(
        "megabyte events, 100 in a batch of kilobytes",
        "counted, in bounded memory",
        _many_in_a_small_batch,
        tries=1_000,
        limits=Limits(settle_s=120),
        renew=True,
    ),
    Attack(
        "great keys and headers",
        "counted or dead letters, as the law says",
        _keys_and_headers,
        tries=5,
    ),
    Attack(
        "payloads that do not unpack, right checksum",
        "counted as far as they unpack, else dead letters",
        _damaged_payloads,
        tries=45,
        renew=True,
    ),
    Attack(
        "20,000 recipients, repeated",
        "dead letters `too_large`",
        _people(20_000, 10),
        tries=20,
        short=10,
    ),
    Attack(
        "100,000 recipients, repeated",
        "dead letters `too_large`",
        _people(100_000, 2),
        tries=4,
    ),
    Attack(
        "1,000 recipients, repeated",
        "counted once",
        _people(1_000, 100),
        tries=500,
        limits=Limits(settle_s=120),
    ),
    Attack(
        "tags of 900 KB, all different",
        "memory is bounded",
        _great_tags,
        tries=450,
        limits=Limits(settle_s=120),
    ),
    Attack(
        "36 shapes of nonsense",
        "each has its dead letter or counts",
        _odd_shapes,
        tries=10,
        short=1,
    ),
    Attack(
        "record times of nonsense",
        "each has its dead letter or counts",
        _odd_times,
        tries=4,
        short=1,
        renew=True,  # what the next one sends would be most of what was read, with the nonsense before it
    ),
    Attack(
        "unreadable records while Redis takes no writes",
        "each dead letter once; no false alarm",
        _unreadable_while_redis_refuses,
        tries=300,
    ),
    Attack(
        "a burst of new tenants",
        "Valkey and the API go on",
        _burst(_of_a_new_tenant, lambda _, at: at),
        tries=100_000,
        limits=Limits(settle_s=240),
        renew=True,
    ),
    Attack(
        "a burst of ids of 255 bytes",
        "Valkey and the API go on",
        _burst(_of_a_new_id, lambda _, at: at),
        tries=100_000,
        limits=Limits(settle_s=240),
        renew=True,
    ),
    Attack(
        "a burst of 20,000 days",
        "Valkey and the API go on",
        _burst(_of_another_day, lambda number, _: number * DAY),
        tries=20_000,
        limits=Limits(settle_s=120),
        renew=True,
    ),
)
