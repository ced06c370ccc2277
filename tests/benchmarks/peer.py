"""What a peer is: another program that does the benchmark's work, started as a process of its own."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """What a peer said at its end.

    seconds: from the first record to the last write flushed. totals: counts by tenant, in the order of
    `schemas.kinds.FIELDS`; none where it counts nothing ("doing nothing").
    """

    events: int
    seconds: float
    totals: dict[str, list[int]] | None = None


@dataclass(frozen=True)
class Peer:
    """A peer as the runner starts it.

    name: as the report shows it; the goals know the peers `Faust tables` and `Bytewax nothing`.
    command: makes the arguments of its process from Kafka's `HOST:PORT`, the topic and the URL of an empty
    Redis. guarantees: what it does and does not guarantee, in a sentence or two. documentation: which of its
    own documents it follows, by name. counts: whether it does the job; not: it reads and does nothing with
    each event. inexact: why its totals may differ from the expected ones; empty where they must be equal.
    warms_up: whether it gets faster as it runs, as a JVM does: a short topic would say little of it.
    """

    name: str
    command: Callable[[str, str, str], Sequence[str]]
    guarantees: str
    documentation: str = ""
    counts: bool = True
    inexact: str = ""
    warms_up: bool = False


def read_last_line(output: str) -> Reported:
    """What a peer's last line on stdout says: a JSON object with the fields of `Reported`.

    Raises: ValueError where there is no such line.
    """
    lines = output.strip().splitlines()
    if not lines:
        raise ValueError("it said nothing")
    reported = json.loads(lines[-1])
    try:
        return Reported(int(reported["events"]), float(reported["seconds"]), reported.get("totals"))
    except (KeyError, TypeError) as error:
        raise ValueError(f"its last line lacks {error}: {lines[-1][:200]}") from error
