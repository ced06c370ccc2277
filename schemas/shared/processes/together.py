"""What is for operators, answered by whichever process is asked, for all of them.

`/livez` and `/readyz` are as good as the worst of them, so that a balancer or a person who asks any process
knows of all; `/metrics` are the sums. Everything else is the one process's own affair.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.shared.metrics_port import METRICS, OPERATORS
from schemas.shared.processes.exposition import Rule, merged
from schemas.shared.processes.links import Answer, Links

BY_A_PROCESS: Final = "by_a_process"
"""In the scope of a request that another process of the program makes: it counts as no request."""

READY: Final = "/readyz"


def worst(answers: Sequence[Answer]) -> Answer:
    """The first of those that say the worst."""
    return max(answers, key=lambda each: each.status)


@dataclass(frozen=True)
class Rules:
    """How the answers of a program's processes become one.

    gauges: what each gauge of the program is, over all of them; ready: what becomes of their answers to
    `/readyz`, the asked process's own first.
    """

    gauges: Mapping[str, Rule]
    ready: Callable[[Sequence[Answer]], Answer] = worst

    def together(self, path: str, answers: Sequence[Answer]) -> Answer:
        """One answer of all. path: one of `OPERATORS`."""
        if path == READY:
            return self.ready(answers)
        bad = worst(answers)
        if path != METRICS or bad.status != HTTPStatus.OK:
            return bad
        body = merged([each.body for each in answers], self.gauges)
        return Answer(bad.status, answers[0].headers, body)


@dataclass(frozen=True)
class Others:
    """The other processes of a program, as one of them sees them.

    links: to each of them; rules: of the program; first: whether this process is the one that does what
    should be done once.
    """

    links: Links
    rules: Rules
    first: bool


class Together:
    """An application that answers operators for all processes."""

    def __init__(self, app: ASGIApp, others: Others) -> None:
        """app: of this process; it answers for itself alone."""
        self._app = app
        self._links = others.links
        self._rules = others.rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; anything else of ASGI goes to the application."""
        if scope["type"] != "http" or scope["path"] not in OPERATORS or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        own, others = await asyncio.gather(_answered(self._app, scope, receive), self._links.ask(path))
        answer = self._rules.together(path, [own, *others])
        response = Response(answer.body, answer.status)
        length = response.headers["content-length"].encode()
        kept = [(name, value) for name, value in answer.headers if name.lower() != b"content-length"]
        response.raw_headers = [*kept, (b"content-length", length)]
        await response(scope, receive, send)

    async def answer(self, path: str) -> Answer:
        """What this process alone says to another one. path: one of `OPERATORS`."""
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "client": None,
            "server": None,
            BY_A_PROCESS: True,
        }
        return await _answered(self._app, scope, _nothing_more)


async def _nothing_more() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _answered(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    """What an application answers, kept instead of sent."""
    status, headers, body = int(HTTPStatus.INTERNAL_SERVER_ERROR), [], bytearray()

    async def keep(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, keep)
    return Answer(status, headers, bytes(body))
