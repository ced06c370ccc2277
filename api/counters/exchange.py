"""One exchange with Redis: commands that go together, and what it says to each of them.

With one server it goes over a connection that is kept for exchanges, in one write, and all of it has one time
limit, and once more where it is asked again: who asks sees to it that it is not too much (`round_trips`).
redis-py's pool and pipeline would do, but take a task for each write and for each connection that is
given back, two timers for each reply, and write the commands in Python: more than all else of a read. A
cluster has its pipelines from redis-py, which knows where its slots are.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

from hiredis import pack_command
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import RedisClusterException, RedisError, ResponseError
from redis.exceptions import TimeoutError as NoReplyError

REDIS_ERRORS: Final = (RedisError, RedisClusterException)
"""All that redis-py raises for a Redis in trouble; its cluster client has a family of its own."""

Command: TypeAlias = Sequence[str | bytes | int]


class Exchange(Protocol):
    """One at a time."""

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """What Redis says to each of some commands that write nothing: a reply, or its error.

        Raises: one of REDIS_ERRORS where it says nothing.
        """

    async def close(self) -> None:
        """Close what it has open; that is opened again where somebody asks."""


def exchange_with(client: "Redis | RedisCluster") -> Exchange:
    """An exchange with the Redis of a client. It connects when it is first used."""
    return WithOneServer(client) if isinstance(client, Redis) else WithCluster(client)


class WithOneServer:
    """See `Exchange`."""

    def __init__(self, client: Redis) -> None:
        pool = client.connection_pool
        self._client = client
        self._within_s: float = pool.connection_kwargs["socket_timeout"]
        self._connection = pool.connection_class(**pool.connection_kwargs | {"socket_timeout": None})

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """See `Exchange`. One retry, at once: the other side may have closed the connection, or be gone."""
        try:
            return await self._once(commands)
        except (NoConnectionError, NoReplyError):
            return await self._once(commands)

    async def _once(self, commands: Sequence[Command]) -> list[Any]:
        packed = b"".join([pack_command(tuple(command)) for command in commands])  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(self._within_s):
                await self._connection.send_packed_command(packed)  # it connects where it must
                return [await self._reply(str(command[0])) for command in commands]
        except BaseException as error:
            await self._connection.disconnect(nowait=True)  # what comes late is nobody's reply
            if isinstance(error, TimeoutError):
                raise NoReplyError("Redis took too long.") from error
            raise

    async def _reply(self, name: str) -> Any:
        try:
            # Its type there is that of a TCP connection; it may be any.
            return await self._client.parse_response(self._connection, name)  # type: ignore[arg-type]
        except ResponseError as error:
            return error

    async def close(self) -> None:
        """See `Exchange`."""
        await self._connection.disconnect(nowait=True)


class WithCluster:
    """See `Exchange`."""

    def __init__(self, client: RedisCluster) -> None:
        self._client = client

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """See `Exchange`."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies

    async def close(self) -> None:
        """See `Exchange`: all connections are the client's."""
