"""What the Lua scripts say once more of the layout, as no script can import: the same as the schemas say."""

import re
from pathlib import Path

import pytest

from schemas import packed_counter, redis_keys
from schemas.instants import QUARTERS
from tests.pipeline.programs import CHECKOUT

SAID = {
    "QUARTERS": QUARTERS,
    "KINDS_MAX": packed_counter.KINDS_MAX,
    "BLOCK_DAYS": redis_keys.BLOCK_DAYS,
    "FIRST_BLOCK": redis_keys.FIRST_BLOCK,
    "MOST": packed_counter.MOST,
    "BYTE": packed_counter.BYTE,
    "FOUR_BYTES": packed_counter.FOUR_BYTES,
    "PACKED": packed_counter.PACKED,
    "HEAD": 5,
    "IS_WIDE": f"char({redis_keys.IS_WIDE[0]})",
}
SCRIPTS = [
    CHECKOUT / "aggregator/counters/apply.lua",
    CHECKOUT / "aggregator/counters/snapshots/snapshot.lua",
    CHECKOUT / "api/counters/read.lua",
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_of_the_layout_what_the_schemas_say(script: Path) -> None:
    found = {}
    for names, values in re.findall(
        r"^local ([A-Z_, ]+) = ([^\n]+?)(?:\s+--.*)?$", script.read_text(), re.MULTILINE
    ):
        for name, value in zip(names.split(", "), values.split(", "), strict=True):
            if name in SAID:
                found[name] = value.removeprefix("string.")
    assert {"FIRST_BLOCK", "IS_WIDE"} <= found.keys()
    assert found == {name: str(SAID[name]) for name in found}
