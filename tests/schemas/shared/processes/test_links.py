"""What processes ask each other is answered in time, by each of them or by its silence."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from schemas.shared.processes import links
from schemas.shared.processes.links import SILENCE, Answer, Answerer, Links, pairs


def answerer(number: int) -> Answerer:
    async def answer(path: str) -> Answer:
        return Answer(200, [(b"of", path.encode())], str(number).encode() * 100_000)

    return answer


@asynccontextmanager
async def family(answerers: Sequence[Answerer]) -> AsyncIterator[list[Links]]:
    """Processes, in one process."""
    each = [Links(sockets) for sockets in pairs(len(answerers))]
    for one, answer in zip(each, answerers, strict=True):
        await one.open(answer)
    try:
        yield each
    finally:
        for one in each:
            await one.close()


def test_each_of_the_others_answers_for_itself() -> None:
    """At once, and long answers too."""

    async def run() -> None:
        async with family([answerer(number) for number in range(3)]) as (first, second, third):
            for _ in range(3):
                answers = await asyncio.gather(first.ask("/a"), second.ask("/b"), third.ask("/c"))
                assert [[each.body[:1] for each in some] for some in answers] == [
                    [b"1", b"2"],
                    [b"0", b"2"],
                    [b"0", b"1"],
                ]
                assert {len(each.body) for some in answers for each in some} == {100_000}
                assert [some[0].headers for some in answers] == [
                    [(b"of", path)] for path in (b"/a", b"/b", b"/c")
                ]

    asyncio.run(run())


def test_one_that_is_not_there_yet_answers_once_it_is() -> None:
    async def run() -> None:
        early, late = (Links(sockets) for sockets in pairs(2))
        await early.open(answerer(0))
        asked = asyncio.create_task(early.ask("/a"))
        await asyncio.sleep(0)
        await late.open(answerer(1))
        assert [each.body[:1] for each in await asked] == [b"1"]
        await early.close()
        await late.close()

    asyncio.run(run())


def test_one_that_is_gone_is_silent_at_once() -> None:
    """Both to who waits for its answer and to who asks it later."""

    async def run() -> None:
        asked = asyncio.Event()

        async def never(_: str) -> Answer:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with family([answerer(0), never]) as (one, other):
            waiting = asyncio.create_task(one.ask("/a"))
            await asked.wait()
            await other.close()
            assert await waiting == [SILENCE]
            assert await one.ask("/a") == [SILENCE]

    asyncio.run(run())
    assert SILENCE.status == 503


def test_one_that_is_stuck_is_silent_after_a_while_and_its_late_answer_is_nobody_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "ANSWER_S", 0.05)

    async def run() -> None:
        go_on = asyncio.Event()

        async def slow(path: str) -> Answer:
            if path == "/slow":
                await go_on.wait()
            return Answer(200, [], path.encode())

        async with family([answerer(0), slow]) as (one, _):
            assert await one.ask("/slow") == [SILENCE]
            monkeypatch.setattr(links, "ANSWER_S", 60.0)
            go_on.set()
            assert [each.body for each in await one.ask("/quick")] == [b"/quick"]

    asyncio.run(run())
