"""What the page shows is what the API has, for whatever is chosen on it."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.api.model import FIELDS
from tests.api.page.conftest import (
    CAMPAIGN,
    DETAILS,
    NO_NUMBER,
    TENANT,
    Running,
    days_ago,
    enter,
    in_words,
    settled,
    shows,
    totals,
)
from tests.api.writer import Counted
from tests.browser import Tab, Tabs


def test_totals_rates_and_points(running: Running, tabs: Tabs) -> None:
    """Tiles, rates and table say number for number what the API answers, and the lines are drawn."""
    tab = enter(tabs.open(viewport={"width": 1280, "height": 1000}), running.key)
    answer = running.ask(f"/api/metrics?period=day&from={days_ago(6)}&include=rates")
    assert answer["totals"]["delivered"] == 2750
    shows(tab, answer)
    reported = {name: tab.page.locator(f"#tiles [data-rate={name}]").inner_text() for name in FIELDS}
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


def test_people_and_kinds_of_bounces(running: Running, tabs: Tabs) -> None:
    """Opens and clicks of people beside all of them, bounces by kind, and what is counted too."""
    tab = enter(tabs.open(), running.key)
    answer = running.ask(f"/api/metrics?from={days_ago(6)}&fields=all&include=rates")
    counted, rates = answer["totals"], answer["rates"]
    assert {name: counted[name] for name in DETAILS} == DETAILS
    for field, rate, words in (
        ("opened_human", "human_open", "people"),
        ("clicked_human", "human_click", "people"),
        ("bounced_hard", "hard_bounce", "hard"),
    ):
        share = f"{rates[rate]:.1%}".replace(".0%", "%")
        expect(tab.page.locator(f"[data-part={field}]")).to_have_text(f"{words} {counted[field]:,} · {share}")
    for name in ("bounced_hard", "bounced_soft", "bounced_undetermined", "suppressed"):
        expect(tab.page.locator(f"#kinds [data-total={name}]")).to_have_text(f"{counted[name]:,}")
        expect(tab.page.locator(f"#kinds [data-rate={name}]")).to_contain_text("% of sent")
    for name in ("delayed", "rejected", "rendering_failed", "unsubscribed"):
        expect(tab.page.locator(f"#also [data-total={name}]")).to_have_text(f"{counted[name]:,}")
    tab.page.locator("#counts button[data-key=opened]").click()
    assert coloured(tab, "counts", "opened_human") > 50
    tab.page.locator("#counts button[data-key=opened_human]").click()
    assert coloured(tab, "counts", "opened_human") == 0


def test_what_a_number_means_comes_from_the_api(running: Running, tabs: Tabs) -> None:
    """Each name carries the API's own description, and the list has it with unit, days and formula."""
    tab = enter(tabs.open(), running.key)
    fields = {each["name"]: each for each in running.ask("/api/metrics/fields")["fields"]}
    tab.page.get_by_text("What the numbers mean").click()
    listed = tab.page.locator("#meanings-list")
    expect(listed.locator("dt")).to_have_count(len(fields))
    named = tab.page.locator("[data-meaning]").all()
    assert len(named) > len(fields)
    for element in named:
        field = str(element.get_attribute("data-meaning"))
        expect(element).to_have_attribute("title", fields[field]["description"])
    for field in fields.values():
        expect(listed).to_contain_text(field["description"])
    expect(listed).to_contain_text("Counts messages, up to 62 days after the send. Rate: opened / delivered.")


def test_sequence_and_template(running: Running, tabs: Tabs) -> None:
    """One of either is shown, and choosing one gives up the other; the listings are complete."""
    tab = enter(tabs.open(), running.key)
    picker = tab.page.locator("#id")
    for scope, chosen in (
        ("sequence", "newsletter"),
        ("template", "onboarding-mail"),
        ("campaign", CAMPAIGN),
    ):
        listed = [item["id"] for item in running.ask(f"/api/metrics/by/{scope}")["items"]]
        tab.page.get_by_label("Group by").select_option(label=scope.capitalize())
        expect(tab.page.get_by_label(scope.capitalize(), exact=True)).to_have_value("")
        expect(picker.locator("option")).to_have_count(1 + len(listed))
        assert picker.evaluate("(element) => [...element.options].map((each) => each.value)") == ["", *listed]
        picker.select_option(chosen)
        answer = running.ask(f"/api/metrics/by/{scope}/{chosen}?from={days_ago(6)}")
        assert 0 < answer["totals"]["sent"] < 2850
        shows(tab, answer)
        expect(tab.page.get_by_role("heading", name=f"Totals of the {scope} {chosen}")).to_be_visible()
    tab.page.get_by_role("button", name="Back to all mail").click()
    shows(tab, running.ask(f"/api/metrics?from={days_ago(6)}"))
    expect(tab.page.get_by_role("button", name="Back to all mail")).to_be_hidden()


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
