"""Scopes with many ids: the largest are shown, and each is warned of from the limit on."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from aggregator import metrics
from aggregator.worker.known_ids import SHOWN, KnownIds
from schemas.redis_keys import safe_id

SCOPES = ("sequence", "template", "campaign")


@pytest.fixture(autouse=True)
def no_series() -> Iterator[None]:
    metrics.KNOWN_IDS.clear()
    yield
    metrics.KNOWN_IDS.clear()


def shown() -> dict[tuple[str, str], float]:
    samples = next(each for each in metrics.WORKER.collect() if each.name == "aggregator_known_ids").samples
    return {(each.labels["tenant"], each.labels["scope"]): each.value for each in samples}


def test_the_scopes_with_most_ids_have_a_series_by_their_names() -> None:
    """Ten of them, whoever they are: a scope that others outgrow loses its series."""
    known = KnownIds(100_000)
    known.take({("few", 1): 1_000}, SCOPES)
    assert shown() == {("few", "sequence"): 1_000}
    known.take({(safe_id(f"a:{n}"), 3): 2_000 + n for n in range(SHOWN)}, SCOPES)
    assert shown() == {(f"a:{n}", "campaign"): 2_000 + n for n in range(SHOWN)}


def test_a_scope_is_warned_of_at_the_limit_and_each_time_it_has_doubled() -> None:
    known = KnownIds(3_000)
    warned = []
    for number in (2_999, 3_000, 3_001, 5_999, 6_000, 7_000):
        with capture_logs() as lines:
            known.take({("one", 2): number}, SCOPES)
        warned += [each["ids"] for each in lines]
        assert all((each["tenant"], each["scope"]) == ("one", "template") for each in lines)
        above = metrics.WORKER.get_sample_value("aggregator_scopes_of_many_ids")
        assert above == (1 if number >= 3_000 else 0)
    assert warned == [3_000, 6_000]
