"""`/docs`: the OpenAPI description to read and try in a browser, with nothing from any other host.

The page is Swagger UI, whose files stand in `api/vendor`. It may load and call what this API serves and
nothing else. A key that is typed in stays in the page and is gone with it.
"""

from importlib.resources import files
from typing import Final

from fastapi import FastAPI

from api.page.assets import serve_page

VENDORED: Final = files("api").joinpath("vendor", "swagger-ui")

VENDORED_FILES: Final = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")

# Swagger UI styles its elements in place; its images are data URLs.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

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
    own = {"index.html": PAGE.encode(), "start.js": START.encode()}
    vendored = {name: VENDORED.joinpath(name).read_bytes() for name in VENDORED_FILES}
    serve_page(app, "/docs", "/docs", POLICY, own | vendored)
