"""An exchange with one real Redis: each command has its own reply, whatever became of those before it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NoReplyError

from api.config import ApiSettings
from api.counters import connection
from api.counters.connection import connect
from api.counters.exchange import Exchange, exchange_with


def not_understood(response: Any, **kwargs: Any) -> Any:
    raise ValueError(f"not what was expected: {response} {kwargs}")


def run(url: str, job: Callable[[Exchange], Awaitable[None]]) -> None:
    async def once() -> None:
        client = connect(ApiSettings(redis_url=url))
        client.set_response_callback("TYPE", not_understood)
        exchange = exchange_with(client)
        try:
            await job(exchange)
        finally:
            await exchange.close()
            await client.aclose()

    asyncio.run(once())


def test_each_command_has_its_reply_or_its_error(redis_db: str) -> None:
    """In their order; an error is of one alone, and replies are as redis-py's clients give them."""

    async def job(exchange: Exchange) -> None:
        await exchange.ask([("SET", "a", b"\x00\xff"), ("HSET", "h", "é", 1)])
        got, wrong, fields, none = await exchange.ask(
            [("GET", "a"), ("HGETALL", "a"), ("HGETALL", "h"), ("GET", "b")]
        )
        assert (got, fields, none) == (b"\x00\xff", {"é".encode(): b"1"}, None)
        assert isinstance(wrong, ResponseError)

    run(redis_db, job)


def test_a_connection_that_was_closed_is_opened_again(redis_db: str) -> None:
    """Whoever asks next does not see that the other side closed it."""

    async def job(exchange: Exchange) -> None:
        for _ in range(3):
            assert await exchange.ask([("ECHO", "a")]) == [b"a"]
            with redis.Redis.from_url(redis_db) as client:
                client.client_kill_filter(_type="normal", skipme=True)

    run(redis_db, job)


def test_a_reply_that_nobody_waited_for_is_given_to_nobody(
    redis_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a time limit or a cancellation, and where one is not understood, the next has its own."""
    monkeypatch.setattr(connection, "TIMEOUT_S", 1.0)

    async def job(exchange: Exchange) -> None:
        with redis.Redis.from_url(redis_db) as client:
            assert await exchange.ask([("ECHO", "first")]) == [b"first"]
            client.execute_command("CLIENT", "PAUSE", 3000, "ALL")
            gone = asyncio.create_task(exchange.ask([("ECHO", "late")]))
            await asyncio.sleep(0.01)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            client.ping()  # Redis says all that it has to say now
            with pytest.raises(ValueError, match="not what"):
                await exchange.ask([("TYPE", "a"), ("ECHO", "late")])
            assert await exchange.ask([("ECHO", "a")]) == [b"a"]
            client.execute_command("CLIENT", "PAUSE", 6000, "ALL")
            with pytest.raises(NoReplyError):
                await exchange.ask([("ECHO", "late")])
            client.ping()
        assert await exchange.ask([("ECHO", "b")]) == [b"b"]

    run(redis_db, job)
