"""Message state: what is remembered of a message and recipient, so that each fact counts once. Pure.

A state is a number of mixed radix, a digit for each kind of its *key group*: 0 where the kind is not counted,
else 1 plus the quarter of an hour it is counted in. The first digit counts from the start of the send day;
the others from the quarter of the first, around the end of what they can say, and from the start of the day
where the first is 0. So what happens soon after it is a small number, which Redis stores in few bytes.

Identity. A message and recipient are known by a hash of tenant, message id, further scopes, key group and
pseudonym, and of the number of the tenant's erasure where it was erased: 48 bits that are stored, and 32 bits
that choose the bucket among those of the lane, horizon and send day. Two of them are taken for one where the
stored bits agree within a bucket, which holds some 200 (`aggregator/counters/apply.lua`), of any tenants of
the lane. So one new entry in `mistaken(200)`, some 10^12, is taken for another: with a million mails a day
once in some thousands of years, with a hundred billion events a month once in some years. The hash is made
with a secret of the generation, so nobody outside can look for a message that would be taken for somebody
else's.
"""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

import msgspec

from aggregator.counting.facts import Scopes
from aggregator.counting.rules import NO_ERASURES, Erasures
from schemas.instants import QUARTER_MS, QUARTERS
from schemas.kinds import FAMILIES, FIELDS, HORIZONS, KEY_GROUPS, KINDS, Kind
from schemas.packed_counter import cell_bytes

ID_BYTES: Final = 6
"""Of an identity that are stored."""


class Digit(NamedTuple):
    """Where a kind stands in the states of its key group, and in the counters.

    divisor: of the digit. last: the greatest that it can be, one more than the last quarter. family: its
    number. place: of the kind in its family.
    """

    divisor: int
    last: int
    family: int
    place: int


def _last(kind: Kind) -> int:
    """The quarters from the start of the send day to the horizon."""
    if kind.body is None:  # it has no time of its own and happens in the quarter of the send
        return QUARTERS
    return QUARTERS + kind.horizon.late_ms // QUARTER_MS


def _place(kind: Kind) -> tuple[int, int]:
    """The family's number, and the place in it."""
    return list(FAMILIES).index(kind.family), FAMILIES[kind.family].index(kind.field)


def _digits() -> dict[int, tuple[int, Digit]]:
    """The key group (its place in `KEY_GROUPS`) and the digit of each kind (its index)."""
    found = {}
    for group, key_group in enumerate(KEY_GROUPS):
        mine = [index for index, kind in enumerate(KINDS) if kind.key_group == key_group]
        # A kind first, then what is part of it: they are usual together.
        mine.sort(key=lambda index: (FIELDS.index(KINDS[index].part_of or FIELDS[index]), index))
        divisor = 1
        for index in mine:
            found[index] = group, Digit(divisor, _last(KINDS[index]), *_place(KINDS[index]))
            divisor *= found[index][1].last + 1
        assert divisor <= 2**53, f"a state of {key_group.name} fits a number of Lua"
        assert len({KINDS[index].per_message for index in mine}) == 1, "messages or recipients, not both"
    return found


_OF_KIND: Final = _digits()

DIGITS: Final = tuple(
    [digit for of, digit in _OF_KIND.values() if of == group] for group in range(len(KEY_GROUPS))
)
"""Of each key group, the digits of its states."""

HORIZON_OF: Final = tuple(HORIZONS.index(key_group.horizon) for key_group in KEY_GROUPS)
"""Of each key group, the place of its horizon in `HORIZONS`."""


def _read(group: int, state: int) -> list[int]:
    """For each digit 0, or 1 plus its quarter from the start of the send day."""
    found: list[int] = []
    for divisor, last, _, _ in DIGITS[group]:
        digit = state // divisor % (last + 1)
        if digit and found and found[0]:
            digit = (digit + found[0] - 2) % last + 1
        found.append(digit)
    return found


def _write(group: int, quarters: list[int]) -> int:
    """The state that says so."""
    state = first = quarters[0]
    for (divisor, last, _, _), digit in zip(DIGITS[group][1:], quarters[1:], strict=True):
        if digit:
            state += ((digit - first) % last + 1 if first else digit) * divisor
    return state


