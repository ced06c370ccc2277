"""Known ids, page by page: all of them once, in an order that does not move."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.query.query import page_of, read_cursor
from schemas.responses import KnownIds
from tests.api.conftest import Door
from tests.api.http.test_routes import HOUR, refused
from tests.api.writer import Counted, Writer


@given(st.sets(st.text(st.characters(codec="utf-8"), min_size=1), max_size=30), st.integers(1, 10))
def test_pages_hold_every_id_once_in_a_stable_order(known: set[str], limit: int) -> None:
    """Whatever the size of a page, and with ids that become known between two pages."""
    raw = set(known)
    seen: list[str] = []
    after: str | None = None
    while True:
        later = sorted(
            (each for each in raw if after is None or each.encode() > after.encode()), key=str.encode
        )
        page, cursor = page_of(later[: limit + 1], limit)
        assert len(page) <= limit
        seen += page
        if cursor is None:
            break
        after = read_cursor(cursor)
        raw.add("")  # sorts before all others: a page that has been read does not move the next
    assert seen == sorted(known, key=str.encode)


@pytest.mark.parametrize("kind", ["sequences", "templates"])
def test_known_ids_are_listed_by_pages(writer: Writer, door: Door, kind: str) -> None:
    """One's own ids of that kind and no others, by pages that follow each other."""
    names = [f"{kind}-{number}" for number in range(5)] + ["{b}:c", "é\n", "a/b"]
    for tenant in ("acme", "other"):
        for name in [name if tenant == "acme" else f"x{name}" for name in names]:
            others = f"{tenant}'s of the other kind"
            sequence, template = (name, others) if kind == "sequences" else (others, name)
            writer.write([Counted(HOUR, "sent", tenant=tenant, sequence=sequence, template=template)])
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        response = door.get(f"/api/metrics/{kind}?{urlencode(query)}")
        body = KnownIds.model_validate(response.json())
        seen += [item.id for item in body.items]
        cursor = body.next_cursor
        if cursor is None:
            break
        assert len(body.items) == 3
    assert seen == sorted(names, key=str.encode)
    nobody = door.get(f"/api/metrics/{kind}", door.keys.add("nobody")).json()
    assert nobody == {"items": [], "next_cursor": None, "complete_through": None}


@pytest.mark.parametrize("cursor", ["!", "YQ==", "YQ=", "Y", "_w", "é", "a" * 1001])
def test_a_cursor_that_is_none_is_refused(writer: Writer, door: Door, cursor: str) -> None:
    assert writer.generation.name == "g1"
    response = door.get(f"/api/metrics/sequences?cursor={quote(cursor)}")
    assert refused(response, "INVALID_PARAMETER")
    assert response.json()["parameter"] == "cursor"
