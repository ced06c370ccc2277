"""Single runs that the bench is made of: a ceiling, a live count, an archive, a rebuild, a verify.

Each ends with a check of the numbers, and raises where one is wrong.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.counters import Record
from schemas.redis_keys import RECORD_KEY
from tests.benchmarks.check import WrongNumbersError, check
from tests.benchmarks.scene import MICRO, Scene, Stage, Topic
from tests.benchmarks.watch import Watched, watch
from tests.memory import MIB, peaks_until_ended
from tests.pipeline import log
from tests.pipeline.programs import CHECKOUT, Program, wait_until

LIMIT_S: Final = 900.0


class TooShortError(Exception):
    """There was too little to count for the run to say anything: use more events."""


@dataclass(frozen=True)
class Bench:
    """What every part is given.

    events: of the reference workload. rounds: how often each run is repeated. say: tells a person.
    """

    scene: Scene
    events: int
    rounds: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class Counted:
    """A run that counted a topic.

    timed: the share (0 to 1) of the events that `rate` is about: those after all processes had joined.
    rate: events/s from the moment when its processes had their partitions (live) or the first batch was in
    Redis (rebuild). whole_s: from the start of the processes to the last event counted. cpu_us: CPU time an
    event, after the first batch, of the counting processes, of Valkey and of Kafka.
    """

    rate: float
    timed: float
    whole_s: float
    cpu_us: dict[str, float]


@dataclass(frozen=True)
class Verified:
    """A whole command `verify` that found no difference. rate: records a second. memory_mib: at most."""

    rate: float
    memory_mib: float


def ceiling(scene: Scene, topic: Topic, processes: int = 1) -> float:
    """Events a second of reading and decoding alone."""
    command = [sys.executable, "-m", "tests.benchmarks.ceiling", "--bootstrap", scene.bootstrap]
    command += ["--topic", topic.name, "--processes", str(processes)]
    reported = json.loads(_output(command))
    if reported["events"] != topic.events:
        raise WrongNumbersError(f"the ceiling read {reported['events']:,} of {topic.events:,} events")
    return float(reported["events"] / reported["seconds"])


def live(scene: Scene, topic: Topic, workers: int) -> Counted:
    """Count a topic from its start with true workers, on an empty Valkey and in a new group."""
    with scene.stage(topic) as stage:
        spawned_s = time.time()
        programs = [stage.worker() for _ in range(workers)]
        pids = [program.pid for program in programs]
        meter = _CpuMeter(stage, pids)
        watched = watch(topic, stage.checkpoints, lambda: _all_run(programs), meter.start)
        cpu_us = meter.stop(watched)
        check(stage.redis, topic.expected)
        joined_s = _joined_s(programs, watched)
        return Counted(
            watched.rate(joined_s), watched.share_since(joined_s), watched.end_s - spawned_s, cpu_us
        )


def archive(scene: Scene, topic: Topic, directory: Path, settings: Mapping[str, str]) -> tuple[float, float]:
    """Write a topic into an empty archive by the operator's command.

    directory: of the archive that the settings name.
    Returns: events/s from the first rows that were written to the end of the process, and bytes an event.
    """
    with scene.stage(topic) as stage:
        command = stage.programs.command("archive", "--once", **settings)
        try:
            wait_until(lambda: any(directory.rglob("*.parquet")) or command.poll() is not None, "rows come")
            began = time.monotonic()
            _, said = command.communicate(timeout=LIMIT_S)
            seconds = time.monotonic() - began
        finally:
            command.kill()
    if command.returncode:
        raise RuntimeError(f"archive ended with {command.returncode}: {said[-500:]}")
    files = list(directory.rglob("*.parquet"))
    return topic.events / seconds, sum(path.stat().st_size for path in files) / topic.events


def rebuild_and_verify(
    scene: Scene, topic: Topic, processes: int, archived: Mapping[str, str] | None = None
) -> tuple[Counted, Verified]:
    """Rebuild a topic's counters on an empty Valkey by the operator's command, then verify them.

    The rebuild's last step, waiting for workers of the new generation, is cut off: there is none.
    archived: the settings of an archive that holds all of the topic, and is read instead of it.
    Returns: what each of the two was like.
    """
    with scene.stage(topic) as stage:
        settings = {"CONSUMER_GROUP": stage.group, **(archived or {})}
        if archived is not None:  # else the topic is read for the dead letters that it may lack
            log.commit(scene.bootstrap, topic.name, stage.group, topic.ends)
        spawned_s = time.time()
        command = stage.programs.command("rebuild", "--json", "--processes", str(processes), **settings)
        try:
            meter = _CpuMeter(stage, [command.pid])
            watched = watch(topic, stage.checkpoints, lambda: _still_runs(command), meter.start)
            cpu_us = meter.stop(watched)
            wait_until(lambda: _is_live(stage), "the switch")
        finally:
            command.kill()
            command.communicate()
        check(stage.redis, topic.expected)
        first_s = watched.first.at_s
        counted = Counted(
            watched.rate(first_s), watched.share_since(first_s), watched.end_s - spawned_s, cpu_us
        )
        return counted, _verify(stage, settings)


def _is_live(stage: Stage) -> bool:
    raw: Any = stage.redis.get(RECORD_KEY)
    return bool(raw) and msgspec.json.decode(raw, type=Record).live is not None


def _verify(stage: Stage, settings: Mapping[str, str]) -> Verified:
    began = time.monotonic()
    command = stage.programs.command("verify", "--json", **settings)
    with ThreadPoolExecutor(1) as thread:  # what it says may be more than a pipe holds
        said = thread.submit(command.communicate)
        try:
            peaks = peaks_until_ended(command, LIMIT_S)
            seconds = time.monotonic() - began
        finally:
            command.kill()
        out, err = said.result()
    if not out:
        raise RuntimeError(f"verify ended with {command.returncode}: {err[-500:]}")
    reported = json.loads(out)
    if reported["differences"]:
        raise WrongNumbersError(f"verify finds {len(reported['differences'])} cells that differ")
    return Verified(reported["records"] / seconds, sum(peaks.values()) / MIB)


def _joined_s(programs: list[Program], watched: Watched) -> float:
    """When the last of the workers was given its partitions (seconds since 1970).

    Raises: TooShortError where one of them came too late to count: it would be a run of fewer workers.
    """
    latest = 0.0
    for program in programs:
        assigned = [
            at
            for line in program.said("resync is due")
            if line["why"] == "assigned"
            and (at := datetime.fromisoformat(line["timestamp"]).timestamp()) < watched.end_s
        ]
        if not assigned:
            raise TooShortError("all was counted before every worker had partitions")
        latest = max(latest, *assigned)
    return latest


class _CpuMeter:
    """The CPU time an event from the first batch counted to the last: start-up is not in it."""

    def __init__(self, stage: Stage, pids: list[int]) -> None:
        self._stage = stage
        self._pids = pids
        self._before: dict[str, float] = {}

    def start(self) -> None:
        self._before = self._stage.cpu_seconds(self._pids)

    def stop(self, watched: Watched) -> dict[str, float]:
        """Microseconds an event, of Kafka, of Valkey and of the counting programs. Raises: TooShortError."""
        after = self._stage.cpu_seconds(self._pids)
        events = self._stage.topic.events * watched.share_since(watched.first.at_s)
        if not events:
            raise TooShortError("all was counted at once")
        return {name: (after[name] - self._before[name]) * MICRO / events for name in after}


def _all_run(programs: list[Program]) -> None:
    if not all(program.running for program in programs):
        raise RuntimeError("a worker has ended")


def _still_runs(command: "subprocess.Popen[str]") -> None:
    if command.poll() is not None:
        raise RuntimeError(f"rebuild ended with {command.returncode}: {command.communicate()[1][-500:]}")


def _output(command: list[str]) -> str:
    """What a program prints; raises with its last words where it fails."""
    ended = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[1:4])} failed: {ended.stderr[-1000:]}")
    return ended.stdout
