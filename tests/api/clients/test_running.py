"""The clients against the true API."""

import json
import os
import subprocess
import sys
import urllib.request
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from kraiter import FIELDS, Counts, Kraiter, KraiterError, MetricsParameters
from kraiter.results import RATES
from tests.api.clients.built import blocks
from tests.api.clients.callers import ALL_IDS, CLIENTS, Call, Caller, run_node
from tests.api.clients.conftest import DETAILS, ODD, TOTALS, YEAR_BEFORE, Running

RANGE = {"from": "2025-09-01T00:00:00.000Z", "to": "2025-09-15T23:59:59.999Z"}
ODD_PATH = "a%2Fb.c%20%C3%BC%3F%23%25"

DOCUMENTED = """
{
  const metrics = await kraiter.metrics.get({
    period: "day",
    from: "2025-09-01T00:00:00.000Z",
    to: "2025-09-15T23:59:59.999Z",
  });
  console.log(metrics.totals.delivered); // 12100
  console.log(metrics.timeseries.length); // 15 data points
  answers.push(metrics);
}
{
  const metrics = await kraiter.metrics.sequence("onboarding", {
    period: "week",
  });
  answers.push(metrics);
}
{
  const metrics = await kraiter.metrics.template("welcome-email", {
    period: "month",
    from: "2025-06-01T00:00:00.000Z",
  });
  answers.push(metrics);
}
"""
"""The examples of the API's documentation as they stand, each in a block of its own."""


