"""Each operation, parameter and word that the API describes is in the Python client.

That they are in the TypeScript client is judged by tsc, in test_installed.py.
"""

from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from kraiter import MetricsFieldsParameters, PageParameters, ScopeFieldsParameters
from kraiter.async_methods import AsyncMetricsMethods
from kraiter.methods import MetricsMethods
from tests.api.clients.callers import ALL_IDS
from tests.api.clients.described import Described, described


def words_of(hint: Any) -> set[str]:
    """The literals of a type, in whatever they stand."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return {word for each in get_args(hint) for word in words_of(each)}


def parameters_of(operation: str, described: Described) -> Any:
    """The type of the client's parameters for an operation."""
    if operation == "get":
        return MetricsFieldsParameters
    return ScopeFieldsParameters if "id" in described.path else PageParameters


@pytest.mark.parametrize("methods", [MetricsMethods, AsyncMetricsMethods])
def test_each_operation_is_a_method(methods: type) -> None:
    own = {name for name in vars(methods) if not name.startswith("_")}
    assert own == {*described(), ALL_IDS}


def test_each_parameter_is_typed_with_its_words() -> None:
    """Those of the API and no other, route by route. A scope is a free text, two of which are known."""
    for name, operation in described().items():
        if not operation.parameters:
            continue
        hints = get_type_hints(parameters_of(name, operation))
        typed = {parameter: words_of(hint) for parameter, hint in hints.items()}
        if "group_by" in typed:
            assert typed["group_by"] == {"sequence", "template"}
            typed["group_by"] = set()
        assert typed == {parameter: set(words) for parameter, words in operation.parameters.items()}, name
