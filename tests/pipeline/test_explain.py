"""`explain`: what became of a record, one of each sort, after a true worker has counted them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregator.commands.explain import spelled
from aggregator.config import AggregatorSettings
from aggregator.counting.facts import Pseudonyms
from aggregator.tracing.find import NoRecordError
from aggregator.tracing.trace import Tracer
from deploy.traffic import DAY, HOUR, iso
from schemas.topics import SNS_MESSAGE_ID
from tests.pipeline import log
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place, open_place

NOW = time.time_ns() // 1_000_000
SENT = NOW // DAY * DAY - 2 * DAY + 10 * HOUR
"""At 10:00 of a day, so that quarters of an hour are known."""

LONG_AGO = SENT - 200 * DAY
"""Of mails whose state need not be kept any more."""

TENANT, GONE = "[/harbor]", "gone"


def event(
    kind: str,
    name: str,
    at: int | None = None,
    *,
    sent: int = SENT,
    record: int | None = None,
    tenant: str = TENANT,
    **body: object,
) -> Outgoing:
    """A record as SES would have it told. at: the event's own time; record: that of the record."""
    mail = {
        "messageId": name,
        "timestamp": iso(sent),
        "destination": ["a@x.example"],
        "tags": {"tenant": [tenant], "sequence": ["welcome"]},
    }
    own = body if at is None else {"timestamp": iso(at), **body}
    value = {"eventType": kind, "mail": mail, kind[:1].lower() + kind[1:]: own}
    headers = ((SNS_MESSAGE_ID, f"sns-{name}".encode()),)
    when = record if record is not None else at if at is not None else sent
    return Outgoing(name.encode(), json.dumps(value).encode(), when, headers=headers)


def opened(name: str, hours: int) -> Outgoing:
    return event("Open", name, SENT + hours * HOUR)


BOUNCED = [{"emailAddress": "b@x.example"}, {"emailAddress": "c@x.example"}]
RECORDS = {
    "counted": opened("m-counted", 1),
    "first": opened("m-repeated", 1),
    "repeated": opened("m-repeated", 3),
    "again": opened("m-repeated", 1),
    "moved": opened("m-moved", 3),
    "mover": opened("m-moved", 1),
    "late": event("Delivery", "m-late", SENT - 6 * DAY, sent=SENT - 10 * DAY, recipients=["a@x.example"]),
    "stale": event("Send", "m-stale", sent=SENT - 20 * DAY, record=NOW),
    "ignored": event("Fancy", "m-ignored", SENT),
    "dead": Outgoing(b"m-dead", b"{[/]", SENT),
    "bounced": event("Bounce", "m-bounced", SENT + HOUR, bounceType="Permanent", bouncedRecipients=BOUNCED),
    "expired": event("Open", "m-expired", LONG_AGO + HOUR, sent=LONG_AGO),
    "lost": opened("m-lost", 1),
    "erased": event("Open", "m-erased", SENT + HOUR, tenant=GONE),
}
AFTER = {"after": event("Open", "m-erased", SENT + 3 * HOUR, tenant=GONE)}
"""Comes after its tenant was erased."""
NOT_YET = {"waiting": opened("m-waiting", 1), "waiting again": opened("m-counted", 0)}


class Explained:
    """A place where all of `RECORDS` were counted, and `NOT_YET` were not."""

    def __init__(self, place: Place, offsets: dict[str, tuple[int, int]]) -> None:
        self.place = place
        self.offsets = offsets
        self.settings = AggregatorSettings.model_validate(place.programs.settings())

    def of(self, name: str, *, quick: bool = False) -> dict[str, Any]:
        """What is said of one of the records."""
        with Tracer(self.settings, quick=quick) as tracer:
            return spelled(tracer.trace(tracer.find.at(*self.offsets[name]), NOW))

    def at(self, name: str) -> str:
        """Its place, as commands take and print it."""
        return "{}:{}".format(*self.offsets[name])


