"""Where attacks take place: topics, a Valkey and the true programs beside the innocent, and the verdict."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis

from deploy.processes import free_port
from deploy.signing import Signer
from deploy.valkey import Valkey
from tests import services
from tests.attack import batches, honest, sns_net
from tests.attack.batches import Rec
from tests.attack.book import Book
from tests.attack.measure import COMMAND_S, MIB, Limits, Measured, Memory, ended, slowest_call, watch_calls
from tests.chaos import view
from tests.pipeline import log, oracle
from tests.pipeline.log import Stored
from tests.pipeline.place import Place, open_place_on
from tests.pipeline.programs import Program
from tests.pipeline.webhook import TOPIC_ARN

READY_S: Final = 20.0
COMMAND_BYTES: Final = 160 * MIB
"""What a command usually takes; above it holds the limit of all programs."""

DAY: Final = timedelta(days=1)


class Scene:
    """A place with all programs running, and what was written there."""

    def __init__(self, place: Place, valkey: Valkey, certificates: Path, net: sns_net.SnsNet) -> None:
        """Start the programs and wait until all of them are ready."""
        self.place = place
        self.valkey = valkey
        self.signer = Signer.create(certificates)
        self.net = net
        self.wrong: list[str] = []
        """What an attack saw that must not be; of the attack that is under way."""
        self.stuck = False
        """Whether counting stands still for good, so that there is nothing more to wait for."""
        self._certificates = certificates
        self._book = Book(place.programs.events_topic)
        self._purged = False
        self._rounds = 0
        programs = place.programs
        port = free_port()
        self.ingest = programs.start(
            "ingest",
            port,
            INGEST_PORT=str(port),
            SNS_TOPIC_ARNS=TOPIC_ARN,
            SNS_CERTIFICATE_DIR=str(certificates),
            **net.environment,
        )
        self.api = programs.api()
        self.worker = programs.worker()
        for each in (self.ingest, self.api, self.worker):
            each.wait_until_ready()
        place.make_keys([honest.TENANT, "attacker"])
        self._writer = batches.Writer(place.bootstrap, programs.events_topic)

    def close(self) -> None:
        """Drop the connection to Kafka."""
        self._writer.close()

    @property
    def redis(self) -> Any:
        """A client of the Valkey."""
        return self.place.redis

    @property
    def where(self) -> honest.Where:
        """What the innocent know."""
        return honest.Where(
            f"{self.ingest.url}/webhooks/sns",
            self.api.url,
            self.valkey.url,
            str(self._certificates),
            self.place.keys[honest.TENANT],
        )

    def write(
        self, records: Iterable[Rec], *, partition: int = 0, packed_by: str = "zstd", most: int = 500
    ) -> int:
        """Write records to the events topic, and into the book. most: in one batch. Returns: how many.

        Raises: RefusedByKafkaError.
        """
        number = 0
        for some in batches.in_batches(records, most):
            first = self._writer.write(partition, batches.batch(some, packed_by))
            for offset, record in enumerate(some, first):
                self._note(partition, offset, record)
            number += len(some)
        return number

    def write_raw(self, packed: bytes, records: Sequence[Rec], *, partition: int = 0) -> None:
        """Write a batch that was packed by hand; `records` is what stands in it. Raises: as `write`."""
        first = self._writer.write(partition, packed)
        for offset, record in enumerate(records, first):
            self._note(partition, offset, record)

    def _note(self, partition: int, offset: int, record: Rec) -> None:
        headers = {name: part or b"" for name, part in record.headers}
        self._book.note(Stored(partition, offset, record.time_ms, record.key, record.value, headers))

    def note_taken(self, value: bytes) -> None:
        """Note what the webhook took just now."""
        self._book.note_taken(value)

    def new_signer(self) -> Signer:
        """SNS's next key, whose certificate is not pinned but can be fetched."""
        folder = Path(tempfile.mkdtemp(dir=self._certificates.parent))
        signer = Signer.create(folder)
        self.net.known[f"/{signer.certificate_name}"] = (folder / signer.certificate_name).read_bytes()
        return signer

    def note_topic(self, *, purged: bool) -> None:
        """Make the book anew from the topic, as a command has written to it too.

        purged: whether dead letters are gone, so that they cannot be compared any more.
        """
        self._book, self._purged = Book(self.place.programs.events_topic), purged
        for each in self.place.events():
            self._book.note(each)

    # An attack and its verdict

    def attacked(self, run: Callable[["Scene", int], int], tries: int, limits: Limits) -> Measured:
        """Let an attack run beside the innocent, wait until all is counted, and look at everything.

        run: the attack; returns how often it was tried. What it breaks is in the result.
        """
        self.wrong = []
        seen = Measured()
        memory = Memory()
        memory.begin({"ingest": self.ingest.pid, "worker": self.worker.pid, "api": self.api.pid})
        watch_calls(self.redis)
        self._rounds += 1
        with honest.honest(self.where, self._rounds) as beside:
            try:
                seen.tries = run(self, tries)
            except (OSError, TimeoutError, AssertionError, batches.RefusedByKafkaError) as error:
                self.wrong.append(f"the attack ended with {type(error).__name__}: {error}")
            settled = not self.stuck and self.settle(limits.settle_s)
        seen.grown = memory.grown()
        seen.ping_ms = max(beside.looks_ms, default=0.0)
        seen.api_p99_ms, seen.api_ms = beside.api_ms(0.99), beside.api_ms(1.0)
        seen.api_refused = sum(each.status != honest.OK for each in beside.asked)
        seen.webhook_ms = max((each.took_ms for each in beside.posted), default=0.0)
        seen.webhook_refused = sum(each.refused for each in beside.posted)
        seen.webhook_lost = sum(not each.taken for each in beside.posted)
        for each in beside.posted:
            if each.taken:
                self.note_taken(each.value)
        seen.call_ms, seen.call = slowest_call(self.redis)
        if settled and self.settle(limits.settle_s):
            self._check_programs()
            self._check_numbers()
        seen.wrong = self.wrong
        return seen

    def settle(self, limit_s: float) -> bool:
        """Wait until every checkpoint stands at the topic's end as it is now. Returns: whether they do."""
        ends = self.place.ends()
        until = time.monotonic() + limit_s
        checkpoints: list[list[int]] = []
        while time.monotonic() < until:
            if not self.worker.running:
                self.wrong.append(f"the worker ended with status {self.worker.wait_until_ended()}")
                self.stuck = True
                return False
            try:
                checkpoints = self.place.checkpoints()
            except redis.RedisError:  # it is held up, or down
                checkpoints = []
            if checkpoints and all(
                f >= end for lane in checkpoints for f, end in zip(lane, ends, strict=True)
            ):
                return True
            time.sleep(0.05)
        least = [min(lane) for lane in zip(*checkpoints, strict=True)]
        reported = self.worker.get("/readyz").text[:300]
        self.wrong.append(f"not counted after {limit_s:.0f} s: {least} of {ends}; the worker says {reported}")
        self.stuck = True
        return False

    def _check_programs(self) -> None:
        for name, program in (("ingest", self.ingest), ("api", self.api), ("worker", self.worker)):
            if not program.running:
                self.wrong.append(f"{name} ended with status {program.wait_until_ended()}")
            elif not _within(READY_S, partial(_is_ready, program)):
                self.wrong.append(f"{name} is not ready: {program.get('/readyz').text[:300]}")

    def _check_numbers(self) -> None:
        """Every cell, every dead letter, and one answer of the API."""
        self.wrong += self._book.cells_differ(view.all_cells(self.redis))
        if not self._purged:
            dead_letters = log.read(self.place.bootstrap, self.place.programs.dead_letter_topic)
            self.wrong += self._book.dead_letters_differ(dead_letters)
        scope = (honest.TENANT, "tenant", "")
        first, last = datetime.now(UTC) - 2 * DAY, datetime.now(UTC)
        want = self._book.count().body(scope, "day", first, last)["totals"]
        query = {"period": "day", "from": oracle.iso(first), "to": oracle.iso(last)}
        status, body = self.place.ask(self.api, scope, **query)
        if status != honest.OK or {name: body["totals"].get(name) for name in want} != want:
            self.wrong.append(f"the API answers {status} {str(body)[:300]}, not {want}")

    # The operators' commands

    def recount(self) -> None:
        """`verify` and `rebuild` must pass what was written: every reader comes to the same outcome."""
        if not self.settle(60.0):
            return
        for arguments in (("verify", "--json"), ("rebuild", "--json")):
            self.command(*arguments)

    def command(self, *arguments: str) -> None:
        """Run one of the aggregator's commands to its end; it must end well, in time and within memory."""
        started = self.place.programs.command(*arguments)
        status, most, words = ended(started)
        name = arguments[0]
        if status is None:
            self.wrong.append(f"{name} did not end within {COMMAND_S:.0f} s")
        elif status:
            self.wrong.append(f"{name} ended with status {status}: {words[-300:]}")
        if most > COMMAND_BYTES + 256 * MIB:
            self.wrong.append(f"{name} took {most / MIB:,.0f} MiB")


def _is_ready(program: Program) -> bool:
    return program.get("/readyz").status_code == honest.OK


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def open_scene(bootstrap: str, directory: Path) -> Iterator[Scene]:
    """Open a scene on a Kafka; at its end all that it started is gone. directory: for logs, made here."""
    certificates = directory / "certificates"
    certificates.mkdir(parents=True)
    with (
        sns_net.SnsNet(directory) as net,
        services.valkey_server() as valkey,
        redis.Redis.from_url(valkey.url, socket_timeout=60) as client,
        open_place_on(bootstrap, valkey.url, client, directory) as place,
    ):
        scene = Scene(place, valkey, certificates, net)
        try:
            yield scene
        finally:
            scene.close()
