"""One rebuild at a time: a lease in Redis, renewed while it is held and lost within seconds of a kill."""

import threading
import time

from aggregator.errors import PostponedError
from aggregator.keyspace import LEASE_MS, Keyspace
from aggregator.planning import RebuildRefusedError


class Lease:
    """Makes this rebuild the only one; renewed by a thread while it is held (in `with`)."""

    def __init__(self, keys: Keyspace, owner: str) -> None:
        """Prepare.

        keys: where the lease is kept. owner: what no other rebuild is called.
        """
        self._keys = keys
        self._owner = owner
        self._done = threading.Event()
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> bool:
        """Whether this is the one rebuild now; waits out the lease of one that was killed."""
        deadline = time.monotonic() + LEASE_MS / 1000 + 1
        while not self._keys.take_lease(self._owner):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True

    def check(self) -> None:
        """Raise RebuildRefusedError where the lease was lost."""
        if self._lost is not None:
            raise RebuildRefusedError(f"the lease was lost ({self._lost}): run again, it goes on from there")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._lost is None:
            self._keys.give_lease_up()

    def _renew(self) -> None:
        while not self._done.wait(LEASE_MS / 4000):
            try:
                if not self._keys.take_lease(self._owner):
                    self._lost = "another rebuild holds it"
            except PostponedError as error:
                self._lost = str(error)
            if self._lost is not None:
                return
