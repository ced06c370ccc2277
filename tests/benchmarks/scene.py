"""Where a bench takes place: one Kafka for all of it, topics that are loaded once, a new Valkey for each run.

A run that counts starts with an empty Valkey and a consumer group that nobody has seen, so that no run finds
anything of the one before.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
import psutil
import redis

from deploy.kafka import Kafka
from deploy.processes import free_port
from deploy.valkey import Valkey
from schemas import topics
from schemas.counters import LANES, Record
from schemas.redis_keys import RECORD_KEY, lane_key, lane_of
from tests import services
from tests.benchmarks.ceiling import Event, fetches
from tests.benchmarks.expected import Expected
from tests.benchmarks.load import load
from tests.benchmarks.workload import Shape
from tests.pipeline import log
from tests.pipeline.programs import Program, Programs

Lasts = dict[tuple[int, int], int]
"""By (lane, partition): the offset after the last event of a tenant of that lane."""

MICRO: Final = 1_000_000
LIMIT_S: Final = 900.0
"""A count that takes so long has failed."""


@dataclass(frozen=True)
class Topic:
    """A loaded topic: what is in it, what must be counted of it, and where it ends.

    prefix: of its name and those of its dead letters and groups, as `tests.pipeline.programs` wants it.
    """

    prefix: str
    events: int
    expected: Expected
    ends: list[int]
    lasts: Lasts

    @property
    def name(self) -> str:
        return f"{self.prefix}events"


@dataclass
class Stage:
    """What one run has: its Valkey, and the programs that it starts on a topic."""

    topic: Topic
    bootstrap: str
    valkey: Valkey
    redis: redis.Redis
    programs: Programs
    directory: Path
    _kafka: psutil.Process
    group: str = field(default_factory=lambda: f"bench-{uuid4().hex}")

    def worker(self) -> Program:
        """Start a worker in this run's group. What it leaves behind when it is killed goes with the scene."""
        return self.programs.worker(self.group, TMPDIR=str(self.directory))

    def api(self) -> Program:
        """Start the API, ready, with no limit to the rate of requests."""
        port = self.programs.api_port = free_port()
        return self._ready("api", port, API_PORT=str(port), RATE_LIMIT="1000000/second")

    def ingest(self, topic_arn: str, certificates: Path) -> Program:
        """Start ingest for one SNS topic with pinned certificates, ready."""
        program = self.programs.ingest(topic_arn, certificates)
        program.wait_until_ready()
        return program

    def empty(self) -> Program:
        """Start the empty routes, ready."""
        port = free_port()
        return self._ready("tests.benchmarks.empty", port, EMPTY_PORT=str(port))

    def _ready(self, name: str, port: int, **settings: str) -> Program:
        program = self.programs.start(name, port, **settings)
        program.wait_until_ready()
        return program

    def cpu_seconds(self, pids: list[int]) -> dict[str, float]:
        """The CPU time so far of Kafka, of Valkey and of these processes together."""
        return {
            "kafka": _cpu_seconds(self._kafka),
            "valkey": _cpu_seconds(psutil.Process(self.valkey.child.pid)),
            "programs": sum(_cpu_seconds(psutil.Process(pid)) for pid in pids),
        }

    def catch_up(self, programs: list[Program]) -> None:
        """Wait until all of the topic is counted."""
        upto = log.ends(self.bootstrap, self.topic.name)

        def counted() -> bool:
            checkpoints = self.checkpoints()
            return bool(checkpoints) and all(lane == upto for lane in checkpoints)

        programs[0].wait_until(counted, f"every checkpoint is at {upto}", LIMIT_S)

    def checkpoints(self) -> list[list[int]]:
        """For each lane of the live generation, or of the one that is being rebuilt, the checkpoints."""
        raw: Any = self.redis.get(RECORD_KEY)
        record = msgspec.json.decode(raw, type=Record) if raw else Record(())
        found = record.live or (record.next.generation if record.next else None)
        if found is None:
            return []
        name = found.name
        wanted = [f"f{number}" for number in range(topics.EVENTS.partitions)]
        with self.redis.pipeline(transaction=False) as pipe:
            for lane in range(LANES):
                pipe.hmget(lane_key(name, lane), wanted)
            return [[int(checkpoint or 0) for checkpoint in lane] for lane in pipe.execute()]


