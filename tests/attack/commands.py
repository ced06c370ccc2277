"""Operators who act at the same time, or are killed in the middle."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from schemas.topics import API_KEYS_TOPIC
from tests.attack.attack import Attack
from tests.attack.batches import Rec
from tests.attack.honest import TENANT, message
from tests.attack.measure import COMMAND_S, Limits, ended
from tests.attack.records import event, now_ms, some
from tests.attack.scene import Scene

OURS: Final = "*ses-metrics*"
"""The keys that say which generation is live, whatever they are called."""

RACERS: Final = 4
AGAIN_S: Final = 40.0
"""By then counting goes on after a kill: a lease has to expire first."""


def _see(scene: Scene, what: str, started: "subprocess.Popen[str]", *allowed: int) -> tuple[int | None, str]:
    """Wait for a command, which must end with one of these statuses and without a traceback."""
    status, _, words = ended(started)
    if status is None:
        scene.wrong.append(f"{what} did not end within {COMMAND_S:.0f} s")
    elif status not in allowed or "Traceback" in words:
        scene.wrong.append(f"{what} ended with status {status}: {words[-200:]}")
    return status, words


def _at_once(scene: Scene, *commands: tuple[str, ...]) -> list[tuple[int | None, str]]:
    """Start commands together and wait for all. A refusal (1) is allowed, where its words are clear."""
    started = [(each, scene.place.programs.command(*each)) for each in commands]
    return [_see(scene, " ".join(each), process, 0, 1) for each, process in started]


def _two_rebuilds(scene: Scene, tries: int) -> int:
    for _ in range(tries):
        scene.write(some(50))
        ends = _at_once(scene, ("rebuild", "--json"), ("rebuild", "--json"))
        if 0 not in {status for status, _ in ends}:
            scene.wrong.append(f"neither of two rebuilds ended well: {[words[-200:] for _, words in ends]}")
    return tries


def _killed_when_closed(scene: Scene, tries: int) -> int:
    """A rebuild is killed in the moment when it has closed the first lane of the live generation."""
    done = 0
    for _ in range(tries):
        scene.write(some(20))
        lane = scene.place.lanes()[0]
        started = scene.place.programs.command("rebuild", "--json")
        until = time.monotonic() + COMMAND_S
        while started.poll() is None and time.monotonic() < until:
            if scene.redis.hexists(lane, "retired"):
                os.killpg(started.pid, signal.SIGKILL)
                done += 1
                break
        started.communicate(timeout=COMMAND_S)
        scene.write(some(20))
        if not scene.settle(AGAIN_S):
            return done
    scene.command("rebuild", "--json")
    return done


def _pointer_rolled_back(scene: Scene, tries: int) -> int:
    """A failover that lost the switch alone: what says which generation is live is the old one again."""
    for number in range(tries):
        before = {key: scene.redis.dump(key) for key in scene.redis.scan_iter(match=OURS, count=1000)}
        scene.command("rebuild", "--json")
        for key, value in before.items():
            if value is not None:
                scene.redis.restore(key, 0, value, replace=True)
        scene.write([Rec(message(2_000_000 + number, 0), now_ms())])
        if not _is_noticed(scene):
            scene.wrong.append("after the rollback of the record the API answers 200 with frozen numbers")
        scene.command("rebuild", "--json")
    return tries


def _is_noticed(scene: Scene) -> bool:
    """Whether the API says 503, or counting goes on."""
    query = (TENANT, "tenant", "")
    until = time.monotonic() + AGAIN_S
    while time.monotonic() < until:
        status, _ = scene.place.ask(scene.api, query, period="day")
        ends, checkpoints = scene.place.ends(), scene.place.checkpoints()
        if status == 503 or (checkpoints and all(lane == ends for lane in checkpoints)):
            return True
        time.sleep(0.5)
    return False


def _drops(scene: Scene, tries: int) -> int:
    """Retired generations are dropped twice at once, beside a rebuild."""
    for _ in range(tries):
        scene.command("rebuild", "--json")
        drop = ("generations", "drop", "--retired")
        ends = _at_once(scene, drop, drop, ("rebuild", "--json"))
        if 0 not in {status for status, _ in ends[:2]}:
            scene.wrong.append(f"no retired generation could be dropped: {ends[0][1][-200:]}")
            return tries
    scene.command("generations", "list")
    scene.command("generations", "drop", "--retired")
    live = {lane.rpartition(":")[0] for lane in scene.place.lanes()}
    left = {
        key.decode().partition("}")[0].rpartition(":")[0] for key in scene.redis.scan_iter(match="{*:*}*")
    }
    if left != live:
        scene.wrong.append(f"generations {sorted(left)} are left, live is {sorted(live)}")
    return tries


def _redrive_and_purge(scene: Scene, tries: int) -> int:
    for number in range(tries):
        at = now_ms()
        records = [Rec(event(f"no one {number} {each}", tenant=[]), at, b"k") for each in range(200)]
        scene.write(records)
        if not scene.settle(60.0):
            return number
        _at_once(scene, ("dead-letters", "redrive"), ("dead-letters", "purge", "--yes"))
        if scene.wrong:
            return number
    scene.settle(60.0)
    scene.note_topic(purged=True)
    return tries


# Keys


def _key(scene: Scene) -> tuple[str, str]:
    """A new key's id and text."""
    text = scene.place.programs.new_key("racer")
    return text.removeprefix("sesm_")[:11], text


