"""A connection to Redis of one's own, on which keys can be watched while others are served.

Law: it is one connection or none. Where it is lost, Redis forgets what was watched; another in its place,
which redis-py's clients connect by themselves, would know nothing of writes in between.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import ResponseError

Command: TypeAlias = Sequence[str | bytes | int]


class Watched:
    """Such a connection, to the server that has a key."""

    def __init__(self, connection: AbstractConnection) -> None:
        """connection: one that is open."""
        self._connection = connection

    async def ask(self, *commands: Command) -> list[Any]:
        """What Redis says to commands that go together.

        Raises: one of REDIS_ERRORS, as soon as one of them fails; nothing more may be asked then.
        """
        if not self._connection.is_connected:
            raise NoConnectionError("The connection is gone, and with it what was watched.")
        packed = self._connection.pack_commands(commands)
        await self._connection.send_packed_command(packed, check_health=False)  # which may connect anew
        return [await self._connection.read_response() for _ in commands]

    async def at_last(self, command: Command) -> Any:
        """What Redis says to a command, if no watched key was written since it was watched; else None.

        No key is watched any more then. Raises: as `ask`.
        """
        *_, said = await self.ask(("MULTI",), command, ("EXEC",))
        if said is None:
            return None
        [reply] = said
        if isinstance(reply, ResponseError):
            raise reply
        return reply


@asynccontextmanager
async def watched(client: "Redis | RedisCluster", key: str) -> AsyncIterator[Watched]:
    """Open such a connection for the block. Raises: one of REDIS_ERRORS."""
    connection = _connection(client, key)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        yield Watched(connection)
    finally:
        await connection.disconnect(nowait=True)


def _connection(client: "Redis | RedisCluster", key: str) -> AbstractConnection:
    if isinstance(client, Redis):
        pool = client.connection_pool
        return pool.connection_class(**pool.connection_kwargs)
    node = client.get_node_from_key(key)
    if node is None:
        raise NoConnectionError("No node of the cluster has this key.")
    return node.connection_class(**node.connection_kwargs)