@lru_cache(maxsize=8_192)
def states_of(kinds: tuple[int, ...], quarter: int) -> tuple[tuple[int, int], ...]:
    """What an event adds to the states of each of its messages or recipients.

    kinds: indices into `KINDS`. quarter: from the start of the send day.
    Returns: (key group, state) for each key group that has any of the kinds.
    """
    found: dict[int, list[int]] = {}
    for kind in kinds:
        group, digit = _OF_KIND[kind]
        quarters = found.setdefault(group, [0] * len(DIGITS[group]))
        quarters[DIGITS[group].index(digit)] = quarter + 1
    return tuple((group, _write(group, quarters)) for group, quarters in found.items())


def group_of(kind: int) -> int:
    """The key group in whose states a kind stands. kind: an index into `KINDS`."""
    return _OF_KIND[kind][0]


def quarter_of(kind: int, state: int) -> int | None:
    """Where a state of its key group says that a kind is counted; none where it is not.

    kind: an index into `KINDS`. Returns: the quarter of an hour, from the start of the send day.
    """
    group, digit = _OF_KIND[kind]
    found = _read(group, state)[DIGITS[group].index(digit)]
    return found - 1 if found else None


@lru_cache(maxsize=65_536)
def merged(group: int, state: int, newer: int) -> int:
    """A state with another one in it: each kind at its least quarter. group: of both."""
    both = zip(_read(group, state), _read(group, newer), strict=True)
    return _write(group, [min(had, digit) if had and digit else had or digit for had, digit in both])


@lru_cache(maxsize=65_536)
def counts_of(group: int, state: int) -> tuple[tuple[tuple[int, int], bytes], ...]:
    """What a state counts for: ((days after the send day, family), cells for `pack_counts`)."""
    found: dict[tuple[int, int], bytes] = {}
    for (_, _, family, place), digit in zip(DIGITS[group], _read(group, state), strict=True):
        if digit:
            days, quarter = divmod(digit - 1, QUARTERS)
            of = days, family
            found[of] = found.get(of, b"") + cell_bytes(quarter, place)
    return tuple(found.items())


_DIGEST_BYTES: Final = 10
_encode: Final = msgspec.msgpack.encode
_halves: Final = Struct(f">{ID_BYTES}sI").unpack
_GROUP_BYTES: Final = [bytes((group,)) for group in range(len(KEY_GROUPS))]


class Identities:
    """Makes identities for one generation.

    What was remembered of a tenant before it was erased cannot be found among what a lane remembers of all
    its tenants, so it is not removed: under the number of the erasure the tenant's messages have other
    identities, and what lies under the old ones is never looked for again, and expires.
    """

    def __init__(self, identity_key: str, erasures: Erasures = NO_ERASURES) -> None:
        """identity_key: as in `schemas.counters.Generation`. erasures: all that there are."""
        self.erasures: Final = erasures
        self._begun = blake2b(digest_size=_DIGEST_BYTES, salt=bytes.fromhex(identity_key))

    def of(
        self, scopes: Scopes, entries: dict[tuple[str, bytes | None, int], int]
    ) -> Iterator[tuple[bytes, int]]:
        """The identity of each message and recipient.

        scopes: of all of them. entries: by message id, pseudonym or none, and key group.
        Returns: for each the stored id and the number (32 bits) that chooses the bucket, in their order.
        """
        begin = self._begun.copy
        last, mail = None, begin()
        erased = self.erasures.table.get(scopes.tenant)
        of: object = scopes.ids if erased is None else (scopes.ids, erased.number)
        for message_id, recipient, group in entries:
            if message_id is not last:  # what its recipients and key groups share is hashed once
                last, mail = message_id, begin()
                mail.update(_encode((scopes.tenant, message_id, of)))
            hashed = mail.copy()
            hashed.update(_GROUP_BYTES[group] + recipient if recipient else _GROUP_BYTES[group])
            yield _halves(hashed.digest())


def mistaken(bucket: int) -> float:
    """In how many new entries one is taken for another one. bucket: how many share a bucket with it."""
    return 2.0 ** (8 * ID_BYTES) / bucket
