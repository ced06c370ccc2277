"""The archive: what writing it takes, how large it is, and how fast the proof is that reads it.

Each round writes the reference workload into an archive of its own, in a directory, with a key; rebuild and
verify then read that alone: the workers' group is set behind the topic's end, as if all had been counted and
each dead letter were written. A log that is much longer is made of such an archive (`longer`).
"""

import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks import runs
from tests.benchmarks.counting import REBUILD_NOTE, Table
from tests.benchmarks.figures import Figure
from tests.benchmarks.longer import longer
from tests.benchmarks.runs import Bench
from tests.benchmarks.workload import REFERENCE

COPIES: Final = 20
KEY: Final = b"a key of the pseudonyms, 32 byte".hex()


def archiving(bench: Bench) -> list[Figure]:
    """The writer, its files, a rebuild by two processes and a verify."""
    topic = bench.scene.topic(REFERENCE, bench.events)
    table = Table()
    for number in range(bench.rounds):
        bench.say(f"archiving, round {number + 1} of {bench.rounds}")
        with tempfile.TemporaryDirectory() as directory:
            settings = {"ARCHIVE_URL": Path(directory).as_uri(), "RECIPIENT_KEY": KEY}
            ceilings = [runs.ceiling(bench.scene, topic)]
            rate, size = runs.archive(bench.scene, topic, Path(directory), settings)
            ceilings.append(runs.ceiling(bench.scene, topic))
            rebuilt, verified = runs.rebuild_and_verify(bench.scene, topic, 2, archived=settings)
            ceiling = median([*ceilings, runs.ceiling(bench.scene, topic)])
        note = "from the first rows written to the end of the process"
        table.add("archiving.ceiling1", "ceiling, one process", "events/s", ceiling)
        table.add("archiving.bytes", "archive, an event", "bytes", size)
        table.add("archiving.writer.rate", "archive writer", "events/s", rate, note)
        table.add("archiving.writer.ratio", "archive writer", "of the ceiling", rate / ceiling, note)
        table.add_count("archiving.rebuild2", "rebuild from the archive, two", rebuilt, ceiling, REBUILD_NOTE)
        note = "the whole command, every cell equal"
        table.add("archiving.verify.rate", "verify from the archive", "events/s", verified.rate, note)
        ratio = verified.rate / ceiling
        table.add("archiving.verify.ratio", "verify from the archive", "of the ceiling", ratio, note)
        what = "verify from the archive, memory at most"
        table.add("archiving.verify.memory", what, "MiB", verified.memory_mib)
    return table.figures()


def long_log(bench: Bench) -> list[Figure]:
    """Once, whatever the rounds: does memory grow with the log, and what does a long one take?"""
    topic = bench.scene.topic(REFERENCE, bench.events)
    table = Table()
    with tempfile.TemporaryDirectory() as directory:
        settings = {"ARCHIVE_URL": Path(directory).as_uri(), "RECIPIENT_KEY": KEY}
        runs.archive(bench.scene, topic, Path(directory), settings)
        bench.say(f"making the log {COPIES} times as long")
        long = longer(bench.scene, topic, Path(directory), COPIES)
        bench.say(f"rebuild and verify of {long.events:,} events")
        rebuilt, verified = runs.rebuild_and_verify(bench.scene, long, 2, archived=settings)
    of = f"{long.events:,} events"
    what = f"rebuild, two processes, {of}"
    table.add("long-log.rebuild2.rate", what, "events/s", rebuilt.rate, REBUILD_NOTE)
    table.add("long-log.verify.rate", f"verify, {of}", "events/s", verified.rate)
    table.add("long-log.verify.memory", f"verify, {of}, memory at most", "MiB", verified.memory_mib)
    return table.figures()
