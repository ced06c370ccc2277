"""How complete the numbers are is told beside them, and that it stands still is told clearly."""

import re
from datetime import UTC, datetime

from playwright.sync_api import expect

from tests.api.page.conftest import Running, enter, now_ms
from tests.browser import Tab, Tabs

LIVE = re.compile(r"^The numbers are complete through (\d\d:\d\d:\d\d) \(UTC\), (\d+) s ago\.$")
HOUR_MS = 3_600_000


def state(tab: Tab, wanted: str) -> None:
    expect(tab.page.locator("#freshness")).to_have_attribute("data-state", wanted)


def test_it_moves_with_the_pipeline_and_stands_with_it(running: Running, tabs: Tabs) -> None:
    """Live while it moves; when it does not, standing still since when; live again after that."""
    tab = enter(tabs.open(), running.key)
    text = tab.page.locator("#freshness-text")
    state(tab, "live")
    expect(text).to_have_text(LIVE)
    seen = LIVE.match(text.inner_text())
    assert seen is not None
    expect(text).not_to_contain_text(seen[1])

    running.pipeline.stall()
    stopped_ms = now_ms()
    running.pipeline.tell(stopped_ms)
    stopped = datetime.fromtimestamp(stopped_ms / 1000, UTC)
    state(tab, "stale")
    expect(text).to_contain_text(f"complete through {stopped:%H:%M:%S} (UTC)")
    expect(text).to_contain_text("what came later is not counted yet")
    tab.shoot("stalled")

    running.pipeline.resume()
    state(tab, "live")
    expect(text).to_have_text(LIVE)


def test_what_stood_still_before_is_reported_at_once(running: Running, tabs: Tabs) -> None:
    """The first answer is enough where it lies far behind the API's clock."""
    running.pipeline.stall()
    running.pipeline.tell(now_ms() - 3 * HOUR_MS)
    tab = enter(tabs.open(), running.key)
    state(tab, "stale")
    expect(tab.page.locator("#freshness-text")).to_contain_text("3 h ago")
    assert len(tab.api_calls()) == 1


def test_before_anything_is_complete(running: Running, tabs: Tabs) -> None:
    """No time is made up where the API has none."""
    running.pipeline.stall()
    running.pipeline.tell(None)
    tab = enter(tabs.open(), running.key)
    state(tab, "none")
    expect(tab.page.locator("#freshness")).to_have_text(re.compile(r"^\s*Not complete yet\.\s*$"))


def test_the_clock_of_the_device_does_not_matter(running: Running, tabs: Tabs) -> None:
    """How long ago is told by the API's clock: a device whose clock is an hour off sees the same."""
    wrong = f"const right = Date.now; Date.now = () => right() + {HOUR_MS};"
    tab = enter(tabs.open(script=wrong), running.key)
    state(tab, "live")
    expect(tab.page.locator("#freshness-text")).to_have_text(LIVE)
