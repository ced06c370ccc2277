"""What the page shows is what the API has, for whatever is chosen on it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from playwright.sync_api import expect

from tests.api.model import FIELDS
from tests.api.page.conftest import NO_NUMBER, TENANT, Running, enter, in_words, settled, totals
from tests.api.writer import Counted
from tests.browser import Tab, Tabs


def days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).date().isoformat()


def shows(tab: Tab, answer: Any) -> None:
    """The tiles come to say what an answer says."""
    for name, words in in_words(answer["totals"]).items():
        expect(tab.page.locator(f"[data-total={name}]")).to_have_text(words)


def test_totals_rates_and_points(running: Running, tabs: Tabs) -> None:
    """Tiles, rates and table say number for number what the API answers, and the lines are drawn."""
    tab = enter(tabs.open(viewport={"width": 1280, "height": 1000}), running.key)
    answer = running.ask(f"/api/metrics?period=day&from={days_ago(6)}&include=rates")
    assert answer["totals"]["delivered"] == 2750
    shows(tab, answer)
    reported = {name: tab.page.locator(f"[data-rate={name}]").inner_text() for name in FIELDS}
    assert reported["delivered"] == f"{answer['rates']['delivery']:.1%} of sent"
    assert reported["opened"] == f"{answer['rates']['open']:.1%} of delivered"
    assert reported["complained"] == f"{answer['rates']['complaint']:.2%} of delivered"

    tab.page.get_by_text("All points as a table").click()
    rows = tab.page.locator("#table tbody tr")
    expect(rows).to_have_count(len(answer["timeseries"]))
    for row, point in zip(rows.all(), reversed(answer["timeseries"]), strict=True):
        assert row.locator("td").all_inner_texts()[:6] == list(in_words(point).values())
    assert rows.first.locator("td").last.inner_text() == "not complete yet"

    for chart, rate in (("counts", "delivered"), ("rates", "delivery")):
        assert coloured(tab, chart, rate) > 100
        tab.page.locator(f"#{chart} button[data-key={rate}]").click()
        assert coloured(tab, chart, rate) == 0
    tab.page.locator("#counts button[data-key=delivered]").click()
    tab.page.locator("#rates button[data-key=delivery]").click()
    tab.shoot("light")


def coloured(tab: Tab, chart: str, key: str) -> int:
    """How many pixels of a chart have the colour of a line."""
    pixels = tab.page.evaluate(
        """([chart, key]) => {
          const drawn = document.querySelector(`#${chart} canvas`);
          const swatch = document.querySelector(`#${chart} button[data-key=${key}] .swatch`);
          const wanted = getComputedStyle(swatch).color.match(/[0-9]+/g).map(Number);
          const copy = new OffscreenCanvas(drawn.width, drawn.height).getContext("2d");
          copy.drawImage(drawn, 0, 0);
          const { data } = copy.getImageData(0, 0, drawn.width, drawn.height);
          let found = 0;
          for (let at = 0; at < data.length; at += 4) {
            if (data[at + 3] === 255 && wanted.every((value, part) => data[at + part] === value)) found += 1;
          }
          return found;
        }""",
        [chart, key],
    )
    assert isinstance(pixels, int)
    return pixels


def test_what_is_counted_meanwhile_comes_by_itself(running: Running, tabs: Tabs) -> None:
    """Nobody reloads: the next query brings it, and says it has the last answer already."""
    tab = enter(tabs.open(), running.key)
    before = totals(tab)
    running.pipeline.add(
        Counted(datetime.now(UTC).replace(minute=0, second=0, microsecond=0), "clicked", 7, TENANT)
    )
    expect(tab.page.locator("[data-total=clicked]")).to_have_text("191")
    assert {**before, "clicked": "191"} == totals(tab)


def test_sequence_and_template(running: Running, tabs: Tabs) -> None:
    """One of either is shown, and choosing one gives up the other; the listings are complete."""
    tab = enter(tabs.open(), running.key)
    for kind, other, chosen in (
        ("sequence", "template", "newsletter"),
        ("template", "sequence", "onboarding-mail"),
    ):
        picker = tab.page.get_by_label(kind.capitalize(), exact=True)
        listed = [item["id"] for item in running.ask(f"/api/metrics/{kind}s")["items"]]
        expect(picker.locator("option")).to_have_count(1 + len(listed))
        assert picker.evaluate("(element) => [...element.options].map((each) => each.value)") == ["", *listed]
        picker.select_option(chosen)
        answer = running.ask(f"/api/metrics/{kind}s/{chosen}?from={days_ago(6)}")
        assert 0 < answer["totals"]["sent"] < 2850
        shows(tab, answer)
        expect(tab.page.get_by_label(other.capitalize(), exact=True)).to_have_value("")
    tab.page.get_by_label("Template", exact=True).select_option("")
    shows(tab, running.ask(f"/api/metrics?from={days_ago(6)}"))


def test_range_and_period(running: Running, tabs: Tabs) -> None:
    """Each range asks for its own days, by the period that fits it, and any other on wish."""
    running.pipeline.add(
        Counted(
            datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=20),
            "sent",
            5,
            TENANT,
        )
    )
    tab = enter(tabs.open(), running.key)
    for label, period, points in (
        ("Last 24 hours", "hour", 24),
        ("Last 30 days", "day", 30),
        ("Last 90 days", "week", 14),
        ("Last 12 months", "month", 12),
    ):
        tab.page.get_by_label("Range").select_option(label=label)
        expect(tab.page.get_by_role("radio", name=period.capitalize())).to_be_checked()
        settled(tab)
        answer = running.ask(tab.api_calls()[-1].url.removeprefix(running.url))
        assert answer["period"] == period
        assert len(answer["timeseries"]) in (points - 1, points)
        shows(tab, answer)
    tab.page.get_by_role("radio", name="Day").check(force=True)
    settled(tab)
    assert "period=day" in tab.api_calls()[-1].url


def test_own_dates(running: Running, tabs: Tabs) -> None:
    """From one date to another; what the API refuses is told in its own words, and no number is shown."""
    tab = enter(tabs.open(), running.key)
    tab.page.get_by_label("Range").select_option("custom")
    tab.page.get_by_label("From", exact=True).fill(days_ago(1))
    tab.page.get_by_label("To", exact=True).fill(days_ago(1))
    settled(tab)
    answer = running.ask(f"/api/metrics?from={days_ago(1)}&to={days_ago(1)}")
    shows(tab, answer)
    tab.page.get_by_label("To", exact=True).fill(days_ago(5))
    refusal = running.ask(f"/api/metrics?from={days_ago(1)}&to={days_ago(5)}")
    assert refusal["code"] == "INVALID_RANGE"
    expect(tab.page.locator("#trouble-detail")).to_have_text(refusal["detail"])
    assert set(totals(tab).values()) == {NO_NUMBER}


def test_the_zone_of_the_device(running: Running, tabs: Tabs) -> None:
    """UTC at first; in the device's zone days begin at its midnight, and times are told in it."""
    tab = enter(tabs.open(timezone_id="Asia/Tokyo"), running.key)
    assert "timezone" not in tab.api_calls()[-1].url
    tab.page.get_by_label("Time zone").select_option("Asia/Tokyo")
    expect(tab.page.locator("#span")).to_contain_text("Asia/Tokyo")
    settled(tab)
    assert f"timezone={quote('Asia/Tokyo', safe='')}" in tab.api_calls()[-1].url
    expect(tab.page.locator("#span")).to_contain_text(", 00:00 to ")
    expect(tab.page.locator("#freshness-text")).to_contain_text("(Asia/Tokyo)")


