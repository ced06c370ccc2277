"""Records that nobody sane writes: every reader comes to the same outcome for each, in bounded memory."""

import json
import time
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from deploy.traffic import DAY, iso
from schemas import topics
from schemas.topics import CUT_KEY_BYTES, CUT_VALUE_BYTES, RECORD_MAX_BYTES, VALUE_MAX_BYTES
from tests import wire
from tests.memory import MIB, peak_bytes, peaks_until_ended, reset_peak
from tests.pipeline import log
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place
from tests.pipeline.programs import LIMIT_S
from tests.wire import CODECS, GZIP, LZ4, PLAIN, SNAPPY, ZSTD, Raw

ABOVE_USUAL = 256 * MIB
MANY = 320
"""Dead letters of a MiB that one batch of some kilobytes makes: more than any reader may hold."""


Reported = tuple[str, int, bytes | None]
"""What a dead letter says of a record: the reason, the bytes of its value, what is kept of its key."""


class Batch(NamedTuple):
    """A batch as it is sent, and what is to become of its records."""

    data: bytes
    records: list[Reported]


def send_of(number: int, time_ms: int) -> bytes:
    """A good event."""
    mail = {
        "timestamp": iso(time_ms),
        "messageId": f"good {number}",
        "destination": ["a@x"],
        "tags": {"tenant": ["acme"]},
    }
    return json.dumps({"eventType": "Send", "mail": mail}).encode()


def without_tenant(size: int, time_ms: int) -> bytes:
    """An event of so many bytes that is refused for its tags."""
    mail = {"timestamp": iso(time_ms), "messageId": "m", "destination": ["a@x"], "tags": {}, "pad": ""}
    bare = len(json.dumps({"eventType": "Send", "mail": mail}))
    return json.dumps({"eventType": "Send", "mail": mail | {"pad": "a" * (size - bare)}}).encode()


def hostile(time_ms: int) -> Iterator[Batch]:
    """Each with a good record at its end or after it."""
    random = Random(14)
    room = RECORD_MAX_BYTES - VALUE_MAX_BYTES

    def batch(codec: int, raws: list[Raw], reason: str) -> Batch:
        good = Raw(send_of(random.randrange(10**9), time_ms))
        data = wire.batch([*raws, good], count=len(raws) + 1, time_ms=time_ms, codec=codec)
        kept = CUT_KEY_BYTES if reason == "too_large" else RECORD_MAX_BYTES
        reported = [(reason, len(raw.value or b""), raw.key and raw.key[:kept]) for raw in raws]
        return Batch(data, [*reported, ("counted", 0, None)])

    yield batch(ZSTD, [Raw(b"{" * 1_300_000, b"key")], "too_large")
    for codec, size in ((GZIP, 150), (SNAPPY, 20), (LZ4, 150), (ZSTD, 150)):
        data = wire.huge(size * MIB, codec=codec, time_ms=time_ms)
        yield Batch(data, [("too_large", size * MIB, None)])
    for codec in (GZIP, SNAPPY, LZ4, ZSTD):
        yield batch(codec, [Raw(b"{" * (VALUE_MAX_BYTES + 1), b"k" * 2_000)], "too_large")
        yield batch(codec, [Raw(b"{}", b"k" * (3 * MIB))], "too_large")
        yield batch(codec, [Raw(b"{}", None, ((b"name", b"h" * (3 * MIB)),))], "too_large")
        yield batch(codec, [Raw(b"{}", None, ((b"", None),) * 300_000)], "ignored")
    for codec in CODECS:
        yield batch(codec, [Raw(b"{}", None, ((b"\xff\xfe", b"x"),))], "ignored")
    # What the broker takes for whole: bytes after the last record, and a checksum that it does not look at.
    for codec in (GZIP, LZ4):
        parts = [wire.record(Raw(send_of(random.randrange(10**9), time_ms), None, (), time_ms), 0, time_ms)]
        payload = wire.packed(codec, parts) + b"more"
        data = wire.sealed(payload, codec=codec, count=1, first_ms=time_ms, last_ms=time_ms)
        yield Batch(data, [("counted", 0, None)])
    wrong = wire.packed(LZ4, [wire.record(Raw(b"{}", b"k"), n, 0) for n in range(3)], checksum=True)
    wrong = wrong[:-1] + bytes([wrong[-1] ^ 1])
    data = wire.sealed(wrong, codec=LZ4, count=3, first_ms=time_ms, last_ms=time_ms)
    yield Batch(data, [("unreadable", 0, None)] * 3)
    # At the very limits, however little they can be packed: their dead letters must fit.
    yield batch(ZSTD, [Raw(b"\0" * VALUE_MAX_BYTES, b"k" * room)], "unreadable")
    yield batch(PLAIN, [Raw(random.randbytes(VALUE_MAX_BYTES), random.randbytes(room - 500))], "unreadable")
    yield batch(ZSTD, [Raw(b"\0", b"k" * (RECORD_MAX_BYTES - 1))], "unreadable")
    yield batch(ZSTD, [Raw(without_tenant(VALUE_MAX_BYTES, time_ms))] * MANY, "no_tenant")


