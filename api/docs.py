"""`/docs`: the OpenAPI description to read and try in a browser, with nothing from any other host.

The page is Swagger UI, whose files stand in `api/vendor`. It may load and call what this API serves and
nothing else. A key that is typed in stays in the page and is gone with it.
"""

from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Response

from api.errors import NOT_FOUND, ApiError

VENDORED: Final = files("api").joinpath("vendor", "swagger-ui")

FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}

HEADERS: Final = {
    # Swagger UI styles its elements in place; its images are data URLs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SES metrics: API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

START: Final = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null, persistAuthorization: false,
});
"""


def add_to(app: FastAPI) -> None:
    """Add the page and its files."""

    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return Response(PAGE, headers=HEADERS, media_type="text/html")

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(START, headers=HEADERS, media_type="text/javascript")

    @app.get("/docs/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in FILES:
            raise ApiError(NOT_FOUND, NOT_FOUND.meaning)
        headers = {**HEADERS, "Cache-Control": "public, max-age=86400"}
        return Response(VENDORED.joinpath(name).read_bytes(), headers=headers, media_type=FILES[name])
