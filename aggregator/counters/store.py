"""Redis, as the aggregator uses it: the checkpoints, the generation, and the one script that counts.

Called from one thread, so that calls reach Redis in their order. Nothing here tries anything again: after
any error the caller resyncs: it reads the checkpoints, which say what was counted, and goes on there.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from aggregator import metrics
from aggregator.counters import lifecycle
from aggregator.counters.connection import Client, connect, infos, memory, translated
from aggregator.counters.lanes import gone
from aggregator.counters.registry import Registry
from aggregator.errors import ClosedError, RefusedError, StoreUnavailableError, StoreUnsupportedError
from schemas.counters import Generation, Record
from schemas.redis_keys import lane_key
from schemas.shared.settings import RedisSettings

SCRIPT: Final = files("aggregator.counters").joinpath("apply.lua").read_text()


class Answer(NamedTuple):
    """What a call of `apply.lua` answers.

    status: `OK`, `GONE`, `ROLLED_BACK` or `REBASE`. repeated: facts that were counted before (`OK`).
    partition, checkpoint: of the checkpoint that stands elsewhere (`ROLLED_BACK`, `REBASE`). known: as in
    `Applied` (`OK`).
    """

    status: str
    repeated: int = 0
    partition: int = -1
    checkpoint: int = -1
    known: Mapping[tuple[str, int], int] = MappingProxyType({})


class LaneCall(NamedTuple):
    """One call: the lane and the packed argument (`counting.pack`)."""

    lane: int
    argument: bytes


class Store:
    """The counters in Redis."""

    def __init__(self, settings: RedisSettings) -> None:
        """Prepare; the connection is made with the first call.

        settings: where Redis is.
        """
        self._settings = settings
        self._client: Client | None = None
        self._sha = ""
        self.servers: frozenset[str] = frozenset()
        """The ids of the servers that were connected to by `open`; a server has a new one with each start."""

    def open(self) -> None:
        """Connect anew, check the server and load the script.

        Raises: StoreUnavailableError, StoreUnsupportedError.
        """
        self.close()
        self._client = connect(self._settings)
        self.servers = self.check()
        with translated():
            self._sha = str(self._client.script_load(SCRIPT))

    def check(self) -> frozenset[str]:
        """Check the server, or all that take writes in a cluster: its policy may change while it runs.

        Their memory is shown as metrics by the way.

        Returns: their ids. Raises: StoreUnavailableError, StoreUnsupportedError.
        """
        with translated():
            found = infos(self._connected())
        _show_memory(found)
        for info in found.values():
            check_version(info)
            check_policy(info)
        return frozenset(str(info.get("run_id", "")) for info in found.values())

    def check_or_open(self) -> frozenset[str]:
        """As `check`, connecting first where that was not done or was undone. Raises: as `open`."""
        if self._client is not None:
            return self.check()
        self.open()
        return self.servers

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def some_key(self) -> str | None:
        """A key that Redis holds, whoever wrote it; none where it holds nothing at all.

        Raises: StoreUnavailableError.
        """
        with translated():
            found = next(iter(self._connected().scan_iter(count=10)), None)
        return None if found is None else found.decode(errors="replace")

    def former(self) -> bool:
        """As `Registry.former`. Raises: StoreUnavailableError."""
        return self._registry.former()

    def record(self) -> Record:
        """The record of the generations. Raises: StoreUnavailableError, also where it cannot be read."""
        return self._registry.read().record

    def live(self) -> Generation | None:
        """The live generation, none where there is none. Raises: StoreUnavailableError."""
        return self.record().live

    def now_ms(self) -> int:
        """Redis's clock. Raises: StoreUnavailableError."""
        return self._registry.now_ms()

    def create(self, generation: Generation) -> bool:
        """Make all lanes of a generation, then make it the live one if there is none.

        Returns: whether it is the live one now; if not, its lanes are removed again.
        Raises: StoreUnavailableError.
        """
        self._registry.lanes.make(generation, {})
        try:
            self._registry.change(lambda record: lifecycle.first(record, generation))
        except RefusedError:
            with translated():
                for lane in range(generation.lanes):
                    self._connected().delete(lane_key(generation.name, lane))
            return False
        return True

    def open_again(self, live: Generation) -> None:
        """As `Registry.open_again`.

        Raises: ClosedError, SwitchLostError, GoneError, StoreUnavailableError.
        """
        self._registry.open_again(live)

    def checkpoints(self, generation: Generation) -> list[dict[int, int]]:
        """For each lane, the checkpoint of each partition that has one.

        Raises: GoneError where a lane is missing or another's, ClosedError where one is closed to counting,
        StoreUnavailableError.
        """
        found: list[dict[int, int]] = []
        with translated():
            client = self._connected()
            for lane in range(generation.lanes):
                fields = client.hgetall(lane_key(generation.name, lane))
                if (
                    fields.get(b"generation") != generation.name.encode()
                    or fields.get(b"rules") != generation.rules.encode()
                ):
                    raise gone(generation, lane)
                if b"retired" in fields:
                    raise ClosedError(f"lane {lane} of generation {generation.name} is closed to counting")
                found.append({int(f[1:]): int(v) for f, v in fields.items() if f[:1] == b"f"})
        return found

    def apply(self, generation: Generation, calls: Sequence[LaneCall]) -> list[Answer]:
        """Call the script for each of `calls`, one after the other.

        Not in a pipeline: Redis would serve nobody else until it had run them all.

        Returns: an answer a call.
        Raises: StoreUnavailableError: any of the calls may or may not have been done.
        """
        with translated():
            client = self._connected()
            return [
                _answer(
                    client.evalsha(
                        self._sha,
                        1,
                        lane_key(generation.name, call.lane),
                        generation.name,
                        generation.rules,
                        call.argument,
                    )
                )
                for call in calls
            ]

    @property
    def _registry(self) -> Registry:
        return Registry(self._connected())

    def _connected(self) -> Client:
        if self._client is None:
            raise StoreUnavailableError("not connected")
        return self._client


