"""The glossary: what the tables say, to anybody, whatever is down."""

import pytest

from schemas.kinds import FIELDS, KINDS
from schemas.responses import Glossary
from tests.api.conftest import Door, OpenDoor
from tests.api.http.test_routes import refused
from tests.api.writer import Writer

PATH = "/api/metrics/fields"
HUMAN = {
    "name": "opened_human",
    "description": "Unique opens that no machine made, such as a mail filter or a relay, by message.",
    "unit": "messages",
    "family": "details",
    "horizon_days": 62,
    "rate": {"name": "human_open", "formula": "opened_human / delivered"},
}


@pytest.fixture
def apart(open_door: OpenDoor) -> Door:
    """The API without its Redis, and without keys."""
    door = open_door("redis://127.0.0.1:1/0")
    door.keys.loaded = False
    return door


def test_each_field_of_the_table_is_explained(apart: Door) -> None:
    """In the order of the table; also while neither Redis nor Kafka is there, to whoever asks."""
    response = apart.send("GET", PATH)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    body = response.json()
    Glossary.model_validate(body)
    assert list(body) == ["fields", "health"]
    fields = {each["name"]: each for each in body["fields"]}
    assert tuple(fields) == FIELDS
    assert list(fields["opened_human"].items()) == list(HUMAN.items())
    assert fields["sent"]["rate"] is None
    assert fields["bounced"]["rate"] == {"name": "bounce", "formula": "bounced / sent"}
    for kind in KINDS:
        said = fields[kind.field]
        assert said["unit"] == ("messages" if kind.recipients is None else "recipients")
        assert (said["family"], said["horizon_days"]) == (kind.family, 3 if kind.horizon.name == "s" else 62)


def test_the_rule_of_health_is_told(apart: Door) -> None:
    assert apart.send("GET", PATH).json()["health"] == {
        "sent_at_least": 1000,
        "bounce": {"formula": "bounced_hard / sent", "warning": 0.05, "critical": 0.1},
        "complaint": {"formula": "complained / delivered", "warning": 0.001, "critical": 0.005},
    }


def test_it_is_kept_and_asked_for_news(apart: Door) -> None:
    """The same for everybody, so anything between may keep it; no allowance is used up."""
    response = apart.send("GET", PATH)
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert "vary" not in response.headers
    assert "ratelimit" not in response.headers
    again = apart.get(PATH, **{"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", response.headers["etag"])
    assert apart.get(PATH, **{"If-None-Match": 'W/"x"'}).status_code == 200
    assert apart.keys.uses == []


def test_it_takes_no_parameter_and_no_other_method(apart: Door) -> None:
    response = apart.send("GET", f"{PATH}?fields=all")
    assert refused(response, "INVALID_PARAMETER")
    assert response.json()["detail"] == "There is no parameter `fields` here. None is known."
    assert apart.send("POST", PATH).status_code == 405


def test_a_key_changes_nothing(writer: Writer, door: Door) -> None:
    """With one, with another and with none."""
    assert writer.generation.name == "g1"
    assert door.get(PATH).content == door.send("GET", PATH).content
