"""What happens in the year: the true programs, and all that a year brings to them.

The topic is cut behind the archive, the archiver is killed, Redis is wiped and rebuilt from archive and
topic, a rule changes, a tenant is erased. After each of these every cell is compared with an independent
count; at the end `verify`, `archive check` and the API are asked too. The API answers always, but for while
Redis is wiped.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Final, NamedTuple
from urllib.parse import urlencode

from deploy.processes import say
from tests.chaos.year.asking import Answer, Asking
from tests.chaos.year.books import Books
from tests.chaos.year.mail import DAYS, year
from tests.chaos.year.tally import Tally
from tests.pipeline import events, log, oracle
from tests.pipeline.meanwhile import meanwhile
from tests.pipeline.place import Place
from tests.pipeline.programs import Program, wait_until

KEPT_DAYS: Final = 30
"""What the topic keeps."""

WORKERS: Final = 2
ERASED: Final = events.TENANTS[1]
ASKED: Final = events.TENANTS[:4]
"""The tenants whose numbers are asked for, those of the first all the time."""

AFTER_CHANGE: Final = {"TEMPLATE_TAG": "campaign"}
"""The rule that changes: the template of a mail is named by another tag."""

LIMIT_S: Final = 3_600.0

SETTINGS: Final = {
    "RECIPIENT_KEY": events.SETTINGS["RECIPIENT_KEY"],
    "ARCHIVE_PORT": "0",
    "ARCHIVE_FILE_MINUTES": "0.03",
}


class Size(NamedTuple):
    """How large a year is. records: of the topic, about. steps: it is sent in. kills: of the archiver.

    cuts: how often the topic is cut on the way, and once more at the end.
    """

    records: int
    steps: int = DAYS
    kills: int = 20
    cuts: int = 11


class Year:
    """One year in one place, whose programs have `SETTINGS` and an archive."""

    def __init__(self, place: Place, size: Size, seed: int) -> None:
        self._place = place
        self._size = size
        self._rng = Random(seed)
        self._steps = year(seed, time.time_ns() // 1_000_000, size.records, size.steps)
        self._day = 0
        self._rules: dict[str, str] = {}
        self._books = Books(ERASED)
        self._asking = Asking()
        self._records = 0
        self._began = time.monotonic()
        self.wrong: list[str] = []

    def run(self) -> list[str]:
        """Let the year pass. Returns: all that was wrong; nothing where every number is right."""
        programs = self._place.programs
        self._api = programs.api()
        self._place.make_keys(ASKED)
        self._workers = [programs.worker() for _ in range(WORKERS)]
        self._archiver = self._start_archiver()
        self._workers[0].wait_until_ready()
        self._api.wait_until_ready()
        with meanwhile(self._ask):
            for day, happens in sorted(self._happenings(), key=lambda each: each[0]):
                while self._day < day and self._send():
                    pass
                happens()
        for each in self._asking.wrong()[:5]:
            self._is_wrong(f"the API answered {each.status} at {each.ended - self._began:.1f} s")
        self._check_end()
        self._say(f"{len(self._asking.answers):,} answers of the API; {len(self.wrong)} things wrong")
        return self.wrong

    def _happenings(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """What happens, each with its day."""
        for number in range(self._size.kills):
            yield DAYS * (number + 0.5) / self._size.kills, self._kill_archiver
        for number in range(self._size.cuts):
            yield 2 * KEPT_DAYS + (DAYS - 2 * KEPT_DAYS) * number / self._size.cuts, self._cut
        yield DAYS * 0.34, self._wipe
        yield DAYS * 0.5, self._change_rule
        yield DAYS * 0.67, self._erase
        yield DAYS * 0.83, self._wipe
        yield DAYS, self._end

    def _send(self) -> bool:
        """Send and count the next step. Returns: whether there was one."""
        step = next(self._steps, None)
        if step is None:
            return False
        self._day = step.day
        self._place.send(step.records)
        self._records += len(step.records)
        self._books.count(step.mails)
        return True

    # What happens

    def _start_archiver(self) -> Program:
        programs = self._place.programs
        return programs.start("aggregator archive", CONSUMER_GROUP=programs.group)

    def _kill_archiver(self) -> None:
        """Once it has put a file in place, anywhere in what it does next."""
        placed = "a file is in place"
        self._archiver.wait_until(lambda: bool(self._archiver.said(placed)), placed, LIMIT_S)
        time.sleep(self._rng.random())  # what it does then is cut short anywhere
        self._archiver.kill()
        self._archiver = self._start_archiver()

    def _cut(self) -> None:
        """Cut the topic to the last days of the year so far, where it is archived and counted."""
        days = DAYS - self._day + KEPT_DAYS
        self._command("archive", "--once", "--trim-days", str(days))
        self._say(f"the topic is cut, {self._left():,} records are left")

    def _wipe(self) -> None:
        """Redis is empty, and mail goes on coming while it is rebuilt."""
        began = time.monotonic()
        self._place.redis.flushall()
        self._rebuild()
        self._api.wait_until_ready()
        self._asking.wiped.append((began, time.monotonic()))
        self._compare("Redis was wiped and rebuilt")

    def _change_rule(self) -> None:
        """As the runbook has it: new workers wait, the rebuild counts by the new rules, then they count."""
        self._rules = AFTER_CHANGE
        self._books.change_rule()
        before = self._workers
        self._workers = [self._place.programs.worker(**self._rules) for _ in range(WORKERS)]
        self._rebuild()
        for worker in before:
            worker.stop()
        self._compare("a rule was changed")

    def _erase(self) -> None:
        """All of a tenant's records so far, and what comes of the year: their own times are before now."""
        told = json.loads(self._command("erase", "--tenant", ERASED, "--json"))
        if told["left"]:
            self._is_wrong(f"erase: {told}")
        self._books.erase()
        self._compare("a tenant was erased")

    def _rebuild(self) -> None:
        """Some steps come while it runs."""
        started = self._start("rebuild", "--json")
        for _ in range(self._size.steps // 40):
            if started.poll() is None:
                self._send()
        out, err = started.communicate(timeout=LIMIT_S)
        if started.returncode:
            self._is_wrong(f"rebuild exited with {started.returncode}: {err[-1_000:]}")
            return
        said = json.loads(out)
        if said["partial"] or said["kept"]:
            self._is_wrong(f"rebuild: {out}")
        self._say(f"rebuilt, {said['records']:,} records")

    def _end(self) -> None:
        """What comes today counts of the erased tenant too."""
        while self._send():
            pass
        now_ms = time.time_ns() // 1_000_000
        today = [
            each._replace(time_ms=now_ms)
            for each in events.records(365, now_ms, max(200, self._size.records // 1_000))
        ]
        self._place.send(today)
        self._records += len(today)
        self._books.come_to_today()
        self._books.count(today)
        self._wait_until_counted()
        group = self._place.programs.group
        ends = self._place.ends()
        wait_until(
            lambda: log.commits(self._place.bootstrap, self._place.programs.events_topic, group) == ends,
            "all is committed",
            LIMIT_S,
        )
        self._cut()

    # What must be

    def _ask(self) -> None:
        began = time.monotonic()
        response = self._api.get(
            "/api/metrics?period=day", {"Authorization": f"Bearer {self._place.keys[ASKED[0]]}"}
        )
        self._asking.answers.append(Answer(began, time.monotonic(), response.status_code))

    def _compare(self, after: str) -> None:
        """Every cell that Redis holds with what must be."""
        self._wait_until_counted()
        wrong = self._books.differences(self._place.redis)
        self._say(f"{after}: {len(self._books.now()):,} cells, {len(wrong):,} are wrong")
        for each in wrong[:5]:
            self._is_wrong(f"{after}: {each}")

    def _check_end(self) -> None:
        self._compare("the year is over")
        if self._left() > self._records * 1.5 * KEPT_DAYS / DAYS:
            self._is_wrong(f"the topic has {self._left():,} of {self._records:,} records")
        found = json.loads(self._command("verify", "--json"))
        if found["differences"] or found["not_compared"] or found["records"] != self._records:
            self._is_wrong(f"verify: {found}")
        self._say(f"verify compared {found['cells']:,} cells")
        faults = json.loads(self._command("archive", "check", "--json"))["faults"]
        if faults:
            self._is_wrong(f"the archive: {faults[:5]}")
        want = self._books.now()
        first, last = want.span()
        hour = first.replace(minute=0)  # one counts where it begins in the span
        for tenant in ASKED:
            self._check_months(tenant, want, hour, last + timedelta(minutes=15))

    def _check_months(self, tenant: str, want: Tally, first: datetime, last: datetime) -> None:
        """A tenant's year as the API says it."""
        asked = {"period": "month", "from": oracle.iso(first), "to": oracle.iso(last)}
        response = self._api.get(
            f"/api/metrics?{urlencode(asked)}", {"Authorization": f"Bearer {self._place.keys[tenant]}"}
        )
        points = response.json()["timeseries"] if response.status_code == 200 else []
        months = {point.pop("timestamp"): point for point in points}
        found = {month: point for month, point in months.items() if any(point.values())}
        if found != want.months((tenant, "tenant", "")):
            self._is_wrong(f"the API's months of {tenant}: {response.text[:1_000]}")

    def _wait_until_counted(self) -> None:
        ends = self._place.ends()
        self._workers[0].wait_until(
            lambda: bool(self._place.lanes()) and all(lane == ends for lane in self._place.checkpoints()),
            f"every checkpoint is at {ends}",
            LIMIT_S,
        )

    def _left(self) -> int:
        """How many records the topic still has."""
        place = self._place
        begins = log.begins(place.bootstrap, place.programs.events_topic)
        return sum(place.ends()) - sum(begins)

    def _start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start one of the aggregator's commands with the settings of the workers."""
        group = self._place.programs.group
        return self._place.programs.command(*arguments, CONSUMER_GROUP=group, **self._rules)

    def _command(self, *arguments: str) -> str:
        """Run such a command, however long it takes. Returns: its stdout."""
        started = self._start(*arguments)
        out, err = started.communicate(timeout=LIMIT_S)
        if started.returncode:
            self._is_wrong(f"{arguments} exited with {started.returncode}: {out[-500:]} {err[-1_000:]}")
        return out

    def _is_wrong(self, what: str) -> None:
        self._say(f"WRONG: {what}")
        self.wrong.append(what)

    def _say(self, what: str) -> None:
        passed = time.monotonic() - self._began
        say(f"{passed:7.1f} s  day {self._day:>3}  {self._records:>9,} records  {what}")
