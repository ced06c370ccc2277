"""The text of a key and the table of keys: what opens a tenant, and what does not."""

import string
from zlib import crc32

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from api.keys import ENTROPY_BYTES, KEY_LENGTH, KeyTable, NewKey, key_id, new_key
from schemas.keys import LAST_USED_SUFFIX, ApiKeyRecord, LastUsed

entropy = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


NOW_MS = 1_000


def tenant_of(table: KeyTable, text: str, now_ms: int = NOW_MS) -> str | None:
    record = table.admit(text, now_ms)
    return None if record is None else record.tenant


def told(table: KeyTable, key: NewKey, tenant: str = "acme", revoked_ms: int | None = None) -> None:
    record = msgspec.structs.replace(key.record(tenant, 5), revoked_ms=revoked_ms)
    assert table.apply(key.id.encode(), msgspec.json.encode(record))


@given(entropy, entropy)
def test_a_key_is_one_word_with_a_public_id(first: bytes, second: bytes) -> None:
    """Prefix, id, secret and checksum in letters and digits alone; other entropy is another key."""
    key = new_key(first)
    assert len(key.text) == KEY_LENGTH == 65
    assert key.text.startswith("sesm_" + key.id)
    assert set(key.text[5:]) <= set(string.ascii_letters + string.digits)
    assert key_id(key.text) == key.id
    assert (new_key(second).text == key.text) == (first == second)


def test_the_checksum_is_the_crc32_of_all_before_it() -> None:
    text = new_key(bytes(range(ENTROPY_BYTES))).text
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    number = 0
    for digit in text[-6:]:
        number = number * 62 + digits.index(digit)
    assert number == crc32(text[:-6].encode())


@given(entropy, st.integers(0, 64), st.characters(codec="utf-8"))
def test_a_mistyped_key_is_no_key(bits: bytes, at: int, typed: str) -> None:
    text = new_key(bits).text
    assume(text[at] != typed)
    assert key_id(text[:at] + typed + text[at + 1 :]) is None
    assert key_id(text[:at]) is None
    assert key_id(text + typed) is None


@given(st.text())
def test_no_text_breaks_the_table(text: str) -> None:
    """Whatever is presented, the answer is a tenant or none."""
    table = KeyTable()
    told(table, new_key(bytes(ENTROPY_BYTES)))
    assert tenant_of(table, text) is None


def test_the_record_does_not_hold_the_key() -> None:
    """What is stored opens nothing: neither the text nor the secret part of it."""
    key = new_key(bytes(range(ENTROPY_BYTES)))
    stored = msgspec.json.encode(key.record("acme", 5)).decode()
    assert key.text[16:59] not in stored
    assert key.text not in repr(key)


def test_a_key_opens_its_tenant_until_it_is_revoked() -> None:
    """The last record of an id holds; another key's secret with this id opens nothing."""
    key, other = new_key(bytes([1]) * ENTROPY_BYTES), new_key(bytes([2]) * ENTROPY_BYTES)
    table = KeyTable()
    assert tenant_of(table, key.text) is None
    told(table, key)
    told(table, other, tenant="other")
    assert tenant_of(table, key.text) == "acme"
    assert tenant_of(table, other.text) == "other"
    forged = new_key(bytes([1]) * 8 + bytes([2]) * 32)
    assert forged.id == key.id
    assert tenant_of(table, forged.text) is None
    told(table, key, revoked_ms=9)
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
        told(table, key)
        told(table, other, tenant="other")
        assert not table.apply(key.id.encode(), value)
        assert tenant_of(table, key.text) is None
        assert tenant_of(table, other.text) == "other"
    assert not table.apply(None, b"{}")
    assert not table.apply(b"\xff", msgspec.json.encode(record))


def test_a_record_without_a_value_removes_its_key() -> None:
    key = new_key(bytes(ENTROPY_BYTES))
    table = KeyTable()
    told(table, key)
    assert table.apply(key.id.encode(), None)
    assert tenant_of(table, key.text) is None
    assert table.records() == []


def test_records_come_oldest_first() -> None:
    table = KeyTable()
    for name, created_ms in (("a", 3), ("b", 1), ("c", 2)):
        record = ApiKeyRecord(id=name, tenant="t", sha256="", created_ms=created_ms)
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
    told(table, key)
    assert not table.apply(used, b"x")
    assert (tenant_of(table, key.text), table.last_used_ms(key.id)) == ("acme", 7)
    told(table, key, revoked_ms=8)
    for used_ms in (9, 8):
        assert table.apply(used, msgspec.json.encode(LastUsed(used_ms=used_ms)))
    assert (tenant_of(table, key.text), table.last_used_ms(key.id)) == (None, 9)
    assert table.apply(used, None)
    assert table.last_used_ms(key.id) is None
