"""What goes on beside a test: traffic, or somebody who asks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def meanwhile(each_round: Callable[[], object]) -> Iterator[None]:
    """Call it again and again in a thread, a tenth of a second after it has ended, while the block runs."""
    done = threading.Event()

    def rounds() -> None:
        while not done.is_set():
            each_round()
            done.wait(0.1)

    thread = threading.Thread(target=rounds)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
