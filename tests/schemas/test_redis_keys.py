"""Keys: what is in them is safe there, and what made them can be told from them."""

from urllib.parse import unquote
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.redis_keys import (
    BLOCK_DAYS,
    FAMILIES_MAX,
    FORMER_KEYS,
    LEASE_KEY,
    RECORD_KEY,
    CounterField,
    block_of_member,
    counter_field,
    counters_key,
    days_of,
    generation_of,
    known_key,
    lane_key,
    lane_of,
    member_of_block,
    member_of_id,
    read_counter_field,
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
    known, counters = known_key(key, safe_id(tenant)), counters_key(key, safe_id(tenant), -3)
    assert known == f"{{{generation}:{lane}}}:i:{safe_id(tenant)}"
    assert counters == f"{{{generation}:{lane}}}:c:{safe_id(tenant)}:-3"
    for each in (key, known, counters):
        assert each.count("{") == each.count("}") == 1
        assert generation_of(each.encode()) == generation


@pytest.mark.parametrize(
    "key", [RECORD_KEY, LEASE_KEY, *FORMER_KEYS, "", "{g}", "{g:}", "{g:x}:n", "x{g:1}", "{:1}", "{a:b:1}"]
)
def test_other_keys_are_of_no_generation(key: str) -> None:
    assert generation_of(key.encode()) is None


def test_a_key_of_others_need_not_be_a_text() -> None:
    """Redis's keys are bytes; whoever put these there, they end no command of ours."""
    assert generation_of(b"{\xff:1}") == "\ufffd"


# Fields and members

days = st.integers(-719_162, 2_932_896)  # what a timestamp can say
blocks = st.integers(-719_162 // BLOCK_DAYS, 2_932_896 // BLOCK_DAYS)
scopes = st.integers(1, 255)


@given(days, st.integers(0, FAMILIES_MAX - 1), scopes, texts)
def test_a_field_says_whose_counts_it_holds(day: int, family: int, scope: int, raw: str) -> None:
    """Day, family, scope and id, whatever the id's bytes; the block has the rest of the day."""
    block = day // BLOCK_DAYS
    assert read_counter_field(block, counter_field(day, family, scope, raw)) == CounterField(
        day, family, scope, raw.encode()
    )
    assert read_counter_field(block, counter_field(day, family, 0)) == CounterField(day, family, 0, b"")
    assert counter_field(day, family, scope, raw)[1:] == member_of_id(scope, raw)


def test_no_two_days_or_families_share_a_field() -> None:
    """All that the first byte has room for."""
    fields = {counter_field(day, family, 0) for day in days_of(2_500) for family in range(FAMILIES_MAX)}
    assert len(fields) == 256
    with pytest.raises(ValueError, match="range"):
        counter_field(0, FAMILIES_MAX, 0)


@pytest.mark.parametrize("field", [b"", b"\0"])
def test_what_is_no_field_is_damage(field: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        read_counter_field(0, field)


@given(blocks, blocks)
def test_blocks_stand_in_order_of_time(one: int, other: int) -> None:
    """As members of a sorted set, which has them by their bytes; also those before 1970."""
    assert block_of_member(member_of_block(one)) == one
    assert (member_of_block(one) < member_of_block(other)) is (one < other)


@given(blocks, scopes, texts, scopes, texts)
def test_ids_stand_by_scope_and_behind_all_blocks(
    block: int, scope: int, raw: str, other: int, beside: str
) -> None:
    """So both can be listed from a member on, without the other ones."""
    member = member_of_id(scope, raw)
    assert b"\0" < member_of_block(block) < b"\1" <= member
    assert (member < member_of_id(other, beside)) is ((scope, raw.encode()) < (other, beside.encode()))


@given(days)
def test_a_day_is_in_its_block(day: int) -> None:
    assert day in days_of(day // BLOCK_DAYS)
    assert len(days_of(day // BLOCK_DAYS)) == BLOCK_DAYS
