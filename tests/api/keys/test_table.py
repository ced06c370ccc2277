"""The table of keys: what opens a tenant, and what does not.

Long because it is one list of cases: each order in which records of a key may come.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.keys.form import ENTROPY_BYTES, NewKey, new_key
from api.keys.table import KeyTable
from schemas.keys import LAST_USED_SUFFIX, REVOKED_SUFFIX, ApiKeyRecord, Follows, LastUsed, Revoked

NOW_MS = 1_000


Record = tuple[bytes, bytes | None]
"""Key and value of a record of the topic."""


def tenant_of(table: KeyTable, text: str, now_ms: int = NOW_MS) -> str | None:
    record = table.admit(text, now_ms)
    return None if record is None else record.tenant


def apply(table: KeyTable, key: NewKey, tenant: str = "acme", revoked_ms: int | None = None) -> None:
    record = msgspec.structs.replace(key.record(tenant, 5), revoked_ms=revoked_ms)
    assert table.apply(key.id.encode(), msgspec.json.encode(record))


@given(st.text())
def test_no_text_breaks_the_table(text: str) -> None:
    """Whatever is presented, the answer is a tenant or none."""
    table = KeyTable()
    apply(table, new_key(bytes(ENTROPY_BYTES)))
    assert tenant_of(table, text) is None


def test_a_key_opens_its_tenant_until_it_is_revoked() -> None:
    """The last record of an id holds; another key's secret with this id opens nothing."""
    key, other = new_key(bytes([1]) * ENTROPY_BYTES), new_key(bytes([2]) * ENTROPY_BYTES)
    table = KeyTable()
    assert tenant_of(table, key.text) is None
    apply(table, key)
    apply(table, other, tenant="other")
    assert tenant_of(table, key.text) == "acme"
    assert tenant_of(table, other.text) == "other"
    forged = new_key(bytes([1]) * 8 + bytes([2]) * 32)
    assert forged.id == key.id
    assert tenant_of(table, forged.text) is None
    apply(table, key, revoked_ms=9)
    assert tenant_of(table, key.text) is None
    assert tenant_of(table, other.text) == "other"
    assert [record.revoked_ms for record in table.records() if record.id == key.id] == [9]


def test_a_record_that_cannot_be_read_closes_its_key() -> None:
    """It may have been a revocation; all other keys stay as they are."""
    key, other = new_key(bytes([1]) * ENTROPY_BYTES), new_key(bytes([2]) * ENTROPY_BYTES)
    record = key.record("acme", 5)
    misplaced = msgspec.json.encode(msgspec.structs.replace(record, id=other.id))
    for value in (b"", b"{}", b"\xff", msgspec.json.encode({"id": key.id}), misplaced):
        table = KeyTable()
        apply(table, key)
        apply(table, other, tenant="other")
        assert not table.apply(key.id.encode(), value)
        assert tenant_of(table, key.text) is None
        assert tenant_of(table, other.text) == "other"
    assert not table.apply(None, b"{}")
    assert not table.apply(b"\xff", msgspec.json.encode(record))


def test_a_record_without_a_value_removes_its_key() -> None:
    key = new_key(bytes(ENTROPY_BYTES))
    table = KeyTable()
    apply(table, key)
    assert table.apply(key.id.encode(), None)
    assert tenant_of(table, key.text) is None
    assert table.records() == []


def test_records_come_oldest_first() -> None:
    table = KeyTable()
    for name, created_ms in (("a", 3), ("b", 1), ("c", 2)):
        record = ApiKeyRecord(id=name, tenant="t", sha256="0" * 64, created_ms=created_ms)
        table.apply(name.encode(), msgspec.json.encode(record))
    assert [record.id for record in table.records()] == ["b", "c", "a"]


def test_an_expired_key_opens_nothing() -> None:
    """It opens its tenant up to the millisecond before it expires."""
    key = new_key(bytes(ENTROPY_BYTES))
    table = KeyTable()
    table.apply(key.id.encode(), msgspec.json.encode(key.record("acme", 5, expires_ms=NOW_MS)))
    assert tenant_of(table, key.text, NOW_MS - 1) == "acme"
    assert tenant_of(table, key.text, NOW_MS) is None
    assert tenant_of(table, key.text, NOW_MS + 1) is None


def test_records_of_an_older_version_are_read() -> None:
    """A record without the later fields is a key without a name that never expires."""
    key = new_key(bytes(ENTROPY_BYTES))
    old = {"id": key.id, "tenant": "acme", "sha256": key.record("acme", 5).sha256, "created_ms": 5}
    table = KeyTable()
    assert table.apply(key.id.encode(), msgspec.json.encode(old))
    record = table.admit(key.text, NOW_MS)
    assert record is not None
    assert (record.name, record.expires_ms, record.revoked_ms) == ("", None, None)


