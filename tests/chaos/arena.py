"""Where one fault is injected on purpose: a place of the pipeline tests with a proxy before its Valkey.

What a case needs to know stands in the topic and in Redis. It waits for the checkpoints to reach the topic's
end, then compares every cell with a naive count of the topic.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from confluent_kafka import Consumer, TopicPartition

from deploy.traffic import HOUR, iso
from deploy.valkey import Valkey
from tests import services
from tests.chaos import view
from tests.chaos.proxy import Proxy
from tests.pipeline import events
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place, naive_count, open_place_on
from tests.pipeline.programs import Program, wait_until

LIMIT_S = float(os.environ.get("CHAOS_LIMIT_S", "60"))
"""How long a case waits for what must come. A run against a broken tree sets it low."""


@dataclass
class Arena:
    """A place, its Valkey, and the proxy through which its workers reach that."""

    place: Place
    valkey: Valkey
    proxy: Proxy

    @property
    def redis(self) -> Any:
        """A client that goes past the proxy."""
        return self.place.redis

    def wait_until_counted(self) -> None:
        """Wait until every checkpoint stands at the topic's end as it is now."""
        ends = self.place.ends()
        wait_until(
            lambda: (
                (checkpoints := self.place.checkpoints()) != [] and all(lane == ends for lane in checkpoints)
            ),
            f"every checkpoint is at {ends}",
            LIMIT_S,
        )

    def wait_until_committed(self) -> None:
        """Wait until the group has committed the topic's end to Kafka."""
        ends = self.place.ends()
        name = self.place.programs.events_topic
        asking = Consumer({"bootstrap.servers": self.place.bootstrap, "group.id": self.place.programs.group})

        def committed() -> bool:
            asked = [TopicPartition(name, number) for number in range(len(ends))]
            return [each.offset for each in asking.committed(asked, timeout=LIMIT_S)] == ends

        wait_until(committed, "the group has committed the ends", LIMIT_S)
        asking.close()

    def want(self) -> view.Cells:
        """A naive count of the topic."""
        return view.flat(naive_count(self.place.events(), self.place.tags))

    def difference(self) -> view.Difference:
        """How Redis differs from that."""
        return view.difference(view.all_cells(self.redis), self.want())

    def check(self) -> None:
        """Wait until all is counted; then every cell must be right."""
        self.wait_until_counted()
        differs = self.difference()
        assert not differs, differs

    def wait_until_exact(self, what: str) -> None:
        """Wait until every cell is right for the topic as it is now, wherever the checkpoints stand."""
        want = self.want()
        wait_until(
            lambda: not view.difference(view.all_cells(self.redis), want),
            f"{what}: every cell is right",
            LIMIT_S,
        )

    def wait_until_waiting(self, worker: Program, *words: str) -> None:
        """Wait until a worker runs, is not ready, and says why in these words."""

        def waits() -> bool:
            answer = worker.get("/readyz")
            return answer.status_code == 503 and all(word in answer.text for word in words)

        wait_until(waits, f"/readyz says 503 and {words}, not {worker.get('/readyz').text}", LIMIT_S)
        assert worker.running


@contextmanager
def open_arena(bootstrap: str, directory: Path) -> Iterator[Arena]:
    """Open an arena on a Kafka; at its end all that it started is gone. directory: for logs."""
    with (
        services.valkey_server() as valkey,
        redis.Redis.from_url(valkey.url) as client,
        Proxy(valkey.port) as proxy,
        open_place_on(bootstrap, proxy.url, client, directory, **events.SETTINGS) as place,
    ):
        place.tags = events.ALL_TAGS
        yield Arena(place, valkey, proxy)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def sends(tenant: str, numbers: Iterable[int], partition: int | None = 0) -> list[Outgoing]:
    """A Send to one address for each number, an hour ago, in a sequence of three and a campaign of two."""
    at_ms = now_ms() - HOUR
    return [
        event(
            "Send",
            f"{tenant} {number}",
            (at_ms, at_ms),
            partition,
            tenant=tenant,
            sequence=f"s{number % 3}",
            campaign=f"c{number % 2}",
        )
        for number in numbers
    ]


def opened(tenant: str, message: str, sent_ms: int, at_ms: int, partition: int | None = 0) -> Outgoing:
    """An Open at some time of a mail sent at some time."""
    return event("Open", message, (sent_ms, at_ms), partition, tenant=tenant)


def poison(number: int, partition: int | None = 0) -> Outgoing:
    """A record that nobody can read."""
    return Outgoing(b"poison %d" % number, b'{"eventType": "Send", "mail": %d' % number, now_ms(), partition)


def event(kind: str, message: str, times_ms: tuple[int, int], partition: int | None, **tags: str) -> Outgoing:
    """A record of an event of a kind. times_ms: of the send, of the event. tags: one value for each."""
    sent_ms, at_ms = times_ms
    mail = {
        "timestamp": iso(sent_ms),
        "messageId": message,
        "destination": ["someone@mailbox.example"],
        "tags": {name: [value] for name, value in tags.items()},
    }
    reported = {"eventType": kind, "mail": mail, kind.lower(): {"timestamp": iso(at_ms)}}
    return Outgoing(message.encode(), json.dumps(reported).encode(), max(times_ms), partition)
