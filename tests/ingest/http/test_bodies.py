"""The budget of bodies, without a server: which get room, and which are dropped."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from ingest.errors import Busy
from ingest.http.bodies import BODY_MAX_BYTES, BUDGET_BYTES, FREE_BYTES, Bodies
from tests.ingest.support import comes

WHOLE = BUDGET_BYTES // (BODY_MAX_BYTES - FREE_BYTES)
"""Bodies of the greatest length that have room at a time."""


class Sender:
    """A client whose body comes when the test says. body: what was read; none: not yet."""

    def __init__(self, bodies: Bodies) -> None:
        self.body: bytearray | None = None
        self.answered = asyncio.Event()
        self._pieces = asyncio.Queue[dict[str, Any]]()
        self.task = asyncio.create_task(self._read(bodies))

    def send(self, number: int, *, more: bool = False) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": bytes(number), "more_body": more})

    def has_come(self) -> bool:
        return self.body is not None

    async def _read(self, bodies: Bodies) -> None:
        with bodies.body() as body:
            self.body = await body.read({}, self._pieces.get)
            await self.answered.wait()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def test_the_body_held_back_for_the_longest_is_dropped() -> None:
    async def use() -> None:
        bodies = Bodies()
        holding = [Sender(bodies) for _ in range(WHOLE)]
        for sender in holding:
            sender.send(BODY_MAX_BYTES - 1, more=True)
            await settle()
        for turn in range(3):
            quick = Sender(bodies)
            quick.send(BODY_MAX_BYTES)
            await comes(quick.has_come)
            quick.answered.set()
            await quick.task
            assert [sender.task.done() for sender in holding] == [True] + [False] * (WHOLE - 1), turn
            with pytest.raises(Busy):
                await holding[0].task
        for sender in holding[1:]:
            sender.send(1)
            sender.answered.set()
            await sender.task

    run(use())


def test_a_whole_body_keeps_its_room_until_it_is_answered() -> None:
    """Then the newcomer is answered 503, unless it is small."""

    async def use() -> None:
        bodies = Bodies()
        whole = [Sender(bodies) for _ in range(WHOLE)]
        for sender in whole:
            sender.send(BODY_MAX_BYTES)
        await settle()
        for number, taken in ((BODY_MAX_BYTES, False), (FREE_BYTES, True)):
            late = Sender(bodies)
            late.send(number)
            await settle()
            assert late.has_come() == taken
            late.answered.set()
            if taken:
                await late.task
            else:
                with pytest.raises(Busy):
                    await late.task
        whole[0].answered.set()
        await whole[0].task
        late = Sender(bodies)
        late.send(BODY_MAX_BYTES)
        late.answered.set()
        await late.task
        for sender in whole:
            assert sender.has_come()
            sender.answered.set()
            await sender.task

    run(use())


def test_what_is_given_back_is_all_there_again() -> None:
    """Whether a body is answered, is dropped, is too long or its client leaves."""

    async def use() -> None:
        bodies = Bodies()
        for _ in range(3 * WHOLE):
            senders = [Sender(bodies) for _ in range(3)]
            senders[0].send(BODY_MAX_BYTES)
            senders[1].send(BODY_MAX_BYTES, more=True)
            senders[1].send(1)
            senders[2].send(BODY_MAX_BYTES - 1, more=True)
            await settle()
            senders[2].task.cancel()
            senders[0].answered.set()
            await asyncio.gather(*(sender.task for sender in senders), return_exceptions=True)
        assert bodies._spent == 0
        assert bodies._arriving == {}

    run(use())
