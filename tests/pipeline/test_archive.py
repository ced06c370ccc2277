"""The archive on a real Kafka: each record once, whatever happens to who writes it, and no address.

Long because all that may happen to one archive stands in one place.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aggregator.archive.archiver import Archiver
from aggregator.archive.check import check
from aggregator.archive.columns import events_of
from aggregator.archive.coverage import File, covered
from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import Reducer, SlimEvent
from aggregator.archive.store import UNFINISHED, Store
from aggregator.config import ArchiveSettings
from aggregator.counting.decode import Decoder
from aggregator.counting.rules import Rules
from aggregator.log.bulk_reader import BulkReader
from schemas import topics
from tests import services
from tests.pipeline import events, log
from tests.pipeline.log import Outgoing
from tests.pipeline.programs import Program, Programs, wait_until
from tests.strategies import SOME_DAY, event

KEY = b"a key of the pseudonyms, 32 byte"
PARTITIONS = topics.EVENTS.partitions


@dataclass
class Scene:
    """A topic and an archive of a test's own."""

    bootstrap: str
    programs: Programs
    root: Path

    @property
    def topic(self) -> str:
        return self.programs.events_topic

    def send(self, number: int, seed: int = 1) -> None:
        """Records of all kinds, readable and not."""
        now_ms = time.time_ns() // 1_000_000
        log.send(self.bootstrap, self.topic, events.records(seed, now_ms, number))

    def files(self) -> list[File]:
        return sorted(self.store.files())

    @property
    def store(self) -> Store:
        return Store(f"file://{self.root}")

    def settings(self, **more: Any) -> ArchiveSettings:
        """Those that the programs have. more: others."""
        usual = {
            "kafka_bootstrap_servers": self.bootstrap,
            "events_topic": self.topic,
            "erasures_topic": self.programs.erasures_topic,
            "recipient_key": KEY,
        }
        return ArchiveSettings(**(usual | more))

    def held(self) -> dict[tuple[int, int], SlimEvent]:
        """The rows of all files, each once; those that stand in several say the same in each."""
        found: dict[tuple[int, int], SlimEvent] = {}
        for file in self.files():
            for each in events_of(pq.read_table(self.root / file.name)):
                assert found.setdefault((file.partition, each.offset), each) == each
        return found

    def expected(self) -> dict[tuple[int, int], SlimEvent]:
        reducer = Reducer(KEY)
        return {
            (each.partition, each.offset): reducer.reduce(_Read(each.offset, each.time_ms, each.value))
            for each in log.read(self.bootstrap, self.topic)
        }

    def is_exact(self) -> None:
        """The archive holds the topic, from its first offset to its end, and `check` finds nothing."""
        want = self.expected()
        assert self.held() == want
        ends = log.ends(self.bootstrap, self.topic)
        by_partition: dict[int, list[File]] = {}
        for file in self.files():
            by_partition.setdefault(file.partition, []).append(file)
        assert {number: covered(of) for number, of in by_partition.items()} == {
            number: [(0, end)] for number, end in enumerate(ends)
        }
        report = check(self.store)
        assert report.faults == []
        assert report.rows >= len(want)

    def is_archived(self) -> bool:
        """Whether files are there up to the topic's end."""
        ends, files = log.ends(self.bootstrap, self.topic), self.files()
        return all(
            covered([file for file in files if file.partition == number]) == [(0, end)]
            for number, end in enumerate(ends)
        )

    def once(self, trim_days: int | None = None, **settings: Any) -> None:
        """As `archive --once` does, in this process."""
        Archiver(self.settings(**settings), self.store, trim_days).run(threading.Event(), once=True)

    def check(self) -> tuple[int, dict[str, Any]]:
        status, said = self.programs.run("archive", "check", "--json")
        return status, json.loads(said)

    def refused(self, *arguments: str, **settings: str) -> str:
        """What a command that must not run says. It writes nothing."""
        before = {path: path.stat().st_mtime_ns for path in self.root.rglob("*.parquet")}
        started = self.programs.command("archive", *arguments, **settings)
        out, err = started.communicate(timeout=60)
        assert started.returncode in (1, 2), out
        assert "Traceback" not in err
        assert {path: path.stat().st_mtime_ns for path in self.root.rglob("*.parquet")} == before
        return re.sub(r"\s+", " ", err)

    def archiver(self, **settings: str) -> Program:
        """Start the process; its files are of two seconds."""
        usual = {"ARCHIVE_FILE_MINUTES": "0.03"}
        return self.programs.start("aggregator archive", **(usual | settings))


@dataclass(frozen=True)
class _Read:
    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None


