"""The client to be awaited, on asyncio or trio: it does what `kraiter.exchange` says."""

import random
from types import TracebackType

import anyio
import httpx

from kraiter.async_methods import AsyncMetricsMethods
from kraiter.exchange import Answer, Exchange, Failure, Options, Outcome, Pause, Questions, Result, Step


class AsyncKraiter:
    """A client of one API with one key. Tasks may share it."""

    metrics: AsyncMetricsMethods

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        timeout_s: float = 10.0,
        retries: int = 3,
        max_wait_s: float = 30.0,
        cache_size: int = 64,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Make a client; nothing is sent yet.

        base_url: where the API is, without `/api`; timeout_s: for each step of a request (connect, send,
        each read); retries: how often more is asked after 429, 503 or no answer; max_wait_s: a longer
        wait is not waited for, the error is raised; cache_size: how many answers are held; http: the
        AsyncClient to use, whose owner closes it.
        Raises: ValueError.
        """
        options = Options(api_key, base_url, retries, max_wait_s, cache_size)
        self.metrics = AsyncMetricsMethods(Questions(options, random.random), self._run)
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient() if http is None else http
        self._owns_http = http is None

    async def close(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> "AsyncKraiter":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, exchange: Exchange[Result]) -> Result:
        outcome: Outcome = None
        while True:
            try:
                step = exchange.send(outcome)
            except StopIteration as done:
                result: Result = done.value
                return result
            outcome = await self._do(step)

    async def _do(self, step: Step) -> Outcome:
        if isinstance(step, Pause):
            await anyio.sleep(step.seconds)
            return None
        try:
            response = await self._http.get(
                step.url, headers=step.headers, timeout=self._timeout_s, follow_redirects=False
            )
        except httpx.RequestError as error:
            return Failure(str(error) or type(error).__name__)
        return Answer(response.status_code, response.headers, response.content)
