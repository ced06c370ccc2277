"""A replica of an embedded Valkey, and what may become of the link between the two."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from deploy.valkey import Valkey
from tests import services
from tests.chaos.proxy import Proxy
from tests.pipeline.programs import LIMIT_S, wait_until


@dataclass
class Replica:
    """A replica, and the link to its primary. client: of the replica."""

    server: Valkey
    client: Any
    primary: Any
    link: Proxy

    @property
    def is_following(self) -> bool:
        return bool(self.client.info("replication").get("master_link_status") == "up")

    def follow(self) -> None:
        self.client.replicaof("127.0.0.1", self.link.port)

    def wait_until_level(self) -> None:
        """Wait until it has all that its primary has by now."""
        offset = int(self.primary.info("replication")["master_repl_offset"])
        wait_until(
            lambda: self.client.info("replication")["slave_repl_offset"] >= offset, "the replica has it all"
        )

    @contextmanager
    def held_link(self) -> Iterator[None]:
        """Nothing comes over the link meanwhile, which stays as it is."""
        held, released = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            released.wait()

        self.link.at_call(b"REPLCONF", before=hold)  # it acknowledges each second
        assert held.wait(LIMIT_S)
        try:
            yield
        finally:
            released.set()

    def lose_link(self) -> None:
        self.link.open = False
        self.link.cut()
        wait_until(lambda: not self.is_following, "the link is lost")


@contextmanager
def replica_of(primary: Valkey) -> Iterator[Replica]:
    """A new replica that follows."""
    with (
        services.valkey_server() as server,
        redis.Redis.from_url(server.url) as client,
        redis.Redis.from_url(primary.url) as of_primary,
        Proxy(primary.port) as link,
    ):
        of_primary.config_set("repl-diskless-sync-delay", 0)
        replica = Replica(server, client, of_primary, link)
        replica.follow()
        wait_until(lambda: replica.is_following, "the replica follows")
        yield replica
