"""What the API's own description says that there is to ask, so that the clients can be held against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.app import create_app
from api.config import ApiSettings
from tests.api.conftest import FixedKeys


@dataclass(frozen=True)
class Described:
    """One operation. path: the names in it; parameters: of the query, each with the words that it knows."""

    path: tuple[str, ...]
    parameters: Mapping[str, tuple[str, ...]]


def described() -> dict[str, Described]:
    """The operations by their ids, which are the names of the clients' methods."""
    paths = create_app(ApiSettings(), keys=FixedKeys()).openapi()["paths"]
    operations = [methods["get"] for methods in paths.values()]
    return {each["operationId"]: _described(each["parameters"]) for each in operations}


def _described(parameters: list[Any]) -> Described:
    return Described(
        tuple(each["name"] for each in parameters if each["in"] == "path"),
        {each["name"]: _words(each["schema"]) for each in parameters if each["in"] == "query"},
    )


def _words(schema: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(schema.get("enum", schema.get("items", {}).get("enum", ())))
