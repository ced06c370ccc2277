"""What the targeted cases share: an arena of a test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.arena import Arena, open_arena


@pytest.fixture
def arena(
    kafka_bootstrap: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Arena]:
    """Topics, a Valkey behind a proxy and programs of the test's own. At the end: how many events came."""
    with open_arena(kafka_bootstrap, tmp_path) as opened:
        yield opened
        record_property("events", sum(opened.place.ends()))
