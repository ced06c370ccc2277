"""Counting: live workers and a rebuild against the ceiling, on each of the workloads.

The runs are interleaved (ceiling, one worker, ceiling, two workers, ceiling, rebuild), and each ratio is to
the median ceiling of its own round, so that a machine whose mood changes changes both sides.
"""

from collections import defaultdict
from statistics import median
from typing import Final

from tests.benchmarks import runs
from tests.benchmarks.figures import Figure, type_of_unit
from tests.benchmarks.runs import Bench, Counted
from tests.benchmarks.scene import Topic
from tests.benchmarks.workload import BIG, LONG_TAIL, REFERENCE, SMALL_BATCHES, TINY, tail

LIVE_NOTE: Final = "from the assignment of partitions (of the last worker) to the last event counted"
REBUILD_NOTE: Final = "from the first batch counted to the last event counted"
WHOLE_NOTE: Final = "from the start of the processes to the last event counted"


class Table:
    """Values by figure, added run by run."""

    def __init__(self) -> None:
        self._figures: dict[str, tuple[str, type_of_unit, str]] = {}
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, key: str, what: str, unit: type_of_unit, value: float, note: str = "") -> None:
        """One more value of a figure."""
        self._figures[key] = what, unit, note
        self._values[key].append(value)

    def add_count(self, key: str, what: str, counted: Counted, ceiling: float, note: str) -> None:
        """One run that counted, with its ratio to the round's ceiling."""
        self.add(f"{key}.rate", what, "events/s", counted.rate, note)
        self.add(f"{key}.ratio", what, "of the ceiling", counted.rate / ceiling, note)
        self.add(f"{key}.timed", f"{what}, events in the timed span", "share", counted.timed)
        self.add(f"{key}.whole", f"{what}, with start-up", "s", counted.whole_s, WHOLE_NOTE)
        for program, cpu_us in counted.cpu_us.items():
            self.add(f"{key}.cpu.{program}", f"{what}, CPU of {program}", "us/event", cpu_us)

    def figures(self) -> list[Figure]:
        """All figures, in the order in which they were first added."""
        return [
            Figure(key, what, unit, tuple(self._values[key]), note)
            for key, (what, unit, note) in self._figures.items()
        ]


def reference(bench: Bench) -> list[Figure]:
    """The reference workload: ceilings, one worker, two workers, a rebuild, a verify."""
    topic = bench.scene.topic(REFERENCE, bench.events)
    table = Table()
    for number in range(bench.rounds):
        bench.say(f"counting, round {number + 1} of {bench.rounds}")
        ceilings = [runs.ceiling(bench.scene, topic)]
        one = runs.live(bench.scene, topic, 1)
        ceilings.append(runs.ceiling(bench.scene, topic))
        two = runs.live(bench.scene, topic, 2)
        ceilings.append(runs.ceiling(bench.scene, topic))
        rebuilt, verified = runs.rebuild_and_verify(bench.scene, topic, 2)
        of_two = runs.ceiling(bench.scene, topic, 2)
        ceiling = median(ceilings)
        table.add("counting.ceiling1", "ceiling, one process", "events/s", ceiling)
        table.add("counting.ceiling2", "ceiling, two processes", "events/s", of_two)
        table.add("counting.ceiling2.ratio", "ceiling, two processes", "of the ceiling", of_two / ceiling)
        table.add_count("counting.live1", "live, one worker", one, ceiling, LIVE_NOTE)
        table.add_count("counting.live2", "live, two workers", two, ceiling, LIVE_NOTE)
        table.add_count("counting.rebuild2", "rebuild, two processes", rebuilt, ceiling, REBUILD_NOTE)
        note = "the whole command, every cell equal"
        table.add("counting.verify.rate", "verify, one process", "events/s", verified.rate, note)
        ratio = verified.rate / ceiling
        table.add("counting.verify.ratio", "verify, one process", "of the ceiling", ratio, note)
    return table.figures()


def other_workloads(bench: Bench) -> list[Figure]:
    """Five big tenants, 20,000 tiny ones, 20,000 with five mails a day, small record batches: one worker."""
    table = Table()
    shapes = (
        (BIG, bench.events),
        (TINY, bench.events),
        tail(LONG_TAIL, bench.events * 6 // 10),
        (SMALL_BATCHES, bench.events // 2),  # half of them, as they take long to write
    )
    topics = {shape.name: bench.scene.topic(shape, events) for shape, events in shapes}
    for number in range(bench.rounds):
        bench.say(f"other workloads, round {number + 1} of {bench.rounds}")
        for name, topic in topics.items():
            _one_worker(bench, table, f"workloads.{name}", name, topic)
    return table.figures()


def _one_worker(bench: Bench, table: Table, key: str, name: str, topic: Topic) -> None:
    ceiling = runs.ceiling(bench.scene, topic)
    one = runs.live(bench.scene, topic, 1)
    table.add(f"{key}.ceiling1", f"{name}: ceiling, one process", "events/s", ceiling)
    table.add_count(f"{key}.live1", f"{name}: live, one worker", one, ceiling, LIVE_NOTE)
