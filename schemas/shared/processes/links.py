"""What the processes of one program ask each other, over pairs of connected sockets that they were born with.

Every two processes have one pair, so no process needs another's leave, no file and no port is used, and
nobody else can ask. A question is a path (`/metrics`), its answer what that process alone says to it.

Law: a question is always answered, within `ANSWER_S`: where a process says nothing, or is gone, by
`SILENCE`. Who adds up answers then says so, and no partial sum.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from itertools import combinations, count
from typing import Final, TypeAlias

import msgspec

from schemas.shared.problems import problem

ANSWER_S: Final = 8.0
"""How long a process may take; Prometheus waits 10 s for a scrape."""

LENGTH_BYTES: Final = 4
"""Of the number before each message that says how long it is."""


class Answer(msgspec.Struct, frozen=True):
    """What a process answers to an HTTP request. headers: as ASGI has them."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _Asked(msgspec.Struct, frozen=True, tag="asked"):
    number: int
    path: str


class _Answered(msgspec.Struct, frozen=True, tag="answered"):
    number: int
    answer: Answer


_silent = problem("UNAVAILABLE", HTTPStatus.SERVICE_UNAVAILABLE, "A process of this program does not answer.")
SILENCE: Final = Answer(_silent.status_code, _silent.raw_headers, bytes(_silent.body))
"""The answer of a process that gives none."""

Answerer: TypeAlias = Callable[[str], Awaitable[Answer]]
"""Answers for this process alone, by the path."""

_DECODER: Final = msgspec.msgpack.Decoder(_Asked | _Answered)


class Links:
    """The links of one process to all others of its program. Used from one event loop."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        """sockets: one to each of the others, connected."""
        self._sockets = sockets
        self._links: list[_Link] = []

    async def open(self, answerer: Answerer) -> None:
        """From now on the others are answered; what they have asked before, too."""
        for each in self._sockets:
            link = _Link(*await asyncio.open_connection(sock=each), answerer)
            self._links.append(link)

    async def ask(self, path: str) -> list[Answer]:
        """What each of the others answers, `SILENCE` among it."""
        return await asyncio.gather(*(link.ask(path) for link in self._links))

    async def close(self) -> None:
        """The others hear no more from here."""
        for link in self._links:
            await link.close()


def pairs(processes: int) -> list[list[socket.socket]]:
    """The sockets of each of so many processes, to be made before they are."""
    ends: list[list[socket.socket]] = [[] for _ in range(processes)]
    for one, other in combinations(ends, 2):
        for end, at in zip(socket.socketpair(), (one, other), strict=True):
            end.setblocking(False)
            at.append(end)
    return ends


class _Link:
    """One end of a pair: asks, and answers what the other end asks."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answerer: Answerer
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answerer = answerer
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._numbers = count()
        self._at_work = {asyncio.create_task(self._read())}

    async def ask(self, path: str) -> Answer:
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._send(_Asked(number, path))
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except (TimeoutError, ConnectionError):
            return SILENCE
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        self._writer.close()

    def _send(self, message: _Asked | _Answered) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the other process is gone")
        content = msgspec.msgpack.encode(message)
        self._writer.write(len(content).to_bytes(LENGTH_BYTES) + content)

    async def _read(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES))
                message = _DECODER.decode(await self._reader.readexactly(length))
                if isinstance(message, _Asked):
                    task = asyncio.create_task(self._answer(message))
                    self._at_work.add(task)
                    task.add_done_callback(self._at_work.discard)
                elif (waiting := self._waiting.get(message.number)) and not waiting.done():
                    waiting.set_result(message.answer)
        self._writer.close()  # so that nobody waits for an answer any more
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(SILENCE)

    async def _answer(self, asked: _Asked) -> None:
        answer = await self._answerer(asked.path)
        with suppress(ConnectionError):
            self._send(_Answered(asked.number, answer))
