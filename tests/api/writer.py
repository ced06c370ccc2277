"""Writes counters into a Redis as a worker does, by the same packing and the same script."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import redis

from aggregator.counters.store import SCRIPT
from aggregator.counting.facts import Facts, Scopes
from aggregator.counting.pack import pack
from aggregator.counting.states import Identities
from schemas import counters, redis_keys
from schemas.counters import Generation, Member, Record, State
from schemas.kinds import FAMILIES, FIELDS, KINDS

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER: Final = timedelta(minutes=15)
SCOPES: Final = ("sequence", "template", "campaign", "isp")
AT_ONCE: Final = 5_000
"""Facts of one call of the script."""


@dataclass(frozen=True)
class Counted:
    """A number of facts of one time. more: ids of the scopes after those of the page."""

    at: datetime
    field: str
    count: int = 1
    tenant: str = "acme"
    sequence: str | None = None
    template: str | None = None
    more: tuple[str | None, str | None] = (None, None)

    @property
    def scopes(self) -> Scopes:
        return Scopes(self.tenant, (self.sequence, self.template, *self.more))


class Writer:
    """One generation in one Redis."""

    def __init__(self, client: redis.Redis, name: str = "g1", lanes: int = 3) -> None:
        self.client = client
        self.generation = Generation(
            name=name,
            lanes=lanes,
            rules="r",
            layout=counters.LAYOUT,
            kinds=FIELDS,
            families=tuple(FAMILIES.items()),
            scopes=SCOPES,
            identity_key="00112233445566778899aabbccddeeff",
            cluster_id="c",
            topic_id="t",
            created_ms=0,
        )
        for lane in range(lanes):
            client.hset(redis_keys.lane_key(name, lane), mapping={"generation": name, "rules": "r"})

    def go_live(self, **changes: object) -> None:
        live = msgspec.structs.replace(self.generation, **changes)
        self.put(Member(generation=live, state=State.LIVE))

    def put(self, *members: Member) -> None:
        """Set the record to these generations."""
        self.client.set(redis_keys.RECORD_KEY, msgspec.json.encode(Record(members)))

    def lane(self, tenant: str = "acme") -> str:
        lane = redis_keys.lane_of(tenant, self.generation.lanes)
        return redis_keys.lane_key(self.generation.name, lane)

    def known_key(self, tenant: str = "acme") -> str:
        return redis_keys.known_key(self.lane(tenant), redis_keys.safe_id(tenant))

    def block_key(self, day: int, tenant: str = "acme") -> str:
        block = day // redis_keys.BLOCK_DAYS
        return redis_keys.counters_key(self.lane(tenant), redis_keys.safe_id(tenant), block)

    def write(self, facts: Iterable[Counted]) -> None:
        """Count facts. What was written before, and is here again with a count as high, changes nothing."""
        identities = Identities(self.generation.identity_key)
        numbered: Counter[Counted] = Counter()
        by_lane: dict[str, list[Facts]] = {}
        for fact in facts:
            of = replace(fact, count=0)
            first = numbered[of]
            numbered[of] += fact.count
            by_lane.setdefault(self.lane(fact.tenant), []).extend(stated(fact, range(first, numbered[of])))
        for lane, events in by_lane.items():
            for at in range(0, len(events), AT_ONCE):
                argument, _ = pack([], events[at : at + AT_ONCE], identities)
                answer = self.client.eval(
                    SCRIPT, 1, lane, self.generation.name, self.generation.rules, argument
                )
                assert isinstance(answer, list)
                assert answer[0] == b"OK", answer


def stated(fact: Counted, numbers: range) -> Iterator[Facts]:
    """The events that state facts. numbers: what they are told apart by."""
    kind = FIELDS.index(fact.field)
    day, within = divmod(fact.at - EPOCH, timedelta(days=1))
    at = fact.scopes, day, within // QUARTER
    name = f"{fact.field} {fact.at.isoformat()}"
    if KINDS[kind].per_message:
        for number in numbers:
            yield Facts(*at, f"{name} {number}", (kind,), (None,))
        return
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        some = numbers[first - numbers.start : first - numbers.start + AT_ONCE]
        yield Facts(*at, name, (kind,), tuple(number.to_bytes(16, "big") for number in some))
