"""Pseudonyms: the same for the same key and address, and for no other."""

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.counting.facts import PSEUDONYM_BYTES, RECIPIENT_KEY_BYTES, Pseudonyms, key_check
from tests.aggregator.law import pseudonym

addresses = st.text(st.characters(codec="utf-8"))
keys = st.one_of(st.just(b""), st.binary(min_size=RECIPIENT_KEY_BYTES[0], max_size=RECIPIENT_KEY_BYTES[1]))


@given(keys, st.lists(addresses, max_size=5))
def test_a_pseudonym_is_a_function_of_key_and_address(key: bytes, asked: list[str]) -> None:
    """Whatever was asked before: BLAKE2b of the address with the key, 16 bytes."""
    pseudonyms = Pseudonyms(key)
    for address in [*asked, *asked[::-1]]:
        found = pseudonyms.of(address)
        assert found == pseudonym(address, key) == Pseudonyms(key).of(address)
        assert len(found) == PSEUDONYM_BYTES == 16


@given(keys, keys, addresses, addresses)
def test_other_keys_and_addresses_have_other_pseudonyms(
    key: bytes, other_key: bytes, address: str, other: str
) -> None:
    """Byte for byte: no case is folded and nothing is normalised."""
    same = (key, address) == (other_key, other)
    assert (Pseudonyms(key).of(address) == Pseudonyms(other_key).of(other)) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [("ada@example.com", "Ada@example.com"), ("\u00e9@x", "e\u0301@x"), ("a@x", "a@x "), ("", "\x00")],
)
def test_addresses_compare_byte_for_byte(one: str, other: str) -> None:
    assert Pseudonyms(b"").of(one) != Pseudonyms(b"").of(other)


def test_a_key_of_any_allowed_length_decides() -> None:
    """The longest key counts to its last byte; a key is not its own padding with zeros."""
    longest = b"k" * 63
    found = {Pseudonyms(key).of("a@x") for key in (b"", longest, longest + b"\0", longest + b"\1", b"k" * 16)}
    assert len(found) == 5


def test_without_a_key_it_is_the_plain_hash() -> None:
    """As any tool finds it: the value is that of `b2sum -l 128`."""
    assert Pseudonyms(b"").of("ada@example.com").hex() == "25244d0e2817fc7a370a42f46e5dd258"
    assert Pseudonyms(b"").of("") == blake2b(digest_size=16).digest()


@given(keys, keys)
def test_the_check_of_a_key_is_the_same_for_this_key_alone(key: bytes, other: bytes) -> None:
    """And it is no pseudonym of the words that it is made of."""
    assert (key_check(key) == key_check(other)) == (key == other)
    assert bytes.fromhex(key_check(key)) != Pseudonyms(key).of("key check")
