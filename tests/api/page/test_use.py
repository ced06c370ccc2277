"""The page for everybody: by keyboard alone, on a phone, in light and in dark."""

import pytest
from playwright.sync_api import Page, expect

from tests.api.page.conftest import HOSTILE, Running, enter, look_into, settled, totals
from tests.browser import Tab, Tabs

FOCUSED = """() => {
  const element = document.activeElement;
  const seen = element.matches("input[type=radio]") ? element.nextElementSibling : element;
  const { outlineStyle, outlineWidth } = getComputedStyle(seen);
  const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.innerText;
  const isVisible = outlineStyle !== "none" && outlineWidth !== "0px";
  return { label: label.trim().split("\\n")[0], isVisible };
}"""
LIGHT, DARK = "light", "dark"
DRAWN = "document.querySelector('#counts canvas').toDataURL()"
"""The picture of a chart, which is another one where its colours are others."""
NARROW = """() => {
  const wide = [...document.querySelectorAll("body *")].filter((element) => {
    const { right } = element.getBoundingClientRect();
    return right > innerWidth + 1 && !element.closest(".scroll, .hidden, .skip");
  });
  const page = document.documentElement.scrollWidth - innerWidth;
  return { page, wide: wide.map((element) => element.className) };
}"""


def tab_to(page: Page, label: str, key: str = "Tab") -> None:
    """Press Tab until something with this label has the focus, which can be seen all the way."""
    for _ in range(80):
        page.keyboard.press(key)
        focused = page.evaluate(FOCUSED)
        assert focused["isVisible"], focused
        if focused["label"].startswith(label):
            return
    pytest.fail(f"{label} is not reached by {key}")