def test_a_last_use_never_changes_who_may_enter() -> None:
    """It stands beside the key's record: it revives no revoked key, an unreadable one closes none."""
    key = new_key(bytes(ENTROPY_BYTES))
    used = (key.id + LAST_USED_SUFFIX).encode()
    table = KeyTable()
    assert table.apply(used, msgspec.json.encode(LastUsed(used_ms=7)))
    assert table.records() == []
    apply(table, key)
    assert not table.apply(used, b"x")
    assert (tenant_of(table, key.text), table.last_used_ms(key.id)) == ("acme", 7)
    apply(table, key, revoked_ms=8)
    for used_ms in (9, 8):
        assert table.apply(used, msgspec.json.encode(LastUsed(used_ms=used_ms)))
    assert (tenant_of(table, key.text), table.last_used_ms(key.id)) == (None, 9)
    assert table.apply(used, None)
    assert table.last_used_ms(key.id) is None


def record_of(record: ApiKeyRecord) -> Record:
    return record.id.encode(), msgspec.json.encode(record)


def revocation(key_id: str, revoked_ms: int = 9) -> Record:
    return (key_id + REVOKED_SUFFIX).encode(), msgspec.json.encode(Revoked(revoked_ms=revoked_ms))


def table_of(log: list[Record]) -> KeyTable:
    table = KeyTable()
    for key, value in log:
        table.apply(key, value)
    return table


def compacted(log: list[Record]) -> list[Record]:
    """What Kafka keeps in the end: the last record of each key, where it stood."""
    last = {key: at for at, (key, _) in enumerate(log)}
    return [log[at] for at in sorted(last.values())]


KEY, OTHER, NEXT, LATER = (new_key(bytes([number]) * ENTROPY_BYTES) for number in range(1, 5))
BESIDE: list[Record] = [
    record_of(KEY.record("acme", 5)),
    record_of(KEY.record("acme", 5, name="a stale copy", expires_ms=NOW_MS * 2)),
    record_of(NEXT.record("acme", 6, follows=Follows(id=KEY.id, until_ms=NOW_MS * 3))),
    record_of(LATER.record("acme", 7, follows=Follows(id=KEY.id, until_ms=NOW_MS * 4))),
    ((KEY.id + LAST_USED_SUFFIX).encode(), msgspec.json.encode(LastUsed(used_ms=8))),
    (KEY.id.encode(), b"{"),
    (KEY.id.encode(), None),
]
REVOCATIONS: list[Record] = [
    revocation(KEY.id),
    ((KEY.id + REVOKED_SUFFIX).encode(), b"{"),
    ((KEY.id + REVOKED_SUFFIX).encode(), None),
    record_of(msgspec.structs.replace(KEY.record("acme", 5), revoked_ms=9)),  # of an earlier version
]


@given(
    st.lists(st.sampled_from(BESIDE)),
    st.sampled_from(REVOCATIONS),
    st.lists(st.sampled_from(BESIDE + REVOCATIONS)),
)
def test_a_revoked_key_stays_revoked(before: list[Record], revoked: Record, after: list[Record]) -> None:
    """Whatever records come before and after, in any order and any number, and no other key goes with it."""
    table = table_of([record_of(OTHER.record("other", 5)), *before])
    for key, value in (revoked, *after):
        table.apply(key, value)
        assert tenant_of(table, KEY.text) is None
        assert tenant_of(table, OTHER.text) == "other"
    of_key = [record for record in table.records() if record.id == KEY.id]
    assert all(record.revoked_ms is not None for record in of_key)


def test_a_stale_copy_of_a_key_does_not_undo_its_revocation() -> None:
    """What was read before the revocation and is written after it: the key stays revoked."""
    table = table_of(
        [record_of(KEY.record("acme", 5)), revocation(KEY.id, 7), record_of(KEY.record("acme", 5))]
    )
    assert tenant_of(table, KEY.text) is None, "a revoked key lives again"
    record = table.get(KEY.id)
    assert record is not None
    assert record.revoked_ms == 7


def test_a_rotation_ends_the_old_key_and_takes_its_place() -> None:
    """Both live until the overlap is over or the old one expires; revoked, each goes alone."""
    new = NEXT.record("acme", 6, follows=Follows(id=KEY.id, until_ms=50))
    for expires_ms, end_ms in ((None, 50), (40, 40), (60, 50)):
        log = [record_of(KEY.record("acme", 5, expires_ms=expires_ms)), record_of(new)]
        table = table_of(log)
        assert [tenant_of(table, KEY.text, now) for now in (end_ms - 1, end_ms)] == ["acme", None]
        assert tenant_of(table, NEXT.text, end_ms) == "acme"
        old = table.get(KEY.id)
        assert old is not None
        assert (old.followed_by, old.expires_ms) == (NEXT.id, end_ms)
        for gone, left in ((KEY, NEXT), (NEXT, KEY)):
            table = table_of([*log, revocation(gone.id)])
            assert [tenant_of(table, key.text, 10) for key in (gone, left)] == [None, "acme"]


