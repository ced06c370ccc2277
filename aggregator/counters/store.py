"""Redis, as the aggregator uses it: the checkpoints, the generation, and the one script that counts.

Called from one thread, so that calls reach Redis in their order. Nothing here tries anything again: after
any error the caller resyncs: it reads the checkpoints, which say what was counted, and goes on there.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgpack

from aggregator.counters import lifecycle
from aggregator.counters.connection import Client, connect, infos, show_memory, translated
from aggregator.counters.lanes import Standing, gone, standing_of
from aggregator.counters.registry import Registry
from aggregator.counting.rules import NO_ERASURES, Erasures
from aggregator.errors import ClosedError, RefusedError, StoreUnavailableError, StoreUnsupportedError
from schemas.counters import Generation, Record
from schemas.redis_keys import lane_key
from schemas.shared.settings import RedisSettings

SCRIPT: Final = files("aggregator.counters").joinpath("apply.lua").read_text()


class Answer(NamedTuple):
    """What a call of `apply.lua` answers.

    status: `OK`, `GONE`, `ERASED`, `ROLLED_BACK` or `REBASE`. repeated: facts counted before (`OK`).
    partition, checkpoint: of the checkpoint that stands elsewhere (`ROLLED_BACK`, `REBASE`). known: as in
    `Applied` (`OK`).
    """

    status: str
    repeated: int = 0
    partition: int = -1
    checkpoint: int = -1
    known: Mapping[tuple[str, int], int] = MappingProxyType({})


class LaneCall(NamedTuple):
    """One call: the lane, the packed argument (`counting.pack`), the number of the lane's last erasure."""

    lane: int
    argument: bytes
    erased: int = 0


class Erasing(NamedTuple):
    """What one call erases, as `aggregator.erasure.take_in` has worked it out.

    before, after: what the lane carries. tenants: made safe. argument: what is counted of them again.
    """

    lane: int
    before: Standing
    after: Standing
    tenants: Sequence[str]
    argument: bytes


class LaneHeld(NamedTuple):
    """What a lane says at one instant. checkpoints: by partition."""

    standing: Standing
    checkpoints: dict[int, int]


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
        show_memory(found)
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

    def checkpoints(self, generation: Generation, erasures: Erasures = NO_ERASURES) -> list[dict[int, int]]:
        """For each lane, the checkpoint of each partition that has one.

        Raises: GoneError where a lane is missing or another's, ClosedError where one is closed to counting,
        ErasedError where one has not taken in just these erasures, StoreUnavailableError.
        """
        found: list[dict[int, int]] = []
        for lane in range(generation.lanes):
            fields = self._fields(generation, lane)
            if b"retired" in fields:
                raise ClosedError(f"lane {lane} of generation {generation.name} is closed to counting")
            held = _held(fields)
            erasures.check(held.standing.erased, lane, generation.lanes)
            found.append(held.checkpoints)
        return found

    def lane(self, generation: Generation, lane: int) -> LaneHeld:
        """What a lane says, retired or not. Raises: GoneError, StoreUnavailableError."""
        return _held(self._fields(generation, lane))

    def _fields(self, generation: Generation, lane: int) -> dict[bytes, bytes]:
        with translated():
            fields: dict[Any, Any] = self._connected().hgetall(lane_key(generation.name, lane))
        if (
            fields.get(b"generation") != generation.name.encode()
            or standing_of(fields.get(b"rules", b"")).rules != generation.rules
        ):
            raise gone(generation, lane)
        return fields

    def close_for_erasing(self, generation: Generation, lane: int, before: Standing, word: str) -> None:
        """Close a lane to counting until an erasure is taken in, where it is as it was read.

        Raises: StoreUnavailableError.
        """
        self._registry.lanes.rule(generation, lane, before.text, before._replace(word=word).text)

    def erase(self, generation: Generation, what: Erasing) -> bool:
        """Remove all that a lane counts of tenants, count some of it again and open the lane, in one step.

        Returns: whether it was done; where the lane no longer carries what it did, nothing was.
        Raises: GoneError, StoreUnavailableError: it may or may not have been done.
        """
        erasing = msgpack.packb([what.after.text, list(what.tenants)])
        with translated():
            answer = _answer(
                self._connected().evalsha(
                    self._sha,
                    1,
                    lane_key(generation.name, what.lane),
                    generation.name,
                    what.before.text,
                    what.argument,
                    erasing,
                )
            )
        if answer.status == "GONE":
            raise gone(generation, what.lane)
        return answer.status == "OK"

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
                        Standing(generation.rules, call.erased).text,
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
    return Answer(status) if len(reply) == 1 else Answer(status, 0, reply[1], reply[2])


def _held(fields: Mapping[bytes, bytes]) -> LaneHeld:
    checkpoints = {int(name[1:]): int(at) for name, at in fields.items() if name[:1] == b"f"}
    return LaneHeld(standing_of(fields[b"rules"]), checkpoints)


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
