"""What a rebuild makes of a live generation that is gone: it goes on without that one, and no other."""

import pytest
from msgspec.structs import replace

from aggregator.errors import GoneError, StoreUnavailableError
from aggregator.rebuild.following import unless_gone
from tests.aggregator.generations import GENERATION

LIVE = replace(GENERATION, name="live")


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