def _cpu_seconds(process: psutil.Process) -> float:
    """With its children, those that ended too."""
    times = process.cpu_times()
    own = float(times.user + times.system + times.children_user + times.children_system)
    return own + sum(map(_cpu_seconds, process.children()))


class Scene:
    """One bench's Kafka and its topics."""

    def __init__(self, kafka: Kafka, directory: Path, say: Callable[[str], None]) -> None:
        """kafka: runs. directory: for logs of programs. say: is told what takes long."""
        self.bootstrap = kafka.bootstrap
        self._kafka = kafka
        self._directory = directory
        self._say = say
        self._topics: dict[tuple[Shape, int], Topic] = {}

    def topic(self, shape: Shape, events: int) -> Topic:
        """A topic with the first events of a workload; the same one each time."""
        known = self._topics.get((shape, events))
        if known is None:
            self._say(f"loading {events:,} events of {shape.name}")
            known = self._topics[shape, events] = self._load(shape, events)
        return known

    def append(self, topic: Topic, shape: Shape, events: int) -> None:
        """Write more to a topic that somebody counts: another workload, or another seed."""
        self._say(f"appending {events:,} events of {shape.name}, seed {shape.seed}")
        load(self.bootstrap, topic.name, shape, events)

    @contextmanager
    def stage(self, topic: Topic) -> Iterator[Stage]:
        """A new Valkey and no programs yet; both are gone afterwards."""
        with ExitStack() as stack:
            valkey = stack.enter_context(services.valkey_server())
            client = stack.enter_context(redis.Redis.from_url(valkey.url))
            folder = self._directory / uuid4().hex[:8]
            folder.mkdir()
            programs = stack.enter_context(Programs(self.bootstrap, valkey.url, topic.prefix, folder))
            kafka = psutil.Process(self._kafka.child.pid)
            yield Stage(topic, self.bootstrap, valkey, client, programs, folder, kafka)

    def prefix(self, name: str) -> str:
        """What the names of new topics begin with; those beside the events are there then."""
        prefix = f"{name}-{uuid4().hex[:6]}-"
        services.create_topics(
            self.bootstrap,
            {
                f"{prefix}dlq": topics.DEAD_LETTERS,
                f"{prefix}erasures": topics.ERASURES,
                topics.API_KEYS_TOPIC: topics.API_KEYS,
            },
        )
        return prefix

    def _load(self, shape: Shape, events: int) -> Topic:
        prefix = self.prefix(f"{shape.name}-{events}")
        name = f"{prefix}events"
        expected = load(self.bootstrap, name, shape, events)
        return Topic(
            prefix, expected.events, expected, log.ends(self.bootstrap, name), _lasts(self.bootstrap, name)
        )


def _lasts(bootstrap: str, name: str) -> Lasts:
    """Read the topic once to see where each lane ends."""
    decode = msgspec.json.Decoder(Event).decode
    lasts: Lasts = {}
    lanes: dict[str, int] = {}
    for found in fetches(bootstrap, name):
        for message in found:
            tenant = decode(message.value() or b"").mail.tags.tenant[0]
            lane = lanes.setdefault(tenant, lane_of(tenant, LANES))
            lasts[lane, message.partition() or 0] = (message.offset() or 0) + 1
    return lasts


@contextmanager
def open_scene(directory: Path, say: Callable[[str], None]) -> Iterator[Scene]:
    """A scene with a Kafka of its own, gone afterwards. directory: for the programs' logs."""
    with services.kafka_server() as kafka, tempfile.TemporaryDirectory(dir=directory) as logs:
        yield Scene(kafka, Path(logs), say)
