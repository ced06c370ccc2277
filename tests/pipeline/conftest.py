"""What the pipeline tests share: a place of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.place import Place, open_place


@pytest.fixture
def place(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Place]:
    """Topics, a Valkey and programs of the test's own."""
    with open_place(kafka_bootstrap, tmp_path) as opened:
        yield opened