def test_a_zone_off_the_hour(running: Running, tabs: Tabs) -> None:
    """The last 24 hours by the clocks of Adelaide: each point begins at a full hour of theirs."""
    tab = enter(tabs.open(timezone_id="Australia/Adelaide"), running.key)
    tab.page.get_by_label("Time zone").select_option("Australia/Adelaide")
    tab.page.get_by_label("Range").select_option("24h")
    settled(tab)
    answer = running.ask(tab.api_calls()[-1].url.removeprefix(running.url))
    assert (answer["timezone"], len(answer["timeseries"])) == ("Australia/Adelaide", 24)
    assert {point["timestamp"][14:16] for point in answer["timeseries"]} == {"30"}
    shows(tab, answer)


def test_a_view_has_an_address(running: Running, tabs: Tabs) -> None:
    """What was chosen is in the address, and is there again after a reload, and in one's other tab."""
    tab = enter(tabs.open(), running.key)
    tab.page.get_by_label("Range").select_option("30d")
    tab.page.get_by_label("Sequence").select_option("newsletter")
    answer = running.ask(f"/api/metrics/sequences/newsletter?from={days_ago(29)}")
    shows(tab, answer)
    address = tab.page.url.removeprefix(running.url)
    tab.page.reload()
    shows(settled(tab), answer)
    expect(tab.page.get_by_label("Sequence")).to_have_value("newsletter")
    shows(enter(tabs.open(address), running.key), answer)
    tab.page.evaluate("location.hash = '#range=7d&period=day&template=newsletter-mail'")
    expect(tab.page.get_by_label("Template")).to_have_value("newsletter-mail")
    shows(settled(tab), running.ask(f"/api/metrics/templates/newsletter-mail?from={days_ago(6)}"))
