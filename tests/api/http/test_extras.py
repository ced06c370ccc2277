"""What is added to the page's fields where it is asked for, over a real Redis.

Long because each addition is asked for once, beside the others, over one scene.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.counters.long import asked
from schemas.responses import Metrics
from tests.api import model
from tests.api.conftest import Door
from tests.api.http.test_routes import FIRST, HOUR, LAST, ONE_REDIS, facts, refused
from tests.api.query.test_rollup import choices
from tests.api.writer import Counted, Writer

SPAN = {"from": model.text(FIRST), "to": model.text(LAST)}
FORMULAS = {
    "delivery": ("delivered", "sent"),
    "open": ("opened", "delivered"),
    "click": ("clicked", "delivered"),
    "bounce": ("bounced", "sent"),
    "complaint": ("complained", "delivered"),
}


def ask(door: Door, **parameters: Any) -> dict[str, Any]:
    response = door.get(f"/api/metrics?{urlencode({**SPAN, **parameters})}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    Metrics.model_validate(body)
    return body


def anew(writer: Writer, written: list[Counted]) -> list[Counted]:
    """The counters are those facts; gives the facts of tenant `acme`."""
    writer.client.flushdb()
    fresh = Writer(writer.client)
    fresh.go_live()
    fresh.write(written)
    return [fact for fact in written if fact.tenant == "acme"]


def rates(counts: dict[str, Any]) -> dict[str, float | None]:
    return {
        name: counts[part] / counts[base] if counts[base] else None for name, (part, base) in FORMULAS.items()
    }


@ONE_REDIS
@given(st.lists(facts, max_size=40))
def test_rates_follow_the_page_s_formulas(writer: Writer, door: Door, written: list[Counted]) -> None:
    """Beside the totals and in each point; null at a zero base; nothing else changes."""
    anew(writer, written)
    body = ask(door, include="rates")
    assert body.pop("rates") == rates(body["totals"])
    for point in body["timeseries"]:
        assert point.pop("rates") == rates(point)
    assert body == ask(door)


def test_a_rate_without_a_base_is_null(writer: Writer, door: Door) -> None:
    writer.write([Counted(HOUR, "opened", 3)])
    assert ask(door, include="rates")["rates"] == dict.fromkeys(FORMULAS)
    writer.write([Counted(HOUR, "sent", 4), Counted(HOUR, "delivered", 2), Counted(HOUR, "opened", 3)])
    rates = ask(door, include="status,rates")["rates"]
    assert rates == {"delivery": 0.5, "open": 1.5, "click": 0.0, "bounce": 0.0, "complaint": 0.0}


@ONE_REDIS
@given(st.lists(facts, max_size=40), st.sampled_from(["hour", "day", "week", "month"]), st.integers(0, 20))
def test_previous_is_what_that_span_answers_itself(
    writer: Writer, door: Door, written: list[Counted], period: str, days: int
) -> None:
    """As many whole periods as there are points, right before the first; the same totals as there."""
    anew(writer, written)
    first = model.text(LAST - timedelta(days=days))
    body = ask(door, period=period, compare="previous", include="rates", **{"from": first})
    before = body["previous"]
    itself = ask(door, period=period, include="rates", **{"from": before["from"], "to": before["to"]})
    assert len(itself["timeseries"]) == len(body["timeseries"])
    assert itself["timeseries"][0]["timestamp"] == before["from"]
    end = datetime.fromisoformat(before["to"]) + timedelta(milliseconds=1)
    assert model.text(end) == body["timeseries"][0]["timestamp"]
    assert (before["totals"], before["rates"]) == (itself["totals"], itself["rates"])
    for field in model.FIELDS:
        now, then = body["totals"][field], before["totals"][field]
        assert body["change"][field] == ((now - then) / then if then else None)


@ONE_REDIS
@given(
    st.lists(facts, max_size=40),
    st.sampled_from(["sequence", "template"]),
    st.tuples(st.integers(1, 4), st.integers(0, 40)),
)
def test_groups_and_others_add_up(
    writer: Writer, door: Door, written: list[Counted], by: str, sizes: tuple[int, int]
) -> None:
    """The biggest groups, each as its own route says; with the others they are the totals."""
    limit, days = sizes
    own = anew(writer, written)
    body = ask(
        door, group_by=by, limit=limit, include="rates", **{"from": model.text(LAST - timedelta(days=days))}
    )
    groups, others = body["groups"], body["others"]
    for field in model.FIELDS:
        assert sum(group[field] for group in groups) + others[field] == body["totals"][field]
    assert others.pop("rates") == rates(others)
    known = {getattr(fact, by) for fact in own} - {None}
    size_of = {}
    for raw in known:
        path = (
            f"/api/metrics/{by}s/{quote(raw, safe='')}?{urlencode({'from': body['from'], 'to': body['to']})}"
        )
        totals = door.get(path).json()["totals"]
        if any(totals.values()):
            size_of[raw] = sum(totals.values())
        for group in groups:
            if group["id"] == raw:
                assert {field: group[field] for field in model.FIELDS} == totals
                assert group["rates"] == rates(totals)
    order = sorted(size_of, key=lambda raw: (-size_of[raw], raw.encode()))
    assert [group["id"] for group in groups] == order[:limit]


def test_mails_without_a_group_are_among_the_others(writer: Writer, door: Door) -> None:
    writer.write([Counted(HOUR, "sent", 5, sequence="a"), Counted(HOUR, "sent", 2)])
    body = ask(door, group_by="sequence")
    assert [(group["id"], group["sent"]) for group in body["groups"]] == [("a", 5)]
    assert body["others"]["sent"] == 2
    assert ask(door, group_by="template")["groups"] == []


def test_too_many_groups_are_refused(writer: Writer, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that would hold up Redis is refused; the same range without groups is fine."""
    writer.write([Counted(HOUR, "sent", sequence=f"s{number}", template="t") for number in range(9)])
    assert len(ask(door, group_by="sequence")["groups"]) == 9
    monkeypatch.setattr(asked, "MAX_GROUP_FIELDS", 9)
    assert len(ask(door, group_by="sequence")["groups"]) == 9
    monkeypatch.setattr(asked, "MAX_GROUP_FIELDS", 8)
    assert refused(door.get(f"/api/metrics?group_by=sequence&{urlencode(SPAN)}"), "RANGE_TOO_LARGE")
    assert len(ask(door, group_by="template")["groups"]) == 1
    monkeypatch.setattr(asked, "MAX_GROUP_FIELDS", 1)
    response = door.get(f"/api/metrics?group_by=template&{urlencode(SPAN)}")
    assert refused(response, "RANGE_TOO_LARGE"), "one group among many other fields"
    assert ask(door)["totals"]["sent"] == 9


