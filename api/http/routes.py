"""The metrics routes, and beside each what OpenAPI says of it.

They are plain ASGI: a request goes straight to its answer. An endpoint in FastAPI's way has its signature
worked out at each request, which took some 100 us where all else took 200; and all that the signature could
say is checked by the service anyway, in its own order. So there is none: what a route takes and gives stands
here as data, and nowhere else.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from api.counters.reader import WHOLE_TENANT, Scope
from api.http import glossary
from api.http.openapi import IDS_EXAMPLE, METRICS_EXAMPLE, SCOPES_EXAMPLE, Operation, PathParameter
from api.http.service import Service
from api.query.parameters import PAGE_PARAMETERS, SCOPE_PARAMETERS, TENANT_PARAMETERS
from schemas.responses import Glossary, KnownIds, Metrics


class WholeRest(Convertor[str]):
    """The rest of the path, whatever is in it: an id may hold slashes and line ends, or be empty."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """The id as it stands in the decoded path."""
        return value

    def to_string(self, value: str) -> str:
        """The id as it stands in the decoded path."""
        return value


register_url_convertor("whole", WholeRest())


Answer = Callable[[Service, Request], Awaitable[Response]]


class MetricsRoute(Route):
    """A path that knows GET alone (HEAD is refused like every other method), with its description."""

    def __init__(
        self, path: str, answer: Callable[[Request], Awaitable[Response]], operation: Operation
    ) -> None:
        super().__init__(path, answer)
        self.operation = operation
        self._answer = answer

    def matches(self, scope: ASGIScope) -> tuple[Match, ASGIScope]:
        """As any route, and the request knows its route, as the metrics count by it."""
        match, child_scope = super().matches(scope)
        if match is not Match.NONE:
            child_scope["route"] = self
        return match, child_scope

    async def handle(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises: HTTPException 405 where it is no GET; what the answer raises.
        """
        if scope["method"] != "GET":
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET"})
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _scope(request: Request) -> str:
    return str(request.path_params["scope"])


SCOPE_IN_PATH: Final = PathParameter(
    "scope", "The scope, one of those that `GET /api/metrics/by` lists.", "sequence", format="scope"
)

ROUTES: Final[Sequence[tuple[str, Answer, Operation]]] = (
    (
        "/api/metrics",
        lambda service, request: service.metrics(request, WHOLE_TENANT),
        Operation(
            id="get",
            summary="Get Metrics",
            description="The numbers of the whole tenant.",
            body=Metrics,
            example=METRICS_EXAMPLE,
            query=TENANT_PARAMETERS,
        ),
    ),
    (
        "/api/metrics/sequences",
        lambda service, request: service.ids(request, "sequence"),
        Operation(
            id="sequences",
            summary="Get Sequences",
            description="The known sequences: those for which something was counted, "
            "in the order of their bytes.",
            body=KnownIds,
            example=IDS_EXAMPLE,
            query=PAGE_PARAMETERS,
        ),
    ),
    (
        "/api/metrics/templates",
        lambda service, request: service.ids(request, "template"),
        Operation(
            id="templates",
            summary="Get Templates",
            description="The known templates: those for which something was counted, "
            "in the order of their bytes.",
            body=KnownIds,
            example=IDS_EXAMPLE,
            query=PAGE_PARAMETERS,
        ),
    ),
    (
        "/api/metrics/sequences/{id:whole}",
        lambda service, request: service.metrics(request, Scope("sequence", _id(request))),
        Operation(
            id="sequence",
            summary="Get Sequence Metrics",
            description="The numbers of one sequence.",
            body=Metrics,
            example=METRICS_EXAMPLE,
            query=SCOPE_PARAMETERS,
            path=(PathParameter("id", "The sequence ID.", "onboarding"),),
        ),
    ),
    (
        "/api/metrics/templates/{id:whole}",
        lambda service, request: service.metrics(request, Scope("template", _id(request))),
        Operation(
            id="template",
            summary="Get Template Metrics",
            description="The numbers of one template, over all sequences and single mails.",
            body=Metrics,
            example=METRICS_EXAMPLE,
            query=SCOPE_PARAMETERS,
            path=(PathParameter("id", "The template ID.", "welcome-email"),),
        ),
    ),
    (
        "/api/metrics/by",
        lambda service, request: service.scopes(request),
        Operation(
            id="scopes",
            summary="Get Scopes",
            description="The scopes that mails are counted by here, beside the tenant: `sequence`, "
            "`template` and those that the installation adds (`SCOPE_TAGS`).",
            body=KnownIds,
            example=SCOPES_EXAMPLE,
            query={},
        ),
    ),
    (
        "/api/metrics/by/{scope}",
        lambda service, request: service.ids(request, _scope(request)),
        Operation(
            id="ids",
            summary="Get Ids Of A Scope",
            description="The known ids of any scope, such as the campaigns, "
            "in the order of their bytes. A scope that is not counted here is not found.",
            body=KnownIds,
            example=IDS_EXAMPLE,
            query=PAGE_PARAMETERS,
            path=(SCOPE_IN_PATH,),
        ),
    ),
    (
        "/api/metrics/by/{scope}/{id:whole}",
        lambda service, request: service.metrics(request, Scope(_scope(request), _id(request))),
        Operation(
            id="by",
            summary="Get Metrics By Scope",
            description="The numbers of one id of any scope, such as one campaign.",
            body=Metrics,
            example=METRICS_EXAMPLE,
            query=SCOPE_PARAMETERS,
            path=(SCOPE_IN_PATH, PathParameter("id", "The id in that scope.", "onboarding")),
        ),
    ),
    (
        "/api/metrics/fields",
        lambda _service, request: glossary.fields(request),
        Operation(
            id="fields",
            summary="Get Fields",
            description="What each field means, counts and is a rate of, and how `include=health` judges. "
            "It takes no key, and changes with the version of the API alone.",
            body=Glossary,
            example=glossary.GLOSSARY,
            query={},
            is_public=True,
        ),
    ),
)


def metrics_routes(service: Service) -> list[MetricsRoute]:
    """All of them. service: who answers."""
    return [MetricsRoute(path, partial(answer, service), operation) for path, answer, operation in ROUTES]
