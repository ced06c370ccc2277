"""The queries for analysts: each runs as it stands on an archive of the archiver, and says what the API says.

What the API does not answer is worked out by hand, from what the oracle reads in the records.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any, Final
from urllib.parse import quote, urlencode

import duckdb
import pyarrow.parquet as pq
import pytest

from aggregator.archive.store import Store
from tests.pipeline import events, oracle
from tests.pipeline.place import Place, open_place, time_of
from tests.pipeline.programs import Program

EXAMPLES: Final = Path(__file__).parents[2] / "deploy" / "examples"
TENANTS: Final = events.TENANTS[:5]
ERASED: Final = TENANTS[1]
NOW_MS: Final = time.time_ns() // 1_000_000
WEEKS: Final = timedelta(weeks=30)
"""The records hold old mails too, some of them to be counted."""


class Asked:
    """The archive by the examples, and the API."""

    def __init__(self, place: Place, api: Program, views: str) -> None:
        self._place = place
        self._api = api
        self._db = duckdb.connect()
        self._db.execute(views)
        read = [
            (oracle.read(each.value, time_of(each.time_ms), events.ALL_TAGS), each) for each in place.events()
        ]
        self.records = [(said, each) for said, each in read if said.facts and said.facts[0].tenant != ERASED]

    def query(self, name: str, scope: str | None = None) -> list[dict[str, Any]]:
        """The rows of an example."""
        self._db.execute("SET VARIABLE scope = ?", [scope])
        found = self._db.execute((EXAMPLES / name).read_text())
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def answer(self, tenant: str, path: str = "", **more: str) -> Any:
        """The API's answer over all weeks."""
        last = time_of(NOW_MS) + timedelta(days=1)
        asked = {"period": "week", "from": oracle.iso(last - WEEKS), "to": oracle.iso(last), **more}
        return self._get(tenant, f"{path}?{urlencode(asked)}")

    def _get(self, tenant: str, path: str) -> Any:
        key = self._place.keys[tenant]
        response = self._api.get(f"/api/metrics{path}", {"Authorization": f"Bearer {key}"})
        assert response.status_code == 200, response.text
        return response.json()

    def points(self, tenant: str, path: str, *fields: str) -> dict[datetime, tuple[int, ...]]:
        """The API's numbers by week, but for weeks of zeros."""
        found = self.answer(tenant, path, fields=",".join(fields))["timeseries"]
        numbers = {week_of(each["timestamp"]): tuple(each[field] for field in fields) for each in found}
        return {week: each for week, each in numbers.items() if any(each)}

    def ids(self, tenant: str, scope: str) -> list[str]:
        """Those that the API knows."""
        return [each["id"] for each in self._get(tenant, f"/by/{scope}")["items"]]

    def first_told(self, *fields: str) -> dict[oracle.Fact, tuple[datetime, datetime]]:
        """By hand: of each fact of these fields when it was first told of, and when its mail was sent."""
        found: dict[oracle.Fact, tuple[datetime, datetime]] = {}
        for said, record in self.records:
            event = json.loads(record.value or b"")
            sent = datetime.fromisoformat(event.get("detail", event)["mail"]["timestamp"])
            for fact in said.facts:
                assert said.at is not None
                if fact.field in fields:
                    found[fact] = min(found.get(fact, (said.at, sent)), (said.at, sent))
        return found


def week_of(timestamp: str) -> datetime:
    """As DuckDB has it: UTC, without saying so."""
    return datetime.fromisoformat(timestamp).replace(tzinfo=None)


