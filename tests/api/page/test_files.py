"""The files of the page: all are here, all are shipped, and each tells the browser how strict to be."""

import asyncio
import posixpath
import re

import httpx
import pytest
from fastapi import FastAPI

from api.page import CHART_FILES, POLICY, STATIC, VENDORED, add_to, files_of
from tests.api.conftest import Door
from tests.api.page.test_docs import Sources

NAMES = sorted({name for name, _ in files_of(STATIC) if name != "index.html"} | set(CHART_FILES))
IMPORT = re.compile(r'^import .*?from "(\.[^"]+)";$', re.MULTILINE)


def test_the_page_names_only_files_of_its_own(door: Door) -> None:
    """Whatever it and its modules load is served here, and every file that is served is loaded."""
    page = door.send("GET", "/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    sources = Sources()
    sources.feed(page.text)
    loaded = {name.removeprefix("/page/") for name in sources.found if name.startswith("/page/")}
    assert set(sources.found) == {f"/page/{name}" for name in loaded} | {"#content", "/docs"}
    left = [name for name in loaded if name.endswith(".js")]
    while left:
        module = left.pop()
        imported = IMPORT.findall(door.send("GET", f"/page/{module}").text)
        found = {posixpath.normpath(posixpath.join(module, "..", name)) for name in imported} - loaded
        loaded |= found
        left += found
    assert sorted(loaded) == NAMES


def test_the_policy_is_strict() -> None:
    """Nothing by default, nothing inline, no other host, and no markup out of text."""
    assert POLICY.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe|https?:|data:|blob:|\*", POLICY)
    for rule in ("frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'", "trusted-types 'none'"):
        assert rule in POLICY


@pytest.mark.parametrize("path", ["/", *(f"/page/{name}" for name in NAMES)])
def test_a_file_has_its_headers_and_costs_little_again(door: Door, path: str) -> None:
    """The policy and its companions stand on every file; who has it gets a 304."""
    first = door.send("GET", path)
    assert first.status_code == 200
    expected = {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-cache",
    }
    for response in (first, door.get(path, **{"If-None-Match": first.headers["etag"]})):
        assert {name: response.headers[name] for name in expected} == expected
    assert response.status_code == 304
    assert response.content == b""
    assert door.get(path, **{"If-None-Match": '"other"'}).status_code == 200


def test_nothing_else_of_the_disk_is_served(door: Door) -> None:
    for path in (
        "/page/",
        "/page/index.html",
        "/page/LICENSE",
        "/page/..%2F__init__.py",
        "/page/%2e%2e/app.py",
        "/page/words/",
        "/page/words/..%2F..%2F__init__.py",
    ):
        assert door.send("GET", path).status_code == 404, path


def test_the_chart_library_is_the_one_that_is_reported() -> None:
    """Version and license stand beside the files, and in the file itself."""
    reported = VENDORED.joinpath("..", "README.md").read_text()
    version = re.search(r"`uplot@([0-9.]+)` .*MIT", reported)
    assert version is not None
    assert f"(v{version[1]})" in VENDORED.joinpath("uPlot.esm.js").read_text()[:1000]
    assert "Permission is hereby granted" in VENDORED.joinpath("LICENSE").read_text()


def test_a_notice_is_text_at_the_top_of_the_page() -> None:
    """As the setting says it and no markup; without the setting there is none."""

    def page(notice: str) -> str:
        app = FastAPI()
        add_to(app, notice)
        return asyncio.run(get(app))

    async def get(app: FastAPI) -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            return (await client.get("/")).text

    shown = page('Sunday: <b>no</b> numbers & "none"')
    notice = '<p class="notice">Sunday: &lt;b&gt;no&lt;/b&gt; numbers &amp; &quot;none&quot;</p>'
    assert notice in shown
    assert shown.replace(notice, "") == page("")
