"""The description of the metrics routes: of the routes that there are, and complete in itself."""

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.config import ApiSettings
from api.errors import ERRORS
from api.http.routes import MetricsRoute
from api.query.parameters import PARAMETERS
from schemas.responses import Glossary, KnownIds, Metrics
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
    assert len({path["get"]["operationId"] for path in paths.values()}) == len(routes) == 9
    for path, methods in paths.items():
        assert list(methods) == ["get"]
        in_path = {each["name"] for each in methods["get"]["parameters"] if each["in"] == "path"}
        assert in_path == set(routes[path].param_convertors)


def test_all_that_it_names_is_in_it(app: FastAPI) -> None:
    """Each reference leads somewhere, and each model and scheme is referred to."""
    document: dict[str, Any] = app.openapi()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == set(document["components"]["schemas"])
    for path, methods in document["paths"].items():
        schemes = [] if path == "/api/metrics/fields" else list(document["components"]["securitySchemes"])
        assert methods["get"]["security"] == [{name: []} for name in schemes]


def test_the_models_are_described_as_fastapi_does(app: FastAPI) -> None:
    """Generators of clients know its way of writing them."""
    plain = FastAPI()
    plain.add_api_route("/metrics", lambda: None, response_model=Metrics)
    plain.add_api_route("/ids", lambda: None, response_model=KnownIds)
    plain.add_api_route("/fields", lambda: None, response_model=Glossary)
    assert app.openapi()["components"]["schemas"] == plain.openapi()["components"]["schemas"]


def test_each_parameter_and_each_answer_has_an_example(app: FastAPI) -> None:
    """Headers too, and one for each code of an error; the linters say whether they are valid."""
    document: dict[str, Any] = app.openapi()
    given = set()
    for path, methods in document["paths"].items():
        operation = methods["get"]
        for parameter in operation["parameters"]:
            assert parameter["example"], parameter
            given.add(parameter["name"])
        for status, response in operation["responses"].items():
            assert all("example" in header for header in response["headers"].values()), (path, status)
            assert ("content" in response) == (status != "304")
            for media_type, content in response.get("content", {}).items():
                if media_type != "application/problem+json":
                    assert content["example"]
                    continue
                shown = {code: example["value"] for code, example in content["examples"].items()}
                codes = content["schema"]["properties"]["code"]["enum"]
                assert set(shown) == (set(codes) if status != "default" else {"METHOD_NOT_ALLOWED"})
                for code, example in shown.items():
                    assert example["code"] == code
                    assert status in (str(example["status"]), "default")
    assert given == {*PARAMETERS, "id", "scope"}


def test_the_table_of_errors_is_in_its_words(app: FastAPI) -> None:
    """Of each code a row with its status and its meaning."""
    said = app.openapi()["info"]["description"]
    assert [line for line in said.splitlines() if line.startswith("| `")] == [
        "| `code` | status | meaning |",
        *(f"| `{error.code}` | {error.status} | {error.meaning} |" for error in ERRORS),
    ]
