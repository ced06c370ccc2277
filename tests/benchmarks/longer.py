"""A log many times as long as a workload, at little cost: its archive again and again, as other mails.

Law: the n-th copy stands behind the ones before it and each of its mails has an id of its own, so everything
is counted as often as there are copies. Kafka was given as many records that say nothing, and has removed
them: the archive alone speaks for the log.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aggregator.archive.coverage import File, topic_id_of
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.store import Store, said_by
from aggregator.log.admin import Cluster
from schemas.shared.settings import EventsSettings
from tests.benchmarks.events import Record
from tests.benchmarks.load import Loader
from tests.benchmarks.scene import Scene, Topic
from tests.benchmarks.workload import START_MS
from tests.pipeline.log import forget_below

NO_KEY: Final = b" " * 43
"""As long as what the loader makes headers of."""


def longer(scene: Scene, topic: Topic, archive: Path, copies: int) -> Topic:
    """Make a topic whose log is so many copies of another one's, in the same archive.

    archive: the directory of an archive that holds all of `topic`.
    """
    made = Topic(
        scene.prefix(f"{copies}-times"),
        topic.events * copies,
        topic.expected.times(copies),
        [end * copies for end in topic.ends],
        {
            (lane, partition): last + topic.ends[partition] * (copies - 1)
            for (lane, partition), last in topic.lasts.items()
        },
    )
    _fill_and_forget(scene.bootstrap, made)
    topic_id = _topic_id(scene.bootstrap, made.name)
    source = _topic_id(scene.bootstrap, topic.name)
    for file in Store(archive.as_uri()).files():
        assert file.topic_id == source, "an archive of that topic alone"
        rows = topic.ends[file.partition]
        _copy(archive, file, topic_id, [rows * number for number in range(copies)])
    return made


def _fill_and_forget(bootstrap: str, topic: Topic) -> None:
    nothing = Record(NO_KEY, b"", START_MS)
    loader = Loader(bootstrap, topic.name)
    for partition, end in enumerate(topic.ends):
        for number in range(end):
            loader.send(nothing, partition)
            if not number % 10_000:
                loader.poll()
    loader.finish()
    forget_below(bootstrap, topic.name, topic.ends)


def _topic_id(bootstrap: str, name: str) -> str:
    settings = EventsSettings(kafka_bootstrap_servers=bootstrap, events_topic=name)
    return topic_id_of(Cluster(settings).log().topic_id)


def _copy(archive: Path, file: File, topic_id: str, begins: Sequence[int]) -> None:
    """Copy a file. begins: for each copy, what is added to the offsets."""
    with pq.ParquetFile(archive / file.name) as opened:
        table, said = opened.read(), said_by(opened)
    ids = table.column("message_id")
    for number, begin in enumerate(begins):
        changed: dict[str, Any] = {
            "topic_id": pa.repeat(pa.scalar(topic_id), table.num_rows),
            "offset": pc.add(table.column("offset"), begin),
            "message_id": pc.binary_join_element_wise(ids, f"{number}", "-"),
        }
        copied = File(topic_id, file.partition, file.first + begin, file.next + begin)
        target = archive / copied.name
        target.parent.mkdir(parents=True, exist_ok=True)
        writer = FileWriter(target, said)
        columns = [changed.get(name, table.column(name)) for name in table.column_names]
        for batch in pa.table(columns, schema=table.schema).to_batches():
            writer.add_batch(batch)
        writer.close()