def dead_letters_of(source: str, sent: list[Batch]) -> dict[bytes, Reported]:
    """What the dead letters must say, by key, where the first partition holds nothing but this."""
    reported = [record for batch in sent for record in batch.records]
    return {
        f"{source}:0:{offset}".encode(): record
        for offset, record in enumerate(reported)
        if record[0] not in ("counted", "ignored")
    }


def dead_letters_in(place: Place) -> tuple[dict[bytes, Reported], int]:
    """What the dead letters say, by key, and how many records say it."""
    found: dict[bytes, Reported] = {}
    number = 0
    for dead_letter in log.each(place.bootstrap, place.programs.dead_letter_topic):
        number += 1
        reason = dead_letter.headers[topics.REASON].decode()
        value_bytes = len(dead_letter.value or b"")
        assert (topics.VALUE_BYTES in dead_letter.headers) == (reason == "too_large")
        if reason == "too_large":
            whole = int(dead_letter.headers[topics.VALUE_BYTES])
            assert value_bytes == min(whole, CUT_VALUE_BYTES)
            value_bytes = whole
        assert dead_letter.key is not None
        reported = (reason, value_bytes, dead_letter.headers.get(topics.SOURCE_KEY))
        assert found.setdefault(dead_letter.key, reported) == reported
    return found, number


def test_every_reader_comes_to_the_same_outcome(place: Place) -> None:
    """Worker, rebuild, verify and audit pass each record alike, and none takes 256 MiB above its usual."""
    now_ms = time.time_ns() // 1_000_000
    others = range(1, topics.EVENTS.partitions)  # in the first the hostile ones are alone
    good = [Outgoing(None, send_of(n, now_ms), now_ms, others[n % len(others)]) for n in range(20_000)]
    place.send(good)
    worker, api = place.programs.worker(), place.programs.api()
    place.wait_until_counted(worker)
    usual: dict[str, int] = {}
    for command in ("rebuild", "verify"):
        usual[command] = most_of(place, command)
    usual["worker"] = reset_peak(worker.pid)

    sent = list(hostile(now_ms))
    data = [each.data for each in sent]
    assert wire.send(place.bootstrap, place.programs.events_topic, 0, data) == [0] * len(sent)
    place.wait_until_counted(worker)
    assert peak_bytes(worker.pid) - usual["worker"] < ABOVE_USUAL
    want = dead_letters_of(place.programs.events_topic, sent)
    found, number = dead_letters_in(place)
    assert found == want
    assert number == len(want), "each is written once"

    for command in ("verify", "rebuild"):
        assert most_of(place, command) - usual[command] < ABOVE_USUAL
    assert dead_letters_in(place)[1] == number, "a rebuild writes none that a worker has written"
    audit = place.programs.audit()
    audit.wait_until(lambda: audit.metric("audit_last_done_timestamp_seconds") > 0, "an audit is done")
    assert audit.metric("audit_compared_total") > 0
    assert audit.metric("audit_mismatch_total") == 0
    assert audit.stop() == 0

    place.redis.flushall()
    assert most_of(place, "rebuild") - usual["rebuild"] < ABOVE_USUAL
    assert dead_letters_in(place) == (want, 2 * number), "it writes those that no live generation vouches for"
    place.wait_until_counted(worker)
    place.make_keys(["acme"])
    total = len(good) + sum(reason == "counted" for batch in sent for reason, _, _ in batch.records)
    status, body = place.ask(api, ("acme", "tenant", ""), period="day", **{"from": iso(now_ms - DAY)})
    assert (status, body["totals"]["sent"]) == (200, total)


def most_of(place: Place, *command: str) -> int:
    """Run a command that must succeed. Returns: the most that any process of it takes."""
    started = place.programs.command(*command, "--json")
    peaks = peaks_until_ended(started, LIMIT_S)
    out, err = started.communicate()
    assert started.returncode == 0, out + err
    assert "Traceback" not in err, err
    report = json.loads(out)
    assert not report.get("differences")
    assert not report.get("cells_differing")
    return max(peaks.values())
