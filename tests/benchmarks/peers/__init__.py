"""Other stream processors that do the benchmark's work, each a program of its own."""

from typing import Final

from tests.benchmarks.peer import Peer

PEERS: Final[tuple[Peer, ...]] = ()
