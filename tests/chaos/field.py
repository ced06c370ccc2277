"""The servers and workers of a chaos run, as the faults find them."""

import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import redis

from aggregator.archive.coverage import uncovered
from aggregator.archive.store import Store
from deploy.kafka import Kafka
from deploy.processes import free_port
from deploy.valkey import Valkey
from schemas import topics
from tests.chaos import aof, view
from tests.chaos.proxy import Proxy
from tests.chaos.source import Source
from tests.pipeline import log
from tests.pipeline.log import Stored
from tests.pipeline.programs import Program, Programs
from tests.s3 import FaultyStore

ANSWER_S = 5.0
COPIES = 5

Steps = Generator[float, None, None]
"""What becomes of a fault: each number is how long it lasts (s) until it goes on."""


@dataclass(frozen=True)
class Fault:
    """A way to break something. inject: breaks it, yields how long to wait (s), goes on, fixes it.

    takes: what it needs for itself meanwhile (`redis`, `kafka`); a worker is taken by the fault itself.
    """

    name: str
    inject: "Callable[[Field], Steps]"
    takes: str = ""
    freezes_redis: bool = False


@dataclass
class Active:
    """A fault that lasts."""

    fault: Fault
    steps: Steps
    resume_at: float
    events_before: int


@dataclass
class Field:
    """The servers and workers of a run, as faults find them."""

    kafka: Kafka
    valkey: Valkey
    proxy: Proxy
    programs: Programs
    source: Source
    s3: FaultyStore
    archive: Store
    rng: Random
    directory: Path
    active: list[Active] = field(default_factory=list)
    workers: list[Program | None] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)
    aof_copies: list[Path] = field(default_factory=list)
    copies: list[view.Copy] = field(default_factory=list)
    archiver: Program | None = None
    """None while it was killed and no other one has come."""
    cut: dict[tuple[int, int], Stored] = field(default_factory=dict)
    """By partition and offset, the records that were deleted from the topic."""
    exact_again_s: list[float] = field(default_factory=list)
    """After each lost tail: from Redis's return to exact numbers."""
    wrong: list[str] = field(default_factory=list)
    """What a fault saw that must not be."""
    _made: int = 0
    _clients: dict[int, Any] = field(default_factory=dict)

    @property
    def redis(self) -> Any:
        """A client of the Valkey that is in use, past the proxy."""
        port = self.valkey.port
        if port not in self._clients:
            self._clients[port] = redis.Redis(host="127.0.0.1", port=port, socket_timeout=ANSWER_S)
        return self._clients[port]

    def close(self) -> None:
        """End the server and the connections."""
        self.valkey.kill()
        for client in self._clients.values():
            client.close()

    @property
    def alone(self) -> bool:
        """Whether no other fault lasts."""
        return len(self.active) <= 1

    def start_worker(self, slot: int) -> None:
        """Start a worker in a slot that is empty."""
        self.workers[slot] = self.programs.worker()

    def start_archiver(self) -> None:
        """Start the process that archives; its files are of three seconds."""
        self.archiver = self.programs.start(
            "aggregator archive --without-key", ARCHIVE_PORT="0", ARCHIVE_FILE_MINUTES="0.05"
        )

    def archived(self) -> list[int]:
        """Up to where the archive has each partition without a hole, past the proxy."""
        files = self.archive.files()
        return [
            uncovered([file for file in files if file.partition == number], 0).first
            for number in range(topics.EVENTS.partitions)
        ]

    def records(self) -> list[Stored]:
        """All records that were ever in the topic."""
        held = log.read(self.kafka.bootstrap, self.programs.events_topic)
        found = self.cut | {(each.partition, each.offset): each for each in held}
        return [found[where] for where in sorted(found)]

    def cut_below(self, offsets: list[int]) -> None:
        """Delete records from the topic as a trim does, and remember them."""
        for each in log.read(self.kafka.bootstrap, self.programs.events_topic):
            if each.offset < offsets[each.partition]:
                self.cut[each.partition, each.offset] = each
        log.forget_below(self.kafka.bootstrap, self.programs.events_topic, offsets)

    def forget_copies(self) -> None:
        """Of all copies of Redis only one that is made now is left."""
        for copy in self.aof_copies:
            shutil.rmtree(copy)
        self.aof_copies, self.copies = [], []
        self.take_copies()

    def take_worker(self) -> tuple[int, Program] | None:
        """A worker that runs and that no other fault has; none where there is none."""
        free = [(n, w) for n, w in enumerate(self.workers) if w is not None and n not in self.busy]
        if not free:
            return None
        slot, worker = self.rng.choice(free)
        self.busy.add(slot)
        return slot, worker

    def start_redis(self) -> None:
        """Start the Valkey on what lies in its directory, and wait until it answers."""
        self.valkey.start(aof.waiting())
        aof.never_rewrite(self.redis)

    def ends(self) -> list[int]:
        """The topic's ends as Kafka reports them."""
        return log.ends(self.kafka.bootstrap, self.programs.events_topic)

    def new_valkey(self) -> Valkey:
        """Another server with no data; not started."""
        self._made += 1
        return Valkey(self.directory / f"valkey-{self._made}", port=free_port())

    def take_copies(self) -> None:
        """Keep a copy of Redis's file and one of its keys; of older ones some are left."""
        self._made += 1
        to = self.directory / f"copy-{self._made}"
        aof.rewrite_if_big(self.valkey, self.redis)
        aof.copy(self.valkey, to)
        self.aof_copies.append(to)
        self.copies.append(view.copy(self.redis))
        if len(self.aof_copies) > COPIES:
            shutil.rmtree(self.aof_copies.pop(self.rng.randrange(1, COPIES)))
            del self.copies[self.rng.randrange(1, COPIES)]