@pytest.fixture
def scene(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[Scene]:
    services.create_topics(
        kafka_bootstrap, {f"{topic_prefix}events": topics.EVENTS, f"{topic_prefix}erasures": topics.ERASURES}
    )
    root = tmp_path / "archive"
    settings = {
        "RECIPIENT_KEY": KEY.hex(),
        "ARCHIVE_URL": f"file://{root}",
        "ARCHIVE_PORT": "0",
    }
    with Programs(kafka_bootstrap, "redis://nowhere.invalid", topic_prefix, tmp_path, **settings) as programs:
        yield Scene(kafka_bootstrap, programs, root)


def test_once_holds_the_topic_and_goes_on_where_it_ended(scene: Scene) -> None:
    """And what the rows state is what the records state."""
    assert scene.programs.run("archive", "--once")[0] == 0
    assert scene.files() == []
    scene.send(3_000)
    assert scene.programs.run("archive", "--once")[0] == 0
    scene.is_exact()
    assert scene.check() == (0, {"files": PARTITIONS, "rows": 3_000, "faults": []})
    before = scene.files()
    assert len(before) == PARTITIONS
    scene.once()
    assert scene.files() == before
    scene.send(500, seed=2)
    scene.once()
    scene.is_exact()
    assert set(before) < set(scene.files())
    rules = Rules(recipient_key=KEY)
    law, decoder, held = SlimLaw(rules), Decoder(rules), scene.held()
    for each in log.read(scene.bootstrap, scene.topic):
        slim = held[each.partition, each.offset]
        assert law.outcome_of(slim) == decoder.read(each.value, each.time_ms)


def test_killed_anywhere_it_goes_on(scene: Scene) -> None:
    """Killed while it reads, writes and puts files in place; what it left unfinished is in nobody's way."""
    scene.send(2_000)
    with log.sending(scene.bootstrap, scene.topic) as send:
        for round_ in range(6):
            archiver = scene.archiver()
            before = len(scene.files())
            now_ms = time.time_ns() // 1_000_000
            send(events.records(10 + round_, now_ms, 1_000))
            wait_until(lambda before=before: len(scene.files()) > before, "a file is in place")  # type: ignore[misc]
            time.sleep(0.31 * round_)
            archiver.kill()
    scene.once()
    scene.is_exact()


def test_two_at_once_are_harmless_and_one_ends_in_good_order(scene: Scene) -> None:
    scene.send(2_000)
    both = [scene.archiver(ARCHIVE_FILE_MINUTES=minutes) for minutes in ("0.02", "0.031")]
    for seed in range(20, 26):
        scene.send(500, seed)
        time.sleep(0.5)
    for each in both:
        each.wait_until(lambda each=each: each.get("/readyz").status_code == 200, "it archives")  # type: ignore[misc]
        assert each.metric("archive_complete_through_timestamp_seconds") > time.time() - 600
    both[0].wait_until(scene.is_archived, "all is archived")
    scene.is_exact()
    scene.send(500, 26)
    for each in both:
        assert each.stop() == 0
    assert list((scene.root / UNFINISHED).iterdir()) == []
    scene.once()  # what neither had read by then
    scene.is_exact()


def test_one_that_is_stopped_ends_the_files_of_what_it_has_read(scene: Scene) -> None:
    archiver = scene.archiver(ARCHIVE_FILE_MINUTES="60")
    [one, *_] = events.records(1, time.time_ns() // 1_000_000, 100)
    log.send(scene.bootstrap, scene.topic, [one])
    archiver.wait_until(lambda: any(scene.root.glob(f"{UNFINISHED}/*")), "it has read the record")
    assert archiver.stop() == 0
    assert len(scene.held()) == 1
    assert scene.held() == scene.expected()
    assert list((scene.root / UNFINISHED).iterdir()) == []


def test_a_hole_is_found_and_filled_while_the_topic_has_it(scene: Scene) -> None:
    scene.send(1_000)
    scene.once()
    scene.send(1_000, seed=2)
    scene.once()
    scene.send(1_000, seed=3)
    scene.once()
    first, second, third = (file for file in scene.files() if file.partition == 0)
    (scene.root / second.name).unlink()
    status, said = scene.check()
    assert status == 1
    assert [(each["what"], each["partition"], each["first"], each["next"]) for each in said["faults"]] == [
        ("hole", 0, first.next, third.first)
    ]
    scene.once()
    scene.is_exact()
    assert second.name in [file.name for file in scene.files()], "and nothing else was written again"


def test_faults_of_an_archive_are_named(scene: Scene) -> None:
    """Overlaps that disagree, files that are cut, rows of other places: each with its file."""
    scene.send(1_000)
    scene.once()
    files = {file.partition: file for file in scene.files()}
    table = pq.read_table(scene.root / files[0].name)
    metadata = scene.store.metadata(files[0])

    def also(file: File, rows: Any) -> str:
        pq.write_table(rows.replace_schema_metadata(metadata), scene.root / file.name)
        return file.name

    agrees = also(files[0]._replace(next=files[0].next - 1), table.slice(0, table.num_rows - 1))
    assert check(scene.store).faults == []
    (scene.root / agrees).unlink()
    forged = table.set_column(
        table.schema.get_field_index("message_id"),
        table.schema.field("message_id"),
        [["other"] * table.num_rows],
    )
    also(files[0]._replace(first=10), forged.slice(10))
    also(files[1]._replace(first=0, next=files[1].next + 5), table)
    cut = scene.root / files[2].name
    cut.write_bytes(cut.read_bytes()[:-20])
    status, said = scene.check()
    assert status == 1
    assert [(each["what"], each["partition"]) for each in said["faults"]] == [
        ("disagreement", 0),
        ("wrong rows", 1),
        ("unreadable", 2),
    ]
    assert said["faults"][0]["first"] == 10


def test_only_what_is_archived_counted_and_old_is_trimmed(scene: Scene) -> None:
    """A day later by the records' own times; a partition goes as far as the least of the three."""
    now_ms = time.time_ns() // 1_000_000
    old, young = now_ms - 5 * 86_400_000, now_ms - 86_400_000

    def sent(number: int, time_ms: int, partition: int) -> None:
        value = json.dumps(event("Open", sent_ms=time_ms)).encode()
        log.send(scene.bootstrap, scene.topic, [Outgoing(None, value, time_ms, partition)] * number)

    for partition in range(PARTITIONS):
        sent(10, old, partition)
        sent(5, young, partition)
        sent(5, old, partition)
    scene.once()
    commands = {"consumer_group": scene.programs.group}

    def starts() -> list[int]:
        scene.once(trim_days=3, **commands)
        with BulkReader(scene.settings()) as bulk:
            return [first for first, _ in bulk.ranges(PARTITIONS).values()]

    log.commit(scene.bootstrap, scene.topic, scene.programs.group, [0] * PARTITIONS)
    assert starts() == [0] * PARTITIONS, "nothing is counted"
    log.commit(scene.bootstrap, scene.topic, scene.programs.group, [20, 4, 0, 12])
    before = scene.files()
    kept = scene.held()
    lost = next(file for file in before if file.partition == 3)
    (scene.root / lost.name).unlink()
    begin = starts()
    assert begin == [10, 4, 0, 10], "what was lost is written again before"
    assert scene.held() == kept
    assert starts() == begin
    assert check(scene.store).faults == []


def test_one_archive_has_one_key_and_no_rule_needs_what_it_drops(scene: Scene) -> None:
    scene.send(100)
    assert "RECIPIENT_KEY is empty" in scene.refused("--once", RECIPIENT_KEY="")
    scene.once()
    other = {"RECIPIENT_KEY": (b"x" * 32).hex()}
    assert "OtherKeyError" in scene.refused("--once", **other)
    assert "another RECIPIENT_KEY" in scene.refused(**other)
    assert "OtherKeyError" in scene.refused("--once", "--without-key", RECIPIENT_KEY="")
    assert "counting needs this tag" in scene.refused("--once", ARCHIVE_DROP_TAGS="x,tenant")
    assert "ARCHIVE_URL" in scene.refused("--once", ARCHIVE_URL="")
    assert "ARCHIVE_URL" in scene.refused("check", ARCHIVE_URL="nonsense://x")
    status, _ = scene.programs.run(
        "archive", "--once", "--without-key", RECIPIENT_KEY="", ARCHIVE_URL=f"file://{scene.root}-without"
    )
    assert status == 0
    assert Store(f"file://{scene.root}-without").files() != []


SECRETS = ("ada.lovelace", "example.com", "192.0.2.77", "203.0.113.9", "The subject", "smtp-in.", "X-Header")


def test_no_value_of_an_archive_has_an_address_a_subject_or_an_ip(scene: Scene) -> None:
    """Every value of every column and the bytes of the files, of events in which they stand everywhere."""
    of_types = ("Send", "Delivery", "Open", "Click", "Bounce", "Complaint", "DeliveryDelay", "Reject", "New")
    sent = []
    for number, of_type in enumerate(of_types * 5):
        labels = {
            "tenant": ["acme"] if number % 2 else "of another shape",
            "ses:source-ip": ["192.0.2.77"],
            "ses:outgoing-ip": ["203.0.113.9"],
            "customer": ["ada.lovelace@example.com"],
        }
        reported = event(
            of_type, message_id=f"m-{number}", addresses=("ada.lovelace@example.com",), tags=labels
        )
        reported["mail"] |= {
            "source": "shop@example.com",
            "sourceIp": "192.0.2.77",
            "headers": [{"name": "X-Header", "value": "ada.lovelace@example.com"}],
            "commonHeaders": {"subject": "The subject", "to": ["ada.lovelace@example.com"]},
        }
        for body in reported.values():
            if isinstance(body, dict):
                body |= {"ipAddress": "192.0.2.77", "remoteMtaIp": "203.0.113.9", "mta": "smtp-in.a"}
        sent.append(Outgoing(None, json.dumps(reported).encode(), SOME_DAY))
        sent.append(Outgoing(None, f"not JSON: {json.dumps(reported)}".encode(), SOME_DAY))
    log.send(scene.bootstrap, scene.topic, sent)
    scene.once(archive_drop_tags="customer")
    values, found = [], b""
    for file in scene.files():
        path = scene.root / file.name
        values += [str(value) for column in pq.read_table(path).columns for value in column.to_pylist()]
        found += path.read_bytes()
    assert len(values) == len(sent) * len(pq.read_schema(path).names)
    assert "acme" in " ".join(values), "what the sender wrote into other tags is there"
    assert [secret for secret in SECRETS if secret in " ".join(values) or secret.encode() in found] == []
