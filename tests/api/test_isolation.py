"""No tenant's answer ever holds a number or an id of another one, whatever they are called.

Names and ids are made to meet: of the characters that keys, paths and hash tags are built of, as each other's
encoded forms, as pieces of each other's keys, very short and as long as they may be. The other tenant counts
in millions and one's own in ones, so a foreign cell shows in any sum. `ISOLATION_EXAMPLES` makes it longer.
"""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlencode

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from schemas.redis_keys import lane_key, safe_id
from tests.api.conftest import Door
from tests.api.http.test_routes import refused
from tests.api.model import ALL
from tests.api.writer import Counted, Writer

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)
DAY = 20_334
MANY = 997
SPAN = urlencode({"from": "2025-09-01", "to": "2025-09-05"})
LONGEST = 255
AGO = (5, 364)
"""Days before `HOUR`: in the span before, and a year before."""
SPANS = 1 + len(AGO)

hostile = st.text(st.sampled_from(":{}%/\\@*?#&=+ .\n\x00spt2Faé😀\u0301\ufffd"), min_size=1, max_size=8)
names = st.one_of(
    hostile,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    st.sampled_from(
        ["%2F", "%252F", "..", "sequences", "a" * LONGEST, "a" * (LONGEST - 1) + "b", "é", "e\u0301"]
    ),
)
TWISTS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: name + ":",
    lambda name: name + f":{DAY}",
    lambda name: f"{name}}}",
    lambda name: "{" + name,
    safe_id,
    unquote,
    str.upper,
    lambda name: quote(name, safe=""),
    lambda name: lane_key("g1", 0) + ":c:" + name,
    lambda name: "\x01" + name,
    lambda name: "\0" + name,
    lambda name: name[1:] or "x",
)
twists = st.sampled_from(TWISTS)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[tuple[str, list[str]], tuple[str, list[str]]]:
    """Two tenants with their ids, made of one another; none longer than can be."""
    mine = draw(names)
    theirs = draw(st.one_of(names, twists.map(lambda twist: twist(mine))))
    own = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    other = [*draw(st.lists(names, max_size=2)), *(draw(twists)(each) for each in own), draw(twists)(theirs)]
    if theirs == mine:
        theirs += "'"
    assume(max(len(each.encode()) for each in (theirs, *other)) <= LONGEST)  # no key has a longer tenant
    return (mine, own), (theirs, list(dict.fromkeys(other)))


def counted(tenant: str, ids: Iterable[str], count: int) -> Iterable[Counted]:
    """So many of two families in each id of every scope; as many sent in the span before, and a year ago."""
    for each in ids:
        of = (count, tenant, each, each, (each, each))
        yield from (Counted(HOUR, field, *of) for field in ("sent", "bounced_hard"))
        yield from (Counted(HOUR - timedelta(days=ago), "sent", *of) for ago in AGO)


def encoded(raw: str) -> str:
    """An id as a piece of a path; also the dots, which clients take for steps up and down."""
    return quote(raw, safe="").replace(".", "%2E")


def counts(body: Any) -> Iterable[int]:
    """Every count in an answer, however deep."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name in ALL and isinstance(value, int):
                yield value
            else:
                yield from counts(value)
    elif isinstance(body, list):
        for value in body:
            yield from counts(value)


@settings(
    deadline=None,
    max_examples=int(os.environ.get("ISOLATION_EXAMPLES", "60")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(neighbours())
def test_no_answer_holds_anything_of_another_tenant(
    writer: Writer, door: Door, tenants: tuple[tuple[str, list[str]], tuple[str, list[str]]]
) -> None:
    """All routes, with one's own ids and with the other's; numbers, groups, listings and CSV."""
    (mine, own), (theirs, other) = tenants
    writer.client.flushdb()
    fresh = Writer(writer.client, lanes=1)  # in one lane, so that only the names keep them apart
    fresh.go_live()
    for tenant, ids, count in ((mine, own, 1), (theirs, other, MANY)):
        fresh.write(counted(tenant, ids, count))
    key = door.keys.add(mine)

    every = f"{SPAN}&fields=all&include=rates,status"
    for compare, group_by in (("previous", "sequence"), ("previous_year", "isp")):
        body = door.get(f"/api/metrics?{every},health&compare={compare}&group_by={group_by}", key).json()
        assert {body["totals"][name] for name in ("sent", "bounced_hard")} == {len(own)}
        assert body["previous"]["totals"]["sent"] == len(own)
        assert max(counts(body)) <= len(own)
        assert {group["id"] for group in body["groups"]} <= set(own)
        assert [watched["rate"] for watched in body["health"].values()] == [None, None]
    for kind in ("sequences", "templates", "by/campaign", "by/isp"):
        listed = door.get(f"/api/metrics/{kind}", key).json()
        assert [item["id"] for item in listed["items"]] == sorted(own, key=str.encode)
        for each in {*own, *other}:
            response = door.get(f"/api/metrics/{kind}/{encoded(each)}?{every}&compare=previous", key)
            if each in own:
                assert max(counts(response.json())) == 1
            else:
                assert refused(response, "NOT_FOUND")
        authorization = {"Authorization": f"Bearer {key}"}
        scope = kind.removeprefix("by/").removesuffix("s")
        table = door.get(f"/api/metrics?{every}&group_by={scope}", **authorization, Accept="text/csv")
        assert str(MANY) not in table.text
    for each in {*own, *other, mine, theirs}:
        for scope in ("tenant", "step", encoded(each)):
            for path in ("", f"/{encoded(each)}", "/"):
                response = door.get(f"/api/metrics/by/{scope}{path}", key)
                assert refused(response, "NOT_FOUND"), (scope, path)
    for attempt in (f"tenant={quote(theirs)}", f"{quote(theirs)}=1"):
        assert door.get(f"/api/metrics?{attempt}", key).status_code == 400
