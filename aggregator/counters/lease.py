"""One rebuild at a time: a lease in Redis, renewed while it is held and lost within seconds of a kill.

It is redis-py's `Lock`: a token that no other rebuild has, renewed and given up only by comparison with it.
That a lease was held a moment ago proves nothing: each change of the record that a rebuild makes carries
its token, and the script looks (`registry`). The checks here only end a rebuild early.
"""

import secrets
import threading
import time
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import LockError

from aggregator.counters.connection import Client, translated
from aggregator.errors import RefusedError, StoreUnavailableError
from schemas.redis_keys import LEASE_KEY

LEASE_S: Final = 10.0


class Lease:
    """Makes this rebuild the only one; renewed by a thread while it is held.

    To be taken, then entered (`with`), which raises nothing: what happens to it meanwhile is seen by `check`.
    """

    def __init__(self, client: Client) -> None:
        """Prepare.

        client: of the Redis where the lease is kept.
        """
        self.token: Final = secrets.token_hex(8)
        """What `record.lua` compares with what Redis holds."""
        self._lock: Any = client.lock(LEASE_KEY, timeout=LEASE_S, sleep=0.5, thread_local=False)
        self._done = threading.Event()
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self, wait_s: float = LEASE_S + 1) -> bool:
        """Whether this is the one rebuild now.

        wait_s: how long to try; by default as long as the lease of one that was killed lasts.
        Raises: StoreUnavailableError.
        """
        with translated():
            return bool(self._lock.acquire(token=self.token, blocking_timeout=wait_s))

    def check(self) -> None:
        """End a rebuild early. Raises: RefusedError where the lease was lost."""
        if self._lost is not None:
            raise RefusedError(f"the lease was lost ({self._lost}): run again, it goes on from there")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        with suppress(StoreUnavailableError), translated():  # it is lost, or will run out by itself
            self._lock.release()

    def _renew(self) -> None:
        """Renew it some times while it lasts; a Redis that is away for a moment has not lost it."""
        renewed = time.monotonic()
        while not self._done.wait(LEASE_S / 4):
            asked = time.monotonic()
            try:
                self._lock.reacquire()
                renewed = asked
            except LockError:
                self._lost = "another rebuild holds it, or Redis has lost it"
                return
            except Exception as error:  # noqa: BLE001  # of any kind: the thread must not end in silence
                if asked - renewed > LEASE_S:
                    self._lost = str(error)
                    return
