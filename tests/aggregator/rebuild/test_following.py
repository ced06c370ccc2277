"""What a rebuild makes of a live generation that is gone: it goes on without that one, and no other."""

import pytest

from aggregator.errors import GoneError, StoreUnavailableError
from aggregator.rebuild.following import unless_gone
from schemas.counters import LANES, LAYOUT, Generation
from schemas.kinds import FIELDS

LIVE = Generation(
    name="live",
    lanes=LANES,
    rules="r",
    layout=LAYOUT,
    kinds=FIELDS,
    cluster_id="c",
    topic_id="t",
    created_ms=0,
)


def test_the_block_is_left_where_the_live_one_is_gone() -> None:
    reached = ["before"]
    with unless_gone(LIVE):
        reached.append("within")
        raise GoneError("lane 3 is not there", "live")
    assert reached == ["before", "within"]


@pytest.mark.parametrize(
    "error",
    [GoneError("lane 3 is not there", "new"), GoneError("not there"), StoreUnavailableError("away")],
)
def test_any_other_error_is_the_callers(error: Exception) -> None:
    """That the new generation is gone, above all: the live one would be replaced by nothing."""
    with pytest.raises(type(error), match=str(error)), unless_gone(LIVE):
        raise error
