"""CSV of what is seen: the file is the API's own, of the very range, zone and id that are open."""

import csv
import io
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.api.model import FIELDS
from tests.api.page.conftest import Running, enter, look_into, settled
from tests.browser import Tab, Tabs


def kept(tab: Tab, button: str) -> tuple[str, list[dict[str, str]]]:
    """The name and the rows of the file that a button gives."""
    with tab.page.expect_download() as download:
        tab.page.locator(button).click()
    path = download.value.path()
    return download.value.suggested_filename, list(csv.DictReader(io.StringIO(Path(path).read_text())))


def test_the_points_of_a_view(running: Running, tabs: Tabs) -> None:
    """Each point with all counts, its rates and its state; the name of the file says what it is."""
    tab = enter(tabs.open("/#range=30d&zone=Europe/Berlin"), running.key)
    look_into(tab, "sequence", "onboarding")
    settled(tab)
    answer: Any = running.ask(tab.api_calls()[-1].url.removeprefix(running.url))
    tab.page.get_by_text("All points as a table").click()
    name, rows = kept(tab, "#points-csv")
    assert re.fullmatch(
        r"email-metrics-\d{4}-\d\d-\d\d-to-\d{4}-\d\d-\d\d-by-day-sequence-onboarding\.csv", name
    )
    assert len(rows) == len(answer["timeseries"]) == 30
    heads = tab.page.locator("#table thead th").all_inner_texts()
    assert len(rows[0]) >= len(heads)
    for row, point in zip(rows, answer["timeseries"], strict=True):
        assert row["timestamp"] == point["timestamp"]
        assert row["status"] == point["status"]
        for field in (*FIELDS, "opened_human", "bounced_hard", "unsubscribed"):
            assert row[field] == str(point[field])
    assert sum(int(row["sent"]) for row in rows) == answer["totals"]["sent"] > 0


def test_the_groups_of_a_view(running: Running, tabs: Tabs) -> None:
    """All that the row of groups has, the others too."""
    tab = enter(tabs.open(), running.key)
    shown = tab.page.locator("#groups-table tbody tr")
    expect(shown).not_to_have_count(0)
    name, rows = kept(tab, "#groups-csv")
    assert name.endswith("-sequences.csv")
    assert len(rows) == shown.count()
    assert [row["id"] for row in rows if row["row"] == "group"][:2] == ["onboarding", "newsletter"]
    total = tab.page.locator("#tiles [data-total=sent]").inner_text()
    assert f"{sum(int(row['sent']) for row in rows):,}" == total


def test_what_cannot_be_had_is_told(running: Running, tabs: Tabs) -> None:
    """The API's own word, and no file."""
    tab = enter(tabs.open(), running.key)
    expect(tab.page.locator("#groups-table tbody tr")).not_to_have_count(0)
    refusal = {"status": 503, "headers": {"Content-Type": "application/problem+json"}}
    tab.page.route("**/api/**", lambda route: route.fulfill(**refusal, body='{"detail": "Not now."}'))
    tab.page.locator("#groups-csv").click()
    expect(tab.page.locator("#trouble-detail")).to_have_text("Not now.")
