"""What Redis is asked: nothing is written, and no script is kept there."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, Final

import msgspec
import redis
from redis.exceptions import NoPermissionError, RedisClusterException

from aggregator.counters.connection import connect, infos
from aggregator.counters.generation import REBUILD
from aggregator.errors import StoreUnavailableError
from deploy.doctor import redis_server
from deploy.doctor.check import Check, Finding, UnansweredError, ok, problem, skipped, stop
from deploy.doctor.counting import Lane, lane_of_fields
from deploy.doctor.network import check_addresses, check_tls, speaks_tls
from deploy.doctor.rights import CHECK_SCRIPT, THE_RECORD, judge_redis, redis_calls, redis_commands
from deploy.doctor.site import Site, redis_addresses, redis_user
from schemas.counters import Generation, Record
from schemas.redis_keys import RECORD_KEY, lane_key
from schemas.shared.redis_errors import describe
from schemas.shared.settings import RedisSettings

SETTING: Final = "REDIS_URL"
LOGIN: Final = "redis login"
_LACKS_IN_SCRIPT: Final = ("ACL failure in script", "executing the script can't run this command")
"""Of a script whose user may not give one of its commands; which of them depends on the server's version."""

SKEW_MS: Final = 60_000
"""Clocks farther apart than that are set by nobody: numbers of the running minute are then of another one."""