def _status(scene: Scene, text: str) -> int:
    """What the API says to a key."""
    return scene.api.get("/api/metrics?period=day", {"Authorization": f"Bearer {text}"}).status_code


def _revoke_races_rotate(scene: Scene, tries: int) -> int:
    """Every second time `rotate` is stopped after its first record and goes on after the revocation."""
    for number in range(tries):
        key, text = _key(scene)
        with _end_of_keys(scene) as end:
            before = end()
            rotate = scene.place.programs.api_command("keys", "rotate", key, "--overlap-hours", "24")
            if number % 2 == 0:
                while rotate.poll() is None and end() == before:
                    pass
                with suppress(ProcessLookupError):
                    os.kill(rotate.pid, signal.SIGSTOP)
            revoke = scene.place.programs.api_command("keys", "revoke", key)
            _see(scene, "keys revoke", revoke, 0)
            with suppress(ProcessLookupError):
                os.kill(rotate.pid, signal.SIGCONT)
            _see(scene, "keys rotate", rotate, 0, 1)
        time.sleep(1)  # the API follows the topic
        if _status(scene, text) != 401:
            scene.wrong.append(f"try {number + 1}: a revoked key opens its tenant again")
            return number + 1
    return tries


def _parallel_rotates(scene: Scene, tries: int) -> int:
    for number in range(tries):
        key, _ = _key(scene)
        started = [scene.place.programs.api_command("keys", "rotate", key) for _ in range(RACERS)]
        ends = [_see(scene, "keys rotate", each, 0, 1) for each in started]
        time.sleep(1)
        opened = [words for status, words in ends if status == 0 and _status(scene, words.split()[0]) == 200]
        if len(opened) != 1:
            reported = [status for status, _ in ends]
            scene.wrong.append(
                f"try {number + 1}: {len(opened)} successors live; rotates end with {reported}"
            )
            return number + 1
    return tries


@contextmanager
def _end_of_keys(scene: Scene) -> Iterator[Callable[[], int]]:
    """Gives the end of the topic of keys, again and again over one connection."""
    consumer = Consumer({"bootstrap.servers": scene.place.bootstrap, "group.id": "nobody"})

    def end() -> int:
        found = consumer.get_watermark_offsets(TopicPartition(API_KEYS_TOPIC, 0), timeout=10)
        assert found is not None
        return int(found[1])

    try:
        yield end
    finally:
        consumer.close()


COMMANDS_TAKE_TIME: Final = Limits(api_ms=3_000, webhook_ms=3_000)
"""Commands start processes, which take processors from the programs on a small machine."""

ATTACKS: Final = (
    Attack(
        "two rebuilds at once",
        "one switches, one is refused or follows",
        _two_rebuilds,
        3,
        limits=COMMANDS_TAKE_TIME,
    ),
    Attack(
        "a rebuild killed while it closes the live lanes",
        "counting goes on by itself",
        _killed_when_closed,
        3,
        limits=COMMANDS_TAKE_TIME,
    ),
    Attack(
        "the record of the live generation rolled back",
        "503, not frozen numbers; `rebuild` fixes it",
        _pointer_rolled_back,
        2,
        limits=Limits(api_ms=3_000, webhook_ms=3_000, api_refused=True),
        renew=True,
    ),
    Attack(
        "two drops of generations beside a rebuild",
        "only the live one is left",
        _drops,
        2,
        limits=COMMANDS_TAKE_TIME,
    ),
    Attack(
        "redrive racing purge",
        "both end; numbers are right",
        _redrive_and_purge,
        3,
        limits=COMMANDS_TAKE_TIME,
    ),
    Attack(
        "revoke racing rotate",
        "the key stays revoked",
        _revoke_races_rotate,
        10,
        2,
        limits=COMMANDS_TAKE_TIME,
    ),
    Attack(
        "parallel rotates of one key", "one successor", _parallel_rotates, 4, 1, limits=COMMANDS_TAKE_TIME
    ),
)
