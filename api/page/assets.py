"""Files for a browser: how the API serves what stands in its own packages, and nothing from anywhere else.

Each file has the tag of its bytes and is asked for again at each visit, so that a newer release is seen at
once and an unchanged one costs a 304.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request, Response

from api.errors import NOT_FOUND, ApiError
from api.http.polling import is_known

HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-cache",
}
"""What every file carries, whatever its policy."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
"""By the end of a file's name."""


class Asset:
    """One file."""

    def __init__(self, name: str, content: bytes, policy: str) -> None:
        """name: its last part says the media type; policy: its Content-Security-Policy."""
        self._content = content
        self._headers = {
            **HEADERS,
            "Content-Security-Policy": policy,
            "ETag": f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"',
        }
        self._media_type = MEDIA_TYPES[name[name.rindex(".") :]]

    def answer(self, request: Request) -> Response:
        """The file, or a 304 where the browser has it already."""
        if is_known(request.headers.get("if-none-match"), self._headers["ETag"]):
            return Response(status_code=304, headers=self._headers)
        return Response(self._content, headers=self._headers, media_type=self._media_type)


def serve_page(app: FastAPI, path: str, folder: str, policy: str, files: Mapping[str, bytes]) -> None:
    """Serve a page and its files.

    path: of the page, which is the file `index.html`; folder: of all other files; policy: the
    Content-Security-Policy of all of them; files: name, or path within the folder, to content.
    """
    assets = {name: Asset(name, content, policy) for name, content in files.items()}
    index = assets.pop("index.html")

    @app.get(path, include_in_schema=False)
    async def page(request: Request) -> Response:
        return index.answer(request)

    @app.get(folder + "/{name:path}", include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:
        if name not in assets:
            raise ApiError(NOT_FOUND, NOT_FOUND.meaning)
        return assets[name].answer(request)
