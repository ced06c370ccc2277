"""The switch from the live generation to the new one, and the time until workers count there.

The live lanes are closed (no call counts into them any more), the new ones are counted up to where they
stopped, and the record changes. Workers meet `GONE`, read the new checkpoints and go on from there, without a
gap or a repeat; the API reads the old lanes until the switch and the new ones after it. What fails in between
is taken back (`registry`): the live generation counts on.
"""

import time
from typing import Final

import structlog

from aggregator.counters import lifecycle
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.lease import Lease
from aggregator.errors import PostponedError, RefusedError
from aggregator.rebuild.catch_up import Tail
from aggregator.rebuild.following import follow
from aggregator.rebuild.report import Progress
from schemas.counters import Generation, closed_for

log = structlog.get_logger(__name__)

WORKERS_SEEN_S: Final = 60.0


class Switch:
    """Makes a new generation the live one."""

    def __init__(self, keys: Keyspace, lease: Lease, *, live: Generation | None, new: Generation) -> None:
        """Prepare.

        keys: of the Redis of both. lease: held. live: the generation to close, none where there is none.
        new: the one to switch to.
        """
        self._keys = keys
        self._registry = keys.registry
        self._lease = lease
        self._live = live
        self._new = new
        self._carried: list[dict[int, int]] = []

    def run(self, tail: Tail, followed: Generation | None) -> None:
        """Close the old lanes, count up to where they stopped, and change the record.

        tail: counts into the new one. followed: the live one where its checkpoints can be followed.
        Raises: RefusedError where the lease was lost or the switch was taken back, ErasedError where a tenant
        was erased since the new one was counted, PostponedError of any kind; the live one counts on then.
        """
        live, new, token = self._live, self._new, self._lease.token
        tail.check_erasures()
        if followed is not None:
            # So that little is left to count while live counting is closed.
            follow(self._keys, followed, tail)
        attempt = closed_for(new.name, token)
        self._registry.change(lambda record: lifecycle.closing(record, new.name, token), token=token)
        try:
            if live is not None:
                self._registry.lanes.close(live, attempt)
            if followed is not None:
                follow(self._keys, followed, tail)
            self._carried = [self._keys.completes(new, lane) for lane in range(new.lanes)]
            self._registry.change(lambda record: lifecycle.switched(record, new.name, token), token=token)
        except BaseException:
            self._open_again(attempt)
            raise
        if live is not None:
            self._registry.lanes.succeed(live, attempt, new)
        self._registry.forget_former()

    def _open_again(self, attempt: str) -> None:
        """Take the closing back after whatever went wrong; where Redis is away, workers do it."""
        token = self._lease.token
        try:
            self._registry.take_back(token, token=token)
            if self._live is not None:
                self._registry.lanes.open(self._live, attempt)
        except (PostponedError, RefusedError) as error:
            log.warning("the closing was not taken back here: workers do it", error=str(error))

    def read_on(self, tail: Tail, progress: Progress) -> bool:
        """Keep the new generation fresh until workers are seen in it, for a minute at most.

        They are seen by their taking its lanes further than these were complete at the switch.
        Returns: whether they were seen. Raises: PostponedError of any kind.
        """
        new = self._new
        deadline = time.monotonic() + WORKERS_SEEN_S
        while time.monotonic() < deadline:
            if any(self._keys.completes(new, lane) != self._carried[lane] for lane in range(new.lanes)):
                return True
            progress("waiting for workers", 0, 0)
            tail.read()
            tail.count_all()
        return False