@pytest.fixture(scope="module")
def asked(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Records of all kinds, archived in files that overlap, one tenant erased, and counted."""
    directory = tmp_path_factory.mktemp("examples")
    url = (directory / "an archive").as_uri()
    with open_place(
        kafka_bootstrap, directory, ARCHIVE_URL=url, ARCHIVE_PORT="0", **events.SETTINGS
    ) as place:
        worker, api = place.programs.worker(), place.programs.api()
        place.send(events.records(171, NOW_MS, 3_000, len(TENANTS)))
        assert place.programs.run("archive", "--once")[0] == 0
        place.send(events.records(172, NOW_MS, 3_000, len(TENANTS)))
        assert place.programs.run("archive", "--once")[0] == 0
        place.wait_until_counted(worker)
        assert place.programs.run("erase", "--tenant", ERASED)[0] == 0
        overlap(Store(url), directory / "an archive")
        place.make_keys(TENANTS)
        code, views = place.programs.run("recount", "--views")
        assert code == 0
        yield Asked(place, api, views)


def overlap(store: Store, root: Path) -> None:
    """Beside each file one that has the first part of it once more, as two archivers at once would."""
    for file in store.files():
        table = pq.read_table(root / file.name)
        less = table.slice(0, table.num_rows // 2)
        upto = less.column("offset")[-1].as_py() + 1
        pq.write_table(less, root / file._replace(next=upto).name)


@pytest.mark.parametrize("scope", ["campaign", "template"])
def test_opens_by_campaign_and_week(asked: Asked, scope: str) -> None:
    found: dict[tuple[str, str], dict[datetime, tuple[int, ...]]] = defaultdict(dict)
    for row in asked.query("opens_by_campaign.sql", scope):
        found[row["tenant"], row["id"]][row["week"]] = (row["opened"], row["opened_human"])
    want = {
        (tenant, id_): asked.points(tenant, f"/by/{scope}/{quote(id_, safe='')}", "opened", "opened_human")
        for tenant in TENANTS
        for id_ in asked.ids(tenant, scope)
    }
    assert found == {where: points for where, points in want.items() if points}
    assert len(found) > 5
    assert ERASED not in {tenant for tenant, _ in found}


def test_hours_from_the_send_to_the_first_open(asked: Asked) -> None:
    found = {row["tenant"]: row for row in asked.query("time_to_open.sql")}
    took: dict[str, list[float]] = defaultdict(list)
    for fact, (at, sent) in asked.first_told("opened_human").items():
        took[fact.tenant].append((at - sent) / timedelta(milliseconds=1))
    assert found.keys() == took.keys()
    for tenant, row in found.items():
        assert row["opened_human"] == asked.answer(tenant, fields="opened_human")["totals"]["opened_human"]
        parts = quantiles(took[tenant], n=20, method="inclusive")
        assert row["ms"] == pytest.approx([parts[4], parts[9], parts[17]])
        assert row["hours"] == [round(each / 3_600_000, 2) for each in row["ms"]]


def test_bounces_by_reason_and_provider(asked: Asked) -> None:
    rows = asked.query("bounces.sql", "isp")
    assert {row["bounce_type"] for row in rows} >= {"Permanent", "Transient", None}
    by_provider: Counter[tuple[str, str | None]] = Counter()
    for row in rows:
        by_provider[row["tenant"], row["provider"]] += row["bounced"]
    for tenant in TENANTS:
        providers = {
            id_: asked.answer(tenant, f"/by/isp/{quote(id_)}", fields="bounced")["totals"]["bounced"]
            for id_ in asked.ids(tenant, "isp")
        }
        whole = asked.answer(tenant, fields="bounced")["totals"]["bounced"]
        assert {id_: by_provider[tenant, id_] for id_ in providers} == providers
        assert by_provider[tenant, None] == whole - sum(providers.values())
    reasons = Counter((row["tenant"], row["bounce_type"]) for row in rows for _ in range(row["bounced"]))
    first: dict[oracle.Fact, tuple[datetime, str | None]] = {}
    for said, record in asked.records:
        for fact in said.facts:
            if fact.field == "bounced":
                event = json.loads(record.value or b"")
                bounce = event.get("detail", event)["bounce"]
                assert said.at is not None
                told = (said.at, bounce.get("bounceType"))
                first[fact] = min(first.get(fact, told), told, key=lambda each: each[0])
    assert reasons == Counter((fact.tenant, reason) for fact, (_, reason) in first.items())


def test_cohorts_at_24_and_72_hours(asked: Asked) -> None:
    rows = asked.query("cohorts.sql")
    sent: dict[str, dict[datetime, tuple[int, ...]]] = defaultdict(dict)
    ever: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["sent"]:
            sent[row["tenant"]][row["sent_week"]] = (row["sent"],)
        for field in ("opened", "clicked"):
            ever[row["tenant"], field] += row[field]
    for tenant in TENANTS:
        assert sent[tenant] == asked.points(tenant, "", "sent")
        totals = asked.answer(tenant)["totals"]
        assert {field: ever[tenant, field] for field in ("opened", "clicked")} == {
            field: totals[field] for field in ("opened", "clicked")
        }
    within: Counter[tuple[str, datetime, str]] = Counter()
    for fact, (at, day) in asked.first_told("opened", "clicked").items():
        week = oracle.start_of("week", day.astimezone(UTC)).replace(tzinfo=None)
        for hours in (24, 72):
            within[fact.tenant, week, f"{fact.field}_{hours}h"] += at - day <= timedelta(hours=hours)
    names = [f"{field}_{hours}h" for field in ("opened", "clicked") for hours in (24, 72)]
    assert (
        Counter({(row["tenant"], row["sent_week"], name): row[name] for row in rows for name in names})
        == within
    )
    assert 0 < sum(row["opened_24h"] for row in rows) < sum(row["opened_72h"] for row in rows)


def test_the_machines_that_open_most(asked: Asked) -> None:
    rows = asked.query("machines.sql")
    found: Counter[str] = Counter()
    for row in rows:
        found[row["tenant"]] += row["opened_by_no_person"]
    totals = {tenant: asked.answer(tenant, fields="opened,opened_human")["totals"] for tenant in TENANTS}
    assert found == Counter(
        {tenant: each["opened"] - each["opened_human"] for tenant, each in totals.items()}
    )
    assert "Mozilla/5.0" in {row["user_agent"] for row in rows}
    assert len({row["user_agent"] for row in rows}) > 3


def test_each_example_is_tested_and_told_of() -> None:
    names = {path.name for path in EXAMPLES.glob("*.sql")}
    assert len(names) == 5
    told, tested = (EXAMPLES / "README.md").read_text(), Path(__file__).read_text()
    assert {name for name in names if f"({name})" in told and f'"{name}"' in tested} == names
