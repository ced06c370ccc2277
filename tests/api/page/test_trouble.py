"""When there are no numbers the page says why, in the API's own words, and never shows a zero instead."""

import time
from itertools import pairwise

from playwright.sync_api import Page, Request, Route, expect

from schemas import redis_keys
from tests.api.model import FIELDS
from tests.api.page.conftest import NO_NUMBER, Running, enter, look_into, settled, totals
from tests.browser import LIMIT_MS, NUMBERS, Tab, Tabs

HIDE = """
window.hide = (hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


def arrived(page: Page) -> Request:
    """The next query for the numbers of the view."""
    with page.expect_request(lambda request: NUMBERS in request.url) as awaited:
        pass
    return awaited.value


def no_numbers(tab: Tab) -> bool:
    return set(totals(tab).values()) == {NO_NUMBER}


def test_503_is_said_and_is_no_zero(running: Running, tabs: Tabs) -> None:
    """The API's own word, and dashes, or the numbers from before marked as old; then the new ones."""
    tab = enter(tabs.open(), running.key)
    before = totals(tab)
    expect(tab.page.locator("#id option[value=newsletter]")).to_be_attached()
    record = running.pipeline.writer.client.get(redis_keys.RECORD_KEY)
    running.pipeline.writer.client.delete(redis_keys.RECORD_KEY)
    refusal = running.ask("/api/metrics")
    assert refusal["code"] == "UNAVAILABLE"
    expect(tab.page.locator("#trouble")).to_contain_text("The numbers cannot be read at the moment.")
    expect(tab.page.locator("#trouble-detail")).to_have_text(refusal["detail"])
    expect(tab.page.locator("#trouble-next")).to_contain_text("the last that were there")
    expect(tab.page.locator("#freshness")).to_have_attribute("data-state", "away")
    expect(tab.page.locator("#numbers")).to_have_attribute("data-state", "old")
    assert totals(tab) == before

    look_into(tab, "sequence", "newsletter")
    expect(tab.page.locator("#numbers")).to_have_attribute("data-state", "none")
    assert no_numbers(tab)
    other = tabs.open()
    other.page.get_by_label("API key").fill(running.key)
    other.page.keyboard.press("Enter")
    expect(other.page.locator("#trouble-detail")).to_have_text(refusal["detail"])
    assert no_numbers(other)
    assert "0" not in other.page.locator("#numbers").inner_text()

    running.pipeline.writer.client.set(redis_keys.RECORD_KEY, record or b"")
    assert totals(settled(other)) == before
    expect(other.page.locator("#trouble")).to_be_hidden()


def test_it_waits_as_long_as_it_is_reported_to(running: Running, tabs: Tabs) -> None:
    """A `Retry-After` is heeded, and a person may ask before it is over."""
    tab = enter(tabs.open(), running.key)
    held = {"status": 429, "headers": {"Retry-After": "3600", "Content-Type": "application/problem+json"}}
    tab.page.route("**/api/metrics?**", lambda route: route.fulfill(**held, body='{"detail": "Too often."}'))
    expect(tab.page.locator("#trouble")).to_contain_text("This key has asked too often. Too often.")
    expect(tab.page.locator("#trouble-next")).to_contain_text("Asking again in 3600 s.")
    asked = len(tab.api_calls())
    tab.page.wait_for_timeout(5_000)
    assert len(tab.api_calls()) == asked
    tab.page.unroute("**/api/metrics?**")
    tab.page.get_by_role("button", name="Ask again now").click()
    settled(tab)


def test_it_asks_ever_more_seldom_while_nobody_answers(running: Running, tabs: Tabs) -> None:
    """Each pause is longer than the one before, until an answer comes."""
    tab = enter(tabs.open(), running.key)
    moments: list[float] = []

    def refuse(route: Route) -> None:
        moments.append(time.monotonic())
        route.abort()

    tab.page.route("**/api/metrics?**", refuse)
    expect(tab.page.locator("#trouble")).to_contain_text("The API does not answer.")
    until = time.monotonic() + LIMIT_MS / 1000
    while len(moments) < 4:
        assert time.monotonic() < until
        tab.page.wait_for_timeout(100)
    first, _, last = (later - earlier for earlier, later in pairwise(moments[:4]))
    assert last > first * 1.5
    tab.page.unroute("**/api/metrics?**")
    settled(tab)


def test_polling_is_cheap(running: Running, tabs: Tabs) -> None:
    """It asks with the tag of what it has and gets a 304; a hidden tab asks nothing, a shown one at once."""
    tab = enter(tabs.open(script=HIDE), running.key)
    for _ in range(2):
        asked = arrived(tab.page)
        answer = asked.response()
        assert asked.headers["if-none-match"].startswith('W/"')
        assert answer is not None
        assert answer.status == 304
    tab.page.evaluate("hide(true)")
    tab.page.wait_for_timeout(1_000)  # one may be on its way
    before = len(tab.api_calls("/api/"))
    tab.page.wait_for_timeout(5_000)
    assert len(tab.api_calls("/api/")) == before
    with tab.page.expect_request("**/api/metrics?**"):
        tab.page.evaluate("hide(false)")


def test_an_unknown_id_is_not_zero(running: Running, tabs: Tabs) -> None:
    """An address with an id that nobody counted for: said in words for people, and no number."""
    tab = tabs.open("/#range=7d&period=day&by=sequence&id=nobody")
    tab.page.get_by_label("API key").fill(running.key)
    tab.page.keyboard.press("Enter")
    detail = tab.page.locator("#trouble-detail")
    expect(detail).to_contain_text("Nothing was counted for it yet, or it is of another tenant")
    assert no_numbers(tab)
    look_into(tab, "sequence", "")
    assert NO_NUMBER not in {totals(settled(tab))[name] for name in FIELDS}