def test_groups_of_any_scope_that_is_counted(writer: Writer, door: Door) -> None:
    """Scopes are those of the generation's record; another is a wrong parameter, after 503 and 401."""
    writer.write(
        [
            Counted(HOUR, "sent", 2, sequence="a", more=("spring", None)),
            Counted(HOUR, "sent", 3, sequence="b", more=("spring", "gmail")),
            Counted(HOUR, "sent", 4, more=("a", None)),
        ]
    )
    for scope, expected in (
        ("campaign", [("spring", 5), ("a", 4)]),
        ("isp", [("gmail", 3)]),
        ("sequence", [("b", 3), ("a", 2)]),
    ):
        groups = ask(door, group_by=scope)["groups"]
        assert [(group["id"], group["sent"]) for group in groups] == expected
    for scope in ("tenant", "step", "x" * 99):
        response = door.get(f"/api/metrics?group_by={scope}")
        assert refused(response, "INVALID_PARAMETER")
        assert response.json()["parameter"] == "group_by"
        assert "campaign" in response.json()["detail"]
    assert refused(door.get("/api/metrics?group_by=step", Authorization="Bearer x"), "UNAUTHORIZED")
    writer.client.delete(writer.lane())
    assert refused(door.get("/api/metrics?group_by=step"), "UNAVAILABLE")


def test_a_scope_that_is_not_counted_is_not_found(writer: Writer, door: Door) -> None:
    """After 503, 401 and 400: ids that were counted under another record of scopes are not taken for its."""
    writer.write([Counted(HOUR, "sent", sequence="a", template="a")])
    writer.go_live(scopes=("template",))
    for path in ("/a", "", "/a?timezone=UTC"):
        assert refused(door.get(f"/api/metrics/sequences{path}"), "NOT_FOUND")
    assert refused(door.get("/api/metrics/sequences/a?period=year"), "INVALID_PERIOD")
    assert refused(door.get("/api/metrics/sequences?limit=0"), "INVALID_PARAMETER")
    writer.go_live()
    assert door.get("/api/metrics/sequences").json()["items"] == [{"id": "a"}]


