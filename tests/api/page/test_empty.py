"""Where there is nothing to see the page says what to do about it."""

from playwright.sync_api import expect

from tests.api.page.conftest import TENANT, Running, days_ago, enter, settled
from tests.api.writer import Counted
from tests.browser import Tabs

HIDDEN = ("#health", "#bounces", "#counts", "#rates", "#groups", "#details")


def test_no_events_yet(running: Running, tabs: Tabs) -> None:
    """How mails are reported and tagged, and no empty charts; the first event takes its place."""
    tab = enter(tabs.open(), running.site.create("newcomer"))
    empty = tab.page.locator("#empty")
    expect(empty).to_be_visible()
    for words in ("configuration set", "TENANT_TAG", "SEQUENCE_TAG", "TEMPLATE_TAG", "SCOPE_TAGS"):
        expect(empty).to_contain_text(words)
    expect(empty.locator("pre")).to_contain_text("X-SES-MESSAGE-TAGS: tenant=")
    for card in HIDDEN:
        expect(tab.page.locator(card)).to_be_hidden()
    tab.shoot("empty")
    running.pipeline.add(Counted(running.pipeline.facts[0].at, "sent", 3, "newcomer"))
    expect(empty).to_be_hidden()
    for card in HIDDEN:
        expect(tab.page.locator(card)).to_be_visible()


def test_nothing_in_this_range(running: Running, tabs: Tabs) -> None:
    """Twelve months are one click away, and there the offer is gone."""
    tab = enter(tabs.open(f"/#range=custom&from={days_ago(5)}&to={days_ago(4)}"), running.key)
    expect(tab.page.locator("#empty-span")).to_contain_text("Nothing was counted from ")
    tab.page.get_by_role("button", name="Look at the last 12 months").click()
    settled(tab)
    expect(tab.page.locator("#empty")).to_be_hidden()
    assert "range=12m" in tab.page.url
    never = enter(tabs.open("/#range=12m&period=month"), running.site.create("never"))
    expect(never.page.locator("#empty")).to_be_visible()
    expect(never.page.get_by_role("button", name="Look at the last 12 months")).to_be_hidden()


def test_which_tag_is_missing(running: Running, tabs: Tabs) -> None:
    """Where there is mail and none of it has a group: the setting that names the tag, and an example."""
    running.pipeline.add(Counted(running.pipeline.facts[0].at, "sent", 3, "untagged"))
    tab = enter(tabs.open(), running.site.create("untagged"))
    none = tab.page.locator("#groups-none")
    for scope, setting in (
        ("sequence", "SEQUENCE_TAG"),
        ("template", "TEMPLATE_TAG"),
        ("campaign", "SCOPE_TAGS"),
    ):
        tab.page.get_by_label("Group by").select_option(scope)
        expect(none).to_contain_text(f"No mail of this range has a {scope}.")
        expect(none).to_contain_text(f"X-SES-MESSAGE-TAGS: {scope}=")
        expect(none).to_contain_text(setting)
        expect(tab.page.locator("#groups-table")).to_be_hidden()
    expect(tab.page.locator("#empty")).to_be_hidden()


def test_what_is_not_counted_here(running: Running, tabs: Tabs) -> None:
    """An address that names another scope: the API's own word, and the numbers all the same."""
    tab = enter(tabs.open("/#by=nothing_like_it"), running.key)
    refusal = running.ask("/api/metrics?group_by=nothing_like_it")
    expect(tab.page.locator("#groups-none")).to_have_text(refusal["detail"])
    assert tab.page.locator("#tiles [data-total=sent]").inner_text().startswith("2,86")
    assert running.ask("/api/metrics")["totals"]["sent"] > 0
    tab.page.get_by_label("Group by").select_option("sequence")
    expect(tab.page.locator("#groups-table tbody tr")).not_to_have_count(0)
    assert TENANT not in tab.page.url
