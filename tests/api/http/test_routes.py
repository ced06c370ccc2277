"""The routes on a real Redis: what a client sees, field by field, and in which order a query is judged.

Long because every route is asked the same things, in one order.
"""

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.errors import ERRORS
from api.query.parameters import PAGE_PARAMETERS, SCOPE_PARAMETERS, TENANT_PARAMETERS
from schemas import counters, redis_keys
from schemas.responses import Counts, Metrics
from tests.api import model
from tests.api.conftest import NOW_MS, Door
from tests.api.query.test_rollup import choices
from tests.api.site import until
from tests.api.writer import Counted, Writer

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)
FIRST, LAST = datetime(2025, 8, 25, 5, tzinfo=UTC), datetime(2025, 10, 2, 17, 30, tzinfo=UTC)

ONE_REDIS = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""The fixtures are shared by the examples of a test; each example writes what it then reads."""


def refused(response: httpx.Response, code: str) -> bool:
    """Whether a response is this error of the table, as the contract shapes it."""
    row = next(error for error in ERRORS if error.code == code)
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.status_code == body["status"]
    assert set(body) - {"parameter"} == {"type", "title", "status", "code", "detail", "request_id"}
    assert response.headers["x-request-id"] == body["request_id"]
    assert ("parameter" in body) <= (body["status"] == 400)
    assert body["detail"]
    if body["code"] == code:
        assert response.status_code == row.status
        assert all(response.headers[name] == value for name, value in row.headers.items())
    return bool(body["code"] == code)


def ask(door: Door, path: str = "/api/metrics", key: str | None = None, **parameters: str) -> httpx.Response:
    return door.get(f"{path}?{urlencode(parameters)}" if parameters else path, key)


def test_the_page_s_example(writer: Writer, door: Door) -> None:
    """The page's own query has the page's own shape: 15 points, and no field more or less."""
    writer.write([Counted(HOUR, "sent", 850), Counted(HOUR, "opened", 1), Counted(HOUR, "bounced", 18)])
    query = {"period": "day", "from": "2025-09-01T00:00:00.000Z", "to": "2025-09-15T23:59:59.999Z"}
    response = ask(door, **query)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["period", "from", "to", "complete_through", "totals", "timeseries"]
    assert {name: body[name] for name in query} == query
    counts = {"sent": 850, "delivered": 0, "opened": 1, "clicked": 0, "bounced": 18, "complained": 0}
    assert list(body["totals"].items()) == list(counts.items())
    assert len(body["timeseries"]) == 15
    assert list(body["timeseries"][0]) == ["timestamp", *counts]
    assert body["timeseries"][2] == {"timestamp": "2025-09-03T00:00:00.000Z", **counts}
    assert all(sum(point[name] for name in counts) == 0 for point in body["timeseries"][3:])


@pytest.mark.parametrize(
    ("path", "points"),
    [
        ("/api/metrics?period=day&from=2025-09-01T00:00:00.000Z&to=2025-09-15T23:59:59.999Z", 15),
        ("/api/metrics/sequences/onboarding?period=week", 12),
        ("/api/metrics/templates/welcome-email?period=month&from=2025-06-01T00:00:00.000Z", 4),
    ],
)
def test_the_page_s_other_queries(writer: Writer, door: Door, path: str, points: int) -> None:
    """Each of its addresses, as it stands there, is answered in the documented shape."""
    writer.write([Counted(HOUR, "sent", 2, sequence="onboarding", template="welcome-email")])
    body = door.get(path).json()
    Metrics.model_validate(body)
    assert (len(body["timeseries"]), body["totals"]["sent"]) == (points, 2)


def test_the_models_have_the_fields_of_the_table() -> None:
    assert tuple(Counts.model_fields) == model.ALL
    assert set(Metrics.model_json_schema(by_alias=True)["required"]) == {
        "period",
        "from",
        "to",
        "complete_through",
        "totals",
        "timeseries",
    }


ZONES = ["Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Asia/Tokyo"]
quarters = st.integers(-120, 96 * 45).map(
    lambda offset: datetime(2025, 8, 25, tzinfo=UTC) + offset * model.QUARTER
)
ids = st.none() | st.sampled_from(["a", "b", "a/b", "{a}:t", "é\n😀", "%2F"])
facts = st.builds(
    Counted,
    quarters,
    st.sampled_from(model.ALL),
    st.integers(1, 3) | st.sampled_from([255, 256, 300]),
    st.sampled_from(["acme", "{b}:c", "é"]),
    ids,
    ids,
)


@ONE_REDIS
@given(
    st.lists(facts, max_size=40),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.tuples(st.none() | st.sampled_from(ZONES), st.none() | choices),
)
def test_every_scope_equals_a_naive_count(
    writer: Writer,
    door: Door,
    written: list[Counted],
    period: str,
    more: tuple[str | None, tuple[str, ...] | None],
) -> None:
    """Tenant, sequences and templates each answer with just their facts: every field, period and zone."""
    zone, fields = more
    writer.client.flushdb()
    fresh = Writer(writer.client)
    fresh.go_live()
    fresh.write(written)
    span = {"period": period, "from": model.text(FIRST), "to": model.text(LAST)}
    span |= {} if zone is None else {"timezone": zone}
    span |= {} if fields is None else {"fields": "all" if fields == model.ALL else ",".join(fields)}
    shown = fields or model.FIELDS
    rules = None if zone is None else model.rules(zone)
    for tenant in {fact.tenant for fact in written} | {"acme"}:
        key = door.keys.texts.get(tenant) or door.keys.add(tenant)
        own = [fact for fact in written if fact.tenant == tenant]
        answers = {"/api/metrics": own}
        for fact in own:
            for route, id_of in (("sequences", fact.sequence), ("templates", fact.template)):
                if id_of is not None:
                    path = f"/api/metrics/{route}/{quote(id_of, safe='')}"
                    answers.setdefault(path, []).append(fact)
        for path, counted in answers.items():
            sums: dict[tuple[datetime, str], int] = {}
            for fact in counted:
                sums[fact.at, fact.field] = sums.get((fact.at, fact.field), 0) + fact.count
            body = ask(door, path, key, **span).json()
            assert body["timeseries"] == model.answer(period, FIRST, LAST, sums, rules, fields=shown)
            totals = [(field, sum(point[field] for point in body["timeseries"])) for field in shown]
            assert list(body["totals"].items()) == totals


@pytest.mark.parametrize(
    "raw",
    ["a", "a/b", "a%2Fb", "/", "..", "é", "😀", "a\nb", "a\n", "?", "#", " ", "{id}", "x" * 255, "%", "+"],
)
@pytest.mark.parametrize("route", ["sequences", "templates"])
def test_an_id_is_any_text(writer: Writer, door: Door, raw: str, route: str) -> None:
    """A percent-encoded id is compared byte for byte, a slash in it included."""
    writer.write([Counted(HOUR, "sent", 3, sequence=raw, template=raw), Counted(HOUR, "sent", 4)])
    span = {"from": "2025-09-01", "to": "2025-09-30"}
    path = f"/api/metrics/{route}/"
    encoded = quote(raw, safe="").replace(".", "%2E")  # clients take dots for steps up and down
    assert ask(door, path + encoded, **span).json()["totals"]["sent"] == 3
    for other in (raw + "x", raw + "\n", "x" + raw, raw + "/", raw + "\x00"):
        assert refused(ask(door, path + quote(other, safe=""), **span), "NOT_FOUND")


def test_bytes_that_are_no_text_are_no_id(writer: Writer, door: Door) -> None:
    """The replacement character is an id of its own, not a stand-in for whatever is not UTF-8."""
    writer.write([Counted(HOUR, "sent", 3, sequence="\ufffd")])
    assert door.get("/api/metrics/sequences/%EF%BF%BD").status_code == 200
    assert refused(door.get("/api/metrics/sequences/%FF"), "NOT_FOUND")


def test_sequences_templates_and_tenants_are_apart(writer: Writer, door: Door) -> None:
    writer.write(
        [
            Counted(HOUR, "sent", sequence="mine"),
            Counted(HOUR, "sent", template="yours"),
            Counted(HOUR, "sent", tenant="other", sequence="theirs"),
        ]
    )
    other = door.keys.add("other")
    assert door.get("/api/metrics/sequences/mine").status_code == 200
    assert door.get("/api/metrics/templates/yours").status_code == 200
    assert door.get("/api/metrics/sequences/theirs", other).status_code == 200
    for path in ("sequences/yours", "templates/mine", "sequences/theirs", "sequences/", "templates/"):
        assert refused(door.get(f"/api/metrics/{path}"), "NOT_FOUND")
    assert refused(door.get("/api/metrics/sequences/mine", other), "NOT_FOUND")


def test_a_known_id_without_events_in_the_range_is_zeros(writer: Writer, door: Door) -> None:
    writer.write([Counted(HOUR, "sent", sequence="onboarding")])
    response = ask(door, "/api/metrics/sequences/onboarding", **{"from": "2020-01-01", "to": "2020-01-02"})
    assert response.status_code == 200
    assert len(response.json()["timeseries"]) == 2
    assert not any(response.json()["totals"].values())


def test_a_tenant_without_events_is_zeros_up_to_now(writer: Writer, door: Door) -> None:
    """Without parameters: 30 days up to the clock's now; a generation that is there has true zeros."""
    assert writer.generation.name == "g1"
    body = door.get("/api/metrics").json()
    assert body["period"] == "day"
    assert (
        body["to"]
        == "2025-09-17T13:45:12.345Z"
        == model.text(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=NOW_MS))
    )
    assert body["from"] == "2025-08-19T00:00:00.000Z"
    assert len(body["timeseries"]) == 30


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("period=year", "INVALID_PERIOD"),
        ("period=Day", "INVALID_PERIOD"),
        ("from=soon", "INVALID_RANGE"),
        ("to=2025-02-30", "INVALID_RANGE"),
        ("from=2025-09-01T00:00:00+02:00", "INVALID_RANGE"),
        ("from=2025-09-02&to=2025-09-01", "INVALID_RANGE"),
        ("from=9999-12-31", "INVALID_RANGE"),
        ("to=0001-01-01", "INVALID_RANGE"),
        ("period=hour&from=2020-01-01", "RANGE_TOO_LARGE"),
        ("from=0001-01-01&to=9999-12-31", "RANGE_TOO_LARGE"),
        ("period=", "INVALID_PARAMETER"),
        ("period", "INVALID_PARAMETER"),
        ("from=&to=2025-09-01", "INVALID_PARAMETER"),
        ("period=day&period=day", "INVALID_PARAMETER"),
        ("to=2025-09-01&to=2025-09-02", "INVALID_PARAMETER"),
        ("zone=UTC", "INVALID_PARAMETER"),
        ("Period=day", "INVALID_PARAMETER"),
        ("=1", "INVALID_PARAMETER"),
        ("%FF=%FF", "INVALID_PARAMETER"),
        ("from=%FF", "INVALID_RANGE"),
        ("from=2025-09-01%00", "INVALID_RANGE"),
    ],
)
def test_parameters_that_are_refused(writer: Writer, door: Door, query: str, code: str) -> None:
    writer.write([Counted(HOUR, "sent", sequence="a")])
    for path in ("/api/metrics", "/api/metrics/sequences/a", "/api/metrics/templates/unknown"):
        response = door.get(f"{path}?{query}")
        assert refused(response, code), response.text


