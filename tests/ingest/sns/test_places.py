import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from ingest.sns.places import Places, PreemptedError
from tests.ingest.support import comes

LONG_S = 3600.0


class Calls:
    """Calls that hold a place until the test ends them."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.begun = list[int]()
        self.ends = dict[int, asyncio.Event]()
        self.tasks = dict[int, asyncio.Task[None]]()

    async def begin(self, number: int) -> None:
        self.ends[number] = asyncio.Event()
        self.tasks[number] = asyncio.create_task(self._call(number))
        await settle()

    async def end(self, number: int) -> None:
        self.ends[number].set()
        await self.tasks[number]
        await settle()

    async def _call(self, number: int) -> None:
        async with self._places.take(str(number)):
            self.begun.append(number)
            await self.ends[number].wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def test_who_asked_last_is_next() -> None:
    async def use() -> None:
        calls = Calls(Places(2, LONG_S))
        for number in range(5):
            await calls.begin(number)
        assert calls.begun == [0, 1]
        await calls.end(0)
        assert calls.begun == [0, 1, 4]
        await calls.end(4)
        assert calls.begun == [0, 1, 4, 3]
        for number in (1, 3, 2):
            await calls.end(number)

    run(use())


def test_what_is_asked_for_again_is_next() -> None:
    async def use() -> None:
        places = Places(1, LONG_S)
        calls = Calls(places)
        for number in range(5):
            await calls.begin(number)
        for name in ("2", "0", "no such"):
            places.ask_again(name)
        await calls.end(0)
        assert calls.begun == [0, 2]
        for number in (2, 4, 3, 1):
            await calls.end(number)
        assert calls.begun == [0, 2, 4, 3, 1]

    run(use())


def test_a_call_that_hangs_is_ended_once_another_waits() -> None:
    async def use() -> None:
        calls = Calls(Places(1, 0.0))
        await calls.begin(0)
        await asyncio.sleep(0.01)
        assert not calls.tasks[0].done()
        await calls.begin(1)
        with pytest.raises(PreemptedError):
            await calls.tasks[0]
        await settle()
        assert calls.begun == [0, 1]
        await calls.end(1)

    run(use())


def test_who_leaves_the_line_takes_no_place_with_it() -> None:
    """Neither while it waits, nor in the moment in which it is called."""

    async def use() -> None:
        calls = Calls(Places(1, LONG_S))
        for number in range(4):
            await calls.begin(number)
        calls.tasks[2].cancel()
        await settle()
        calls.ends[0].set()
        await comes(calls.tasks[0].done)
        calls.tasks[3].cancel()
        await settle()
        assert calls.begun in ([0, 1], [0, 3, 1])
        await calls.end(1)

    run(use())


def test_an_error_of_the_call_is_its_own() -> None:
    async def use() -> None:
        places = Places(1, LONG_S)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with places.take("it"):
                    raise TimeoutError

    run(use())
