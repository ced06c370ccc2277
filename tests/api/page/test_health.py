"""A sender's health: a word and a sign, never a colour alone, and the thresholds that the API judges by."""

from playwright.sync_api import expect

from api.sender_health import BOUNCE, COMPLAINT, SENT_LEAST
from tests.api.page.conftest import TENANT, Running, days_ago, enter, settled
from tests.api.writer import Counted
from tests.browser import Tab, Tabs


def says(tab: Tab, name: str, word: str, sign: str) -> None:
    row = tab.page.locator(".watched").filter(has=tab.page.locator(f"[data-health={name}]"))
    expect(row.locator("strong")).to_have_text(word)
    expect(row.locator(".sign")).to_have_text(sign)


def test_it_follows_the_numbers(running: Running, tabs: Tabs) -> None:
    """Healthy, warning, critical: as the API judges, with its rate."""
    tab = enter(tabs.open(), running.key)
    health = running.ask(f"/api/metrics?from={days_ago(6)}&include=health")["health"]
    assert (health["bounce"]["status"], health["complaint"]["status"]) == ("healthy", "warning")
    says(tab, "bounce", "Healthy", "✓")
    says(tab, "complaint", "Warning", "!")
    expect(tab.page.locator("[data-health-rate=complaint]")).to_have_text(
        f"{health['complaint']['rate']:.2%}"
    )
    running.pipeline.add(Counted(running.pipeline.facts[0].at, "bounced_hard", 400, TENANT))
    says(tab, "bounce", "Critical", "✕")
    says(tab, "complaint", "Warning", "!")


def test_its_thresholds_are_those_of_the_api(running: Running, tabs: Tabs) -> None:
    tab = enter(tabs.open(), running.key)
    for name, formula, watched in (
        ("bounce", "bounced_hard / sent", BOUNCE),
        ("complaint", "complained / delivered", COMPLAINT),
    ):
        limits = [f"{part / 1000:.1%}".replace(".0%", "%") for part in watched]
        expect(tab.page.locator(f"[data-limits={name}]")).to_have_text(
            f"{formula}, from {SENT_LEAST:,} sent on: warning at {limits[0]}, critical at {limits[1]}"
        )


def test_too_few_say_nothing(running: Running, tabs: Tabs) -> None:
    """No rate and no verdict; and none at all of a part of the mail."""
    tab = enter(tabs.open("/#range=24h"), running.site.create("few"))
    says(tab, "bounce", "Too few to tell", "?")
    says(tab, "complaint", "Too few to tell", "?")
    other = enter(tabs.open(), running.key)
    expect(other.page.locator("#health")).to_be_visible()
    other.page.locator("#id").select_option("newsletter")
    settled(other)
    expect(other.page.locator("#health")).to_be_hidden()
    assert "health" not in other.api_calls()[-1].url
