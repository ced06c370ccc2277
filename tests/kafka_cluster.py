"""Three Kafkas as one cluster, every partition on all of them, from the same jars as the one of the stack."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from deploy.kafka import Kafka, new_cluster_id
from deploy.kafka_jars import KAFKA
from deploy.processes import Waiting, free_port
from tests.services import LIMIT_S

BROKERS = 3
HEAP = "-Xmx256m"


class KafkaCluster:
    """Three nodes, each a broker and a controller."""

    def __init__(self, directory: Path) -> None:
        """Take down where they live; nothing starts yet."""
        ports = [(free_port(), free_port()) for _ in range(BROKERS)]
        voters = ",".join(f"{n}@127.0.0.1:{controller}" for n, (_, controller) in enumerate(ports, 1))
        cluster_id = new_cluster_id()
        self.nodes = {
            number: Kafka(
                directory / str(number),
                port=port,
                controller_port=controller,
                node_id=number,
                voters=voters,
                cluster_id=cluster_id,
                heap=HEAP,
            )
            for number, (port, controller) in enumerate(ports, 1)
        }

    @property
    def bootstrap(self) -> str:
        """All nodes, as `KAFKA_BOOTSTRAP_SERVERS` names them."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    def start(self) -> None:
        """Start all nodes, and wait until each of them answers and has replicas in its care."""
        waiting = Waiting(limit_s=LIMIT_S)
        for node in self.nodes.values():
            node.launch(waiting)
        for node in self.nodes.values():
            node.wait_until_ready(waiting)
        waiting.until(lambda: len(self._metadata().brokers) == BROKERS, self.nodes[1].child)

    def leader_of(self, topic: str, partition: int) -> Kafka | None:
        """The node that leads a partition now; none while there is none."""
        found: int = self._metadata().topics[topic].partitions[partition].leader
        return self.nodes.get(found)

    def is_in_sync(self, topic: str) -> bool:
        """Whether every partition of a topic has all of its replicas up to date."""
        return all(len(each.isrs) == BROKERS for each in self._metadata().topics[topic].partitions.values())

    def kill(self) -> None:
        """End all nodes."""
        for node in self.nodes.values():
            node.kill()

    def _metadata(self) -> Any:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=LIMIT_S)


@contextmanager
def kafka_cluster() -> Iterator[KafkaCluster]:
    """A running cluster with no data, gone at the end."""
    KAFKA.fetch()
    with tempfile.TemporaryDirectory(prefix="ses-metrics-kafkas-") as directory:
        cluster = KafkaCluster(Path(directory))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.kill()