@given(st.permutations([NEXT, LATER, OTHER]), st.integers(0, 3))
def test_one_key_takes_the_place_of_another(order: list[NewKey], at: int) -> None:
    """Of several that follow one key, the first in the topic does; the others open nothing."""
    log = [record_of(key.record("acme", 6, follows=Follows(id=KEY.id, until_ms=50))) for key in order]
    log.insert(at, record_of(KEY.record("acme", 5)))
    for written in (log, log + log):
        table = table_of(written)
        assert [tenant_of(table, key.text) for key in order] == ["acme", None, None]
        old = table.get(KEY.id)
        assert old is not None
        assert old.followed_by == order[0].id


@given(st.data())
def test_compaction_changes_nothing(data: st.DataObject) -> None:
    """Of a log as our programs write it, at whatever place Kafka has compacted it."""
    keys = [new_key(bytes([number]) * ENTROPY_BYTES) for number in range(6)]
    log: list[Record] = []
    for number, key in enumerate(keys):
        earlier = st.sampled_from(keys[:number]) if number else st.nothing()
        follows = data.draw(st.none() | st.builds(lambda old: Follows(id=old.id, until_ms=900), earlier))
        log.append(record_of(key.record("acme", number, follows=follows)))
        for other in data.draw(st.lists(st.sampled_from(keys[: number + 1]), max_size=3)):
            revoked = st.builds(revocation, st.just(other.id), st.integers(1, 9))
            used = st.just(((other.id + LAST_USED_SUFFIX).encode(), msgspec.json.encode(LastUsed(used_ms=3))))
            log.append(data.draw(revoked | used))
    cut = data.draw(st.integers(0, len(log)))
    whole, short = table_of(log), table_of(compacted(log[:cut]) + log[cut:])
    for now in (NOW_MS, 899):
        assert [tenant_of(short, key.text, now) for key in keys] == [
            tenant_of(whole, key.text, now) for key in keys
        ]


def test_keys_of_an_earlier_version_stay_as_they_were() -> None:
    """It kept a revocation and the end of a rotated key in the key's own record."""
    ended = msgspec.structs.replace(KEY.record("acme", 5, expires_ms=50), followed_by=NEXT.id)
    table = table_of([record_of(ended), record_of(NEXT.record("acme", 6))])
    assert [tenant_of(table, KEY.text, now) for now in (49, 50)] == ["acme", None]
    assert tenant_of(table, NEXT.text, 50) == "acme"
    table.apply(*record_of(msgspec.structs.replace(ended, revoked_ms=9)))
    assert [tenant_of(table, key.text, 49) for key in (KEY, NEXT)] == [None, "acme"]


def changed(**fields: Any) -> bytes:
    """The record of a key in JSON with other fields."""
    return json.dumps({**msgspec.to_builtins(KEY.record("acme", 5)), **fields}).encode()


ODD: dict[str, bytes] = {
    "the year 3 million": changed(created_ms=94_670_000_000_000_000),
    "2^62": changed(expires_ms=2**62),
    "2^70": changed(expires_ms=2**70),
    "before 1970": changed(created_ms=-1),
    "no whole number": changed(created_ms=1.5),
    "a hash that is no ASCII": changed(sha256="é" * 64),
    "a hash that is short": changed(sha256="0" * 63),
    "a tenant that is no text": changed(tenant=7),
    "no tenant": changed(tenant=""),
    "half a character": changed(tenant="\ud800"),
    "a huge tenant": changed(tenant="t" * 500_000),
    "a huge name": changed(name="n" * 500_000),
    "a successor that is no id": changed(followed_by=KEY.id + REVOKED_SUFFIX),
    "follows without an end": changed(follows={"id": OTHER.id}),
    "no UTF-8": changed(tenant="TENANT").replace(b"TENANT", b"\xff"),
    "no JSON": b"{",
    "null": b"null",
    "nothing": b"",
    "nested without end": changed()[:-1] + b', "more": ' + b"[" * 400_000 + b"]" * 400_000 + b"}",
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_record_opens_nothing_and_breaks_nothing(name: str) -> None:
    """It closes its own key, as it may have been a revocation; all others are asked and shown as ever."""
    table = table_of([record_of(KEY.record("acme", 5)), record_of(OTHER.record("other", 5))])
    assert not table.apply(KEY.id.encode(), ODD[name])
    assert tenant_of(table, KEY.text) is None
    assert tenant_of(table, OTHER.text) == "other"
    assert [record.id for record in table.records()] == [OTHER.id]


@pytest.mark.parametrize("used", [b"{", b'{"used_ms": 94670000000000000}', b'{"used_ms": "x"}', b"\xff"])
def test_an_odd_last_use_is_none(used: bytes) -> None:
    table = table_of([record_of(KEY.record("acme", 5))])
    assert not table.apply((KEY.id + LAST_USED_SUFFIX).encode(), used)
    assert (tenant_of(table, KEY.text), table.last_used_ms(KEY.id)) == ("acme", None)


@given(st.none() | st.binary(), st.none() | st.binary() | st.sampled_from(list(ODD.values())))
def test_no_record_breaks_the_table(key: bytes | None, value: bytes | None) -> None:
    table = table_of([record_of(OTHER.record("other", 5))])
    table.apply(key, value)
    assert tenant_of(table, OTHER.text) == "other"
