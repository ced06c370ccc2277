"""Redis, as the aggregator uses it: the fences, the generation, and the one script that counts.

Called from one thread, so that calls reach Redis in their order. Nothing here tries anything again: after
any error the caller begins at the fences, which say what was counted (`worker`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from aggregator.errors import GoneError, StoreUnavailableError, StoreUnfitError
from schemas.counters import GENERATION_KEY, Generation, lane_key
from schemas.redis_errors import describe
from schemas.settings import RedisSettings

SCRIPT: Final = files("aggregator").joinpath("apply.lua").read_text()
CALL_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 3.0
_Kind = TypeVar("_Kind", bound=Generation)
_Client = redis.Redis | redis.RedisCluster


@contextmanager
def translated() -> Iterator[None]:
    """Errors of redis-py as what the caller does next; its cluster client has a family of its own.

    Raises: StoreUnavailableError.
    """
    try:
        yield
    except (redis.RedisError, RedisClusterException) as error:
        raise StoreUnavailableError(describe(error)) from error


class Answer(NamedTuple):
    """What a call of `apply.lua` answers.

    status: `OK`, `GONE`, `GAP` or `FOLD`. repeated: facts that were counted before (`OK`).
    partition, fence: of the fence that stands elsewhere (`GAP`, `FOLD`).
    """

    status: str
    repeated: int = 0
    partition: int = -1
    fence: int = -1


class LaneCall(NamedTuple):
    """One call: the lane and the packed argument (`tally.pack`)."""

    lane: int
    argument: bytes


def connect(settings: RedisSettings) -> _Client:
    """A client that fails at once instead of trying again.

    settings: where Redis is.
    Raises: StoreUnavailableError for a cluster that cannot be reached.
    """
    options: dict[str, Any] = {
        "socket_timeout": CALL_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        **settings.redis_tls(),
    }
    url, others = settings.redis_nodes
    if not settings.redis_cluster:
        return redis.Redis.from_url(url, **options)
    nodes = [ClusterNode(host, port) for host, port in others]  # type: ignore[no-untyped-call]
    with translated():
        return redis.RedisCluster.from_url(url, startup_nodes=nodes, **options)


class Store:
    """The counters in Redis."""

    def __init__(self, settings: RedisSettings) -> None:
        """Prepare; the connection is made with the first call.

        settings: where Redis is.
        """
        self._settings = settings
        self._client: _Client | None = None
        self._sha = ""

    def open(self) -> None:
        """Connect anew, judge the server and hand it the script.

        Raises: StoreUnavailableError, StoreUnfitError.
        """
        self.close()
        self._client = connect(self._settings)
        self.check()
        with translated():
            self._sha = str(self._client.script_load(SCRIPT))

    def check(self) -> None:
        """Judge the server, or all that take writes in a cluster: its policy may change while it runs.

        Raises: StoreUnavailableError, StoreUnfitError.
        """
        with translated():
            for info in infos(self._connected()):
                _judge(info)

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def is_empty(self) -> bool:
        """Whether Redis holds no key at all. Raises: StoreUnavailableError."""
        with translated():
            return int(self._connected().dbsize()) == 0

    def live(self) -> Generation | None:
        """The record of the live generation, none where there is none.

        Raises: StoreUnavailableError, also where the record cannot be read.
        """
        with translated():
            record = self._connected().get(GENERATION_KEY)
        return decoded(record, Generation)

    def create(self, generation: Generation) -> bool:
        """Make all lanes of a generation, then make it the live one if there is none.

        Returns: whether it is the live one now; if not, its lanes are removed again.
        Raises: StoreUnavailableError.
        """
        lanes = [lane_key(generation.name, lane) for lane in range(generation.lanes)]
        with translated():
            client = self._connected()
            make_lanes(client, generation, {})
            if client.set(GENERATION_KEY, msgspec.json.encode(generation), nx=True):
                return True
            for key in lanes:
                client.delete(key)
        return False

    def fences(self, generation: Generation) -> list[dict[int, int]]:
        """For each lane, the fence of each partition that has one.

        Raises: GoneError where a lane is missing or another's, StoreUnavailableError.
        """
        found: list[dict[int, int]] = []
        with translated():
            client = self._connected()
            for lane in range(generation.lanes):
                fields = client.hgetall(lane_key(generation.name, lane))
                if (
                    fields.get(b"generation") != generation.name.encode()
                    or fields.get(b"rules") != generation.rules.encode()
                    or b"retired" in fields
                ):
                    raise GoneError(f"lane {lane} of generation {generation.name} is not there")
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

    def _connected(self) -> _Client:
        if self._client is None:
            raise StoreUnavailableError("not connected")
        return self._client


def infos(client: _Client, *sections: str) -> list[dict[str, Any]]:
    """What `INFO` says of the server, or of each that takes writes in a cluster."""
    if not isinstance(client, redis.RedisCluster):
        return [client.info(*sections)]
    # redis-py answers with the answer itself, and not with one for each node, where there is one node
    primaries = client.get_primaries()  # type: ignore[no-untyped-call]
    return [client.info(*sections, target_nodes=node) for node in primaries]


def decoded(record: Any, kind: type[_Kind]) -> _Kind | None:
    """The record of a generation, none where there is none.

    Raises: StoreUnavailableError where it cannot be read: it is not taken for a missing one.
    """
    try:
        return None if record is None else msgspec.json.decode(record, type=kind)
    except msgspec.DecodeError as error:
        raise StoreUnavailableError(f"the record of a generation cannot be read: {error}") from error


def make_lanes(client: _Client, generation: Generation, start: Mapping[int, int]) -> None:
    """Make the lanes of a generation; those that are there already stay as they are.

    start: the fences (by partition) of a generation that does not begin at the start of the log.
    """
    for lane in range(generation.lanes):
        key = lane_key(generation.name, lane)
        if client.hexists(key, "generation"):
            continue
        fields: dict[Any, Any] = {f"f{number}": at for number, at in start.items()}
        fields |= {"generation": generation.name, "rules": generation.rules}
        client.hset(key, mapping=fields)


def _answer(reply: list[Any]) -> Answer:
    status = reply[0].decode()
    if status == "OK":
        return Answer(status, repeated=reply[1])
    return Answer(status) if status == "GONE" else Answer(status, 0, reply[1], reply[2])


def _judge(info: dict[str, Any]) -> None:
    """Raise StoreUnfitError for a server on which counts would not be safe."""
    valkey = info.get("server_name") == "valkey"
    name, least = ("Valkey", 8) if valkey else ("Redis", 7)
    version = str(info["valkey_version"] if valkey else info["redis_version"])
    if int(version.partition(".")[0]) < least:
        raise StoreUnfitError(f"{name} {version} is too old: {name} {least} or newer is needed")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreUnfitError(f"maxmemory-policy is {policy}, which drops counts: set it to noeviction")
