"""Nothing from other hosts, no text that becomes markup, and a key that is in the tab and nowhere else.

That no other host was asked and the policy had nothing to refuse is checked after every test of this folder.
"""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.api.page.conftest import HOSTILE, Running, enter, in_words, settled, totals
from tests.browser import Tab, Tabs

STORES = """async () => ({
  session: { ...sessionStorage },
  local: { ...localStorage },
  cookies: document.cookie,
  databases: (await indexedDB.databases()).length,
  caches: isSecureContext ? (await caches.keys()).length : 0,
  history: JSON.stringify(history.state),
})"""


def stores(tab: Tab) -> Any:
    """All that the tab could keep."""
    return tab.page.evaluate(STORES)


def test_the_key_is_in_this_tab_only(running: Running, tabs: Tabs) -> None:
    """In sessionStorage, and in a header to the API; nowhere else, and a new tab asks for it again."""
    tab = enter(tabs.open(), running.key)
    tab.page.get_by_role("button", name="Theme: system").click()
    kept = stores(tab)
    assert kept.pop("session") == {"api-key": running.key}
    assert running.key not in json.dumps(kept)
    assert running.key not in tab.page.url
    assert running.key not in tab.page.content()
    for request in tab.asked:
        assert running.key not in request.url
        assert ("authorization" in request.headers) == ("/api/" in request.url)
        assert "cookie" not in request.headers
    tab.page.reload()
    settled(tab)
    other = tabs.open(beside=tab)
    expect(other.page.get_by_label("API key")).to_be_visible()
    assert stores(other)["session"] == {}

    tab.page.get_by_role("button", name="Forget key").click()
    expect(tab.page.get_by_label("API key")).to_be_focused()
    assert stores(tab)["session"] == {}
    assert set(totals(tab).values()).isdisjoint(in_words(running.ask("/api/metrics")["totals"]).values())
    asked = len(tab.api_calls("/api/"))
    tab.page.wait_for_timeout(3_000)
    assert len(tab.api_calls("/api/")) == asked


@pytest.mark.parametrize("key", ["sesm_wrong", "x" * 5_000])
def test_a_wrong_key_is_reported(tabs: Tabs, running: Running, key: str) -> None:
    """In words for people, not for programs, and it is not kept."""
    tab = tabs.open()
    tab.page.get_by_label("API key").fill(key)
    tab.page.keyboard.press("Enter")
    alert = tab.page.get_by_role("alert").first
    expect(alert).to_contain_text("The API does not accept this key: it may be cut or mistyped")
    expect(alert).not_to_contain_text("Bearer")
    expect(tab.page.get_by_label("API key")).to_be_focused()
    assert stores(tab)["session"] == {}
    enter(tab, running.key)


@pytest.mark.parametrize("key", ["", "   ", "schlüssel", "two words"])
def test_what_is_no_key_is_not_sent(tabs: Tabs, key: str) -> None:
    tab = tabs.open()
    tab.page.get_by_label("API key").fill(key)
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#door-error")).to_have_text(re.compile("API key"))
    assert tab.api_calls("/api/") == []


def test_a_key_that_is_revoked_meanwhile(tabs: Tabs, running: Running) -> None:
    """Its numbers go with it."""
    key = running.site.create("looking")
    tab = enter(tabs.open(), key)
    assert running.site.keys("revoke", key[5:16]).returncode == 0
    expect(tab.page.locator("#door-error")).to_contain_text("The API does not accept this key:")
    expect(tab.page.locator("#board")).to_be_hidden()
    assert stores(tab)["session"] == {}


def test_an_id_is_text(running: Running, tabs: Tabs) -> None:
    """Whatever is in it stands in the pickers as text, asks for just that id, and runs nothing."""
    tab = enter(tabs.open(), running.key)
    picker = tab.page.locator("#id")
    expect(picker.locator("option")).to_have_count(3 + len(HOSTILE))
    for raw in HOSTILE:
        picker.select_option(value=raw)
        if raw == "..":
            expect(tab.page.locator("#trouble-detail")).to_contain_text("only dots cannot be asked for")
            continue
        expect(tab.page.locator("[data-total=sent]")).to_have_text("1")
        settled(tab)
        assert picker.evaluate("(element) => element.selectedOptions[0].textContent") == raw
        tab.page.reload()
        settled(tab)
        assert picker.input_value() == raw
    assert tab.page.evaluate("window.pwned") is None
    assert tab.page.locator("main script, main img, select *:not(option, optgroup)").count() == 0


def test_an_address_cannot_carry_markup(running: Running, tabs: Tabs) -> None:
    """What stands behind the # is a choice at most."""
    evil = "<img src=x onerror=\"window.pwned='hash'\">"
    tab = tabs.open(f"/#range={evil}&period={evil}&zone={evil}&by={evil}&id={evil}zzz&from={evil}&to={evil}")
    tab.page.get_by_label("API key").fill(running.key)
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#trouble")).to_contain_text("There are no numbers for this.")
    expect(tab.page.locator("#trouble")).to_contain_text("or it is of another tenant than this key")
    assert tab.page.evaluate("window.pwned") is None


def test_the_policy_is_in_force(tabs: Tabs) -> None:
    """The browser itself refuses scripts in the page, other hosts, forms and markup made of text."""
    tab = tabs.open()
    tried = """async () => {
      const refused = [];
      const script = document.createElement("script");
      try { script.text = "window.pwned = 1"; } catch (error) { refused.push(error.name); }
      try { document.body.innerHTML = "<b>no</b>"; } catch (error) { refused.push(error.name); }
      try { await fetch("http://127.0.0.1:9/"); } catch (error) { refused.push(error.name); }
      return refused;
    }"""
    assert len(tab.page.evaluate(tried)) == 3
    assert tab.page.evaluate("window.pwned") is None
    broken = tab.page.evaluate("window.refusedByPolicy.splice(0)")
    assert {line.split()[0] for line in broken} >= {"connect-src", "require-trusted-types-for"}
    tab.troubles.clear()
    tab.asked[:] = [request for request in tab.asked if "127.0.0.1:9/" not in request.url]


def test_the_documentation_in_a_browser(running: Running, tabs: Tabs) -> None:
    """`/docs` keeps to its own policy, shows every route, and a query tried there is answered."""
    tab = tabs.open("/docs", viewport={"width": 1280, "height": 1000})
    routes = tab.page.locator(".opblock")
    expect(routes).to_have_count(len(running.site.get("/openapi.json").json()["paths"]))
    tab.page.get_by_role("button", name="Authorize").click()
    tab.page.locator(".auth-container input").fill(running.key)
    tab.page.locator(".auth-btn-wrapper .authorize").click()
    tab.page.locator(".auth-btn-wrapper .btn-done").click()
    routes.first.locator(".opblock-summary-control").click()
    tab.page.get_by_role("button", name="Try it out").click()
    tab.page.get_by_role("button", name="Execute").click()
    answer = tab.page.locator(".live-responses-table .response-col_status").last
    expect(answer).to_have_text(re.compile("200"))
    tab.shoot("docs")
