"""axe-core, which knows the rules of accessibility (WCAG and good practice), finds nothing on the page."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests import npm
from tests.api.page.conftest import Running, enter, settled
from tests.browser import Tab, Tabs

VERSION = "4.14.1"
SCHEMES = ("light", "dark")
PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 1000}


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its source."""
    package: Path = npm.packed("axe-core", VERSION, tmp_path_factory.mktemp("axe"))
    return (package / "axe.min.js").read_text()


def found(tab: Tab, axe: str) -> list[str]:
    """What it has to say of the page as it stands, all rules that it has."""
    tab.page.evaluate(axe)
    result: Any = tab.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(result["passes"]) > 10
    return [
        f"{each['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for each in result["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_full_of_numbers(
    running: Running, tabs: Tabs, axe: str, scheme: str, size: dict[str, int]
) -> None:
    """With tables, meanings and one group opened."""
    tab = tabs.open(color_scheme=scheme, viewport=size, reduced_motion="reduce")
    assert found(tab, axe) == []
    enter(tab, running.key)
    tab.page.get_by_text("All points as a table").click()
    tab.page.get_by_text("What the numbers mean").click()
    expect(tab.page.locator("#groups-table tbody tr")).not_to_have_count(0)
    expect(tab.page.locator("#counts .where")).to_contain_text("Faint")
    assert found(tab, axe) == []
    tab.shoot(f"full-{scheme}-{size['width']}")
    tab.page.locator("#groups-table").get_by_role("button", name="newsletter").click()
    settled(tab)
    tab.page.get_by_label("Range").select_option("custom")
    settled(tab)
    assert found(tab, axe) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_empty_page(running: Running, tabs: Tabs, axe: str, scheme: str) -> None:
    tab = tabs.open(color_scheme=scheme)
    enter(tab, running.site.create("empty"))
    expect(tab.page.locator("#empty")).to_be_visible()
    assert found(tab, axe) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_in_trouble(running: Running, tabs: Tabs, axe: str, scheme: str) -> None:
    """A wrong key, no numbers, old numbers, and numbers that stand still."""
    tab = tabs.open(color_scheme=scheme, reduced_motion="reduce")
    tab.page.get_by_label("API key").fill("sesm_wrong")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#door-error")).not_to_be_empty()
    assert found(tab, axe) == []
    enter(tab, running.key)
    headers = {"Content-Type": "application/problem+json", "Retry-After": "3600"}  # or it asks by itself
    refusal = {"status": 503, "headers": headers}
    tab.page.route("**/api/**", lambda route: route.fulfill(**refusal, body='{"detail": "Not now."}'))
    expect(tab.page.locator("#numbers")).to_have_attribute("data-state", "old")
    assert found(tab, axe) == []
    tab.page.get_by_label("Range").select_option("30d")
    expect(tab.page.locator("#numbers")).to_have_attribute("data-state", "none")
    assert found(tab, axe) == []
    tab.page.unroute("**/api/**")
    running.pipeline.stall()
    tab.page.get_by_role("button", name="Ask again now").click()
    settled(tab)
    expect(tab.page.locator("#freshness")).to_have_attribute("data-state", "stale")
    assert found(tab, axe) == []
