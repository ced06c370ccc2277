"""Deletes from the topic what the archive holds.

Law: a record is deleted only where all that the topic has up to it is in files of the archive, no record up
to it is younger than was said, and the workers have counted it (the offsets that their group committed, which
lie no higher than the checkpoints).
"""

from collections.abc import Mapping, Sequence

from aggregator.archive.coverage import File, uncovered
from aggregator.log.admin import Cluster
from aggregator.log.bulk_reader import BulkReader


def trim(
    cluster: Cluster, bulk: BulkReader, files: Mapping[int, Sequence[File]], group: str, before_ms: int
) -> dict[int, int]:
    """Delete what may go.

    files: of each partition. group: the workers' consumer group. before_ms: a record of this time or later
    stays, and all after it.
    Returns: where the partitions begin now, of those that were trimmed.
    Raises: KafkaUnavailableError.
    """
    partitions = len(files)
    starts = {number: first for number, (first, _) in bulk.ranges(partitions).items()}
    old = bulk.offsets_since(partitions, before_ms)
    counted = cluster.commits(group, partitions)
    upto = {
        number: min(uncovered(files[number], start).first, old[number], counted.get(number, 0))
        for number, start in starts.items()
    }
    found = {number: offset for number, offset in upto.items() if offset > starts[number]}
    if found:
        cluster.delete_below(found)
    return found
