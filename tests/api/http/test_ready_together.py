"""`/readyz` of several processes: what `keys create` waits for holds in each of them."""

import json

import pytest

from api.http.health import ready_together
from schemas.shared.processes.links import SILENCE, Answer


def said(offset: int | None, trouble: str | None = None, *reasons: str) -> Answer:
    status = "unavailable" if reasons else "ready"
    body = {"status": status, "reasons": reasons, "api_keys_offset": offset, "api_keys_trouble": trouble}
    return Answer(503 if reasons else 200, [], json.dumps(body).encode())


@pytest.mark.parametrize(
    ("answers", "status", "offset", "trouble", "reasons"),
    [
        ([said(7), said(5), said(6)], 200, 5, None, []),
        ([said(7), said(7, "away"), said(7, "gone")], 200, 7, "away", []),
        ([said(7), said(None, "away", "not read")], 503, None, "away", ["not read"]),
        ([said(7, None, "no lanes"), said(5, None, "no lanes")], 503, 5, None, ["no lanes"]),
        ([said(7), SILENCE], 503, None, None, ["A process of this program does not answer."]),
    ],
)
def test_it_is_ready_where_each_is_and_knows_what_each_knows(
    answers: list[Answer], status: int, offset: int | None, trouble: str | None, reasons: list[str]
) -> None:
    for order in (answers, answers[::-1]):
        together = ready_together(order)
        body = json.loads(together.body)
        assert (together.status, body["status"]) == (status, "ready" if status == 200 else "unavailable")
        assert body["api_keys_offset"] == offset
        assert sorted(body["reasons"]) == sorted(reasons)
        assert (body["api_keys_trouble"] is None) == (trouble is None)
    assert json.loads(ready_together(answers).body)["api_keys_trouble"] == trouble
