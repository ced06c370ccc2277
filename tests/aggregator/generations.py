"""A generation, for tests that count into one or only pass it on. `msgspec.structs.replace` makes others."""

from typing import Final

from schemas.counters import LAYOUT, Generation
from schemas.kinds import FAMILIES, FIELDS

GENERATION: Final = Generation(
    name="g",
    lanes=1,
    rules="rules",
    layout=LAYOUT,
    kinds=FIELDS,
    families=tuple(FAMILIES.items()),
    scopes=("sequence", "template"),
    identity_key="00112233445566778899aabbccddeeff",
    cluster_id="cluster",
    topic_id="topic",
    created_ms=0,
)
