"""The routes of any scope: as those of sequences and templates are, for every scope that is counted here."""

from datetime import UTC, datetime, timedelta
from itertools import product
from urllib.parse import quote, urlencode

import httpx
import pytest

from api.query.parameters import SCOPE_PARAMETERS
from schemas import redis_keys
from tests.api.conftest import Door, OpenDoor
from tests.api.http.test_routes import refused
from tests.api.site import until
from tests.api.writer import SCOPES, Counted, Writer

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)
SPAN = urlencode({"from": "2025-09-01", "to": "2025-09-05"})


def sent(response: httpx.Response) -> int:
    assert response.status_code == 200, response.text
    total: int = response.json()["totals"]["sent"]
    assert sum(point["sent"] for point in response.json()["timeseries"]) == total
    return total


def test_an_id_of_any_scope_has_its_own_numbers(writer: Writer, door: Door) -> None:
    """The same text in four scopes and under two tenants is eight ids."""
    ids = ("x", "spring")
    numbers = {
        (tenant, scope, raw): 1 + at
        for at, (tenant, scope, raw) in enumerate(product(("acme", "other"), SCOPES, ids))
    }
    for (tenant, scope, raw), count in numbers.items():
        named = [raw if scope == each else None for each in SCOPES]
        writer.write(
            [
                Counted(HOUR, "sent", count, tenant, named[0], named[1], (named[2], named[3])),
                Counted(HOUR + timedelta(days=9), "sent", 50, tenant, more=("later", None)),
            ]
        )
    keys = {tenant: door.keys.add(tenant) for tenant in ("acme", "other")}
    for (tenant, scope, raw), count in numbers.items():
        assert sent(door.get(f"/api/metrics/by/{scope}/{raw}?{SPAN}", keys[tenant])) == count
    for scope in SCOPES:
        listed = [{"id": "later"}] if scope == "campaign" else []
        body = door.get(f"/api/metrics/by/{scope}").json()
        assert body["items"] == [*listed, {"id": "spring"}, {"id": "x"}]


@pytest.mark.parametrize(("scope", "route"), [("sequence", "sequences"), ("template", "templates")])
def test_the_scopes_of_the_page_are_scopes_too(writer: Writer, door: Door, scope: str, route: str) -> None:
    """By either path the same answer, byte for byte, with its headers: numbers, pages, CSV and refusals."""
    names = ["a", "a/b", "%2F", "é", "z"]
    writer.write(Counted(HOUR, "sent", 2, sequence=name, template=name) for name in names)
    every = f"{SPAN}&period=week&timezone=Asia/Kolkata&include=rates,status&compare=previous"
    asked = [f"/{quote(name, safe='')}?{query}" for name in names for query in (SPAN, every)]
    asked += [
        "",
        "?limit=2",
        "?limit=2&cursor=YQ",
        "/nothing",
        "/a?group_by=sequence",
        "?period=day",
        "/",
        "/%FF",
    ]
    bearer = {"Authorization": f"Bearer {door.keys.texts['acme']}"}
    for path, accept in product(asked, ("application/json", "text/csv")):
        by, own = (
            door.get(f"/api/metrics/{start}{path}", **bearer, Accept=accept)
            for start in (f"by/{scope}", route)
        )
        assert by.status_code == own.status_code
        varying = ("x-request-id", "ratelimit")
        assert [each for each in by.headers.items() if each[0] not in varying] == [
            each for each in own.headers.items() if each[0] not in varying
        ]
        if by.status_code == 200:
            assert by.content == own.content
        else:
            assert by.json() | {"request_id": ""} == own.json() | {"request_id": ""}


@pytest.mark.parametrize(
    "raw",
    ["a", "a/b", "a%2Fb", "/", "..", "é", "😀", "a\nb", "?", "#", " ", "{id}", "x" * 255, "by", "%", "+"],
)
def test_an_id_is_any_text(writer: Writer, door: Door, raw: str) -> None:
    """Percent-encoded and compared byte for byte; a slash may stand as it is."""
    writer.write([Counted(HOUR, "sent", 3, more=(raw, None)), Counted(HOUR, "sent", 4)])
    path = "/api/metrics/by/campaign/"
    assert sent(door.get(f"{path}{quote(raw, safe='').replace('.', '%2E')}?{SPAN}")) == 3
    if raw.isprintable() and "." not in raw and raw != "/":
        assert sent(door.get(f"{path}{quote(raw, safe='/')}?{SPAN}")) == 3
    for other in (raw + "x", raw + "\n", "x" + raw, raw + "/"):
        assert refused(door.get(path + quote(other, safe="")), "NOT_FOUND")


