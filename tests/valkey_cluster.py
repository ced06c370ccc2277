"""A cluster of six Valkeys, three primaries and a replica of each, from the same binary as the one server.

A node that is killed is found dead after a second, and its replica takes over by vote of the others.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.cluster import ClusterNode

from deploy.processes import Waiting, free_port
from deploy.valkey import Valkey
from tests.services import LIMIT_S

SHARDS = 3
SLOTS = 16_384
NODE_TIMEOUT_MS = 1_000
PATIENT_MS = 15_000
"""For tests that lose no node: one that the machine holds up for seconds keeps its slots."""


class Node:
    """One server of the cluster."""

    def __init__(self, directory: Path, port: int, bus_port: int, timeout_ms: int) -> None:
        """Take down where it lives; nothing starts yet."""
        self.bus_port = bus_port
        options = (
            *("--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)),
            *("--cluster-node-timeout", str(timeout_ms)),
        )
        self.valkey = Valkey(directory, port=port, options=options)
        self.client: Any = redis.Redis(host="127.0.0.1", port=self.valkey.port, socket_timeout=5)
        """Asks this very node; follows no redirection."""

    def start(self) -> None:
        """Start it on what lies in its directory."""
        self.valkey.start(Waiting(limit_s=LIMIT_S))

    def kill(self) -> None:
        """SIGKILL, as a crash; also the end of its connections."""
        self.valkey.kill()
        self.client.close()

    def ask(self, *command: str | bytes | int) -> Any:
        """The answer of this very node to a command."""
        return self.client.execute_command(*command)

    def ask_all(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        """Its answers to commands, also on keys of a slot that is still on its way to this node."""
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command("ASKING")
            pipeline.execute_command(*command)
        return list(pipeline.execute()[1::2])

    @property
    def name(self) -> str:
        """What the cluster knows it by."""
        return str(self.ask("CLUSTER", "MYID").decode())

    def epochs(self) -> dict[str, int]:
        """Of each node, how new its word on who owns its slots is, as far as this one has heard."""
        words = [line.split() for line in self.ask("CLUSTER", "NODES").decode().splitlines()]
        return {each[0]: int(each[6]) for each in words}

    def replication(self) -> dict[str, Any]:
        """Its role and whom it follows."""
        found: dict[str, Any] = self.client.info("replication")
        return found

    def is_well(self) -> bool:
        """Whether it sees the whole cluster, and follows its primary closely or is followed by a replica."""
        cluster = b"cluster_state:ok" in self.ask("CLUSTER", "INFO")
        reported = self.replication()
        if reported["role"] == "slave":
            return cluster and reported["master_link_status"] == "up"
        return cluster and reported["connected_slaves"] == 1

    def knows(self) -> int:
        """How many nodes it has shaken hands with, itself among them."""
        return sum(b"handshake" not in line for line in self.ask("CLUSTER", "NODES").splitlines())


class ValkeyCluster:
    """Six nodes that know each other."""

    def __init__(self, directory: Path, timeout_ms: int) -> None:
        """Take down where they live; nothing starts yet."""
        ports: set[int] = set()  # what is free now may be drawn again, as nothing listens yet
        while len(ports) < 4 * SHARDS:
            ports.add(free_port())
        self.nodes = [
            Node(directory / str(number), ports.pop(), ports.pop(), timeout_ms)
            for number in range(2 * SHARDS)
        ]
        where = [("127.0.0.1", node.valkey.port) for node in self.nodes]
        self._startup = [ClusterNode(*each) for each in where]  # type: ignore[no-untyped-call]

    @property
    def url(self) -> str:
        """All nodes, as `REDIS_URL` names them."""
        return ",".join(node.valkey.url for node in self.nodes)

    def client(self) -> Any:
        """A client of the whole cluster."""
        return redis.RedisCluster(startup_nodes=self._startup, socket_timeout=5)

    def start(self) -> None:
        """Start all nodes, let them meet, share out the slots, and give each primary a replica."""
        for node in self.nodes:
            node.start()
        first, *others = self.nodes
        for node in others:
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.valkey.port, node.bus_port)
        self._wait(lambda: all(node.knows() == len(self.nodes) for node in self.nodes))
        for number, primary in enumerate(self.nodes[:SHARDS]):
            start, stop = (SLOTS * n // SHARDS for n in (number, number + 1))
            primary.ask("CLUSTER", "ADDSLOTSRANGE", start, stop - 1)
            self.nodes[SHARDS + number].ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait until all slots are served, and each primary has a replica that is up to date."""
        self._wait(lambda: all(node.is_well() for node in self.nodes))

    def primary_of(self, key: str) -> Node:
        """The node that takes writes of a key."""
        with self.client() as client:
            port = client.get_node_from_key(key).port
        return next(node for node in self.nodes if node.valkey.port == port)

    def replica_of(self, primary: Node) -> Node:
        """The node that follows a primary."""
        port = primary.valkey.port
        return next(node for node in self.nodes if node.replication().get("master_port") == port)

    def move_of(self, key: str) -> "SlotMove":
        """A move of a key's slot from where it is to the next primary. It has not begun."""
        with self.client() as client:
            slot = client.keyslot(key)
        source = self.primary_of(key)
        primaries = [node for node in self.nodes if node.replication()["role"] == "master"]
        at = primaries.index(source)
        target, *others = [*primaries[at + 1 :], *primaries[:at]]
        return SlotMove(slot, source, target, tuple(others))

    def swap(self, primary: Node) -> None:
        """Let a primary and its replica change places, as before maintenance; no write is lost by that."""
        replica = self.replica_of(primary)
        replica.ask("CLUSTER", "FAILOVER")
        self._wait(lambda: replica.replication()["role"] == "master")
        self.wait_until_whole()

    def lose(self, primary: Node) -> None:
        """Kill a primary, and wait until its replica has taken over; writes that it lacked are lost."""
        replica = self.replica_of(primary)
        primary.kill()
        self._wait(lambda: replica.replication()["role"] == "master")

    def kill(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.kill()

    def _wait(self, holds: Callable[[], bool]) -> None:
        Waiting(limit_s=LIMIT_S).until(
            holds, next(n.valkey.child for n in self.nodes if n.valkey.child.running)
        )


@dataclass(frozen=True)
class SlotMove:
    """A slot that moves from one primary to another.

    Key by key, as `valkey-cli --cluster reshard` does it, or whole, as Valkey 9 can (`migrate`).
    """

    slot: int
    source: Node
    target: Node
    others: tuple[Node, ...]

    def migrate(self) -> None:
        """Have the source stream the slot to the target and hand it over whole: `CLUSTER MIGRATESLOTS`.

        This begins it; no key is on two nodes for any client at any time.
        """
        self.source.ask(
            "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", self.slot, self.slot, "NODE", self.target.name
        )

    @property
    def has_migrated(self) -> bool:
        """Whether the source has handed it over. Fails where it has given that up."""
        job = next(
            job
            for job in self.source.ask("CLUSTER", "GETSLOTMIGRATIONS")
            if (job[b"operation"], job[b"slot_ranges"]) == (b"EXPORT", b"%d-%d" % (self.slot, self.slot))
        )
        assert job[b"state"] not in (b"failed", b"cancelled"), job
        return bool(job[b"state"] == b"success")

    def begin(self) -> None:
        """From now on the source refuses keys that it does not hold, and the target takes those that come.

        First the target hears of the newest word of the source: its own must be newer, or the slot goes back.
        """
        name = self.source.name
        newest, until = self.source.epochs()[name], time.monotonic() + LIMIT_S
        while self.target.epochs()[name] != newest:
            assert time.monotonic() < until, "the nodes hear nothing of each other"
            time.sleep(0.001)
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", name)
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.name)

    def keys(self, node: Node, most: int = 1_000_000) -> list[bytes]:
        """Keys of the slot that a node holds."""
        found: list[bytes] = node.ask("CLUSTER", "GETKEYSINSLOT", self.slot, most)
        return found

    def move(self, keys: Iterable[bytes]) -> None:
        """Move these keys, which the source holds."""
        wanted = tuple(keys)
        if wanted:
            address = ("127.0.0.1", self.target.valkey.port)
            self.source.ask("MIGRATE", *address, "", 0, 5_000, "KEYS", *wanted)

    def end(self) -> None:
        """Move what is left and make the target the slot's only owner."""
        self.move(self.keys(self.source))
        for node in (self.target, self.source, *self.others):
            node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self.target.name)

    def back(self) -> "SlotMove":
        """The move the other way."""
        return SlotMove(self.slot, self.target, self.source, self.others)


@contextmanager
def valkey_cluster(timeout_ms: int = NODE_TIMEOUT_MS) -> Iterator[ValkeyCluster]:
    """A running cluster with no data, gone at the end. timeout_ms: after which a silent node is dead."""
    with tempfile.TemporaryDirectory(prefix="ses-metrics-cluster-") as directory:
        cluster = ValkeyCluster(Path(directory), timeout_ms)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.kill()
