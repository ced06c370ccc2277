"""What `snapshot.lua` answers: counters, and the checkpoints that say which events that is. Pure."""

from importlib.resources import files
from typing import Any, Final, NamedTuple

from aggregator.counters.lanes import standing_of

SNAPSHOT: Final = files("aggregator.counters.snapshots").joinpath("snapshot.lua").read_text()


class Held(NamedTuple):
    """What a lane holds of one tenant, as it stands there (`schemas.redis_keys`).

    blocks: of each block of days the packed counters by field. known: the members of the known ids, which
    come with the last block.
    """

    blocks: list[tuple[int, dict[bytes, bytes]]]
    known: list[bytes]


class Snapshot(NamedTuple):
    """What a lane holds of some tenants, and the checkpoints up to which it does.

    erased: the number of the last erasure that it has taken in. held: of each tenant asked
    for, in their order, up to where a limit was reached. stopped: the block of the last of these at which to
    go on; none where all was read.
    """

    checkpoints: dict[int, int]
    erased: int
    held: list[Held]
    stopped: int | None


def snapshot_from(answer: Any) -> Snapshot:
    """What `snapshot.lua` answers where it does not list tenants."""
    numbers, held, stopped = answer
    return Snapshot(
        numbers_from(numbers, b"f"),
        standing_of(numbers[-1]).erased,
        [
            Held(
                [(int(block), dict(zip(found[::2], found[1::2], strict=True))) for block, found in blocks],
                known,
            )
            for blocks, known in held
        ],
        stopped,
    )


def numbers_from(fields: list[bytes], prefix: bytes) -> dict[int, int]:
    """Of the checkpoints of `snapshot.lua` those that begin so: `f` or `c`."""
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return {int(name[1:]): int(number) for name, number in pairs if name[:1] == prefix}