class Redis:
    """A Redis or a cluster, asked by one check after the other. Connects with the first query."""

    def __init__(self, settings: RedisSettings) -> None:
        """settings: where it is."""
        self.settings = settings

    @cached_property
    def client(self) -> Any:
        """Connected at the first query. Raises: StoreUnavailableError for a cluster out of reach."""
        return connect(self.settings)

    def close(self) -> None:
        """Drop the connection, if there is one."""
        if "client" in self.__dict__:
            self.client.close()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Make an UnansweredError of what Redis does not answer."""
        try:
            yield
        except (redis.RedisError, RedisClusterException, StoreUnavailableError) as error:
            if isinstance(error, NoPermissionError) or any(words in str(error) for words in _LACKS_IN_SCRIPT):
                why = f"this Redis user lacks a right: {error}"
                finding = skipped(why, "run it for another program, or as an administrator")
            else:
                finding = stop(describe(error), "look at Redis's log, and ask again")
            raise UnansweredError(finding) from error

    def infos(self) -> list[dict[str, Any]]:
        """`INFO` of each server that takes writes. Raises: UnansweredError."""
        with self.asking():
            return list(infos(self.client).values())

    def now_ms(self) -> int:
        """Its clock, in ms since 1970. Raises: UnansweredError."""
        with self.asking():
            seconds, micros = self._run("return redis.call('TIME')")
        return int(seconds) * 1000 + int(micros) // 1000

    def lacking(self, commands: list[str]) -> list[str]:
        """Which of some commands our user may not give, or `THE_RECORD`. Raises: UnansweredError."""
        names, calls = zip(*redis_calls(commands), strict=True)
        with self.asking():
            try:
                return [names[place] for place in self._run(CHECK_SCRIPT, json.dumps(calls))]
            except NoPermissionError as error:
                if "key" in str(error):
                    return [THE_RECORD]
                return [name for name in ("eval", "eval_ro") if name in commands]

    def _run(self, script: str, *arguments: str) -> Any:
        """Run a script that writes nothing, in the way that our user may."""
        try:
            return self.client.eval_ro(script, 1, RECORD_KEY, *arguments)
        except NoPermissionError as error:
            if "eval_ro" not in str(error):
                raise
            return self.client.eval(script, 1, RECORD_KEY, *arguments)

    @cached_property
    def record(self) -> Record:
        """The record of the generations. Raises: UnansweredError."""
        with self.asking():
            raw: Any = self.client.get(RECORD_KEY)
        try:
            return Record(()) if raw is None else msgspec.json.decode(raw, type=Record)
        except msgspec.DecodeError as error:
            raise UnansweredError(
                stop(f"the record of the generations cannot be read: {error}", f"run {REBUILD}")
            ) from error

    @cached_property
    def lanes(self) -> list[Lane | None]:
        """Each lane of the live generation, none where it is not there. Raises: UnansweredError."""
        live = self.record.live
        if live is None:
            return []
        with self.asking():
            return [self._lane(live, number) for number in range(live.lanes)]

    def _lane(self, live: Generation, number: int) -> Lane | None:
        return lane_of_fields(live, self.client.hgetall(lane_key(live.name, number)))


def checks(site: Site, server: Redis, clock_ms: Callable[[], int]) -> list[Check]:
    """The checks of the server, and of what the programs may do there. clock_ms: ours, in ms since 1970."""
    cluster = server.settings.redis_cluster
    judged: dict[str, Callable[[dict[str, Any]], list[Finding]]] = {
        "redis server": lambda info: redis_server.judge_server(info, cluster=cluster),
        "redis persistence": redis_server.judge_persistence,
        "redis memory": redis_server.judge_memory,
    }
    return [
        *reached(server, "redis", SETTING),
        *(Check(name, partial(_of_each, server, judge), (LOGIN,)) for name, judge in judged.items()),
        Check("redis rights", lambda: check_rights(site.names, server), (LOGIN,)),
        Check("redis clock", lambda: [judge_clock(server.now_ms() - clock_ms())], (LOGIN,)),
    ]


def reached(server: Redis, name: str, setting: str) -> list[Check]:
    """The checks whether a server lets us in. name: theirs begin with it; setting: names the server."""
    settings = server.settings
    address, login, tls = f"{name} address", f"{name} login", f"{name} tls"
    found = [Check(address, lambda: check_addresses(redis_addresses(settings), setting))]
    before = [address]
    if settings.redis_url.strip().startswith("rediss://"):
        found.append(Check(tls, lambda: [_check_tls(settings, setting)], tuple(before)))
        before.append(tls)
    return [*found, Check(login, lambda: [_check_login(server, setting)], tuple(before))]


def _check_tls(settings: RedisSettings, setting: str) -> Finding:
    files = (
        settings.redis_ssl_ca_location,
        settings.redis_ssl_certificate_location,
        settings.redis_ssl_key_location,
    )
    return check_tls(redis_addresses(settings), files, "REDIS", setting)


def _check_login(server: Redis, setting: str) -> Finding:
    settings = server.settings
    user = redis_user(settings)
    try:
        server.client.ping()
    except redis.AuthenticationError as error:
        return stop(describe(error), f"{setting} with the password of the user {user}, percent-encoded")
    except NoPermissionError:
        pass  # of no program's, and yet logged in
    except (redis.RedisError, RedisClusterException, StoreUnavailableError) as error:
        encrypted = settings.redis_url.strip().startswith("rediss://")
        if not encrypted and any(map(speaks_tls, redis_addresses(settings))):
            return stop(
                f"Redis speaks TLS there, and {setting} does not begin with rediss://", "rediss://..."
            )
        return stop(describe(error), "look at Redis's log; REDIS_CLUSTER is true for a cluster and no other")
    return ok(f"user {user}")


def _of_each(server: Redis, judge: Callable[[dict[str, Any]], list[Finding]]) -> list[Finding]:
    """What is said of each server of a cluster; the same said twice is said once."""
    return list(dict.fromkeys(finding for info in server.infos() for finding in judge(info)))


def check_rights(programs: Sequence[str], server: Redis) -> list[Finding]:
    """Whether the user of a server may do what programs do."""
    commands = redis_commands(programs)
    return judge_redis(commands, server.lacking(commands), redis_user(server.settings))


def judge_clock(ahead_ms: int) -> Finding:
    """Whether Redis's clock and ours agree. ahead_ms: by how much Redis's is ahead."""
    seconds = abs(ahead_ms) / 1000
    if abs(ahead_ms) <= SKEW_MS:
        return ok(f"{seconds:.1f} s apart")
    side = "ahead of" if ahead_ms > 0 else "behind"
    return problem(f"Redis's clock is {seconds:,.0f} s {side} ours", "let NTP set the clocks of all hosts")
