"""The only way out of ingest: one bounded GET to SNS.

Whoever can reach the webhook can make it call SNS, so a call is bounded in time and size, follows no
redirect, and the URL is one that `ingest.sns.messages` has built or checked.
"""

import asyncio
from typing import Final

import httpx

CALL_SECONDS: Final = 4.0
"""For the whole call. With the limits on body and Kafka it stays within the 15 s that SNS waits for us."""

ANSWER_MAX_BYTES: Final = 65_536


class CallError(Exception):
    """SNS was not reached, or did not answer 200, or answered too much. A later call may succeed."""


def new_client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """The HTTP client for `get`.

    transport: what carries the requests in place of the network; none: the network, by way of the proxy that
        the environment names (`HTTPS_PROXY`), if it does.
    """
    return httpx.AsyncClient(
        transport=transport,
        follow_redirects=False,
        timeout=CALL_SECONDS,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),  # bounded by who calls
        headers={"Accept-Encoding": "identity", "User-Agent": "ses-metrics"},
    )


async def get(client: httpx.AsyncClient, url: str) -> bytes:
    """What SNS answers at the URL.

    Raises: CallError.
    """
    answer = bytearray()
    try:
        async with asyncio.timeout(CALL_SECONDS), client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise CallError(f"answered {response.status_code}")
            async for chunk in response.aiter_raw():
                answer += chunk
                if len(answer) > ANSWER_MAX_BYTES:
                    raise CallError(f"answered more than {ANSWER_MAX_BYTES} bytes")
    except TimeoutError:
        raise CallError(f"no answer within {CALL_SECONDS:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CallError(f"{type(error).__name__}: {error}") from error
    return bytes(answer)
