"""The HTTP side of the worker and of `audit`: `/livez`, `/readyz`, `/metrics`.

In the worker it is on the loop that counts, on purpose: where that loop hangs, `/livez` does not answer.
"""

import json
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest


async def serve(
    port: int, not_ready: Callable[[], str | None], registry: CollectorRegistry = REGISTRY
) -> tuple[web.AppRunner, int]:
    """Serve until the runner's `cleanup`.

    port: 0 is any free one. not_ready: why the program is not ready; none where it is.
    registry: of the metrics.
    Returns: the runner, and the port.
    Raises: OSError where the port cannot be had.
    """

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        why = not_ready()
        body = {"status": "ok"} if why is None else {"status": "unavailable", "reason": why}
        return web.json_response(body, status=200 if why is None else 503, dumps=json.dumps)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)],
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", port)  # noqa: S104 probes come from other hosts
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]
