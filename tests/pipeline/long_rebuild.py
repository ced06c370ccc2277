"""A rebuild of a long topic beside live traffic: `python -m tests.pipeline.long_rebuild --events 2000000`.

The whole claim at once, on the true programs: while records come in and the API is asked all along, a rebuild
is killed in the middle, run again, and switches. Then every number is compared with the independent count
(`oracle`), every answer must have been 200, `verify` must agree, and the times of the answers before and
during the rebuild are printed. Exits 1 where a number or an answer is wrong, 2 where only the answers were
more than twice as slow.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from schemas import redis_keys
from tests import services
from tests.pipeline import events, stored
from tests.pipeline.beside import Asked, Sent, beside, percentile
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place, naive_count, open_place
from tests.pipeline.programs import wait_until

CHUNK: Final = 50_000
LONG_S: Final = 7_200.0
SLOWER_MAX: Final = 2.0
FIRST_LIVE_SEED: Final = 1_000_000
TENANTS: Final = len(events.TENANTS)


def say(text: str) -> None:
    typer.echo(f"{time.strftime('%H:%M:%S')} {text}")


def chunks(number: int, now_ms: int) -> list[Sent]:
    """What to send beforehand, in parts that memory holds one at a time."""
    return [Sent(at, now_ms, min(CHUNK, number - at * CHUNK), TENANTS) for at in range(-(-number // CHUNK))]


def made(sent: list[Sent]) -> Iterator[Outgoing]:
    """The same records once more."""
    for each in sent:
        yield from events.records(*each)


def read_so_far(place: Place) -> int:
    """How many records the generation that is being built has passed, in its first lane."""
    making = place.record().next
    if making is None:
        return 0
    checkpoints = place.redis.hgetall(redis_keys.lane_key(making.generation.name, 0))
    return sum(int(at) for field, at in checkpoints.items() if field[:1] == b"f")


def rebuild_killed_once(place: Place, number: int) -> dict[str, Any]:
    """Kill a rebuild in the middle, run it again; returns what the second one reports."""
    killed = place.programs.command("rebuild")
    wait_until(lambda: read_so_far(place) > number // 2, "the rebuild is in the middle", LONG_S)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    say("killed in the middle")
    again = place.programs.command("rebuild", "--json")
    out, err = again.communicate(timeout=LONG_S)
    assert again.returncode == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


def reported(name: str, asked: list[Asked]) -> float:
    """Print how fast a phase was answered; returns the 99th percentile in ms."""
    p99 = percentile(asked, 0.99)
    say(f"{name}: {len(asked)} answers, p50 {percentile(asked, 0.5):.1f} ms, p99 {p99:.1f} ms")
    return p99


def run(place: Place, number: int, quiet_s: float, asks_per_s: int, sends_per_s: int) -> int:
    """Do all of it; returns the exit status."""
    first = chunks(number, time.time_ns() // 1_000_000)
    place.programs.worker()
    api = place.programs.api()
    for each in first:
        place.send(events.records(*each))
    say(f"{number:,} events are in the topic")
    wait_until(lambda: checkpoints_reach(place, place.ends()), "the worker has counted them", LONG_S)
    place.make_keys(events.TENANTS)
    say("counted; before")
    with beside(
        place.bootstrap,
        place.programs.events_topic,
        api.url,
        place.keys,
        sends_per_s=sends_per_s,
        asks_per_s=asks_per_s,
        tenants=TENANTS,
        first_seed=FIRST_LIVE_SEED,
    ) as others:
        time.sleep(quiet_s)
        began = time.time()
        report = rebuild_killed_once(place, number)
        ended = time.time()
        say(f"switched: {json.dumps(report)}")
        time.sleep(quiet_s)
    phases = {
        "before": [each for each in others.asked if began - quiet_s <= each.at_s < began],
        "during": [each for each in others.asked if began <= each.at_s < ended],
        "after": [each for each in others.asked if each.at_s >= ended],
    }
    return judged(place, [*first, *others.sent], phases, report)


def checkpoints_reach(place: Place, ends: list[int]) -> bool:
    checkpoints = place.checkpoints()
    return bool(checkpoints) and all(
        at >= end for lane in checkpoints for at, end in zip(lane, ends, strict=True)
    )


def judged(place: Place, sent: list[Sent], phases: dict[str, list[Asked]], report: dict[str, Any]) -> int:
    """Compare everything that can be compared; returns the exit status."""
    p99 = {name: reported(name, asked) for name, asked in phases.items()}
    every = [each for asked in phases.values() for each in asked]
    statuses = sorted({each.status for each in every})
    say(f"{len(every):,} answers in all, statuses {statuses}")

    wait_until(lambda: checkpoints_reach(place, place.ends()), "the rest is counted", LONG_S)
    want = naive_count(made(sent))
    wrong = stored.differences(stored.held(place.redis), want)
    cells = len(want.cells())
    say(f"{sum(place.ends()):,} records, {cells:,} cells against the independent count: {wrong or 'equal'}")
    failures = [
        *(["numbers"] if wrong or not cells else []),
        *(["answers"] if statuses != [200] else []),
        *(["comparison"] if report["cells_differing"] or report["not_compared"] else []),
        *(["resumption"] if not report["resumed"] else []),
    ]
    slower = p99["during"] / p99["before"]
    say(f"p99 during is {slower:.2f} times the one before; wrong: {', '.join(failures) or 'nothing'}")
    if failures:
        return 1
    return 2 if slower > SLOWER_MAX else 0


def main(
    events_beforehand: Annotated[
        int, typer.Option("--events", help="in the topic when it begins")
    ] = 2_000_000,
    quiet_s: Annotated[float, typer.Option(help="seconds to watch before and after")] = 60.0,
    asks: Annotated[int, typer.Option(help="queries to the API a second")] = 150,
    sends: Annotated[int, typer.Option(help="live records a second")] = 1_000,
) -> None:
    """Rebuild beside live traffic, killed once, and compare everything."""
    with (
        services.kafka_server() as kafka,
        tempfile.TemporaryDirectory(prefix="long-rebuild-") as directory,
        open_place(kafka.bootstrap, Path(directory)) as place,
    ):
        status = run(place, events_beforehand, quiet_s, asks, sends)
    sys.exit(status)


if __name__ == "__main__":
    typer.run(main)
