"""From facts to one packed call: the argument of `apply.lua`.

Pure. A call is for one lane. It holds, for each message and recipient, the state that these facts give it
(`states`), and beside that the counts as they would be if every fact were new; the script takes back what was
counted before. So Python does the bulk of the counting, and Redis only corrects.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgpack

from aggregator.counting.checkpoints import Move
from aggregator.counting.facts import Facts, Scopes
from aggregator.counting.states import DIGITS, HORIZON_OF, Identities, counts_of, merged, states_of
from schemas.kinds import HORIZONS
from schemas.packed_counter import pack_counts
from schemas.redis_keys import BLOCK_DAYS, TENANT_SCOPE, counter_field, member_of_id, safe_id

_HORIZONS: Final = [(horizon.name, horizon.stale_ms // 1000) for horizon in HORIZONS]
_PACKER: Final = msgpack.Packer(use_bin_type=False, autoreset=True)
"""Writes bytes as strings: Redis's cmsgpack knows no `bin`, and msgspec writes bytes as nothing else."""

_Entries = dict[tuple[str, bytes | None, int], int]
"""The state of each (message id, pseudonym or none, key group)."""

_Row = tuple[int, bytes, str, int, int]
"""An entry: bucket hash, id, state, key group (from 1), and which of the call's scopes it is of (from 1)."""


def fold(facts: Iterable[Facts]) -> dict[tuple[Scopes, int], _Entries]:
    """Merge events, each kind at its least quarter.

    Returns: for each scopes and send day, the states of its messages and recipients.
    """
    mails: dict[tuple[Scopes, int], _Entries] = {}
    for each in facts:
        of = each.scopes, each.day
        entries = mails.get(of)
        if entries is None:
            entries = mails[of] = {}
        message_id = each.message_id
        for group, state in states_of(each.kinds, each.quarter):
            for recipient in each.recipients:
                key = message_id, recipient, group
                had = entries.setdefault(key, state)
                if had != state:
                    entries[key] = merged(group, had, state)
    return mails


@lru_cache(maxsize=16_384)
def _suffixes(ids: tuple[str | None, ...]) -> tuple[bytes, ...]:
    """What the fields of a mail's scopes in the counters end with. ids: as in `Scopes`."""
    named = enumerate(ids, TENANT_SCOPE + 1)
    return bytes((TENANT_SCOPE,)), *(member_of_id(scope, raw) for scope, raw in named if raw is not None)


@lru_cache(maxsize=16_384)
def _fields(ids: tuple[str | None, ...], day_in_block: int, family: int) -> tuple[bytes, ...]:
    """The fields of a mail's scopes in the counters of a block. ids: as in `Scopes`."""
    prefix = counter_field(day_in_block, family, TENANT_SCOPE)[:1]
    return tuple([prefix + suffix for suffix in _suffixes(ids)])


_safe_id: Final = lru_cache(maxsize=16_384)(safe_id)


class _Call:
    """What one call says."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._tenants: dict[str, int] = {}
        self._scopes: list[tuple[int, tuple[bytes, ...]]] = []
        self._numbers: dict[Scopes, int] = {}
        self._rows: dict[int, list[list[_Row]]] = {}
        self._counts: defaultdict[tuple[int, int], defaultdict[bytes, list[bytes]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.facts = 0

    def add(self, scopes: Scopes, day: int, entries: _Entries) -> None:
        """Take in the mails of some scopes and send day."""
        tenant, number = self._number(scopes)
        rows = self._rows.get(day)
        if rows is None:
            rows = self._rows[day] = [[] for _ in HORIZONS]
        counted: dict[tuple[int, int], list[bytes]] = {}  # joined once: a text that grows is copied each time
        for ((_, _, group), state), (entry_id, bucket_hash) in zip(
            entries.items(), self._identities.of(scopes, entries), strict=True
        ):
            rows[HORIZON_OF[group]].append((bucket_hash, entry_id, str(state), group + 1, number))
            for of, cells in counts_of(group, state):
                if of in counted:
                    counted[of].append(cells)
                else:
                    counted[of] = [cells]
        for (after, family), parts in counted.items():
            tail = b"".join(parts)
            self.facts += len(tail) // 2
            block, day_in_block = divmod(day + after, BLOCK_DAYS)
            tails = self._counts[tenant, block]
            for field in _fields(scopes.ids, day_in_block, family):
                tails[field].append(tail)

    def _number(self, scopes: Scopes) -> tuple[int, int]:
        """Which of the call's tenants and which of its scopes these are, from 1."""
        number = self._numbers.get(scopes)
        if number is not None:
            return self._scopes[number - 1][0], number
        tenant = self._tenants.setdefault(scopes.tenant, len(self._tenants) + 1)
        self._scopes.append((tenant, _suffixes(scopes.ids)))
        number = self._numbers[scopes] = len(self._scopes)
        return tenant, number

    def argument(self) -> list[object]:
        """What the script is told of the facts."""
        return [
            _HORIZONS,
            DIGITS,
            [_safe_id(tenant) for tenant in self._tenants],
            self._scopes,
            [
                [horizon, day, *zip(*sorted(rows), strict=True)]
                for day, of_day in self._rows.items()
                for horizon, rows in enumerate(of_day, 1)
                if rows
            ],
            [
                [tenant, block, list(tails), [pack_counts(b"".join(parts)) for parts in tails.values()]]
                for (tenant, block), tails in self._counts.items()
            ],
        ]


def pack(moves: Sequence[Move], facts: Iterable[Facts], identities: Identities) -> tuple[bytes, int]:
    """The third argument of `apply.lua` for one lane.

    moves: of each checkpoint to move. facts: of events whose tenants live in the lane. identities: of the
    generation.
    Returns: the packed argument, and how many different facts it holds.
    """
    call = _Call(identities)
    for (scopes, day), entries in fold(facts).items():
        call.add(scopes, day, entries)
    return _PACKER.pack([moves, call.argument()]), call.facts


def pack_moves(moves: Sequence[Move]) -> bytes:
    """The same argument for a call that only moves checkpoints. moves: of each one."""
    packed: bytes = _PACKER.pack([moves, False])
    return packed
