"""Answers as CSV: for those who prefer it, and with what the body has in JSON."""

import csv
import io
from urllib.parse import urlencode

import pytest

from api.query.tables import wants_csv
from tests.api import model
from tests.api.conftest import Door
from tests.api.http.test_extras import FORMULAS, SPAN, ask
from tests.api.http.test_routes import HOUR
from tests.api.writer import Counted, Writer


@pytest.mark.parametrize(
    ("accept", "is_csv"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", False),
        ("text/csv", True),
        ("Text/CSV; charset=utf-8", True),
        ("text/*", True),
        ("text/csv, */*;q=0.1", True),
        ("text/csv, */*", True),
        ("text/csv;q=0.5, application/json", False),
        ("text/csv;q=0.5, */*", False),
        ("text/csv;q=0", False),
        ("text/csv;q=0, */*;q=0", False),
        ("text/csv;q=x", False),
        ("application/json;q=0.2, text/csv;q=0.9", True),
        ("text/csv, application/json", False),
    ],
)
def test_csv_is_for_those_who_prefer_it(accept: str | None, is_csv: bool) -> None:
    assert wants_csv(accept) is is_csv


def rows(door: Door, path: str) -> list[dict[str, str]]:
    key = {"Authorization": f"Bearer {door.keys.texts['acme']}"}
    response = door.get(path, **key, Accept="text/csv")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert response.text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def test_csv_has_the_rows_of_the_body(writer: Writer, door: Door) -> None:
    """The same points, groups and ids as in JSON; rates are columns, empty without a base."""
    name = 'a,"b"\né'
    writer.write(
        [Counted(HOUR, "sent", 4, sequence=name), Counted(HOUR, "delivered", 1), Counted(HOUR, "sent")]
    )
    query = urlencode({**SPAN, "include": "rates,status"})
    as_csv = rows(door, f"/api/metrics?{query}")
    for row, point in zip(as_csv, ask(door, include="rates,status")["timeseries"], strict=True):
        flat = {**point, **{f"{rate}_rate": value for rate, value in point.pop("rates").items()}}
        del flat["rates"]
        assert row == {key: "" if value is None else str(value) for key, value in flat.items()}
    assert list(as_csv[0])[:7] == ["timestamp", *model.FIELDS]
    grouped = rows(door, f"/api/metrics?group_by=sequence&{urlencode(SPAN)}")
    assert [(row["row"], row["id"], row["sent"]) for row in grouped] == [
        ("group", name, "4"),
        ("others", "", "1"),
    ]
    for fields in (["suppressed"], ["opened_human", "sent"]):
        query = urlencode({**SPAN, "fields": ",".join(fields), "include": "rates"})
        rate = {"opened_human": ["human_open_rate"]}.get(fields[0], [])
        columns = [*fields, *(f"{name}_rate" for name in FORMULAS), *rate]
        assert list(rows(door, f"/api/metrics?{query}")[0]) == ["timestamp", *columns]
        assert list(rows(door, f"/api/metrics?{query}&group_by=sequence")[0]) == ["row", "id", *columns]
    assert rows(door, "/api/metrics/sequences") == [{"id": name}]
    assert rows(door, "/api/metrics/templates") == []
