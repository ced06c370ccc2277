"""From facts to one packed call: the argument of `apply.lua`.

Pure. A call is for one lane. It holds, for each message and recipient, the state that these facts give it,
and beside that the counts as they would be if every fact were new; the script takes back what was counted
before. So Python does the bulk of the counting, and Redis only corrects.

A state is a number of mixed radix, a digit for each kind of its *key group* (kinds of recipients, kinds of
messages): 0 where the kind is not counted, else the hour it is counted in, from the start of the send day,
plus 1. A small number is what Redis stores in the fewest bytes.

Identity. A message and recipient are known by a hash: 48 bits that are stored, and 32 bits that choose the
bucket among those of the tenant and send day. Two of them are taken for one where the stored bits agree
within a bucket, which holds some 200: one wrong count in 10^12 messages, that is once in some thousands of
years for a tenant with a million messages a day. A tenant can only harm its own numbers by it.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Final

import msgpack
import msgspec

from aggregator.counting.facts import Facts, Scopes
from schemas.instants import HOURS
from schemas.kinds import HORIZON_MS, KINDS
from schemas.packed_counter import pack_counts
from schemas.redis_keys import TENANT_SCOPE, safe_id, sequence_scope, template_scope

_LONGEST: Final = 2048
"""Size of a digit: hours from the start of the send day to the horizon, and one for none."""
assert HOURS + HORIZON_MS // 3_600_000 + 1 < _LONGEST, "the horizon fits a digit"

_KeyGroup = list[tuple[int, int, int]]
_Row = tuple[int, bytes, str, int, int]
"""An entry: bucket hash, id, state, key group (from 1), and what it counts for."""


def _key_groups() -> tuple[_KeyGroup, _KeyGroup]:
    """(kind, divisor, size) of each digit: of recipients' states, of messages' states."""
    key_groups: tuple[_KeyGroup, _KeyGroup] = ([], [])
    for index, kind in enumerate(KINDS):
        key_group = key_groups[kind.per_message]
        divisor = key_group[-1][1] * key_group[-1][2] if key_group else 1
        # A kind without a time of its own happens in the hour of the send, within the send day.
        key_group.append((index, divisor, 32 if kind.body is None else _LONGEST))
    assert all(key_group[-1][1] * key_group[-1][2] <= 2**53 for key_group in key_groups), (
        "a state fits a Lua number"
    )
    return key_groups


DIGITS: Final = _key_groups()
_DIGIT_OF: Final = {index: (divisor, size) for key_group in DIGITS for index, divisor, size in key_group}
_PACKER: Final = msgpack.Packer(use_bin_type=False, autoreset=True)
"""Writes bytes as strings: Redis's cmsgpack knows no `bin`, and msgspec writes bytes as nothing else."""


@lru_cache(maxsize=65_536)
def _counts_of(key_group: int, state: int) -> tuple[tuple[int, bytes], ...]:
    """(days after the send day, cells) of the kinds that a state holds, a pair for each day."""
    found: dict[int, bytes] = {}
    for index, divisor, size in DIGITS[key_group]:
        digit = state // divisor % size
        if digit:
            days, hour = divmod(digit - 1, HOURS)
            found[days] = found.get(days, b"") + bytes((hour * len(KINDS) + index,))
    return tuple(found.items())


def identity(
    message_id: str, sequence: str | None, template: str | None, recipient: str | None
) -> tuple[bytes, int]:
    """What a message and recipient are known by within a tenant and send day.

    Returns: the stored id (6 bytes) and the number (32 bits) that chooses the bucket.
    """
    if len(message_id) > LONG:
        hashed = _begun(message_id, sequence, template).copy()
        hashed.update(_encode(recipient))
        return _halves(hashed.digest())
    digest = blake2b(_encode((message_id, sequence, template, recipient)), digest_size=_DIGEST_BYTES).digest()
    return _halves(digest)


@lru_cache(maxsize=1)
def _begun(message_id: str, sequence: str | None, template: str | None) -> blake2b:
    """The hash of an identity up to the recipient: of a mail with many of them it is the same for all."""
    return blake2b(
        _encode((message_id, sequence, template, None))[: -len(_encode(None))], digest_size=_DIGEST_BYTES
    )


