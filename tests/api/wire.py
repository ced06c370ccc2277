"""A bare HTTP/1.1 client for very many queries: some connections, each asking one after the other.

It knows just what our own server sends: a status line, headers with a `content-length`, a body. A request's
target goes out byte for byte, which no ordinary client does.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CONNECTIONS = 4
"""To each server."""


@dataclass(frozen=True, slots=True)
class Query:
    """A GET. target: path and query as they go out; key: whose; accept: the wanted media type."""

    target: str
    key: str
    accept: str = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came."""

    status: int
    content_type: str
    body: bytes


async def ask_all(
    ports: Sequence[int], queries: Sequence[Query], validate: Callable[[Query, Answer], None]
) -> None:
    """Ask servers on loopback, which share the queries, and give each answer to `validate`.

    The connections are opened for these queries alone: a server closes one that idles for some seconds.
    What `validate` raises ends it.
    """
    left = iter(queries)

    async def worker(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        try:
            for query in left:
                writer.write(
                    f"GET {query.target} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    f"Authorization: Bearer {query.key}\r\nAccept: {query.accept}\r\n\r\n".encode()
                )
                validate(query, await _read(reader))
        finally:
            writer.close()
            await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for port in [*ports] * CONNECTIONS:
            group.create_task(worker(port))


async def _read(reader: asyncio.StreamReader) -> Answer:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(lines[0].split()[1]), headers["content-type"], body)
