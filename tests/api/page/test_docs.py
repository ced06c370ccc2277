"""`/docs` and `/openapi.json`: the documentation comes from this API alone, and its examples are true."""

import json
import re
from html.parser import HTMLParser

from pydantic import BaseModel

from api.errors import ERRORS
from schemas.responses import Glossary, KnownIds, Metrics
from tests.api.conftest import Door


class Sources(HTMLParser):
    """All addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not (tag == "script" and not dict(attrs).get("src")), "a script in the page"


def test_the_page_loads_from_this_host_alone(door: Door) -> None:
    """Every file that it names is here, and its policy lets a browser load from nowhere else."""
    page = door.send("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert not re.search(r"https?:|\*|unsafe-eval", policy)
    sources = Sources()
    sources.feed(page.text)
    assert len(sources.found) == 4
    for source in sources.found:
        assert source.startswith("/docs/")
        response = door.send("GET", source)
        assert response.status_code == 200, source
        assert response.content
        assert response.headers["x-content-type-options"] == "nosniff"
    start = door.send("GET", "/docs/start.js").text
    assert '"/openapi.json"' in start
    assert "validatorUrl: null" in start
    assert "SwaggerUIBundle" in door.send("GET", "/docs/swagger-ui-bundle.js").text
    for name in ("LICENSE", "..%2F..%2Fapp.py", "nothing"):
        assert door.send("GET", f"/docs/{name}").status_code == 404


def test_the_examples_are_answers(door: Door) -> None:
    """What stands in OpenAPI as an example is valid by the model of its route."""
    paths = door.send("GET", "/openapi.json").json()["paths"]
    models: dict[str, type[BaseModel]] = {"KnownIds": KnownIds, "Metrics": Metrics, "Glossary": Glossary}
    for path, route in paths.items():
        reported = route["get"]["responses"]["200"]["content"]
        model = reported["application/json"]["schema"]["$ref"].rpartition("/")[2]
        models[model].model_validate(reported["application/json"]["example"])
        is_public = path == "/api/metrics/fields"
        assert is_public == (model == "Glossary")
        assert set(reported) == {"application/json"} | ({"text/csv"} if not is_public else set())


def test_every_code_is_in_the_documentation(door: Door) -> None:
    """The table of errors is what OpenAPI tells, and so what `/docs` shows."""
    reported = json.dumps(door.send("GET", "/openapi.json").json(), ensure_ascii=False)
    for error in ERRORS:
        assert f'"{error.code}"' in reported
    for error in ERRORS:
        if error.code != "METHOD_NOT_ALLOWED":
            assert f"`{error.code}`: {error.meaning}".replace('"', '\\"') in reported


def test_every_answer_has_a_request_id_of_its_own(door: Door) -> None:
    names = [door.send("GET", path).headers["x-request-id"] for path in ("/livez", "/docs", "/x", "/x")]
    assert len(set(names)) == 4
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)