def test_an_offset_with_its_plus_encoded_is_read(writer: Writer, door: Door) -> None:
    assert writer.generation.name == "g1"
    body = ask(door, **{"from": "2025-09-01T00:00:00+02:00", "to": "2025-09-02T00:00:00-01:00"}).json()
    assert (body["from"], body["to"]) == ("2025-08-31T22:00:00.000Z", "2025-09-02T01:00:00.000Z")


@ONE_REDIS
@given(st.lists(st.tuples(st.sampled_from(["period", "from", "to", "x"]) | st.text(), st.text()), max_size=4))
def test_no_query_breaks_it(writer: Writer, door: Door, query: list[tuple[str, str]]) -> None:
    """Whatever the query string, the answer is 200 or a 400 of the table."""
    assert writer.generation.name == "g1"
    encoded = urlencode([(name, value) for name, value in query], errors="surrogatepass")
    response = door.get(f"/api/metrics?{encoded}")
    assert response.status_code == 200 or any(
        refused(response, error.code) for error in ERRORS if error.status == 400
    )


def test_every_reason_to_refuse_a_key_looks_the_same(writer: Writer, door: Door) -> None:
    """401 has one body, whether the key is missing, malformed, unknown or revoked."""
    assert writer.generation.name == "g1"
    revoked = door.keys.add("former", revoked=True)
    good = door.keys.texts["acme"]
    wrong = good[:20] + ("x" if good[20] != "x" else "y") + good[21:]
    values = [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        good,
        f"Bearer {wrong}",
        f"Bearer {revoked}",
        "Bearer \u00e9",
    ]
    bodies = set()
    for value in values:
        response = door.get("/api/metrics", Authorization=value)
        assert refused(response, "UNAUTHORIZED"), value
        assert response.headers["www-authenticate"] == "Bearer"
        bodies.add(response.text.replace(response.headers["x-request-id"], ""))
    response = door.send("GET", "/api/metrics")
    assert refused(response, "UNAUTHORIZED")
    assert bodies == {response.text.replace(response.headers["x-request-id"], "")}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_a_scheme_is_known_however_it_is_written(writer: Writer, door: Door, scheme: str) -> None:
    """RFC 9110, section 11.1; spaces before the key are none of it."""
    assert writer.generation.name == "g1"
    response = door.get("/api/metrics", Authorization=f"{scheme} {door.keys.texts['acme']}")
    assert response.status_code == 200


