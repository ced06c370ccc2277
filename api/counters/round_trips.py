"""Reads that share their way to Redis: who asks while others are on their way goes with the next round trip.

A round trip costs us far more than a command in it, so that many who ask at once are answered at the price
of few. The record of the generations comes with each one. It is read after all who go with it had
asked, so each of them has it as it was during the request.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from api.counters.exchange import REDIS_ERRORS, Command, Exchange, exchange_with
from schemas.redis_keys import LEASE_KEY, RECORD_KEY

AT_ONCE: Final = 2
"""Round trips under way: Redis works on one while we take the other apart. It does one thing at a time."""

TOGETHER: Final = 200
"""Who goes with one round trip at most: all of it must come within one time limit, however much is asked."""

Reply: TypeAlias = tuple[Any, Any]
"""The record of generations and the lease, and the reply to the command: what Redis said, or its error."""

_RECORD: Final = ("MGET", RECORD_KEY, LEASE_KEY)


class RoundTrips:
    """All reads of one application."""

    def __init__(self, client: "Redis | RedisCluster") -> None:
        self._client = client
        self._exchanges = [exchange_with(client) for _ in range(AT_ONCE)]
        self._idle = [*self._exchanges]
        self._waiting: list[tuple[Command, asyncio.Future[Reply]]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def ask(self, command: Command = ()) -> Reply:
        """Read the record of the generations, and what a command says that writes nothing.

        command: its name, keys and arguments; none: the record alone.
        Raises: one of REDIS_ERRORS where Redis cannot be reached.
        """
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, reply))
        if self._idle:
            trip = asyncio.create_task(self._travel(self._idle.pop()))
            self._under_way.add(trip)
            trip.add_done_callback(self._under_way.discard)
        return await reply

    async def close(self) -> None:
        """Close the connections of the round trips, once those under way have ended."""
        await asyncio.gather(*self._under_way)
        for exchange in self._exchanges:
            await exchange.close()

    async def _travel(self, exchange: Exchange) -> None:
        """Go, again and again, while anybody waits."""
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                await self._take(asked, exchange)
        finally:
            self._idle.append(exchange)  # at once: who asks next must not wait for a trip that ended

    async def _take(self, asked: Sequence[tuple[Command, asyncio.Future[Reply]]], exchange: Exchange) -> None:
        commands = [command for command, _ in asked if command]
        try:
            record, *answers = await exchange.ask((_RECORD, *commands))
        except Exception as error:  # noqa: BLE001 - it is for those who wait
            for _, reply in asked:
                if not reply.done():
                    reply.set_exception(error)
            return
        record = await self._or_alone(_RECORD, record)
        left = iter(answers)
        for command, reply in asked:
            answer = await self._or_alone(command, next(left)) if command else None
            if not reply.done():  # whoever asked may be gone
                reply.set_result((record, answer))

    async def _or_alone(self, command: Command, answer: Any) -> Any:
        """The answer of a command, asked again by itself where it is an error.

        In a cluster a shard may have failed over: the client then looks for it anew, which it does for a
        command and not for one of many.
        """
        if not isinstance(answer, REDIS_ERRORS) or isinstance(answer, NoScriptError):
            return answer
        try:
            return await self._client.execute_command(*command)
        except REDIS_ERRORS as error:
            return error
