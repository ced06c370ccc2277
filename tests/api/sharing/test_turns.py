"""Whose turn it is: nobody starves, one at a time, and who is gone holds up nobody."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from api.sharing.turns import FairQueue, Turns

tenants = st.sampled_from("abc")


@given(st.lists(st.none() | tenants, max_size=60))
def test_all_are_served_in_order_and_tenants_one_after_the_other(steps: list[str | None]) -> None:
    """Who waits is served after at most one of each other tenant for each of its own in front of it."""
    queue: FairQueue[tuple[str, int]] = FairQueue()
    numbers: Counter[str] = Counter()
    waiting: dict[tuple[str, int], Counter[str]] = {}
    ahead: dict[tuple[str, int], int] = {}
    for step in [*steps, *[None] * (len(steps) + 1)]:
        if step is not None:
            who = (step, numbers[step])
            numbers[step] += 1
            ahead[who] = sum(tenant == step for tenant, _ in waiting)
            waiting[who] = Counter()
            queue.put(step, who)
            continue
        served = queue.get()
        assert (served is None) == (not waiting)
        if served is None:
            continue
        passed = waiting.pop(served)
        assert passed[served[0]] == ahead[served]
        assert all(number <= ahead[served] + 1 for number in passed.values())
        for others in waiting.values():
            others[served[0]] += 1
    assert not waiting


@given(st.lists(st.tuples(tenants, st.integers(0, 3), st.booleans()), max_size=12))
def test_one_at_a_time_and_all_end(jobs: list[tuple[str, int, bool]]) -> None:
    """However long each takes, and whoever is cancelled before, in or after its turn."""
    inside = most = 0
    done = []

    async def job(turns: Turns, number: int, tenant: str, steps: int) -> None:
        nonlocal inside, most
        async with turns.turn(tenant):
            inside += 1
            most = max(most, inside)
            try:
                for _ in range(steps):
                    await asyncio.sleep(0)
            finally:
                inside -= 1
        done.append(number)

    async def all_of_them() -> None:
        turns = Turns()
        running = [
            asyncio.create_task(job(turns, number, tenant, steps))
            for number, (tenant, steps, _) in enumerate(jobs)
        ]
        for _ in range(2):
            await asyncio.sleep(0)
        for task, (_, _, is_gone) in zip(running, jobs, strict=True):
            if is_gone:
                task.cancel()
        async with asyncio.timeout(60):
            await asyncio.gather(*running, return_exceptions=True)
            async with turns.turn("z"):
                assert inside == 0

    asyncio.run(all_of_them())
    assert inside == 0
    assert most <= 1
    assert {number for number, (_, _, is_gone) in enumerate(jobs) if not is_gone} <= set(done)
