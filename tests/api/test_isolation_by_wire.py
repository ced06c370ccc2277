"""The long form of the isolation test (`python -m tests.api.isolation`) works, and can fail."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from api.query.parameters import PAGE_PARAMETERS, SCOPE_PARAMETERS, TENANT_PARAMETERS
from tests.api.isolation import Caller, ForeignCellError, attack, run
from tests.api.isolation_queries import KINDS, ZONES, targets_of
from tests.api.model import FIELDS
from tests.api.test_isolation import MANY
from tests.api.wire import Answer, Query
from tests.api.writer import SCOPES

REQUESTS = 2_000
ZEROS = dict.fromkeys(FIELDS, 0)
ASKED = Query("/api/metrics", "k")
SMALL = Caller("k", frozenset({"a", "b"}), 1)
HEALTH = {"bounce": {"rate": 1.0, "status": "critical"}, "complaint": {"rate": None}}
BIG = Caller("k", frozenset({"c"}), MANY)


def test_a_short_one(tmp_path: Path, kafka_bootstrap: str, redis_url: str) -> None:
    """By the wire, against the true program: no foreign cell, no 5xx, and one's own numbers are there."""
    with attack(kafka_bootstrap, f"{redis_url.rpartition('/')[0]}/12", tmp_path) as running:
        run(running, REQUESTS, first_seed=1)
        assert running.asked >= REQUESTS
        assert running.found >= 2
        assert running.healths >= 2
        assert running.by_status[200] > REQUESTS / 10
        assert set(running.by_status) <= {200, 400, 404}


def test_every_route_and_parameter_is_asked() -> None:
    """Whatever is drawn: each value of each parameter, of the tenant and of an id in every scope."""
    asked = [urlsplit(target) for target in targets_of({"x"}, [])]
    assert {"/api/metrics/fields", "/api/metrics/by", "/api/metrics/by/x"} <= {each.path for each in asked}
    for path, known in (
        ("/api/metrics", TENANT_PARAMETERS),
        *((f"/api/metrics/{kind}/x", SCOPE_PARAMETERS) for kind in KINDS),
        *((f"/api/metrics/{kind}", PAGE_PARAMETERS) for kind in KINDS),
    ):
        values: dict[str, set[str]] = {}
        for name, value in (pair for each in asked if each.path == path for pair in parse_qsl(each.query)):
            values.setdefault(name, set()).update(value.split(","))
        assert set(values) == set(known), path
        for name in known:
            schema = known[name]["schema"]
            wanted = {
                *schema.get("enum", ()),
                *(schema.get("items", {}) if name == "include" else {}).get("enum", ()),
            }
            assert values[name] >= wanted, (path, name)
        assert values.get("group_by", set(SCOPES)) == set(SCOPES)
        assert values.get("timezone", set(ZONES)) == set(ZONES)


def answer(body: Any, status: int = 200) -> Answer:
    return Answer(status, "application/json", msgspec.json.encode(body))


def table(text: str) -> Answer:
    return Answer(200, "text/csv; charset=utf-8", text.encode())


def test_its_own_numbers_are_nobody_else_s() -> None:
    SMALL.validate(
        ASKED, answer({"totals": {**ZEROS, "sent": 2}, "change": {"sent": 0.5}, "groups": [{"id": "a"}]})
    )
    SMALL.validate(ASKED, table("row,id,sent\r\ngroup,a,1\r\nothers,,1\r\n"))
    BIG.validate(ASKED, answer({"timeseries": [{**ZEROS, "sent": MANY}]}))
    BIG.validate(ASKED, answer({"items": [{"id": "c"}]}))
    BIG.validate(ASKED, answer({"code": "NOT_FOUND", "id": "z"}, 404))
    BIG.validate(Query("/api/metrics/by", "k"), answer({"items": [{"id": "campaign"}]}))
    BIG.validate(ASKED, answer({"totals": {**ZEROS, "sent": MANY}, "health": HEALTH}))


@pytest.mark.parametrize(
    ("caller", "reported"),
    [
        (SMALL, answer({"totals": {**ZEROS, "sent": 7}})),
        (SMALL, answer({"timeseries": [ZEROS, {**ZEROS, "clicked": MANY}]})),
        (SMALL, answer({"others": {**ZEROS, "sent": -1}})),
        (SMALL, answer({"items": [{"id": "c"}]})),
        (SMALL, answer({"items": [{"id": "campaign"}]})),
        (SMALL, answer({"previous": {"totals": {"bounced_hard": MANY}}})),
        (SMALL, answer({"totals": ZEROS, "health": HEALTH})),
        (SMALL, table("timestamp,sent\r\n2025-09-03T00:00:00.000Z,1000000\r\n")),
        (SMALL, table("id\r\nc\r\n")),
        (BIG, answer({"totals": {**ZEROS, "sent": MANY + 1}})),
        (BIG, answer({"groups": [{"id": "a", **ZEROS}]})),
        (BIG, answer({}, 500)),
        (BIG, answer({}, 503)),
        (BIG, answer({}, 401)),
    ],
)
def test_what_is_foreign_is_seen(caller: Caller, reported: Answer) -> None:
    """In totals, points, groups, listings and CSV; and an answer that nobody should get."""
    with pytest.raises(ForeignCellError):
        caller.validate(ASKED, reported)
