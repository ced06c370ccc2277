"""What the clients make of each parameter, route and member of an answer."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from kraiter import FIELDS, Counts, Field, Kraiter, Metrics
from schemas.kinds import FIELDS as COUNTED
from tests.api.clients.callers import ALL_IDS, Caller, run_node
from tests.api.clients.scripted import Reply, metrics, scripted

pytestmark = pytest.mark.programs

SOME = {"opened_human": 3, "sent": 10, "bounced_hard": 1}
RATES = {"delivery": 0.9, "open": 0.4, "click": None, "bounce": 0.1, "complaint": 0.0}
FURTHER = {**RATES, "hard_bounce": 0.1, "human_open": None}
TIMES = {"from": "2025-03-02T00:00:00.000Z", "to": "2025-03-02T23:59:59.999Z"}
RULE = {"formula": "bounced_hard / sent", "warning": 0.05, "critical": 0.1}


def some(**changes: Any) -> dict[str, Any]:
    """An answer with some fields and all that can be asked for beside them."""
    counted = {**SOME, "rates": FURTHER}
    return metrics(
        totals=SOME,
        rates=FURTHER,
        health={
            "bounce": {"rate": 0.1, "status": "critical"},
            "complaint": {"rate": None, "status": "insufficient_data"},
        },
        previous={**TIMES, "totals": SOME, "rates": FURTHER},
        change={"opened_human": 0.5, "sent": None, "bounced_hard": -1.0},
        groups=[{"id": "a", **counted}],
        others=counted,
        timeseries=[{"timestamp": "2025-03-03T00:00:00.000Z", **counted, "status": "partial"}],
        **changes,
    )


GLOSSARY = {
    "fields": [
        {
            "name": "opened",
            "description": "Unique opens.",
            "unit": "messages",
            "family": "core",
            "horizon_days": 62,
            "rate": {"name": "open", "formula": "opened / delivered"},
        },
        {
            "name": "sent",
            "description": "Sent.",
            "unit": "recipients",
            "family": "core",
            "horizon_days": 3,
            "rate": None,
        },
    ],
    "health": {"sent_at_least": 1000, "bounce": RULE, "complaint": RULE},
}


def page(*ids: str, following: str | None = None) -> dict[str, Any]:
    return {"items": [{"id": each} for each in ids], "next_cursor": following, "complete_through": None}


def test_the_fields_are_those_that_are_counted() -> None:
    """In the same order, so that `fields=all` reads like the table."""
    assert FIELDS == COUNTED


def test_all_that_was_asked_for_is_there(ask: Caller) -> None:
    asked = {
        "fields": ["opened_human", "sent", "bounced_hard"],
        "include": ["rates", "status", "health"],
        "compare": "previous_year",
        "group_by": "campaign",
    }
    with scripted(Reply(200, some())) as server:
        assert ask(server.url, "k", [("get", (asked,))]) == [some()]
    (path, _), query = server.asked[0], "fields=opened_human%2Csent%2Cbounced_hard"
    assert path.startswith(f"/api/metrics?{query}&include=rates%2Cstatus%2Chealth&compare=previous_year")
    assert path.endswith("&group_by=campaign")


@pytest.mark.parametrize("fields", ["opened_human", "all", ["opened_human", "clicked_human"]])
def test_fields_are_asked_for_on_every_route(ask: Caller, fields: str | list[str]) -> None:
    """A word, or some with commas between."""
    body = metrics(totals=dict.fromkeys(FIELDS, 1), timeseries=[])
    routes = {
        "/api/metrics": ("get", ({"fields": fields},)),
        "/api/metrics/sequences/a": ("sequence", ("a", {"fields": fields})),
        "/api/metrics/templates/a": ("template", ("a", {"fields": fields})),
        "/api/metrics/by/campaign/a": ("by", ("campaign", "a", {"fields": fields})),
    }
    with scripted(*[Reply(200, body)] * len(routes)) as server:
        outcomes = ask(server.url, "k", list(routes.values()))
    text = fields if isinstance(fields, str) else "%2C".join(fields)
    assert [path for path, _ in server.asked] == [f"{path}?fields={text}" for path in routes]
    assert all(outcome["totals"]["opened_human"] == 1 for outcome in outcomes)


def test_a_scope_and_an_id_are_parts_of_a_path(ask: Caller) -> None:
    """Whatever is in them."""
    calls = [("by", ("camp/aign", "a/b?c")), ("ids", ("isp", {"limit": 2})), ("scopes", ()), ("fields", ())]
    bodies = [metrics(), page("a", "b", following="c"), page("sequence"), GLOSSARY]
    with scripted(*(Reply(200, body) for body in bodies)) as server:
        assert ask(server.url, "k", calls) == bodies
    assert [path for path, _ in server.asked] == [
        "/api/metrics/by/camp%2Faign/a%2Fb%3Fc",
        "/api/metrics/by/isp?limit=2",
        "/api/metrics/by",
        "/api/metrics/fields",
    ]


def test_all_ids_are_those_of_all_pages(ask: Caller) -> None:
    pages = page("a", "b", following="x"), page(following="y"), page("c")
    with scripted(*(Reply(200, each) for each in pages)) as server:
        (outcome,) = ask(server.url, "k", [(ALL_IDS, ("campaign",))])
    assert outcome == {"ids": ["a", "b", "c"]}
    first = "/api/metrics/by/campaign?limit=1000"
    assert [path for path, _ in server.asked] == [first, f"{first}&cursor=x", f"{first}&cursor=y"]


def test_a_page_that_fails_ends_in_its_error(ask: Caller) -> None:
    """Some ids are never taken for all."""
    with scripted(Reply(200, page("a", following="x")), Reply(404, {"code": "NOT_FOUND"})) as server:
        (outcome,) = ask(server.url, "k", [(ALL_IDS, ("campaign",))])
    assert outcome["error"]["name"] == "NotFoundError"


def test_no_page_is_asked_for_before_it_is_needed() -> None:
    with scripted(Reply(200, page("a", following="x"))) as server, Kraiter("k", server.url) as kraiter:
        ids = kraiter.metrics.all_ids("campaign")
        assert server.asked == []
        assert next(ids) == "a"
        assert len(server.asked) == 1


def test_a_held_glossary_is_used_again(ask: Caller) -> None:
    """It has no `complete_through` that could be newer."""
    with scripted(Reply(200, GLOSSARY, {"ETag": '"one"'}), Reply(304)) as server:
        assert ask(server.url, "k", [("fields", ()), ("fields", ())]) == [GLOSSARY, GLOSSARY]
    assert server.asked[1][1]["If-None-Match"] == '"one"'


def with_unknown(value: Any) -> Any:
    """A body of a later API: in each of its objects there is something new."""
    if isinstance(value, Mapping):
        known = {name: with_unknown(each) for name, each in value.items()}
        return {**known, "new": {"more": 1}, "new_text": "x"}
    return [with_unknown(each) for each in value] if isinstance(value, list) else value


def without_unknown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: without_unknown(each) for name, each in value.items() if not name.startswith("new")}
    return [without_unknown(each) for each in value] if isinstance(value, list) else value


def test_what_a_later_api_adds_does_no_harm(ask: Caller) -> None:
    """Wherever it stands in an answer."""
    calls = [
        ("get", ({"fields": list(SOME)},)),
        ("get", ({"fields": "all"},)),
        ("ids", ("a",)),
        ("fields", ()),
    ]
    bodies = [some(), some(), page("a"), GLOSSARY]
    with scripted(*(Reply(200, with_unknown(body)) for body in bodies)) as server:
        outcomes = ask(server.url, "k", calls)
    assert [without_unknown(outcome) for outcome in outcomes] == bodies


def test_a_field_that_a_later_api_counts_is_among_all() -> None:
    totals = {**dict.fromkeys(FIELDS, 1), "forwarded": 2}
    body = metrics(totals=totals, timeseries=[{"timestamp": TIMES["from"], **totals}])
    with scripted(Reply(200, body)) as server, Kraiter("k", server.url) as kraiter:
        answer = kraiter.metrics.get(fields="all")
    assert answer.totals.as_dict() == totals
    assert answer.rows()[0]["forwarded"] == 2


def asked_some() -> Metrics[Field]:
    with scripted(Reply(200, some())) as server, Kraiter("k", server.url) as kraiter:
        return kraiter.metrics.get(fields=("opened_human", "sent", "bounced_hard"))


def test_python_has_fields_as_attributes_and_as_items() -> None:
    """And says so where one was not asked for, rather than 0 or None."""
    totals = asked_some().totals
    assert (totals.opened_human, totals["sent"], list(totals.as_dict())) == (3, 10, list(SOME))
    with pytest.raises(AttributeError, match="'delivered' was not asked for: there are opened_human, sent"):
        _ = totals.delivered
    with pytest.raises(KeyError, match="'delivered' was not asked for"):
        _ = totals["delivered"]
    assert getattr(totals, "delivered", None) is None
    assert repr(totals) == "Counts(opened_human=3, sent=10, bounced_hard=1)"


def test_python_s_counts_are_values() -> None:
    """Equal where their numbers are, hashable, and not to be altered."""
    answer = asked_some()
    assert answer == asked_some()
    assert answer.totals == Counts(sent=10, bounced_hard=1, opened_human=3)
    assert answer.totals != Counts(sent=10)
    assert len({answer, asked_some()}) == 1
    for name in ("sent", "timestamp", "another"):
        with pytest.raises(AttributeError):
            setattr(answer.timeseries[0], name, 1)


POINT_ROW = {
    "timestamp": "2025-03-03T00:00:00.000Z",
    **SOME,
    "status": "partial",
    **{f"{name}_rate": rate for name, rate in FURTHER.items()},
}
GROUP_ROW = {"id": "a", **SOME, **{f"{name}_rate": rate for name, rate in FURTHER.items()}}


def test_rows_are_flat_and_alike() -> None:
    """What `pandas.DataFrame` and `polars.DataFrame` take: dicts with the same keys and nothing in them."""
    answer = asked_some()
    assert [{**row, "timestamp": POINT_ROW["timestamp"]} for row in answer.rows()] == [POINT_ROW]
    assert answer.rows()[0]["timestamp"] == answer.timeseries[0].timestamp
    assert list(answer.rows()[0]) == list(POINT_ROW)
    assert answer.group_rows() == [GROUP_ROW, {**GROUP_ROW, "id": None}]
    assert [list(row) for row in answer.group_rows()] == [list(GROUP_ROW)] * 2
    with scripted(Reply(200, metrics())) as server, Kraiter("k", server.url) as kraiter:
        plain = kraiter.metrics.get()
    assert list(plain.rows()[0]) == ["timestamp", *metrics()["totals"]]
    with pytest.raises(ValueError, match="ask with group_by"):
        plain.group_rows()


def test_javascript_makes_the_same_rows() -> None:
    done = run_node(
        f"const metrics = {json.dumps(some())};\n"
        "console.log(JSON.stringify([rows(metrics), groupRows(metrics)]));\n"
        "try { groupRows({}); } catch (error) { console.log(error.name); }"
    )
    told, name = done.stdout.splitlines()
    assert json.loads(told) == [[POINT_ROW], [GROUP_ROW, {**GROUP_ROW, "id": None}]]
    assert list(json.loads(told)[0][0]) == list(POINT_ROW)
    assert name == "TypeError"
