"""Whichever process is asked, operators hear of all; clients are served by the one that they reached."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from fastapi import FastAPI, Response

from schemas.shared.processes.links import SILENCE, Answer, Links, pairs
from schemas.shared.processes.together import Others, Rules, Together


class Told(Links):
    """Others that say what a test says."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__([])
        self._answers = answers
        self.asked: list[str] = []

    async def ask(self, path: str) -> list[Answer]:
        self.asked.append(path)
        return list(self._answers)


def app() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/readyz")
    @app.get("/livez")
    @app.post("/livez")
    @app.get("/elsewhere")
    async def well() -> Response:
        return Response("well", headers={"X-Own": "yes"})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response("# HELP a_total A.\n# TYPE a_total counter\na_total 3.0\n", headers={"X-Own": "yes"})

    return app


def asked(links: Links, path: str, method: str = "GET") -> httpx.Response:
    together = Together(app(), Others(links, Rules({}), first=True))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(together), base_url="http://it") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


def test_what_is_for_operators_is_as_good_as_the_worst() -> None:
    good = Told([Answer(200, [], b"well too")])
    bad = Told([Answer(200, [], b"well too"), Answer(503, [(b"retry-after", b"5")], b"ill")])
    for path in ("/livez", "/readyz"):
        answer = asked(good, path)
        assert (answer.status_code, answer.text, answer.headers["x-own"]) == (200, "well", "yes")
        answer = asked(bad, path)
        assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "ill", "5")


def test_metrics_are_the_sum_of_all_or_not_there() -> None:
    """A sum without one of them would look as if a counter had begun anew."""
    other = Answer(200, [], b"# HELP a_total A.\n# TYPE a_total counter\na_total 4.0\n")
    answer = asked(Told([other, other]), "/metrics")
    assert (answer.status_code, answer.headers["x-own"]) == (200, "yes")
    assert answer.text.splitlines()[-1] == "a_total 11.0"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert asked(Told([other, SILENCE]), "/metrics").status_code == 503


@pytest.mark.parametrize(("method", "path"), [("GET", "/elsewhere"), ("POST", "/livez")])
def test_nobody_else_is_asked_on_behalf_of_a_client(method: str, path: str) -> None:
    links = Told([SILENCE])
    assert asked(links, path, method).status_code == 200
    assert links.asked == []


def test_a_process_answers_another_for_itself_alone() -> None:
    links = Told([SILENCE])
    answer = asyncio.run(Together(app(), Others(links, Rules({}), first=True)).answer("/metrics"))
    assert (answer.status, answer.body.splitlines()[-1]) == (200, b"a_total 3.0")
    assert links.asked == []


def test_every_two_processes_have_a_pair() -> None:
    ends = pairs(4)
    assert [len(each) for each in ends] == [3] * 4
    for sockets in ends:
        for each in sockets:
            each.close()