def test_details_are_in_the_answer_where_they_are_asked_for(writer: Writer, door: Door) -> None:
    """An id is known by any kind; without `fields` numbers and groups are the page's kinds alone."""
    writer.write([Counted(HOUR, "bounced_hard", 7, sequence="d"), Counted(HOUR, "sent", 2, sequence="a")])
    body = ask(door, group_by="sequence")
    assert body["totals"] == dict.fromkeys(model.FIELDS, 0) | {"sent": 2}
    assert [group["id"] for group in body["groups"]] == ["a"]
    assert door.get("/api/metrics/sequences/d").json()["totals"] == dict.fromkeys(model.FIELDS, 0)
    assert door.get("/api/metrics/sequences").json()["items"] == [{"id": "a"}, {"id": "d"}]
    body = ask(door, group_by="sequence", fields="bounced_hard")
    assert body["totals"] == {"bounced_hard": 7}
    assert body["groups"] == [{"id": "a", "bounced_hard": 0}, {"id": "d", "bounced_hard": 7}]
    assert [group["id"] for group in ask(door, group_by="sequence", fields="delayed")["groups"]] == ["a"]


@ONE_REDIS
@given(st.lists(facts, max_size=40), choices, st.sampled_from(["sequence", "template"]))
def test_fields_shape_every_part_of_an_answer(
    writer: Writer, door: Door, written: list[Counted], fields: tuple[str, ...], by: str
) -> None:
    """Totals, points, previous, change, groups and others are those of `all`, cut to the fields, in order."""
    anew(writer, written)
    more = {
        "compare": "previous",
        "group_by": by,
        "limit": 1000,
        "from": model.text(LAST - timedelta(days=9)),
    }
    whole, some = (ask(door, fields=each, **more) for each in ("all", ",".join(fields)))
    there = {*model.FIELDS, *fields}
    whole["groups"] = [group for group in whole["groups"] if any(group[field] for field in there)]

    def counts(body: dict[str, Any]) -> list[dict[str, Any]]:
        parts = [body["totals"], body["previous"]["totals"], body["change"], body["others"]]
        return [*parts, *body["timeseries"], *body["groups"]]

    for part, every in zip(counts(some), counts(whole), strict=True):
        beside = [name for name in every if name not in model.ALL]
        assert list(every) == [*beside, *model.ALL]
        assert list(part.items()) == [(name, every[name]) for name in (*beside, *fields)]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("include=rate", "include"),
        ("fields=", "fields"),
        ("fields=sent&fields=sent", "fields"),
        ("fields=sent,sent", "fields"),
        ("fields=sent,", "fields"),
        ("fields=Sent", "fields"),
        ("fields=sent,%20opened", "fields"),
        ("fields=opens", "fields"),
        ("fields=rates", "fields"),
        ("fields=all,sent", "fields"),
        ("fields=sent,all", "fields"),
        ("fields=all,all", "fields"),
        ("fields=core", "fields"),
        ("include=rates,", "include"),
        ("include=rates&include=status", "include"),
        ("compare=next", "compare"),
        ("group_by=tenant", "group_by"),
        ("limit=5", "limit"),
        ("group_by=sequence&limit=0", "limit"),
        ("group_by=sequence&limit=1001", "limit"),
        ("group_by=sequence&limit=-1", "limit"),
        ("group_by=sequence&limit=\u0663", "limit"),
        ("group_by=sequence&limit=99999999999999999999", "limit"),
        ("cursor=YQ", "cursor"),
        ("nonsense=1", "nonsense"),
    ],
)
def test_the_parameter_to_blame_is_named(writer: Writer, door: Door, query: str, parameter: str) -> None:
    assert writer.generation.name == "g1"
    response = door.get(f"/api/metrics?{query}")
    assert refused(response, "INVALID_PARAMETER")
    assert response.json()["parameter"] == parameter
    assert f"`{parameter}`" in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("?fields=sent,open_human,clicked", "`open_human`", "opened_human"),
        ("?include=status,rate", "`rate`", "rates"),
        ("?compare=last_year", "`last_year`", "previous_year"),
        ("/sequences/a?include=health", "`health`", "rates, status"),
        ("?group_by=campaigns", "group_by", "campaign"),
        ("/by/campaigns", "no such scope", "campaign"),
        ("/by/campaigns/a", "scopes", "/api/metrics/by"),
        ("/campaigns", "no such path", "/docs"),
    ],
)
def test_what_was_misspelt_is_told_with_what_there_is(
    writer: Writer, door: Door, path: str, wrong: str, right: str
) -> None:
    """Of a list the one that is wrong."""
    writer.write([Counted(HOUR, "sent", sequence="a")])
    detail = door.get(f"/api/metrics{path}").json()["detail"]
    assert wrong in detail
    assert right in detail.replace(wrong, "")