def _answer(reply: list[Any]) -> Answer:
    status = reply[0].decode()
    if status == "OK":
        tenants, scopes, numbers = reply[2][::3], reply[2][1::3], reply[2][2::3]
        found = zip(tenants, scopes, numbers, strict=True)
        known = {(tenant.decode(), scope): number for tenant, scope, number in found}
        return Answer(status, repeated=reply[1], known=known)
    return Answer(status) if status == "GONE" else Answer(status, 0, reply[1], reply[2])


def _show_memory(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Of these nodes and no others: a cluster may have others than before. found: `INFO` of each."""
    shown = {sample.labels["node"] for family in metrics.REDIS_MEMORY.collect() for sample in family.samples}
    for away in shown - found.keys():
        metrics.REDIS_MEMORY.remove(away)
        metrics.REDIS_MEMORY_LIMIT.remove(away)
    for node, info in found.items():
        used, limit = memory(info)
        metrics.REDIS_MEMORY.labels(node).set(used)
        metrics.REDIS_MEMORY_LIMIT.labels(node).set(limit)


def check_version(info: Mapping[str, Any]) -> None:
    """Raise StoreUnsupportedError for a server that lacks what the scripts need. info: of `INFO`."""
    valkey = info.get("server_name") == "valkey"
    name, least = ("Valkey", 8) if valkey else ("Redis", 7)
    version = str(info["valkey_version"] if valkey else info["redis_version"])
    if int(version.partition(".")[0]) < least:
        raise StoreUnsupportedError(f"{name} {version} is too old: {name} {least} or newer is needed")


def check_policy(info: Mapping[str, Any]) -> None:
    """Raise StoreUnsupportedError for a server that may drop counts. info: of `INFO`."""
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreUnsupportedError(f"maxmemory-policy is {policy}, which drops counts: set it to noeviction")
