"""What the pipeline tests share: a place of a test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipeline.place import Place, open_place


@pytest.fixture
def place_settings() -> dict[str, str]:
    """What all programs of a place are told beside the usual; a file of tests may say more."""
    return {}


@pytest.fixture
def place(
    kafka_bootstrap: str,
    tmp_path: Path,
    place_settings: dict[str, str],
    record_property: Callable[[str, object], None],
) -> Iterator[Place]:
    """Topics, a Valkey and programs of the test's own. At the end: how many events came."""
    with open_place(kafka_bootstrap, tmp_path, **place_settings) as opened:
        yield opened
        record_property("events", sum(opened.ends()))
