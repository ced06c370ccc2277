"""Redis is read beside the log: all that comes is taken in, and what goes wrong there ends the proof."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import pytest

from aggregator.proof.verify import _Ahead


def test_what_is_there_is_taken_without_waiting_and_all_of_it_in_the_end() -> None:
    go_on = Event()

    def source() -> Iterator[int]:
        yield 1
        go_on.wait()
        yield 2
        yield 3

    with ThreadPoolExecutor(1) as thread:
        ahead = _Ahead(thread, source())
        ahead._next.result()
        assert list(ahead.ready()) == [1], "the second one is not waited for"
        go_on.set()
        assert list(ahead) == [2, 3]
        assert list(ahead) == list(ahead.ready()) == []


def test_an_error_comes_where_the_next_one_would() -> None:
    """Within the next batch of the log, and not after hours of it."""

    def source() -> Iterator[int]:
        yield 1
        raise ValueError("a counter is damaged")

    with ThreadPoolExecutor(1) as thread:
        ahead = _Ahead(thread, source())
        assert next(ahead) == 1
        with suppress(ValueError):
            ahead._next.result()
        with pytest.raises(ValueError, match="damaged"):
            next(ahead.ready())
