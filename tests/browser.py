"""A real browser for the tests: Debian's Chromium, headless, driven by Playwright.

Nothing is fetched but Debian's package, and that only where no Chromium is found and we may install one
(root, as in CI). Where that fails the tests fail, and say what to do: a page nobody looked at is not tested.
Every tab is watched: what it asks for, what its policy refuses, and what goes wrong in its scripts.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, sync_playwright

from tests.debian import installed

VARIABLE = "TEST_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
NUMBERS = "include=rates%2Cstatus"
"""In the address of each question for the numbers of a view, and in none that the page asks beside it."""

LIMIT_MS = 60_000
"""A wait that takes so long has failed."""

SCREENSHOTS = Path(__file__).parents[1] / ".local" / "screenshots"

WATCH = """
window.refusedByPolicy = [];
addEventListener("securitypolicyviolation", (event) => {
  refusedByPolicy.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""


def chromium() -> str:
    """The path of a Chromium; installs Debian's where there is none and we may. Fails the test otherwise."""
    found = os.environ.get(VARIABLE) or installed(NAMES, "chromium")
    if found is None:
        pytest.fail(
            f"no Chromium for the tests of the page: install one (Debian: apt-get install chromium), or name "
            f"its program in {VARIABLE}"
        )
    return found


@dataclass
class Tab:
    """One tab and what happened in it."""

    page: Page
    asked: list[Request] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def note_request(self, request: Request) -> None:
        """Keep what it asked for."""
        self.asked.append(request)

    def note_console(self, message: ConsoleMessage) -> None:
        """Keep errors; that an answer was a 4xx or 5xx, or did not come, is no error of the page's."""
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.troubles.append(message.text)

    def api_calls(self, path: str = NUMBERS) -> list[Request]:
        """What it asked of the API so far, at an address with this in it."""
        return [request for request in self.asked if path in request.url]

    def shoot(self, name: str) -> None:
        """Keep a picture of the whole page among CI's artefacts."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def check(self, host: str) -> None:
        """It asked `host` and nobody else, its policy refused nothing, and no script failed."""
        hosts = {
            urlsplit(request.url).netloc for request in self.asked if not request.url.startswith("data:")
        }
        assert hosts <= {host}
        assert self.troubles == []
        assert self.page.evaluate("window.refusedByPolicy") == []


class Tabs:
    """Opens tabs on one site, each in a context of its own (a new visitor) unless told otherwise."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self.url = url
        self._open: list[Tab] = []
        self._contexts: list[BrowserContext] = []

    def open(self, path: str = "/", *, beside: Tab | None = None, script: str = "", **options: Any) -> Tab:
        """Open a page of the site.

        beside: a tab with whose storage it is opened; script: run before the page's own; options: of the
        context (`viewport`, `color_scheme`, ...); its zone is UTC unless they say otherwise.
        """
        options = {"timezone_id": "UTC", **options}
        context = beside.page.context if beside else self._browser.new_context(**options)
        if context not in self._contexts:
            self._contexts.append(context)
            context.set_default_timeout(LIMIT_MS)
            context.add_init_script(WATCH + script)
        tab = Tab(context.new_page())
        tab.page.on("request", tab.note_request)
        tab.page.on("console", tab.note_console)
        tab.page.on("pageerror", lambda error: tab.troubles.append(str(error)))
        self._open.append(tab)
        tab.page.goto(self.url + path)
        return tab

    def check(self) -> None:
        """Check every tab, and close them all."""
        try:
            for tab in self._open:
                tab.check(urlsplit(self.url).netloc)
        finally:
            for context in self._contexts:
                context.close()


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A headless Chromium that can reach nobody but this machine.

    While it runs, its thread has a running event loop (Playwright's): nothing beside it may use asyncio.
    """
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=chromium(), args=arguments, chromium_sandbox=os.geteuid() != 0
            )
        except Error as error:
            pytest.fail(f"Chromium does not start: {error}")
        with browser:
            yield browser