def raw(running: Running, path: str, **parameters: str) -> Any:
    """The answer of the API without any client of ours."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{running.url}/api/metrics{path}?{urlencode(parameters)}",
        headers={"Authorization": f"Bearer {running.key}"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310 - loopback
        return json.load(response)


def test_the_documented_javascript_runs_as_it_stands(running: Running) -> None:
    options = json.dumps({"apiKey": running.key, "baseUrl": running.url})
    done = run_node(
        f"const kraiter = new Kraiter({options});\nconst answers = [];\n{DOCUMENTED}\n"
        "console.log(JSON.stringify(answers));"
    )
    delivered, length, answers = done.stdout.splitlines()
    assert (delivered, length, done.stderr) == ("12100", "15", "")
    tenant, sequence, template = json.loads(answers)
    assert tenant["totals"] == TOTALS
    assert (sequence["period"], len(sequence["timeseries"])) == ("week", 12)
    assert template["period"] == "month"
    assert template["timeseries"][0]["timestamp"] == "2025-06-01T00:00:00.000Z"
    assert template["totals"]["sent"] == TOTALS["sent"] - 1


def test_a_client_gives_what_the_api_gives(running: Running, ask: Caller) -> None:
    """Every field of every answer, whatever was asked for, and ids of any dead letters."""
    plain = {"compare": "previous", "timezone": "Europe/Berlin", **RANGE}
    everything = {"include": ["rates", "status"], **plain}
    as_text = {"include": "rates,status", **plain}
    grouped = {**everything, "group_by": "sequence", "limit": 1}
    outcomes = ask(
        running.url,
        running.key,
        [
            ("get", (RANGE,)),
            ("get", (grouped,)),
            ("sequence", ("onboarding", everything)),
            ("sequence", (ODD, {"period": "month", **RANGE})),
            ("template", ("welcome-email", RANGE)),
            ("sequences", ({"limit": 1},)),
            ("templates", ()),
        ],
    )
    assert outcomes == [
        raw(running, "", **RANGE),
        raw(running, "", **{**as_text, "group_by": "sequence", "limit": "1"}),
        raw(running, "/sequences/onboarding", **as_text),
        raw(running, f"/sequences/{ODD_PATH}", period="month", **RANGE),
        raw(running, "/templates/welcome-email", **RANGE),
        raw(running, "/sequences", limit="1"),
        raw(running, "/templates"),
    ]
    assert outcomes[1]["groups"][0]["sent"] == TOTALS["sent"] - 1
    assert outcomes[1]["others"]["sent"] == 1
    assert outcomes[3]["totals"]["sent"] == 1


@pytest.mark.parametrize("fields", [["opened_human", "sent", "bounced_hard"], "sent", "all"])
def test_every_parameter_gives_what_the_api_gives(
    running: Running, ask: Caller, fields: str | list[str]
) -> None:
    """The fields that were asked for and all that can be added to them, of the tenant and of an id."""
    common = {"timezone": "Asia/Kolkata", "compare": "previous_year", "fields": fields, **RANGE}
    as_text = {name: value if isinstance(value, str) else ",".join(value) for name, value in common.items()}
    tenant = {**common, "include": ["rates", "status", "health"], "group_by": "campaign", "limit": 1}
    one = {**common, "include": "rates"}
    outcomes = ask(
        running.url,
        running.key,
        [
            ("get", (tenant,)),
            ("sequence", ("onboarding", one)),
            ("template", ("welcome-email", one)),
            ("by", ("campaign", "launch", one)),
            ("by", ("campaign", ODD, one)),
        ],
    )
    assert outcomes == [
        raw(running, "", **as_text, include="rates,status,health", group_by="campaign", limit="1"),
        raw(running, "/sequences/onboarding", **as_text, include="rates"),
        raw(running, "/templates/welcome-email", **as_text, include="rates"),
        raw(running, "/by/campaign/launch", **as_text, include="rates"),
        raw(running, f"/by/campaign/{ODD_PATH}", **as_text, include="rates"),
    ]
    answer = outcomes[0]
    bounced = DETAILS["bounced_hard"] / TOTALS["sent"]
    assert answer["health"]["bounce"] == {"rate": bounced, "status": "healthy"}
    assert answer["totals"]["sent"] == TOTALS["sent"]
    assert answer["previous"]["totals"]["sent"] == YEAR_BEFORE["sent"]
    assert answer["groups"][0]["id"] == "launch"
    assert answer["health"]["bounce"] == {
        "rate": DETAILS["bounced_hard"] / TOTALS["sent"],
        "status": "healthy",
    }
    assert outcomes[4]["totals"]["sent"] == 1


def test_scopes_ids_and_meanings_are_those_of_the_api(running: Running, ask: Caller) -> None:
    calls: list[Call] = [
        ("scopes", ()),
        ("ids", ("campaign", {"limit": 1})),
        ("ids", ("template",)),
        (ALL_IDS, ("campaign",)),
        ("fields", ()),
        ("fields", ()),
        ("by", ("nothing", "a")),
        ("ids", ("nothing",)),
    ]
    outcomes = ask(running.url, running.key, calls)
    assert outcomes[:6] == [
        raw(running, "/by"),
        raw(running, "/by/campaign", limit="1"),
        raw(running, "/templates"),
        {"ids": [ODD, "launch"]},
        *[raw(running, "/fields")] * 2,
    ]
    assert [each["id"] for each in outcomes[0]["items"]] == ["sequence", "template", "campaign", "isp"]
    assert [field["name"] for field in outcomes[4]["fields"]] == list(FIELDS)
    assert [outcome["error"]["name"] for outcome in outcomes[6:]] == ["NotFoundError"] * 2


def test_rows_add_up(running: Running) -> None:
    """Points and groups are two ways to the same totals."""
    with Kraiter(running.key, running.url) as kraiter:
        metrics = kraiter.metrics.get(
            from_="2025-09-01", to="2025-09-15", fields="all", group_by="campaign", limit=1, include="rates"
        )
    rows, groups = metrics.rows(), metrics.group_rows()
    assert len(rows) == 15
    for table, first in ((rows, "timestamp"), (groups, "id")):
        assert {tuple(row) for row in table} == {(first, *FIELDS, *(f"{rate}_rate" for rate in RATES))}
        for field, total in metrics.totals.as_dict().items():
            assert sum(row[field] for row in table) == total  # type: ignore[misc]  # counts are numbers
    assert [row["id"] for row in groups] == ["launch", None]


@pytest.mark.parametrize("client", ["python", "typescript"])
def test_the_examples_of_the_readme_run(running: Running, client: str) -> None:
    """But for the base URL and the key."""
    examples = "\n".join(blocks(client))
    examples = examples.replace("YOUR_API_KEY", running.key).replace("http://localhost:8080", running.url)
    if client == "typescript":
        imported = 'import { groupRows, Kraiter, rows } from "kraiter";\n'
        first, second = examples.replace('import { Kraiter } from "kraiter";\n', "").split(imported)
        printed = run_node(f"{{ {first} }}\n{{ {second} }}").stdout
    else:
        environment = {**os.environ, "PYTHONPATH": str(CLIENTS / client)}
        done = subprocess.run(
            [sys.executable, "-c", examples], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        printed = done.stdout
        assert f"{TOTALS['delivered']} Rates(" in printed
        assert f"{DETAILS['opened_human']} Health(" in printed
    for told in ("welcome-email", "launch", "clicked_human messages "):
        assert told in printed


def test_pages_follow_their_cursor(running: Running, ask: Caller) -> None:
    (first,) = ask(running.url, running.key, [("sequences", ({"limit": 1},))])
    (second,) = ask(
        running.url, running.key, [("sequences", ({"limit": 1, "cursor": first["next_cursor"]},))]
    )
    assert [page["items"] for page in (first, second)] == [[{"id": ODD}], [{"id": "onboarding"}]]
    assert second["next_cursor"] is None


def test_a_refusal_is_an_error_of_its_own_class(running: Running, ask: Caller) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("sequence", ("nobody",)),
        ("template", ("", {})),
        ("get", ({"period": "year"},)),
        ("get", ({"from": "2025-09-02", "to": "2025-09-01"},)),
        ("get", ({"unknown": 1},)),
    ]
    errors = [outcome["error"] for outcome in ask(running.url, running.key, calls)]
    assert [(error["name"], error["code"], error.get("parameter")) for error in errors] == [
        ("NotFoundError", "NOT_FOUND", None),
        ("NotFoundError", "NOT_FOUND", None),
        ("InvalidRequestError", "INVALID_PERIOD", "period"),
        ("InvalidRequestError", "INVALID_RANGE", "from"),
        ("InvalidRequestError", "INVALID_PARAMETER", "unknown"),
    ]
    assert all(len(error["request_id"]) == 32 and error["detail"] for error in errors)
    (refused,) = ask(running.url, "nobody", [("get", ())])
    assert (refused["error"]["name"], refused["error"]["status"]) == ("UnauthorizedError", 401)


@pytest.mark.parametrize("dots", [".", ".."])
def test_dots_alone_are_no_way_up(running: Running, dots: str) -> None:
    """The id `..` asks for that id, and not for another resource (Python; JavaScript refuses it)."""
    with (
        Kraiter(running.key, running.url) as kraiter,
        pytest.raises(KraiterError, match=r"^NOT_FOUND: Nothing was counted for this id"),
    ):
        kraiter.metrics.sequence(dots)
    done = run_node(
        f"const kraiter = new Kraiter({{ apiKey: 'k', baseUrl: {json.dumps(running.url)} }});\n"
        f"console.log(await kraiter.metrics.sequence({json.dumps(dots)}).catch((error) => error.name));"
    )
    assert done.stdout == "TypeError\n"


def test_python_reads_as_python(running: Running) -> None:
    """Attributes, keywords, dates and times of one's own; and what was given twice is refused."""
    with Kraiter(api_key=running.key, base_url=f"{running.url}/") as kraiter:
        asked: MetricsParameters = {"period": "day", "from": date(2025, 9, 1), "to": date(2025, 9, 15)}
        metrics = kraiter.metrics.get(asked)
        assert metrics.totals == Counts(**TOTALS)
        assert metrics.totals.delivered == 12100
        assert len(metrics.timeseries) == 15
        assert metrics.timeseries[2].timestamp == datetime(2025, 9, 3, tzinfo=UTC)
        first = datetime.fromisoformat("2025-09-01T02:00:00+02:00")
        assert kraiter.metrics.get({"to": date(2025, 9, 15)}, from_=first, timezone=None) == metrics
        naive = kraiter.metrics.get(from_=datetime(2025, 9, 1), to="2025-09-15", timezone="Europe/Berlin")  # noqa: DTZ001
        assert naive.from_ == datetime(2025, 8, 31, 22, tzinfo=UTC)
        with pytest.raises(TypeError, match="'from' is given twice"):
            kraiter.metrics.get(asked, from_="2025-09-01")
        with pytest.raises(AttributeError):
            metrics.totals.sent = 1  # type: ignore[assignment]  # frozen, and mypy knows
