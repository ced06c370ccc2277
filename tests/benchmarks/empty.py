"""The empty routes that API and webhook are compared with. `EMPTY_PORT` says where they listen.

FastAPI and nothing else, on the same server as our programs (`schemas.shared.server`): what the server, the
framework and the machine cost without any work of ours.
"""

import os

from fastapi import FastAPI

from schemas.shared import logs
from schemas.shared.server import Ports, serve

app = FastAPI(openapi_url=None)


@app.get("/readyz")
@app.get("/empty")
async def get_nothing() -> dict[str, str]:
    return {}


@app.post("/empty")
async def post_nothing() -> dict[str, str]:
    return {}


if __name__ == "__main__":
    logs.configure()
    with Ports(int(os.environ["EMPTY_PORT"])) as ports:
        serve(app, ports, grace_s=0)
