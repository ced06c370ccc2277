"""The page while the pipeline stands still: on the true worker, API, Kafka and Valkey, in a true browser."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from deploy.traffic import SECOND
from tests.browser import LIMIT_MS, Tab, Tabs, running_browser
from tests.pipeline import events
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import Program

TENANT = events.TENANTS[0]
RECORDS = 2_000
STILL_WITHIN_S = 2.0
"""A worker says up to when all is counted each second; a call that was on its way may still land."""
WATCHED_S = 4.0
"""How long it is then seen to stand still."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for this module."""
    with running_browser() as browser:
        expect.set_options(timeout=LIMIT_MS)
        yield browser


def through(place: Place, api: Program) -> str:
    """What the API says of its completeness now."""
    status, body = place.ask(api, (TENANT, "tenant", ""))
    assert status == 200, body
    return str(body["complete_through"])


def stands(tab: Tab) -> None:
    expect(tab.page.locator("#freshness")).to_have_attribute("data-state", "stale")
    expect(tab.page.locator("#freshness-word")).to_have_text("Standing still.")


def is_live(tab: Tab) -> None:
    expect(tab.page.locator("#freshness")).to_have_attribute("data-state", "live")


def stood_still(place: Place, api: Program) -> str:
    """Give the time that the API reports from 2 s after a stop on; fail where it moves after that."""
    time.sleep(STILL_WITHIN_S)
    first = through(place, api)
    until = time.monotonic() + WATCHED_S
    while time.monotonic() < until:
        assert through(place, api) == first, "it moves without a worker"
        time.sleep(0.2)
    return first


def test_a_stalled_worker_is_seen(place: Place, browser: Browser) -> None:
    """Frozen, thawed, killed, replaced: the time stands within 2 s, the page says so, and all catches up."""
    first = events.records(21, time.time_ns() // 1_000_000, RECORDS, tenants=1)
    later = events.records(22, time.time_ns() // 1_000_000 - SECOND, RECORDS, tenants=1)
    place.send(first)
    worker, api = place.programs.worker(), place.programs.api()
    api.wait_until_ready()
    place.make_keys([TENANT])
    place.wait_until_counted(worker)
    tabs = Tabs(browser, api.url)
    tab = tabs.open("/#range=30d&period=day")
    tab.page.get_by_label("API key").fill(place.keys[TENANT])
    tab.page.keyboard.press("Enter")
    is_live(tab)
    before = tab.page.locator("[data-total=sent]").inner_text()

    worker.freeze()
    frozen = stood_still(place, api)
    stands(tab)
    place.send(later)
    assert through(place, api) == frozen
    assert tab.page.locator("[data-total=sent]").inner_text() == before
    worker.thaw()
    is_live(tab)
    place.wait_until_counted(worker)
    assert through(place, api) > frozen

    worker.kill()
    killed = stood_still(place, api)
    stands(tab)
    follower = place.programs.worker(f"{place.programs.group}-follower")
    is_live(tab)
    place.wait_until_counted(follower)
    assert through(place, api) > killed
    place.check(api, naive_count([*first, *later]), ("day",))
    _, body = place.ask(api, (TENANT, "tenant", ""), period="day")
    expect(tab.page.locator("[data-total=sent]")).to_have_text(f"{body['totals']['sent']:,}")
    assert tab.page.locator("[data-total=sent]").inner_text() != before
    tabs.check()
