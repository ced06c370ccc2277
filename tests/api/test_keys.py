"""The text of a key and the table of keys: what opens a tenant, and what does not."""

import string
from zlib import crc32

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from api.keys import ENTROPY_BYTES, KEY_LENGTH, KeyTable, NewKey, key_id, new_key
from schemas.keys import ApiKeyRecord

entropy = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


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
    assert table.tenant_of(text) is None


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
    assert table.tenant_of(key.text) is None
    told(table, key)
    told(table, other, tenant="other")
    assert table.tenant_of(key.text) == "acme"
    assert table.tenant_of(other.text) == "other"
    forged = new_key(bytes([1]) * 8 + bytes([2]) * 32)
    assert forged.id == key.id
    assert table.tenant_of(forged.text) is None
    told(table, key, revoked_ms=9)
    assert table.tenant_of(key.text) is None
    assert table.tenant_of(other.text) == "other"
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
        assert table.tenant_of(key.text) is None
        assert table.tenant_of(other.text) == "other"
    assert not table.apply(None, b"{}")
    assert not table.apply(b"\xff", msgspec.json.encode(record))


def test_a_record_without_a_value_removes_its_key() -> None:
    key = new_key(bytes(ENTROPY_BYTES))
    table = KeyTable()
    told(table, key)
    assert table.apply(key.id.encode(), None)
    assert table.tenant_of(key.text) is None
    assert table.records() == []


def test_records_come_oldest_first() -> None:
    table = KeyTable()
    for name, created_ms in (("a", 3), ("b", 1), ("c", 2)):
        record = ApiKeyRecord(id=name, tenant="t", sha256="", created_ms=created_ms)
        table.apply(name.encode(), msgspec.json.encode(record))
    assert [record.id for record in table.records()] == ["b", "c", "a"]
