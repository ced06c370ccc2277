"""What is on which port where METRICS_PORT is set; the true programs are asked in `test_two_ports`."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from schemas.shared.metrics_port import ForEverybody, ForOperators

PATHS = ("/livez", "/readyz", "/metrics", "/api/metrics", "/")


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path)


APP = Starlette(routes=[Route(path, answer) for path in PATHS])


def answered(app: ASGIApp, path: str) -> bool:
    """Whether the application behind it answers; anything else is told that there is no such path."""

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://it") as client:
            return await client.get(path)

    response = asyncio.run(ask())
    if response.status_code == 200:
        return True
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert response.headers["content-type"] == "application/problem+json"
    return False


@pytest.mark.parametrize(
    ("port", "paths"),
    [
        (ForEverybody(APP), {"/livez", "/readyz", "/api/metrics", "/"}),
        (ForOperators(APP), {"/livez", "/readyz", "/metrics"}),
    ],
    ids=["for everybody", "for operators"],
)
def test_each_port_answers_its_own(port: ASGIApp, paths: set[str]) -> None:
    """Also where the path is written in another way."""
    assert {path for path in PATHS if answered(port, path)} == paths
    assert answered(port, "/%6Detrics") == ("/metrics" in paths)
