"""What the targeted cases share: an arena of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.arena import Arena, open_arena


@pytest.fixture
def arena(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Arena]:
    """Topics, a Valkey behind a proxy and programs of the test's own."""
    with open_arena(kafka_bootstrap, tmp_path) as opened:
        yield opened
