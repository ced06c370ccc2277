"""The address holds what is shown, for whoever opens it and in whatever zone; the key is never in it."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

from tests.api.page.conftest import Running, days_ago, enter, look_into, settled, shows
from tests.browser import Tab, Tabs


def named(tab: Tab) -> dict[str, str]:
    """The words after the #."""
    return {name: values[0] for name, values in parse_qs(urlsplit(tab.page.url).fragment).items()}


def test_it_is_there_after_a_reload_and_for_others(running: Running, tabs: Tabs) -> None:
    """What was chosen is in the address, and is there again after a reload, and in one's other tab."""
    tab = enter(tabs.open(), running.key)
    tab.page.get_by_label("Range").select_option("30d")
    tab.page.get_by_label("Compare with").select_option("none")
    look_into(tab, "sequence", "newsletter")
    answer = running.ask(f"/api/metrics/sequences/newsletter?from={days_ago(29)}")
    shows(settled(tab), answer)
    assert named(tab) == {
        "range": "30d",
        "period": "day",
        "zone": "UTC",
        "compare": "none",
        "by": "sequence",
        "id": "newsletter",
    }
    address = tab.page.url.removeprefix(running.url)
    tab.page.reload()
    shows(settled(tab), answer)
    expect(tab.page.locator("#id")).to_have_value("newsletter")
    other = enter(tabs.open(address, timezone_id="Asia/Tokyo"), running.key)
    shows(other, answer)
    expect(other.page.get_by_label("Time zone")).to_have_value("UTC")
    expect(other.page.get_by_label("Compare with")).to_have_value("none")
    tab.page.evaluate("location.hash = '#range=7d&period=day&by=template&id=newsletter-mail'")
    expect(tab.page.locator("#id")).to_have_value("newsletter-mail")
    shows(settled(tab), running.ask(f"/api/metrics/templates/newsletter-mail?from={days_ago(6)}"))


def test_back_and_forward(running: Running, tabs: Tabs) -> None:
    """Each choice can be gone back from, and to again: controls and numbers follow."""
    tab = enter(tabs.open(), running.key)
    all_mail = running.ask(f"/api/metrics?from={days_ago(6)}")
    one = running.ask(f"/api/metrics/sequences/onboarding?from={days_ago(6)}")
    longer = running.ask(f"/api/metrics/sequences/onboarding?from={days_ago(29)}")
    look_into(tab, "sequence", "onboarding")
    shows(tab, one)
    tab.page.get_by_label("Range").select_option("30d")
    shows(settled(tab), longer)
    tab.page.go_back()
    expect(tab.page.get_by_label("Range")).to_have_value("7d")
    shows(settled(tab), one)
    tab.page.go_back()
    expect(tab.page.locator("#id")).to_have_value("")
    shows(settled(tab), all_mail)
    tab.page.go_forward()
    expect(tab.page.locator("#id")).to_have_value("onboarding")
    shows(settled(tab), one)


def test_the_key_and_what_is_no_choice_are_not_in_it(running: Running, tabs: Tabs) -> None:
    """From the first moment on the address has the words of a view alone; a key in it is taken out."""
    tab = tabs.open(f"/#range=30d&api-key={running.key}&key={running.key}&period=nonsense")
    assert running.key not in tab.page.url
    enter(tab, running.key)
    look_into(tab, "sequence", "newsletter")
    settled(tab)
    assert set(named(tab)) == {"range", "period", "zone", "compare", "by", "id"}
    assert named(tab)["period"] == "day"
    assert running.key not in tab.page.url


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Asia/Kolkata"])
def test_the_zone_of_the_device_is_the_first(running: Running, tabs: Tabs, zone: str) -> None:
    """Days begin at its midnight and times are told in it; UTC is one choice away."""
    tab = enter(tabs.open(timezone_id=zone), running.key)
    clocks = tab.page.evaluate("new Intl.DateTimeFormat().resolvedOptions().timeZone")  # may be an older name
    expect(tab.page.get_by_label("Time zone")).to_have_value(clocks)
    assert f"timezone={quote(clocks, safe='')}" in tab.api_calls()[-1].url
    expect(tab.page.locator("#span")).to_contain_text(", 00:00 to ")
    expect(tab.page.locator("#span")).to_contain_text(clocks)
    expect(tab.page.locator("#freshness-text")).to_contain_text(f"({clocks})")
    answer = running.ask(tab.api_calls()[-1].url.removeprefix(running.url))
    assert answer["timezone"] == clocks
    shows(tab, answer)
    tab.page.get_by_label("Time zone").select_option("UTC")
    settled(tab)
    assert "timezone" not in tab.api_calls()[-1].url
    assert named(tab)["zone"] == "UTC"


def test_every_zone_of_the_browser_can_be_chosen(running: Running, tabs: Tabs) -> None:
    """UTC and one's own stand first, then all that the browser knows, and the API answers in them."""
    tab = enter(tabs.open(timezone_id="Europe/Berlin"), running.key)
    offered = tab.page.locator("#zone option").evaluate_all("(all) => all.map((each) => each.value)")
    known = tab.page.evaluate("Intl.supportedValuesOf('timeZone')")
    assert offered[:2] == ["Europe/Berlin", "UTC"]
    assert sorted(offered[2:]) == sorted(set(known) - {"UTC", "Europe/Berlin"})
    assert len(offered) > 300
    for zone in ("Asia/Kathmandu" if "Asia/Kathmandu" in known else "Asia/Katmandu", "Pacific/Chatham"):
        tab.page.get_by_label("Time zone").select_option(zone)
        settled(tab)
        answer = running.ask(tab.api_calls()[-1].url.removeprefix(running.url))
        assert answer["timezone"] == zone
        shows(tab, answer)


def test_a_browser_that_lists_no_zones(running: Running, tabs: Tabs) -> None:
    """Its own and UTC are there all the same, and one that an address names."""
    tab = tabs.open("/#zone=Asia/Dubai", script="delete Intl.supportedValuesOf;", timezone_id="Europe/Berlin")
    enter(tab, running.key)
    offered = tab.page.locator("#zone option").evaluate_all("(all) => all.map((each) => each.value)")
    assert offered == ["Europe/Berlin", "UTC", "Asia/Dubai"]
    expect(tab.page.locator("#span")).to_contain_text("Asia/Dubai")


def test_a_zone_off_the_hour(running: Running, tabs: Tabs) -> None:
    """The last 24 hours by the clocks of Adelaide: each point begins at a full hour of theirs."""
    tab = enter(tabs.open(timezone_id="Australia/Adelaide"), running.key)
    tab.page.get_by_label("Range").select_option("24h")
    settled(tab)
    answer = running.ask(tab.api_calls()[-1].url.removeprefix(running.url))
    assert (answer["timezone"], len(answer["timeseries"])) == ("Australia/Adelaide", 24)
    assert {point["timestamp"][14:16] for point in answer["timeseries"]} == {"30"}
    shows(tab, answer)