def test_which_scopes_there_are(writer: Writer, door: Door) -> None:
    """Those of the generation's record, in its order; no parameter is taken."""
    writer.client.hset(writer.lane(), "c0", 1_758_116_712_345)
    response = door.get("/api/metrics/by")
    assert response.json() == {
        "items": [{"id": scope} for scope in SCOPES],
        "next_cursor": None,
        "complete_through": "2025-09-17T13:45:12.345Z",
    }
    bearer = {"Authorization": f"Bearer {door.keys.texts['acme']}"}
    held = {"If-None-Match": response.headers["etag"]}
    assert door.get("/api/metrics/by", **bearer, **held).status_code == 304
    assert door.get("/api/metrics/by", **bearer, Accept="text/csv").text.split() == ["id", *SCOPES]
    for query in ("limit=1", "cursor=YQ", "x=1"):
        assert refused(door.get(f"/api/metrics/by?{query}"), "INVALID_PARAMETER")
    writer.go_live(scopes=("step",))
    assert door.get("/api/metrics/by").json()["items"] == [{"id": "step"}]


@pytest.mark.parametrize(
    "scope", ["step", "tenant", "Campaign", "campaign ", "campaigns", "\0", "é", "%FF", "x" * 300, "{scope}"]
)
def test_a_scope_that_is_not_counted_is_not_found(writer: Writer, door: Door, scope: str) -> None:
    """However it is called, `tenant` too: neither ids nor numbers, the tenant's own least of all."""
    raw = scope if scope == "%FF" else quote(scope)
    writer.write([Counted(HOUR, "sent", 5, sequence="a", more=("a", "a"))])
    block = redis_keys.member_of_block(HOUR.toordinal() // redis_keys.BLOCK_DAYS)[1:]
    for path in ("", "?limit=5", "/", "/a", f"/a?{SPAN}", "/acme", f"/{quote(block)}"):
        assert refused(door.get(f"/api/metrics/by/{raw}{path}"), "NOT_FOUND"), path
    assert refused(door.get(f"/api/metrics/by/{raw}?limit=0"), "INVALID_PARAMETER")
    assert refused(door.get(f"/api/metrics/by/{raw}/a?period=year"), "INVALID_PERIOD")


@pytest.mark.parametrize("path", ["by", "by/campaign", "by/nothing", "by/campaign/a", "by/nothing/a"])
def test_the_order_of_the_checks(writer: Writer, open_door: OpenDoor, redis_db: str, path: str) -> None:
    """503, 401, 429, 400, and 404 last: each is reported before the next, on the same request."""
    door = open_door(redis_db, rate_limit="2/day")
    wrong = f"/api/metrics/{path}?nonsense=1"
    stranger = {"Authorization": "Bearer nobody"}
    assert refused(door.get(wrong), "INVALID_PARAMETER")
    right = door.get(f"/api/metrics/{path}")
    assert right.status_code == 200 if path in ("by", "by/campaign") else refused(right, "NOT_FOUND")
    assert refused(door.get(wrong), "RATE_LIMITED")
    assert refused(door.get(wrong, **stranger), "UNAUTHORIZED")
    writer.client.delete(redis_keys.RECORD_KEY)
    assert refused(door.get(wrong), "UNAVAILABLE")
    until(lambda: refused(door.get(wrong, **stranger), "UNAVAILABLE"))  # a second later at worst


def test_they_know_what_a_template_s_route_knows(writer: Writer, door: Door) -> None:
    writer.write([Counted(HOUR, "sent", more=("a", None))])
    assert "group_by" not in SCOPE_PARAMETERS
    for query in ("group_by=sequence", "limit=5", "cursor=YQ", "include=health"):
        assert refused(door.get(f"/api/metrics/by/campaign/a?{query}"), "INVALID_PARAMETER")
    for query in ("period=day", "group_by=sequence"):
        assert refused(door.get(f"/api/metrics/by/campaign?{query}"), "INVALID_PARAMETER")


@pytest.mark.parametrize("path", ["by", "by/campaign", "by/campaign/a%2Fb"])
def test_get_alone(writer: Writer, door: Door, path: str) -> None:
    assert writer.generation.name == "g1"
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        response = door.send(method, f"/api/metrics/{path}")
        assert (response.status_code, response.headers["allow"]) == (405, "GET")


def test_requests_are_counted_by_route_and_not_by_scope(writer: Writer, door: Door) -> None:
    writer.write([Counted(HOUR, "sent", more=("a", None))])
    for path in ("by", "by/campaign", "by/nothing", "by/campaign/a", "by/n/x"):
        door.get(f"/api/metrics/{path}")
    lines = door.send("GET", "/metrics").text
    for route, found, missing in (("by", 1, 0), ("by/{scope}", 1, 1), ("by/{scope}/{id}", 1, 1)):
        assert f'api_requests_total{{route="/api/metrics/{route}",status="200"}} {found}.0' in lines
        assert f'api_requests_total{{route="/api/metrics/{route}",status="404"}} {missing}.0' in lines
