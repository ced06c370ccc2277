"""The mail of `acme` that the README's guide to the API asks for, and how the guide is read.

Pure: fixed times, fixed outcomes, no chance but in what no number depends on. September 2025: two campaigns
and welcome mails each day; September 2024: welcome mails alone.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from deploy import traffic
from deploy.traffic import AGENTS, MACHINES, MINUTE, SECOND, Event
from tests.pipeline.log import Outgoing

DAY = timedelta(days=1)
READERS = {
    "machine": {"ipAddress": "198.51.100.7", "userAgent": MACHINES[0], "isBotEvent": "Likely"},
    "person": {"ipAddress": "198.51.100.8", "userAgent": AGENTS[-1], "isBotEvent": "Unlikely"},
}


class Example(NamedTuple):
    """A block of the guide: what to paste, and what is answered. language: of the answer."""

    commands: str
    language: str
    answer: str


def examples(markdown: str) -> Iterator[Example]:
    """Each `console` block that another block follows as its answer; a `$` begins each command."""
    pattern = r"^```console\n([^`]*)```\n\n```(\w+)\n([^`]*)```$"
    for console, language, answer in re.findall(pattern, markdown, re.MULTILINE):
        yield Example(re.sub(r"^\$ ", "", console, flags=re.MULTILINE), language, answer)


def records() -> Iterator[Outgoing]:
    """Every event, each with the time at which SNS would have brought it."""
    rng = Random(1)
    first, year_before = datetime(2025, 9, 1, tzinfo=UTC), datetime(2024, 9, 1, tzinfo=UTC)
    for day in range(30):
        yield from _mails(rng, first + day * DAY + timedelta(hours=6), 10, 50, sequence="welcome")
    for day in range(20):
        yield from _mails(rng, year_before + day * DAY + timedelta(hours=6), 25, 50, sequence="welcome")
    sale, members = first + 8 * DAY + timedelta(hours=8), first + 15 * DAY + timedelta(hours=8)
    yield from _mails(rng, sale, 600, 10, campaign="autumn-sale")
    yield from _mails(rng, members, 400, 50, campaign="members-week")


def _mails(rng: Random, start: datetime, number: int, bounces: int, **tags: str) -> Iterator[Outgoing]:
    """As many mails, one each 12 s; each `bounces`-th is for nobody."""
    template = tags.get("campaign") or "welcome-day-0"
    start_ms = int(start.timestamp() * 1000)
    arrived = 0
    for index in range(number):
        sent_ms = start_ms + index * 12 * SECOND
        mail = traffic.mail_of(
            rng,
            name="Acme",
            domain="acme.example",
            subject="Hello",
            tags={"tenant": "acme", "template": template, **tags},
            people=[f"reader-{index:04}@mailbox.example"],
            sent_ms=sent_ms,
        )
        bounced = index % bounces == 0
        arrived += not bounced
        for at_ms, event in _life(rng, mail, None if bounced else arrived, sent_ms):
            key: str = mail["messageId"]
            yield Outgoing(key.encode(), json.dumps(event).encode(), at_ms + SECOND)


def _life(rng: Random, mail: Event, arrived: int | None, sent_ms: int) -> Iterator[tuple[int, Event]]:
    """Of five that arrive one is opened by a machine, one by a person, and one by a person who clicks.

    arrived: how many have, with this one; None: it comes back. One reader of all complains.
    """
    person, at_ms = mail["destination"][0], sent_ms + 2 * SECOND
    yield sent_ms, traffic.send(mail)
    if arrived is None:
        yield at_ms, traffic.bounce(rng, mail, person, at_ms, "hard")
        return
    yield at_ms, traffic.delivery(rng, mail, person, sent_ms, at_ms)
    if arrived == 392 and mail["tags"]["template"] == ["members-week"]:
        yield at_ms + MINUTE, traffic.complaint(rng, mail, person, at_ms + MINUTE)
    opened_ms = at_ms + 20 * MINUTE
    match arrived % 5:
        case 1:
            yield at_ms + MINUTE, traffic.opened(mail, READERS["machine"], at_ms + MINUTE)
        case 2:
            yield opened_ms, traffic.opened(mail, READERS["person"], opened_ms)
        case 3:
            yield opened_ms, traffic.opened(mail, READERS["person"], opened_ms)
            yield opened_ms, traffic.clicked(mail, READERS["person"], opened_ms, "https://www.acme.example/")