def test_the_order_of_the_checks(writer: Writer, door: Door) -> None:
    """503, then 401, then 400, then 404: each is reported before the next, on the same request."""
    path = "/api/metrics/sequences/unknown?period=year"
    stranger = {"Authorization": "Bearer nobody"}

    assert refused(door.get("/api/metrics/sequences/unknown"), "NOT_FOUND")
    assert refused(door.get(path), "INVALID_PERIOD")
    assert refused(door.get(path, **stranger), "UNAUTHORIZED")

    door.keys.loaded = False
    assert refused(door.get(path, **stranger), "UNAVAILABLE")
    assert refused(door.get(path), "UNAVAILABLE")
    door.keys.loaded = True

    writer.client.delete(writer.lane())
    assert refused(door.get(path), "UNAVAILABLE")
    assert refused(door.get(path, **stranger), "UNAUTHORIZED")

    writer.client.delete(redis_keys.RECORD_KEY)
    assert refused(door.get(path), "UNAVAILABLE")
    until(lambda: refused(door.get(path, **stranger), "UNAVAILABLE"))  # a second later at worst


def test_other_paths_and_methods_are_problems_too(writer: Writer, door: Door) -> None:
    assert writer.generation.name == "g1"
    for path in (
        "/page",
        "/page/x",
        "/api",
        "/api/metrics/",
        "/api/metrics/x",
        "/docs/",
        "/docs/x",
        "/redoc",
    ):
        assert refused(door.send("GET", path), "NOT_FOUND"), path
    for method, path in product(
        ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"),
        ("/api/metrics", "/api/metrics/sequences", "/api/metrics/templates/a%2Fb"),
    ):
        response = door.send(method, path)
        assert refused(response, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET"
        headers_only = door.send("HEAD", path)
        assert (headers_only.status_code, headers_only.headers["allow"]) == (405, "GET")


def test_a_defect_is_a_500_without_details(
    writer: Writer, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not foreseen is reported as INTERNAL, and the server gets the error to log it."""
    assert writer.generation.name == "g1"
    monkeypatch.setattr("api.http.service.metrics_body", lambda *_: 1 / 0)
    response = door.get("/api/metrics")
    assert refused(response, "INTERNAL")
    assert "division" not in response.text
    transport = httpx.ASGITransport(door.app)
    client = httpx.AsyncClient(transport=transport, base_url="http://api")
    headers = {"Authorization": f"Bearer {door.keys.texts['acme']}"}
    with pytest.raises(ZeroDivisionError):
        door.loop.run_until_complete(client.get("/api/metrics", headers=headers))
    assert 'api_requests_total{route="/api/metrics",status="500"} 2.0' in door.send("GET", "/metrics").text


def test_health_and_metrics(writer: Writer, door: Door) -> None:
    """`/livez` is always 200; `/readyz` says why it is not ready, and how far the keys are read."""
    assert door.send("GET", "/livez").status_code == 200
    ready = door.send("GET", "/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "reasons": [], "api_keys_offset": 0, "api_keys_trouble": None},
    )

    door.keys.trouble = "no broker can be reached"  # revocations are not heard of; known keys open as ever
    uneasy = door.send("GET", "/readyz")
    assert (uneasy.status_code, uneasy.json()["api_keys_trouble"]) == (200, door.keys.trouble)
    assert "api_keys_followed 0.0" in door.send("GET", "/metrics").text

    door.keys.loaded, door.keys.next_offset = False, 7
    door.keys.unread, door.keys.heard_ms = 3, 1_700_000_000_500
    for _ in range(2):  # a scrape sees itself, and none before it
        assert {
            "api_requests_in_flight 1.0",
            "api_keys_known 1.0",
            "api_keys_next_offset 7.0",
            "api_keys_lag_records 3.0",
            "api_keys_heard_timestamp_seconds 1.7000000005e+09",
        } <= set(door.send("GET", "/metrics").text.splitlines())
    writer.client.delete(redis_keys.RECORD_KEY)
    waiting = door.send("GET", "/readyz")
    assert waiting.status_code == 503
    assert waiting.json()["status"] == "unavailable"
    assert waiting.json()["api_keys_offset"] is None
    assert len(waiting.json()["reasons"]) == 2
    assert "no broker can be reached" in waiting.json()["reasons"][1]
    assert door.send("GET", "/livez").status_code == 200
    door.keys.loaded = True
    assert door.send("GET", "/readyz").json()["api_keys_offset"] == 7

    door.get("/api/metrics/sequences/a")
    door.send("GET", "/nowhere/12345")
    lines = door.send("GET", "/metrics").text
    assert 'api_requests_total{route="/api/metrics/sequences/{id}",status="503"} 1.0' in lines
    assert 'api_requests_total{route="none",status="404"} 1.0' in lines
    assert "12345" not in lines
    assert 'api_request_seconds_count{route="/readyz"} 4.0' in lines
    assert "api_redis_read_seconds_count" in lines


def test_openapi_names_the_scheme_the_errors_and_the_parameters(door: Door) -> None:
    paths = door.send("GET", "/openapi.json").json()
    routes = {
        "get": ("/api/metrics", tuple(TENANT_PARAMETERS)),
        "sequence": ("/api/metrics/sequences/{id}", ("id", *SCOPE_PARAMETERS)),
        "template": ("/api/metrics/templates/{id}", ("id", *SCOPE_PARAMETERS)),
        "sequences": ("/api/metrics/sequences", tuple(PAGE_PARAMETERS)),
        "templates": ("/api/metrics/templates", tuple(PAGE_PARAMETERS)),
        "scopes": ("/api/metrics/by", ()),
        "ids": ("/api/metrics/by/{scope}", ("scope", *PAGE_PARAMETERS)),
        "by": ("/api/metrics/by/{scope}/{id}", ("scope", "id", *SCOPE_PARAMETERS)),
    }
    assert set(paths["paths"]) == {"/api/metrics/fields", *(path for path, _ in routes.values())}
    for name, (path, parameters) in routes.items():
        operation = paths["paths"][path]["get"]
        assert operation["operationId"] == name
        assert tuple(parameter["name"] for parameter in operation["parameters"]) == parameters
        statuses = {"200", "304", "400", "401", "429", "500", "503", "default"}
        assert set(operation["responses"]) == statuses | (
            {"404"} if {"id", "scope"} & set(parameters) else set()
        )
        codes = operation["responses"]["400"]["content"]["application/problem+json"]["schema"]["properties"][
            "code"
        ]
        assert codes["enum"] == [error.code for error in ERRORS if error.status == 400]
        assert operation["security"] == [{"HTTPBearer": []}]
    assert json.dumps(paths).count("HTTPValidationError") == 0


def test_ten_thousand_points_are_answered(writer: Writer, door: Door) -> None:
    writer.write([Counted(datetime(2000, 1, 1, tzinfo=UTC), "sent"), Counted(HOUR, "sent", 70_000)])
    body = ask(door, **{"period": "month", "from": "1600-01-01", "to": "2432-12-31"}).json()
    assert len(body["timeseries"]) == 833 * 12
    assert body["totals"]["sent"] == 70_001


def test_a_generation_of_this_layout_only(writer: Writer, door: Door) -> None:
    assert door.get("/api/metrics").status_code == 200
    writer.go_live(layout=counters.LAYOUT + 1)
    assert refused(door.get("/api/metrics"), "UNAVAILABLE")
