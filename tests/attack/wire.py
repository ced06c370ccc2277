"""Requests byte by byte over bare connections, many at the same time: what no HTTP client would send."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")
ANSWER_S: Final = 12.0


class Link:
    """One connection to a server of this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, url: str) -> "Link":
        """Connect. Raises: OSError, TimeoutError."""
        parts = urlsplit(url)
        async with asyncio.timeout(ANSWER_S):
            return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def send(self, data: bytes) -> None:
        """Send, as far as the server still takes anything."""
        if self._writer.is_closing():
            return
        with suppress(OSError, TimeoutError):
            self._writer.write(data)
            async with asyncio.timeout(ANSWER_S):
                await self._writer.drain()

    async def answer(self, wait_s: float = ANSWER_S) -> bytes:
        """All that the server sends until it closes or is silent for so long."""
        read = b""
        with suppress(OSError, TimeoutError):
            while True:
                async with asyncio.timeout(wait_s):
                    part = await self._reader.read(1 << 16)
                if not part:
                    break
                read += part
        return read

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


def request(
    path: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: Iterable[tuple[str, str]] = (),
    length: int = -1,
) -> bytes:
    """A whole request. length: what it says of its body; -1: the truth."""
    said = len(body) if length < 0 else length
    lines = [f"{method} {path} HTTP/1.1", "Host: attacked.example", f"Content-Length: {said}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def statuses(answer: bytes) -> list[int]:
    """The statuses in what a server sent."""
    return [int(each) for each in STATUS.findall(answer)]


async def each_of(url: str, requests: Sequence[bytes], at_once: int, wait_s: float = ANSWER_S) -> list[bytes]:
    """The answers to requests, each over a connection of its own, so many at the same time."""
    places = asyncio.Semaphore(at_once)

    async def one(data: bytes) -> bytes:
        async with places:
            try:
                link = await Link.to(url)
            except (OSError, TimeoutError):
                return b""
            try:
                await link.send(data)
                return await link.answer(wait_s)
            finally:
                await link.close()

    return list(await asyncio.gather(*map(one, requests)))


def last_one(data: bytes) -> bytes:
    """The same request, saying that it is the last one on its connection, so that its answer has an end."""
    head, _, rest = data.partition(b"\r\n")
    return head + b"\r\nConnection: close\r\n" + rest


def tally(answers: Iterable[bytes]) -> Counter[int]:
    """How many answers of each status; 0 stands for none."""
    return Counter((statuses(answer) or [0])[0] for answer in answers)
