"""The front door changes nothing: an answer is what the framework's own way to the route would give."""

from datetime import UTC, datetime

import httpx
import pytest

from api.app import Api
from api.http.routes import ROUTES
from tests.api.conftest import Door
from tests.api.writer import Counted, Writer

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)

PATHS = (
    *(path.replace("{scope}", "sequence").replace("{id:whole}", "a") for path, _, _ in ROUTES),
    "/api/metrics/",
    "/api/metrics%0A",
    "/api/metrics/sequences/",
    "/api/metrics/sequences/a%2Fb%0Ac",
    "/api/metrics/sequences/%FF",
    "/api/metrics/by/no/a",
    "/api/metrics/by/a/b/c",
    "/api/metrics/nothing",
    "/api/metrics?period=nonsense",
    "/api/metrics?from=2025-09-01&to=2025-09-10&include=rates,status",
    "/api/other",
)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", PATHS)
def test_the_door_gives_what_the_framework_gives(writer: Writer, door: Door, path: str, method: str) -> None:
    """Status, headers and body, but for the request's name."""
    writer.write([Counted(HOUR, "sent", 2, sequence=each) for each in ("a", "a/b\nc", "", "b")])
    app = door.app
    assert isinstance(app, Api)
    behind = httpx.ASGITransport(app.front.others, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {door.keys.texts['acme']}"}

    async def both() -> list[tuple[int, dict[str, str], bytes]]:
        async with httpx.AsyncClient(transport=behind, base_url="http://api") as client:
            answers = [await each.request(method, path, headers=headers) for each in (door.client, client)]
        names = [answer.headers.pop("x-request-id") for answer in answers]
        assert names[0] != names[1]
        return [
            (answer.status_code, _but_for_the_limit(answer), answer.content.replace(name.encode(), b"ID"))
            for answer, name in zip(answers, names, strict=True)
        ]

    before, after = door.loop.run_until_complete(both())
    assert before == after


def _but_for_the_limit(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.multi_items() if name != "ratelimit"}


@pytest.mark.usefixtures("writer")
def test_a_defect_is_a_problem_with_the_request_s_name(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has one name, in its header and in its body, and is counted as what it is."""

    def broken(_body: object, _form: str) -> str:
        raise RuntimeError("a defect")

    monkeypatch.setattr("api.http.polling.etag", broken)
    answer = door.get("/api/metrics")
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert answer.headers.get_list("x-request-id") == [answer.json()["request_id"]]
    counted = 'api_requests_total{route="/api/metrics",status="500"} 1.0'
    assert counted in door.send("GET", "/metrics").text
