"""The row of groups: what each of a scope has of the mail, what all others have, and a way into one."""

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.api.page.conftest import CAMPAIGN, HOSTILE, TENANT, Running, days_ago, enter, settled, shows
from tests.api.writer import Counted
from tests.browser import Tab, Tabs


def rows(tab: Tab) -> Locator:
    return tab.page.locator("#groups-table tbody tr")


def ids(tab: Tab) -> list[str]:
    """Of the groups in their order, without the others."""
    return [
        str(each)
        for each in rows(tab).locator("button").evaluate_all("(all) => all.map((one) => one.dataset.id)")
    ]


def asked(running: Running, scope: str) -> Any:
    return running.ask(
        f"/api/metrics?from={days_ago(6)}&group_by={scope}&limit=20&include=rates"
        "&fields=sent,delivered,opened,clicked,bounced,complained,opened_human,clicked_human,bounced_hard"
    )


def test_the_groups_are_those_of_the_api_and_add_up(running: Running, tabs: Tabs) -> None:
    """Number for number and rate for rate; with the others they are all mail of the range."""
    tab = enter(tabs.open(), running.key)
    answer = asked(running, "sequence")
    expect(rows(tab)).to_have_count(len(answer["groups"]) + 1)
    assert ids(tab)[:2] == ["onboarding", "newsletter"]
    shown = dict(zip(ids(tab), rows(tab).all(), strict=False))
    for group in answer["groups"]:
        cells = shown[group["id"]].locator("td")
        assert cells.nth(0).inner_text() == f"{group['sent']:,}"
    texts = shown["onboarding"].locator("td").all_inner_texts()
    rates = answer["groups"][0]["rates"]
    names = ("delivery", "open", "human_open", "click", "human_click", "hard_bounce", "complaint")
    for name, text in zip(names, texts[1:], strict=True):
        digits = 2 if rates[name] < 0.01 else 1
        assert float(text.rstrip("%")) == round(100 * rates[name], digits)
    others = rows(tab).last
    expect(others.locator("th")).to_have_text("All other mail")
    expect(others.locator("td").first).to_have_text(f"{answer['others']['sent']:,}")
    sent = [int(each.locator("td").first.inner_text().replace(",", "")) for each in rows(tab).all()]
    assert sum(sent) == answer["totals"]["sent"]


def test_a_click_looks_into_one_and_back(running: Running, tabs: Tabs) -> None:
    """By its name alone; the row stays, says which it is, and the browser's back leads out again."""
    tab = enter(tabs.open(), running.key)
    whole = running.ask(f"/api/metrics?from={days_ago(6)}")
    rows(tab).get_by_role("button", name="newsletter").click()
    shows(tab, running.ask(f"/api/metrics/sequences/newsletter?from={days_ago(6)}"))
    expect(tab.page.locator("#id")).to_have_value("newsletter")
    assert "id=newsletter" in tab.page.url
    expect(rows(tab).locator("[aria-current=true]")).to_have_text("newsletter")
    rows(tab).get_by_role("button", name="onboarding").click()
    shows(tab, running.ask(f"/api/metrics/sequences/onboarding?from={days_ago(6)}"))
    tab.page.go_back()
    tab.page.go_back()
    shows(settled(tab), whole)
    expect(rows(tab).locator("[aria-current=true]")).to_have_count(0)


def test_every_scope_that_is_counted_here(running: Running, tabs: Tabs) -> None:
    """The page offers just those of the API, and a further one is looked into as any other."""
    tab = enter(tabs.open(), running.key)
    scopes = [item["id"] for item in running.ask("/api/metrics/by")["items"]]
    assert "campaign" in scopes
    offered = tab.page.locator("#by option")
    expect(offered).to_have_count(len(scopes))
    assert offered.evaluate_all("(all) => all.map((each) => each.value)") == scopes
    tab.page.get_by_label("Group by").select_option("campaign")
    expect(tab.page.get_by_role("heading", name="Top campaigns")).to_be_visible()
    expect(rows(tab).get_by_role("button", name=CAMPAIGN)).to_be_visible()
    sent = [int(each.locator("td").first.inner_text().replace(",", "")) for each in rows(tab).all()]
    bars = [
        each.evaluate("(bar) => parseFloat(bar.style.width)") for each in rows(tab).locator(".bar-fill").all()
    ]
    assert bars == pytest.approx([100 * each / max(sent) for each in sent], abs=0.01)
    assert sent == sorted(sent), "the others have the most, and so the whole bar"
    rows(tab).get_by_role("button", name=CAMPAIGN).click()
    expect(tab.page.locator("#tiles [data-total=sent]")).to_have_text("5")
    shows(tab, running.ask(f"/api/metrics/by/campaign/{CAMPAIGN}?from={days_ago(6)}"))


def test_they_can_be_sorted(running: Running, tabs: Tabs) -> None:
    """By any column, and by it again the other way round; the address keeps it, and the others stay last."""
    tab = enter(tabs.open(), running.key)
    expect(rows(tab).last.locator("th")).to_have_text("All other mail")
    head = tab.page.locator("#groups-table thead")
    expect(head.locator("[aria-sort=descending]")).to_contain_text("Sent")
    head.get_by_role("button", name="Hard bounce").click()
    expect(head.locator("[aria-sort=descending]")).to_contain_text("Hard bounce")
    expect(head.get_by_role("button", name="Hard bounce")).to_be_focused()
    assert ids(tab)[:2] == ["onboarding", "newsletter"]
    tab.page.keyboard.press("Enter")
    expect(head.locator("[aria-sort=ascending]")).to_contain_text("Hard bounce")
    zero_first = ids(tab)
    assert zero_first.index("newsletter") < zero_first.index("onboarding")
    asked_before = len(tab.api_calls())
    tab.page.reload()
    settled(tab)
    expect(head.locator("[aria-sort=ascending]")).to_contain_text("Hard bounce")
    assert asked_before < len(tab.api_calls())
    head.get_by_role("button", name="Sequence").click()
    expect(head.locator("[aria-sort=ascending]")).to_contain_text("Sequence")
    assert ids(tab).index("newsletter") < ids(tab).index("onboarding")
    expect(rows(tab).last.locator("th")).to_have_text("All other mail")


def test_an_id_in_them_is_text(running: Running, tabs: Tabs) -> None:
    """Whatever a tenant wrote."""
    tab = enter(tabs.open(), running.key)
    expect(rows(tab)).to_have_count(3 + len(HOSTILE))
    assert set(ids(tab)) >= set(HOSTILE)
    assert tab.page.evaluate("window.pwned") is None
    assert tab.page.locator("#groups img, #groups script").count() == 0


def test_new_groups_come_by_themselves(running: Running, tabs: Tabs) -> None:
    """And a row that has the focus keeps it."""
    tab = enter(tabs.open(), running.key)
    rows(tab).get_by_role("button", name="newsletter").focus()
    before = rows(tab).count()
    yesterday = running.pipeline.facts[0].at
    running.pipeline.add(Counted(yesterday, "sent", 9_000, TENANT, sequence="brand-new"))
    expect(rows(tab)).to_have_count(before + 1)
    assert ids(tab)[0] == "brand-new"
    expect(rows(tab).get_by_role("button", name="newsletter")).to_be_focused()
