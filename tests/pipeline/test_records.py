"""Bad input: each odd record is counted, ignored or dead-lettered as the law says; the next one counts."""

import asyncio
import json
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from deploy.signing import Signer
from deploy.traffic import DAY, MINUTE, iso
from schemas import topics
from tests.pipeline import oracle, webhook
from tests.pipeline.cases import ANCIENT, TENANT, Case, Cases
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place, time_of
from tests.pipeline.programs import Program

FOLLOWER = "follower"
QUARTER_MS = 15 * MINUTE
FLOOD = 2_500
REASONS = (*oracle.DEAD, "ignored", "untagged", "stale", "late", "empty")


def follower(number: int, time_ms: int, partition: int) -> Outgoing:
    """A good record in a sequence of its own."""
    tags = {"tenant": [FOLLOWER], "sequence": [f"after {number}"]}
    mail = {"timestamp": iso(time_ms), "messageId": f"good {number}", "destination": ["a@x"], "tags": tags}
    return Outgoing(None, json.dumps({"eventType": "Send", "mail": mail}).encode(), time_ms, partition)


def by_hand(cases: list[Case], followers: dict[int, int]) -> oracle.Count:
    """The numbers that the cases say by hand. followers: the time (ms) of each, by number."""
    quarters: dict[oracle.Scope, dict[datetime, dict[str, int]]] = {}

    def add(scope: oracle.Scope, at_ms: int, name: str, number: int) -> None:
        of_quarter = quarters.setdefault(scope, {}).setdefault(time_of(at_ms - at_ms % QUARTER_MS), {})
        of_quarter[name] = of_quarter.get(name, 0) + number

    for case in cases:
        if case.outcome == "counted":
            for scope in ((case.tenant, "tenant", ""), (case.tenant, "template", case.template)):
                for name in case.fields:
                    add(scope, case.at_ms, name, case.number)
    for number, time_ms in followers.items():
        for scope in ((FOLLOWER, "tenant", ""), (FOLLOWER, "sequence", f"after {number}")):
            add(scope, time_ms, "sent", 1)
    return oracle.Count(quarters)


def test_the_oracle_reads_every_case_as_by_hand() -> None:
    """The second opinion itself is right: what it makes of each case is what the case says by hand."""
    cases = Cases(1_756_722_030_123).all
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        reported = oracle.read(case.value, time_of(case.time_ms))
        assert reported.outcome == case.outcome, case.name
        if case.outcome == "counted":
            assert reported.at is not None
            assert oracle.start_of("quarter", reported.at) == time_of(case.at_ms - case.at_ms % QUARTER_MS), (
                case.name
            )
            assert {fact.field for fact in reported.facts} == set(case.fields), case.name
            assert len(reported.facts) == case.number * len(case.fields), case.name


def test_odd_records(place: Place, tmp_path: Path) -> None:
    """Each odd record has its outcome, straight on the topic and by the webhook; what follows it counts."""
    now_ms = time.time_ns() // 1_000_000
    direct = Cases(now_ms - 100 * DAY).all
    posted = [
        case for case in Cases(now_ms - 3 * DAY).all if case.by_webhook and webhook.can_carry(case.value)
    ]
    worker, api = place.programs.worker(), place.programs.api()
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    ingest = place.programs.ingest(webhook.TOPIC_ARN, certificates)

    outgoing: list[Outgoing] = []
    followers: dict[int, int] = {}
    for number, case in enumerate(direct):
        partition = number % topics.EVENTS.partitions
        key = b"k" * 60_000 if case.name == "NULs" else f"case {number}".encode()
        followers[number] = now_ms - DAY
        outgoing.append(Outgoing(None if number % 7 == 0 else key, case.value, case.time_ms, partition))
        outgoing.append(follower(number, followers[number], partition))
    place.send(outgoing)
    ingest.wait_until_ready()
    url, signer = f"{ingest.url}/webhooks/sns", Signer.create(certificates)
    asyncio.run(webhook.post(url, signer, [case.value or b"" for case in posted]))

    place.wait_until_counted(worker)
    want = Counter(case.outcome for case in (*direct, *posted)) + Counter(counted=len(direct))
    worker.wait_until(lambda: outcomes(worker) == want, f"the metrics say {want}")
    place.make_keys((TENANT, ANCIENT, FOLLOWER))
    api.wait_until_ready()
    numbers = by_hand([*direct, *posted], followers)
    place.check(api, numbers, ("week", "month"))
    place.check(
        api, oracle.Count({s: h for s, h in numbers.hours.items() if s[0] != ANCIENT}), ("hour", "day")
    )

    dead_letters = place.naive_dead_letters()
    reasons = Counter(headers[topics.REASON].decode() for _, headers in dead_letters.values())
    assert reasons == {outcome: number for outcome, number in want.items() if outcome in oracle.DEAD}
    place.check_dead_letters(dead_letters)


def outcomes(worker: Program) -> Counter[str]:
    """How many records had which outcome, as the worker metrics it."""
    names = (*REASONS, "counted")
    return Counter({name: int(worker.metric("aggregator_records_total", outcome=name)) for name in names})


def test_a_flood_of_unreadable_records_ends_the_worker(place: Place) -> None:
    """More than half of the last 1,000 unreadable: exit with status 3, a clear word, and nothing passed.

    A worker that is started again reads the same records again, and comes to the same end.
    """
    now_ms = time.time_ns() // 1_000_000
    place.send(Outgoing(None, b"\x1f\x8b not json", now_ms, 0) for _ in range(FLOOD))
    for _ in range(2):
        worker = place.programs.worker()
        assert worker.wait_until_ended() == 3
        (word,) = worker.said("leaving the consumer group")
        assert "could not be read" in word["why"]
        assert worker.said("counting")[-1]["positions"]["0"] == 0
        assert [lane[0] for lane in place.checkpoints()] == [0] * len(place.lanes())
    assert place.dead_letters() == {}


def test_no_tag_brings_a_worker_down(place: Place) -> None:
    """However many records a tenant's tags spoil: they are dead letters, and the worker stays and counts."""
    now_ms = time.time_ns() // 1_000_000
    spoilt = json.dumps(
        {"eventType": "Send", "mail": {"messageId": "m", "tags": {"tenant": "no list"}}}
    ).encode()
    place.send(Outgoing(None, spoilt, now_ms, 0) for _ in range(FLOOD))
    unreadable = [b"{"] * 400 + [b"{}"] * 600
    place.send(Outgoing(None, value, now_ms, 0) for value in unreadable)
    place.send([follower(0, now_ms, 0)])
    worker, api = place.programs.worker(), place.programs.api()
    place.wait_until_counted(worker)
    assert len(place.dead_letters()) == FLOOD + 400
    place.make_keys([FOLLOWER])
    api.wait_until_ready()
    place.check(api, by_hand([], {0: now_ms}), ("hour",))
    assert worker.stop() == 0
