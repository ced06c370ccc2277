"""A replica that lost its primary in the middle of a switch: what ends by its own clock, and what by ours."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from api.config import ApiSettings
from api.counters.closed_lanes import GRACE_S
from api.counters.connection import connect
from api.counters.reader import WHOLE_TENANT, CounterReader
from api.errors import ApiError
from api.query.query import Needs
from deploy.valkey import Valkey
from schemas.counters import Member, State, closed_for
from schemas.kinds import CORE
from schemas.redis_keys import LEASE_KEY
from tests.api.writer import EPOCH, Counted, Writer
from tests.pipeline.programs import wait_until
from tests.valkey_replica import Replica, replica_of

HOUR = datetime(2025, 9, 17, 13, tzinfo=UTC)
DAY = (HOUR - EPOCH).days
LEASE_MS = 300


def test_closed_lanes_are_read_no_longer_than_the_lease_lasts_and_the_grace(
    valkey_factory: Callable[[], Valkey],
) -> None:
    """The lease expires at the replica too, which never hears how the switch ended; with its link it does."""
    clock_s = [100.0]

    async def asked(reader: CounterReader) -> int:
        """How many were sent, or the status of the refusal."""
        try:
            read = await reader.counters("acme", WHOLE_TENANT, Needs([range(DAY, DAY + 1)]))
        except ApiError as error:
            return error.code.status
        return sum(read.counted[CORE][DAY].counts)

    async def over_time(replica: Replica) -> None:
        reader = CounterReader(connect(ApiSettings(redis_url=replica.server.url)), lambda: clock_s[0])
        writer, later = Writer(replica.primary), Writer(replica.primary, "g2")
        writer.write([Counted(HOUR, "sent")])
        later.write([Counted(HOUR, "sent", 2)])
        closing = Member(generation=later.generation, state=State.CLOSING, attempt="token")
        replica.primary.set(LEASE_KEY, "token", px=LEASE_MS)
        replica.primary.hset(writer.lane(), "retired", closed_for("g2", "token"))
        writer.put(Member(generation=writer.generation, state=State.LIVE), closing)
        replica.wait_until_level()
        replica.lose_link()
        assert await asked(reader) == 1
        wait_until(lambda: replica.client.get(LEASE_KEY) is None, "the lease expires")
        assert await asked(reader) == 1
        clock_s[0] += GRACE_S + 0.1
        assert await asked(reader) == 503
        later.go_live()
        replica.link.open = True
        replica.wait_until_level()
        assert await asked(reader) == 2
        await reader.close()

    with replica_of(valkey_factory()) as replica:
        asyncio.run(over_time(replica))
