"""The description of the metrics routes: of the routes that there are, and complete in itself."""

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.config import ApiSettings
from api.http.routes import MetricsRoute
from schemas.responses import KnownIds, Metrics
from tests.api.conftest import FixedKeys


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The application; nothing connects before the first request."""
    return create_app(ApiSettings(), keys=FixedKeys())


def test_each_metrics_route_is_described_and_nothing_else(app: FastAPI) -> None:
    """By the path that a client writes, with the id where there is one; ids of operations are unique."""
    routes = {route.path_format: route for route in app.routes if isinstance(route, MetricsRoute)}
    paths = app.openapi()["paths"]
    assert list(paths) == list(routes)
    assert len({path["get"]["operationId"] for path in paths.values()}) == len(routes) == 5
    for path, methods in paths.items():
        assert list(methods) == ["get"]
        in_path = {each["name"] for each in methods["get"]["parameters"] if each["in"] == "path"}
        assert in_path == set(routes[path].param_convertors)


def test_all_that_it_names_is_in_it(app: FastAPI) -> None:
    """Each reference leads somewhere, and each model and scheme is referred to."""
    document: dict[str, Any] = app.openapi()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == set(document["components"]["schemas"])
    for path in document["paths"].values():
        assert path["get"]["security"] == [{name: [] for name in document["components"]["securitySchemes"]}]


def test_the_models_are_described_as_fastapi_does(app: FastAPI) -> None:
    """Generators of clients know its way of writing them."""
    plain = FastAPI()
    plain.add_api_route("/metrics", lambda: None, response_model=Metrics)
    plain.add_api_route("/ids", lambda: None, response_model=KnownIds)
    assert app.openapi()["components"]["schemas"] == plain.openapi()["components"]["schemas"]
