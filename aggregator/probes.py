"""The HTTP side of the worker, of `audit` and of `archive`: `/livez`, `/readyz`, `/metrics`.

In the worker it is on the loop that counts, on purpose: where that loop hangs, `/livez` does not answer.
With `METRICS_PORT` there is a second port, and what is on which of the two is the law of all programs
(`schemas.shared.metrics_port`).
"""

import json
from collections.abc import Callable, Set
from contextlib import AsyncExitStack

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from schemas.shared.metrics_port import METRICS, OPERATORS

log = structlog.get_logger(__name__)


async def serve(
    port: int, metrics_port: int | None, not_ready: Callable[[], str | None], registry: CollectorRegistry
) -> tuple[AsyncExitStack, int]:
    """Serve until what is returned is closed.

    port: 0 is any free one. metrics_port: as `METRICS_PORT`. not_ready: why the program is not ready; none
    where it is. registry: of the metrics.
    Returns: the servers, and the port.
    Raises: OSError where a port cannot be had; it says which.
    """

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        why = not_ready()
        body = {"status": "ok"} if why is None else {"status": "unavailable", "reason": why}
        return web.json_response(body, status=200 if why is None else 503, dumps=json.dumps)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    answers = {"/livez": livez, "/readyz": readyz, METRICS: metrics}

    async def listen(paths: Set[str], port: int) -> int:
        app = web.Application()
        app.add_routes([web.get(path, answers[path]) for path in paths])
        runner = web.AppRunner(app, access_log=None)
        servers.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 probes come from other hosts
        found: int = runner.addresses[0][1]
        return found

    async with AsyncExitStack() as servers:
        if metrics_port is None:
            port = await listen(OPERATORS, port)
        else:
            port = await listen(OPERATORS - {METRICS}, port)
            log.info("serving metrics", port=await listen(OPERATORS, metrics_port))
        return servers.pop_all(), port
