"""The text of a key: what can be read off it, and that nothing else is a key."""

import string
from zlib import crc32

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from api.keys.form import ENTROPY_BYTES, KEY_LENGTH, key_id, new_key

entropy = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


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


def test_the_record_does_not_hold_the_key() -> None:
    """What is stored opens nothing: neither the text nor the secret part of it."""
    key = new_key(bytes(range(ENTROPY_BYTES)))
    stored = msgspec.json.encode(key.record("acme", 5)).decode()
    assert key.text[16:59] not in stored
    assert key.text not in repr(key)