def test_by_keyboard_alone(running: Running, tabs: Tabs) -> None:
    """Key, range, period, sequence, lines, points and table: all are reached and worked without a mouse."""
    tab = tabs.open()
    page = tab.page
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type(running.key)
    page.keyboard.press("Enter")
    settled(tab)
    expect(page.get_by_label("Range")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Range")).to_have_value("30d")
    tab_to(page, "Day")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Week")).to_be_checked()
    settled(tab)
    page.keyboard.press("ArrowLeft")
    tab_to(page, "Compare with")
    tab_to(page, "Time zone")
    tab_to(page, "Group by")
    tab_to(page, "Sequence")
    expect(page.locator("#id option[value=onboarding]")).to_be_attached()  # typing chooses among these
    page.keyboard.type("onboar")
    expect(page.locator("[data-total=sent]")).to_have_text("1,850")
    tab_to(page, "Complained")
    page.keyboard.press("Space")
    expect(page.locator("#counts button[data-key=complained]")).to_have_attribute("aria-pressed", "false")
    tab_to(page, "Mail over time")
    expect(page.locator("#counts .where")).to_contain_text("Faint")  # the span before is there as well
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    said = page.locator("#counts [role=status]")
    expect(said).to_contain_text(": Sent 1,850 before 0, Delivered 1,800 before 0, Opened 720 before 0")
    expect(said).not_to_contain_text("Complained")
    expect(page.locator("#counts button[data-key=opened]")).to_contain_text("720")
    page.keyboard.press("Home")
    expect(said).to_contain_text("Sent 0")
    page.keyboard.press("Escape")
    expect(page.locator("#counts .where")).to_contain_text("Totals.")
    tab_to(page, "newsletter")
    page.keyboard.press("Enter")
    expect(page.locator("[data-total=sent]")).to_have_text("1,700")
    tab_to(page, "All points as a table")
    page.keyboard.press("Enter")
    expect(page.locator("#table tbody tr")).to_have_count(30)
    tab_to(page, "Skip", "Shift+Tab")
    page.keyboard.press("Enter")
    tab_to(page, "Range")


def test_a_screen_reader_hears_what_is_new(running: Running, tabs: Tabs) -> None:
    """Another view is said once, by its totals; polls say nothing; every control has a name."""
    tab = enter(tabs.open(), running.key)
    news = tab.page.get_by_role("status").and_(tab.page.locator("#news"))
    expect(news).to_contain_text("Totals: Sent 2,86")
    look_into(tab, "sequence", "newsletter")
    expect(news).to_have_text(
        "Totals: Sent 1,000, Delivered 950, Opened 300, Clicked 40, Bounced 50, Complained 1"
    )
    tab.page.evaluate("""() => {
      window.heard = 0;
      const options = { subtree: true, childList: true, characterData: true };
      for (const element of document.querySelectorAll("[role=status], [role=alert]")) {
        new MutationObserver(() => (heard += 1)).observe(element, options);
      }
    }""")
    for _ in range(2):
        with tab.page.expect_response(
            lambda response: "/api/metrics/by/sequence/newsletter?" in response.url
        ):
            pass
    assert tab.page.evaluate("window.heard") == 0
    for control in tab.page.locator("button:visible, select:visible, input:visible").all():
        snapshot = control.aria_snapshot()
        assert '"' in snapshot, f"without a name: {snapshot}"


@pytest.mark.parametrize("width", [320, 360, 375])
def test_on_a_phone(running: Running, tabs: Tabs, width: int) -> None:
    """Nothing is wider than the screen: at the door, with numbers, with the longest id, with an error."""
    tab = tabs.open(
        viewport={"width": width, "height": 740}, device_scale_factor=2, is_mobile=True, has_touch=True
    )
    fits(tab)
    enter(tab, running.key)
    tab.page.get_by_text("All points as a table").tap()
    fits(tab)
    tab.shoot("phone")
    tab.page.get_by_label("Range").select_option("custom")
    tab.page.locator("#id").select_option(HOSTILE[-1])
    expect(tab.page.locator("[data-total=sent]")).to_have_text("1")
    fits(tab)
    tab.page.evaluate("(id) => (location.hash = `#by=sequence&id=${id}`)", "y" * 255)
    expect(tab.page.locator("#trouble")).to_be_visible()
    fits(tab)
    for control in tab.page.locator("button:visible, select:visible").all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 36, "too small for a finger"


def fits(tab: Tab) -> None:
    assert tab.page.evaluate(NARROW) == {"page": 0, "wide": []}


def ground(tab: Tab) -> str:
    """Whether the page is light or dark."""
    colour = tab.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    return LIGHT if sum(colour[:3]) > 384 else DARK


def test_light_and_dark(running: Running, tabs: Tabs) -> None:
    """As the system says, until a person says otherwise; that is remembered, and the charts follow."""
    tab = enter(tabs.open(color_scheme="dark", viewport={"width": 1280, "height": 1000}), running.key)
    assert ground(tab) == DARK
    expect(tab.page.locator("#counts .where")).to_contain_text("Faint")  # the span before is drawn too
    tab.shoot("dark")
    dark = str(tab.page.evaluate(DRAWN))
    tab.page.emulate_media(color_scheme="light")
    assert ground(tab) == LIGHT
    await_drawing(tab, "!==", dark)
    button = tab.page.locator("#theme")
    for theme, expected in (("light", LIGHT), ("dark", DARK)):
        button.click()
        expect(button).to_have_text(f"Theme: {theme}")
        assert ground(tab) == expected
    await_drawing(tab, "===", dark)
    tab.page.reload()
    settled(tab)
    assert ground(tab) == DARK
    button.click()
    expect(button).to_have_text("Theme: system")
    assert ground(tab) == LIGHT
    assert totals(tab)["sent"].startswith("2,86")


def await_drawing(tab: Tab, compared: str, picture: str) -> None:
    """Wait until a chart equals (`===`) a picture or not (`!==`): it hears of new colours later than CSS."""
    tab.page.wait_for_function(f"(picture) => {DRAWN} {compared} picture", arg=picture)
