"""What the numbers are compared with: the span before or a year before, in the tiles and faintly behind."""

from typing import Any

from playwright.sync_api import expect

from tests.api.page.conftest import A_YEAR_BEFORE, BEFORE, Running, days_ago, enter, settled
from tests.browser import Tab, Tabs

DRAWN = "document.querySelector('#counts canvas').toDataURL()"


def at_point(tab: Tab, number: int) -> str:
    """What the charts say of `sent` at a point, counted from the first."""
    tab.page.get_by_role("group", name="Mail over time").focus()
    tab.page.keyboard.press("Home")
    for _ in range(number):
        tab.page.keyboard.press("ArrowRight")
    return tab.page.locator("#counts button[data-key=sent] .before").inner_text()


def asked(running: Running, query: str = "") -> Any:
    return running.ask(f"/api/metrics?from={days_ago(6)}{query}")


def test_the_span_before_is_drawn_behind(running: Running, tabs: Tabs) -> None:
    """Point by point the API's own series of that span; the tiles say what it was and how it changed."""
    tab = enter(tabs.open(), running.key)
    answer = asked(running, "&compare=previous")
    before = answer["previous"]
    assert before["totals"]["sent"] == BEFORE["sent"]
    growth = f"{answer['change']['sent']:.1%}".replace(".0%", "%")
    expect(tab.page.locator("[data-change=sent]")).to_have_text(f"▲ {growth} from {BEFORE['sent']:,}")
    expect(tab.page.locator("[data-change=complained]")).to_have_text("before: 0")
    expect(tab.page.locator("#span")).to_contain_text("Compared with")
    expect(tab.page.locator("#counts .where")).to_contain_text("Faint: the span that it is compared with.")
    series = running.ask(f"/api/metrics?from={before['from']}&to={before['to']}")["timeseries"]
    assert len(series) == len(answer["timeseries"])
    for number, point in enumerate(series):
        assert at_point(tab, number) == f"before {point['sent']:,}"
    expect(tab.page.locator("#counts [role=status]")).to_contain_text("before 0")


def test_a_year_before(running: Running, tabs: Tabs) -> None:
    """The same dates of the year before."""
    tab = enter(tabs.open(), running.key)
    tab.page.get_by_label("Compare with").select_option(label="A year before")
    expect(tab.page.locator("[data-change=sent]")).to_contain_text(f"from {A_YEAR_BEFORE['sent']:,}")
    before = asked(running, "&compare=previous_year")["previous"]
    assert before["totals"]["delivered"] == A_YEAR_BEFORE["delivered"]
    series = running.ask(f"/api/metrics?from={before['from']}&to={before['to']}")["timeseries"]
    number = [point["sent"] for point in series].index(A_YEAR_BEFORE["sent"])
    expect(tab.page.locator("#counts .where")).to_contain_text("Faint")
    assert at_point(tab, number) == f"before {A_YEAR_BEFORE['sent']}"


def test_nothing_is_compared_where_nobody_wants_it(running: Running, tabs: Tabs) -> None:
    """No request for it, no word, no line: the picture is another one than with it."""
    tab = enter(tabs.open(), running.key)
    expect(tab.page.locator("#counts .where")).to_contain_text("Faint")
    tab.page.wait_for_timeout(300)  # drawn in the next frame
    compared = tab.page.evaluate(DRAWN)
    tab.page.get_by_label("Compare with").select_option(label="Nothing")
    settled(tab)
    expect(tab.page.locator("#counts .where")).not_to_contain_text("Faint")
    tab.page.wait_for_function(f"(picture) => {DRAWN} !== picture", arg=compared)
    assert "compare" not in tab.api_calls()[-1].url
    assert at_point(tab, 1) == ""
    for field in ("sent", "delivered"):
        assert tab.page.locator(f"[data-change={field}]").inner_text() == ""


def test_it_belongs_to_the_view_that_is_open(running: Running, tabs: Tabs) -> None:
    """Of a sequence it is that sequence's, never what was drawn of all mail."""
    tab = enter(tabs.open(), running.key)
    expect(tab.page.locator("[data-change=sent]")).to_contain_text(f"from {BEFORE['sent']}")
    tab.page.locator("#id").select_option("onboarding")
    expect(tab.page.locator("[data-change=sent]")).to_have_text("before: 0")
    series = [at_point(tab, number) for number in range(7)]
    assert set(series) <= {"", "before 0"}