@pytest.fixture(scope="module")
def explained(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explained]:
    directory: Path = tmp_path_factory.mktemp("explain")
    with open_place(kafka_bootstrap, directory) as place:
        worker = place.programs.worker()
        place.send(RECORDS.values())
        place.wait_until_counted(worker)
        assert place.programs.run("erase", "--tenant", GONE)[0] == 0
        place.send(each._replace(time_ms=time.time_ns() // 1_000_000) for each in AFTER.values())
        place.wait_until_counted(worker)
        assert worker.stop() == 0
        place.send(NOT_YET.values())
        forget_states(place, LONG_AGO)
        names = {
            record.value: name for name, record in (RECORDS | AFTER | NOT_YET).items() if name != "again"
        }
        offsets = {}
        for each in place.events():
            name = names[each.value]
            offsets["again" if name in offsets else name] = each.partition, each.offset
        yield Explained(place, offsets)


def forget_states(place: Place, sent: int) -> None:
    """Take away all that Redis remembers of mails of a day, as it does itself when they are old."""
    keys = list(place.redis.scan_iter(match=f"*:m:l:{sent // DAY}*"))
    assert place.redis.delete(*keys) > 1


def standing(row: dict[str, Any], kind: str = "opened") -> tuple[str, str | None, str | None]:
    """Of a record with one recipient or none: standing, the time where it counts, and by which record."""
    (fact,) = [each for each in row["facts"] if each["kind"] == kind]
    return fact["standing"], fact["counts_at"], fact["by"]


def clock(hours: int) -> str:
    return iso(SENT + hours * HOUR)[:19] + "Z"


def test_counted(explained: Explained) -> None:
    """The fact stands where its record says, and the cells are those of the tenant and its sequence."""
    row = explained.of("counted")
    assert (row["outcome"], row["tenant"], row["at"]) == ("facts", TENANT, clock(1))
    assert row["event"] == {
        "type": "Open",
        "message_id": "m-counted",
        "sent": iso(SENT),
        "time": iso(SENT + HOUR),
    }
    assert row["sns_message_id"] == "sns-m-counted"
    assert standing(row) == standing(row, "opened_human") == ("counted", clock(1), explained.at("counted"))
    assert row["checkpoint"] > row["offset"]
    cells = {(each["scope"], each["id"], each["field"], each["at"]): each["count"] for each in row["cells"]}
    of = [("tenant", ""), ("sequence", "welcome")]
    # of m-counted, m-repeated, m-moved and m-lost
    assert cells == {
        (scope, name, field, clock(1)): 4 for scope, name in of for field in ("opened", "opened_human")
    }


def test_repeated(explained: Explained) -> None:
    """A later time and the same time again: both name the record that came first, and where it counts."""
    for name in ("repeated", "again"):
        assert standing(explained.of(name)) == ("repeated", clock(1), explained.at("first"))
    assert standing(explained.of("first")) == ("counted", clock(1), explained.at("first"))


def test_moved(explained: Explained) -> None:
    assert standing(explained.of("moved")) == ("moved", clock(1), explained.at("mover"))
    assert standing(explained.of("mover")) == ("counted", clock(1), explained.at("mover"))


def test_quick_reads_no_other_record(explained: Explained) -> None:
    with Tracer(explained.settings, quick=True) as tracer:
        row = spelled(tracer.trace(tracer.find.at(*explained.offsets["moved"]), NOW))
        assert tracer.find.records == 1
    assert standing(row) == ("earlier", clock(1), None)
    assert standing(explained.of("again", quick=True))[0] == "counted"


@pytest.mark.parametrize("name", ["late", "stale", "ignored", "erased"])
def test_skipped(explained: Explained, name: str) -> None:
    row = explained.of(name)
    assert (row["outcome"], row["passed"], row["facts"], row["dead_letter"]) == (name, True, [], None)
    assert row["why"]


def test_what_comes_after_an_erasure_knows_nothing_of_what_was_before(explained: Explained) -> None:
    """Neither the log nor what Redis remembers: the fact counts when this record says."""
    row = explained.of("after")
    assert standing(row) == ("counted", clock(3), explained.at("after"))
    assert {each["count"] for each in row["cells"]} == {1}


def test_dead_letter(explained: Explained) -> None:
    """Its reason, and where it lies; nowhere once it is purged."""
    row = explained.of("dead")
    (letter,) = log.read(explained.place.bootstrap, explained.place.programs.dead_letter_topic)
    assert (row["outcome"], row["passed"]) == ("unreadable", True)
    assert row["dead_letter"] == f"{letter.partition}:{letter.offset}"
    assert explained.place.programs.run("dead-letters", "purge", "--yes")[0] == 0
    assert explained.of("dead")["dead_letter"] is None


def test_each_recipient_and_kind_is_a_fact(explained: Explained) -> None:
    """Recipients by the beginning of their pseudonyms; no address is shown."""
    row = explained.of("bounced")
    people = [Pseudonyms(b"").of(each["emailAddress"]).hex()[:8] for each in BOUNCED]
    assert [(each["recipient"], each["kind"], each["standing"]) for each in row["facts"]] == [
        (person, kind, "counted") for person in people for kind in ("bounced", "bounced_hard")
    ]
    assert "x.example" not in json.dumps(row)


def test_not_yet_counted(explained: Explained) -> None:
    """Of a fact that another record has stated: where that one has put it."""
    row = explained.of("waiting")
    assert standing(row) == ("not_yet", None, None)
    assert row["checkpoint"] <= row["offset"]
    assert standing(explained.of("waiting again")) == ("not_yet", clock(1), explained.at("counted"))


def test_expired(explained: Explained) -> None:
    """Where Redis may have forgotten, the log says when it counts."""
    assert standing(explained.of("expired")) == (
        "expired",
        iso(LONG_AGO + HOUR)[:19] + "Z",
        explained.at("expired"),
    )


def test_the_command_finds_records_by_the_id_of_sns(explained: Explained) -> None:
    """Each record of it, since a time; none, and it says how much it read."""
    run, since = explained.place.programs.run, iso(SENT - DAY)
    code, out = run("explain", "--sns-id", "sns-m-repeated", "--since", since, "--json")
    found = json.loads(out)
    assert code == 0
    assert [f"{row['partition']}:{row['offset']}" for row in found["records"]] == [
        explained.at(name) for name in ("first", "repeated", "again")
    ]
    assert found["records_read"] > len(RECORDS)
    assert run("explain", "--sns-id", "sns-m-repeated")[0] == 1, "it is not of the last day"
    with Tracer(explained.settings, quick=True) as tracer, pytest.raises(NoRecordError):
        tracer.find.at(0, 10_000)


def test_the_command_tells_people(explained: Explained) -> None:
    """All of it in words, whatever a tenant is called; and what Redis must know and does not is an error."""
    run = explained.place.programs.run
    code, out = run("explain", "--offset", explained.at("moved"))
    assert code == 0
    for said in (TENANT, "moved", clock(1), explained.at("mover"), "sns-m-moved", "until a later record"):
        assert said in out
    assert "no event of a type" in run("explain", "--offset", explained.at("ignored"))[1]
    code, out = run("explain", "--offset", explained.at("counted"), "--json", TENANT_TAG="other")
    row = json.loads(out)["records"][0]
    assert (code, row["outcome"]) == (1, "no_tenant")
    assert "was counted by rules" in row["unknown"]


def test_what_redis_lost_is_wrong(explained: Explained) -> None:
    """The last one: it takes away what Redis must still remember."""
    forget_states(explained.place, SENT)
    assert standing(explained.of("lost")) == ("wrong", None, None)
    assert explained.place.programs.run("explain", "--offset", explained.at("lost"))[0] == 1