LONG: Final = 1024
"""A message id of more characters is hashed once for all recipients of an event, not once for each."""
_DIGEST_BYTES: Final = 10
_encode: Final = msgspec.msgpack.encode
_halves: Final = Struct(">6sI").unpack
_Entries = dict[tuple[str, str | None], int]
"""The state of each (message, recipient or none)."""


def fold(facts: Iterable[Facts]) -> dict[tuple[Scopes, int], _Entries]:
    """Merge events, each kind at its least hour.

    Returns: for each scopes and send day, the states of its messages and recipients.
    """
    mails: dict[tuple[Scopes, int], _Entries] = {}
    for each in facts:
        of = each.scopes, each.day
        entries = mails.get(of)
        if entries is None:
            entries = mails[of] = {}
        divisor, size = _DIGIT_OF[each.kind]
        digit = each.hour + 1
        message_id = each.message_id
        for recipient in each.recipients:
            key = message_id, recipient
            state = entries.get(key, 0)
            had = state and state // divisor % size
            if not had:
                entries[key] = state + digit * divisor
            elif digit < had:
                entries[key] = state - (had - digit) * divisor
    return mails


class _Tenant:
    """What one call says of one tenant."""

    __slots__ = ("counts", "days", "sequences", "templates")

    def __init__(self) -> None:
        self.sequences: dict[str, int] = {}
        self.templates: dict[str, int] = {}
        self.days: dict[int, list[_Row]] = {}
        self.counts: dict[int, dict[bytes, list[bytes]]] = {}

    def add(self, scopes: Scopes, day: int, entries: _Entries) -> int:
        """Take in the mails of some scopes and send day. Returns: how many facts they hold."""
        _, sequence, template = scopes
        fields: list[bytes] = [TENANT_SCOPE]
        pair = 0
        if sequence is not None:
            pair = self.sequences.setdefault(sequence, len(self.sequences) + 1) * 65_536
            fields.append(sequence_scope(sequence))
        if template is not None:
            pair += self.templates.setdefault(template, len(self.templates) + 1)
            fields.append(template_scope(template))
        rows = self.days.setdefault(day, [])
        counted: dict[int, list[bytes]] = {}  # joined at the end: a text that grows is copied each time
        for (message_id, recipient), state in entries.items():
            key_group = 1 if recipient is None else 0
            entry_id, bucket_hash = identity(message_id, sequence, template, recipient)
            rows.append((bucket_hash, entry_id, str(state), key_group + 1, pair))
            for after, cells in _counts_of(key_group, state):
                if after in counted:
                    counted[after].append(cells)
                else:
                    counted[after] = [cells]
        facts = 0
        for after, parts in counted.items():
            tail = b"".join(parts)
            facts += len(tail)
            tails = self.counts.setdefault(day + after, {})
            for field in fields:
                tails.setdefault(field, []).append(tail)
        return facts

    def argument(self, tenant: str) -> list[object]:
        """The tenant's part of the argument."""
        return [
            safe_id(tenant),
            list(self.sequences),
            list(self.templates),
            [[day, *zip(*sorted(rows), strict=True)] for day, rows in self.days.items()],
            [
                [day, list(tails), [pack_counts(b"".join(parts)) for parts in tails.values()]]
                for day, tails in self.counts.items()
            ],
        ]


def pack(
    moves: Sequence[tuple[int, int, int, int]], facts: Iterable[Facts] | None = None
) -> tuple[bytes, int]:
    """The third argument of `apply.lua` for one lane.

    moves: (partition, prev, end, complete-through in ms or -1) of each checkpoint to move.
    facts: of events whose tenants live in the lane, with exactly one move; none to move checkpoints only.
    Returns: the packed argument, and how many different facts it holds.
    """
    if facts is None:
        return _PACKER.pack([moves, False]), 0
    tenants: dict[str, _Tenant] = {}
    total = 0
    for (scopes, day), entries in fold(facts).items():
        tenant = tenants.get(scopes.tenant)
        if tenant is None:
            tenant = tenants[scopes.tenant] = _Tenant()
        total += tenant.add(scopes, day, entries)
    parts = [tenant.argument(name) for name, tenant in tenants.items()]
    return _PACKER.pack([moves, [len(KINDS), DIGITS, parts]]), total