@pytest.mark.parametrize("query", ["group_by=template", "include=health", "include=rates,health"])
def test_groups_and_health_are_for_the_tenant_s_route_alone(writer: Writer, door: Door, query: str) -> None:
    writer.write([Counted(HOUR, "sent", sequence="a", template="a")])
    assert door.get(f"/api/metrics?{query}").status_code == 200
    for kind in ("sequences", "templates"):
        response = door.get(f"/api/metrics/{kind}/a?{query}")
        assert refused(response, "INVALID_PARAMETER")
        assert response.json()["parameter"] == query.partition("=")[0]


def test_health_is_told_where_it_is_asked_for(writer: Writer, door: Door) -> None:
    """Of the hard bounces that were counted in the range; beside it nothing changes."""
    writer.write([Counted(HOUR, "sent", 1_000), Counted(HOUR, "delivered", 900)])
    writer.write([Counted(HOUR, "bounced", 100), Counted(HOUR, "bounced_hard", 60)])
    body = ask(door, include="health,rates")
    assert list(body)[4:7] == ["totals", "rates", "health"]
    assert body.pop("health") == {
        "bounce": {"rate": 0.06, "status": "warning"},
        "complaint": {"rate": 0.0, "status": "healthy"},
    }
    assert body == ask(door, include="rates")
    later = ask(door, include="health", **{"from": model.text(HOUR + timedelta(hours=1))})
    assert later["health"]["bounce"] == {"rate": None, "status": "insufficient_data"}


@ONE_REDIS
@given(
    st.lists(facts, max_size=40),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from(["UTC", "Asia/Kathmandu", "America/St_Johns"]),
    choices,
)
def test_a_year_before_is_what_that_span_answers_itself(  # noqa: PLR0917 - of everything a choice
    writer: Writer, door: Door, written: list[Counted], period: str, zone: str, fields: tuple[str, ...]
) -> None:
    """The same totals and rates as there; a point has a change since; nothing else changes."""
    back = timedelta(days=364 if period == "week" else 365)
    anew(writer, [each for fact in written for each in (fact, replace(fact, at=fact.at - back))])
    more = {"period": period, "timezone": zone, "fields": ",".join(fields), "include": "rates"}
    more["from"] = model.text(LAST - timedelta(days=9))
    body = ask(door, compare="previous_year", group_by="sequence", **more)
    before, change = body.pop("previous"), body.pop("change")
    itself = ask(door, **{**more, "from": before["from"], "to": before["to"]})
    assert (before["totals"], before["rates"]) == (itself["totals"], itself["rates"])
    assert (itself["from"], itself["to"]) == (before["from"], before["to"])
    for field, now in body["totals"].items():
        then = before["totals"][field]
        assert change[field] == ((now - then) / then if then else None)
    assert body == ask(door, group_by="sequence", **more)


def test_an_answer_with_a_year_before_keeps_its_tag(writer: Writer, door: Door) -> None:
    """Its span ends with the clock's now, as that of the range does: that is no news."""
    writer.write([Counted(HOUR, "sent", 2), Counted(HOUR - timedelta(days=365), "sent", 3)])
    tags = set()
    for second in (10, 11):
        span = {"from": "2025-09-01", "to": f"2025-09-15T00:00:{second}"}
        response = door.get(f"/api/metrics?{urlencode({**span, 'compare': 'previous_year'})}")
        assert response.json()["previous"]["totals"]["sent"] == 3
        tags.add(response.headers["etag"])
    assert len(tags) == 1


def test_the_span_before_must_exist(writer: Writer, door: Door) -> None:
    assert writer.generation.name == "g1"
    for period in ("day", "week", "month"):
        query = f"period={period}&compare=previous&from=0001-01-02&to=0001-01-03"
        assert refused(door.get(f"/api/metrics?{query}"), "INVALID_RANGE")
