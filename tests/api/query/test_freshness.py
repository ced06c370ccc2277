"""`complete_through` and the status of a point: what an answer says of its own completeness."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from api.query.freshness import complete_through, status_of
from tests.api import model
from tests.api.conftest import NOW_MS, Door
from tests.api.writer import Counted, Writer

DAYS_92 = 92 * 24 * 3_600_000
times = st.integers(0, 2**42)


@given(st.dictionaries(st.integers(0, 99), times, min_size=1))
def test_it_is_the_least_of_all_partitions(partitions: dict[int, int]) -> None:
    """One partition that stands still holds all of it; one without a time takes it away."""
    assert complete_through(dict(partitions)) == min(partitions.values())
    assert complete_through({**partitions, 100: None}) is None
    assert complete_through({}) is None


@given(times, st.integers(-1, 1) | st.integers(DAYS_92 - 1, DAYS_92 + 1) | st.integers(-(2**42), 2**42))
def test_a_status_follows_from_the_end_of_the_point(end: int, age: int) -> None:
    """Each time has one status, and the bounds lie where the documentation says, to the millisecond."""
    assert status_of(end, None) == "partial"
    expected = "partial" if age < 0 else "provisional" if age < DAYS_92 else "final"
    assert status_of(end, end + age) == expected


def test_every_answer_says_how_complete_it_is(writer: Writer, door: Door) -> None:
    """In the body and the header of numbers and listings; null and no header before all have one."""
    writer.write([Counted(datetime(2025, 9, 3, tzinfo=UTC), "sent", sequence="a", template="a")])
    paths = [
        f"/api/metrics{rest}" for rest in ("", "/sequences", "/templates", "/sequences/a", "/templates/a")
    ]
    for partitions, through in (
        ({}, None),
        ({"f0": 7}, None),
        ({"c0": NOW_MS - 5}, "2025-09-17T13:45:12.340Z"),
        ({"f1": 3}, None),
        ({"c1": NOW_MS - 9}, "2025-09-17T13:45:12.336Z"),
        ({"c1": NOW_MS}, "2025-09-17T13:45:12.340Z"),
    ):
        if partitions:
            writer.client.hset(writer.lane(), mapping=partitions)  # type: ignore[arg-type] # invariant in its stubs
        for path in paths:
            response = door.get(path)
            assert response.json()["complete_through"] == through
            assert response.headers.get("x-complete-through") == through


def test_other_tenants_lanes_do_not_matter(writer: Writer, door: Door) -> None:
    """The time is that of the lane that was read, together with its numbers."""
    for lane in range(writer.generation.lanes):
        writer.client.hset(f"{{g1:{lane}}}", "c0", 1 + lane)
    writer.client.hset(writer.lane(), "c0", NOW_MS)
    assert door.get("/api/metrics").json()["complete_through"] == "2025-09-17T13:45:12.345Z"


def test_points_have_a_status_where_it_is_asked_for(writer: Writer, door: Door) -> None:
    """Days of five months: final, then provisional, then partial from the day that is being counted."""
    through = datetime(2025, 9, 16, 12, tzinfo=UTC)
    writer.client.hset(writer.lane(), "c0", model.ms(through))
    span = "from=2025-05-01&to=2025-09-17"
    points = door.get(f"/api/metrics?include=status&{span}").json()["timeseries"]
    for point in points:
        end = datetime.fromisoformat(point["timestamp"]) + timedelta(days=1)
        expected = "final" if through - end >= timedelta(days=92) else "provisional"
        assert point["status"] == ("partial" if end > through else expected)
    assert {point["status"] for point in points} == {"final", "provisional", "partial"}
    assert [point["status"] for point in points[-2:]] == ["partial", "partial"]
    assert "status" not in door.get(f"/api/metrics?{span}").json()["timeseries"][0]
