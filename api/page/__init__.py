"""The page `/`: one tenant's numbers to look at, in a browser, with nothing from any other host.

Lives here: the page's files (`static/`) and how they are served (`assets`), and the page that shows the
OpenAPI description (`docs`). Plain modules, no build step: what stands in `static/` is what the browser runs.
Its rooms: `ask` (questions to the API, and when), `view` (what a person chose, in the controls and in the
address), `show` (a part of the page each), `words` (numbers, times and names in words; elements).
Does not: anything that other clients of the API cannot do. The page asks the metrics routes with a key that a
person typed in and that stays in the tab (sessionStorage). The policy lets the browser load and call this API
alone, and run no script that is not one of these files; text becomes text and never markup (Trusted Types
hold it to that).
The way through: a file of `static/` -> `assets` -> the browser -> the metrics routes -> the page.
"""

import html
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import FastAPI

from api.page.assets import serve_page

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

STATIC: Final = files("api").joinpath("page", "static")
VENDORED: Final = files("api").joinpath("vendor", "uplot")
CHART_FILES: Final = ("uPlot.esm.js", "uPlot.min.css")


NOTICE_PLACE: Final = b"<!-- notice -->"
"""A line of `index.html`."""


def add_to(app: FastAPI, notice: str = "") -> None:
    """Add the page and its files. notice: plain text at the top of the page; empty: none."""
    own = dict(files_of(STATIC))
    said = f'<p class="notice">{html.escape(notice)}</p>' if notice else ""
    own["index.html"] = own["index.html"].replace(NOTICE_PLACE, said.encode())
    chart = {name: VENDORED.joinpath(name).read_bytes() for name in CHART_FILES}
    serve_page(app, "/", "/page", POLICY, own | chart)


def files_of(folder: Traversable, path: str = "") -> Iterator[tuple[str, bytes]]:
    """All files in a folder and in those within it: path from there, with slashes, and content."""
    for each in folder.iterdir():
        if each.is_dir():
            yield from files_of(each, f"{path}{each.name}/")
        else:
            yield path + each.name, each.read_bytes()
