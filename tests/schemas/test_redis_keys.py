"""Keys: what is in them is safe there, and what made them can be told from them."""

from urllib.parse import unquote
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.redis_keys import (
    FORMER_KEYS,
    LEASE_KEY,
    RECORD_KEY,
    days_key,
    generation_of,
    lane_key,
    lane_of,
    safe_id,
    unsafe_id,
)

texts = st.text(st.characters(codec="utf-8"), max_size=4)


@given(st.text(st.characters(codec="utf-8")))
def test_a_tenant_in_a_key_is_safe_and_stays_itself(tenant: str) -> None:
    """Nothing that a key or a hash slot reads, and no two tenants in one key."""
    safe = safe_id(tenant)
    assert safe.isascii()
    assert not set(safe) & set("{}:*?[]\\ \x00\n")
    assert unsafe_id(safe) == unquote(safe) == tenant


def test_a_tenant_in_a_key_is_spelled_as_the_layout_says() -> None:
    """The spelling is part of the layout: all programs meet in these keys, and so do releases."""
    assert safe_id("Acme-1_2.x~@y") == "Acme-1_2.x~@y"
    assert safe_id("a/b:{c} ü%") == "a%2Fb%3A%7Bc%7D%20%C3%BC%25"


@given(texts | st.text(st.characters(codec="utf-8"), min_size=50), st.integers(1, 64))
def test_a_tenants_lane_is_the_checksum_of_its_bytes(tenant: str, lanes: int) -> None:
    """CRC-32 of the UTF-8, modulo the number of lanes: the same in every program and every release."""
    assert lane_of(tenant, lanes) == crc32(tenant.encode("utf-8")) % lanes
    assert lane_of("123456789", lanes) == 0xCBF43926 % lanes, "the check value of CRC-32"


@given(st.text("0123456789abcdef", min_size=1), st.integers(0, 99), texts)
def test_every_key_of_a_lane_says_whose_it_is(generation: str, lane: int, tenant: str) -> None:
    """And lies in the hash slot of its lane: the braces hold the same text, and there are no others."""
    key = lane_key(generation, lane)
    days = days_key(key, safe_id(tenant))
    assert days == f"{{{generation}:{lane}}}:d:{safe_id(tenant)}"
    assert days.count("{") == days.count("}") == 1
    assert generation_of(key.encode()) == generation_of(days.encode()) == generation


@pytest.mark.parametrize(
    "key", [RECORD_KEY, LEASE_KEY, *FORMER_KEYS, "", "{g}", "{g:}", "{g:x}:n", "x{g:1}", "{:1}", "{a:b:1}"]
)
def test_other_keys_are_of_no_generation(key: str) -> None:
    assert generation_of(key.encode()) is None


def test_a_key_of_others_need_not_be_a_text() -> None:
    """Redis's keys are bytes; whoever put these there, they end no command of ours."""
    assert generation_of(b"{\xff:1}") == "\ufffd"
