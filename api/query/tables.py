"""Answers as CSV (RFC 4180), for those who ask with `Accept: text/csv`. Pure.

The rows are those of the body: the points, or where groups were asked for the groups and the others.
Rates are columns like `open_rate`; one without a base is empty. Ids stand as they are.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"


def wants_csv(accept: str | None) -> bool:
    """Whether a client prefers CSV to JSON, which is what all others get (RFC 9110, section 12.5.1)."""
    weights = dict(_range_and_weight(part) for part in (accept or "").lower().split(","))
    as_csv = weights.get("text/csv", weights.get("text/*", 0.0))
    named = weights.get("application/json", weights.get("application/*"))
    if named is not None:
        return as_csv > named
    return as_csv > 0 and as_csv >= weights.get("*/*", 0.0)


def metrics_csv(body: Mapping[str, Any]) -> str:
    """The points of a body, or its groups and others where it has them."""
    if "groups" not in body:
        return _write([_flat(point) for point in msgspec.json.decode(body["timeseries"])])
    rows = [_flat({"row": "group", **group}) for group in body["groups"]]
    return _write([*rows, _flat({"row": "others", "id": "", **body["others"]})], ("row", "id"))


def ids_csv(ids: Sequence[str]) -> str:
    """A page of ids."""
    return _write([{"id": raw} for raw in ids], ("id",))


def _range_and_weight(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media, float(value)
            except ValueError:
                return media, 0.0
    return media, 1.0


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    rates = {f"{name}_rate": value for name, value in row.get("rates", {}).items()}
    return {name: value for name, value in row.items() if name != "rates"} | rates


def _write(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows as lines; columns: those that come first, and are there without rows too."""
    names = list(dict.fromkeys((*columns, *(rows[0] if rows else ()))))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
