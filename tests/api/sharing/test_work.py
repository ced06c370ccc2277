"""What one tenant may have under way: a bound, which nobody meets who asks one thing at a time."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import RATE_LIMITED, ApiError
from api.sharing import work as module
from api.sharing.costs import MOST, UNDER_WAY
from api.sharing.work import LONG, SHORT, Work

COSTS = st.integers(1, MOST)


@given(st.lists(st.tuples(st.sampled_from("ab"), COSTS, st.integers(0, 3), st.booleans()), max_size=30))
def test_the_bound_holds_for_each_tenant_alone(asked: list[tuple[str, int, int, bool]]) -> None:
    """Never more under way than the bound; all who wait are let in, in their order, but for who is gone."""
    under_way = {"a": 0, "b": 0}
    let_in: dict[str, list[int]] = {"a": [], "b": []}
    gone = {number for number, (*_, is_gone) in enumerate(asked) if is_gone}

    async def ask(work: Work, number: int, tenant: str, cost: int, steps: int) -> None:
        await work.enter(tenant, cost)
        try:
            let_in[tenant].append(number)
            under_way[tenant] += cost
            assert under_way[tenant] <= UNDER_WAY
            for _ in range(steps):
                await asyncio.sleep(0)
        finally:
            under_way[tenant] -= cost
            work.leave(tenant, cost)

    async def all_of_them() -> None:
        work = Work()
        running = [
            asyncio.create_task(ask(work, number, tenant, cost, steps))
            for number, (tenant, cost, steps, _) in enumerate(asked)
        ]
        await asyncio.sleep(0)
        for number in gone:
            running[number].cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
        assert {number for number, end in enumerate(ended) if end is not None} <= gone
        for tenant in under_way:  # nothing is left of them: the whole bound fits in
            await work.enter(tenant, 1)
            await work.enter(tenant, UNDER_WAY - 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WAIT_S", 60.0)
        asyncio.run(all_of_them())
    for tenant, numbers in let_in.items():
        assert numbers == sorted(numbers)
        mine = {number for number, (whose, *_) in enumerate(asked) if whose == tenant}
        assert mine - gone <= set(numbers)


@given(st.lists(COSTS, max_size=200))
def test_one_thing_at_a_time_is_never_refused(costs: list[int]) -> None:
    """Nor does it wait: with no time to do so it is taken in."""

    async def in_a_row() -> None:
        work = Work()
        for cost in costs:
            await work.enter("a", cost)
            work.leave("a", cost)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WAIT_S", 0.0)
        asyncio.run(in_a_row())


def test_who_waits_in_vain_is_told_of_what_was_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names cost and bound; who was refused takes no room, and others are let in past him."""
    monkeypatch.setattr(module, "WAIT_S", 0.01)

    async def too_much() -> ApiError:
        work = Work()
        await work.enter("a", UNDER_WAY - 10)
        with pytest.raises(ApiError) as refused:
            await work.enter("a", 11)
        await work.enter("a", 10)
        await work.enter("b", UNDER_WAY)
        return refused.value

    refusal = asyncio.run(too_much())
    assert refusal.code is RATE_LIMITED
    assert (
        f"costs 11, and those of this tenant that are being answered cost {UNDER_WAY - 10}" in refusal.detail
    )
    assert f"at most {UNDER_WAY} together" in refusal.detail
    assert refusal.headers["Retry-After"] == "1"
    assert refusal.headers["RateLimit"] == '"tenant";r=10;t=1'


def test_what_is_long_is_done_beside_the_event_loop() -> None:
    """Short work is done at once, and long work in a thread: meanwhile the loop has time for others."""

    async def where(cost: int) -> int:
        return await (await Work().enter("a", cost)).run(threading.get_ident)

    here = threading.get_ident()
    costs = (1, SHORT, SHORT + 1, LONG, LONG + 1, MOST)
    assert [asyncio.run(where(cost)) == here for cost in costs] == [cost <= SHORT for cost in costs]


def test_long_work_of_tenants_takes_turns() -> None:
    """Never two steps of one tenant before one of another that waits; short work waits for none."""
    order: list[str] = []

    async def ask(work: Work, tenant: str, cost: int) -> None:
        pace = await work.enter(tenant, cost)
        async with pace.step():
            order.append(f"{tenant} reads")
        await pace.run(lambda: order.append(f"{tenant} writes"))

    async def all_of_them() -> None:
        work = Work()
        async with asyncio.TaskGroup() as group:
            for tenant in "aaaa":
                group.create_task(ask(work, tenant, LONG))
            group.create_task(ask(work, "b", LONG))
            group.create_task(ask(work, "c", SHORT))
            group.create_task(ask(work, "d", MOST))

    asyncio.run(all_of_them())
    assert order.index("c writes") <= 3
    long = [step for step in order if step[0] in "ab"]
    assert long.index("b reads") <= 3  # two of the first are done before it comes
    assert long[long.index("b reads") + 1 :].index("b writes") <= 2  # one is under way when it wants to write
