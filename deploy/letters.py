"""What becomes of one mail: a pure, seeded choice among all that SES reports (`deploy.traffic`).

No clock and no I/O: a seeded `random.Random` and the time come in, the same ones give the same events. Used
by the demo, and by tests and benchmarks that want plausible input.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from random import Random

from deploy import traffic
from deploy.traffic import AGENTS, DAY, HOUR, MACHINES, MINUTE, SECOND, Event

Reported = list[tuple[int, Event]]
"""Events with the time of each (ms since 1970)."""

MEDIAN_OPEN_MS = 80 * MINUTE
LATEST_OPEN_MS = 30 * DAY
"""Half of the readers look within the first; none later than the second."""


@dataclass(frozen=True)
class Fate:
    """How mail fares: odds, from 0 to 1.

    hard, suppressed, soft, undetermined: that it bounces in this way; delayed: that its delivery takes long;
    complaints: that a reader complains, where it was delivered (these six for each recipient). scanned: that
    a machine opens it; opens: that a person does; clicks: that one who opens follows a link; leaves: that he
    then unsubscribes; unfit: that it is never sent on, once for its content, once for its template.
    """

    hard: float = 0.003
    suppressed: float = 0.002
    soft: float = 0.006
    undetermined: float = 0.0005
    delayed: float = 0.015
    complaints: float = 0.0003
    scanned: float = 0.3
    opens: float = 0.4
    clicks: float = 0.2
    leaves: float = 0.01
    unfit: float = 0.001


@dataclass(frozen=True)
class Letter:
    """A kind of mail. name, domain: the sender's. tags: its message tags, each with its value."""

    name: str
    domain: str
    subject: str
    tags: Mapping[str, str]
    fate: Fate
    says_machines: bool = True
    """Whether SES says `isBotEvent` of its opens and clicks, as it does since August 2026."""

    template: str = "template"
    """What SES calls its template where that cannot be rendered."""


def life_of_a_mail(rng: Random, letter: Letter, sent_ms: int) -> Reported:
    """What SES reports of one mail, from the send to the last click.

    One mail in thirty has two recipients: one Send for both, a Delivery or Bounce for each.
    """
    fate = letter.fate
    people = [f"reader-{rng.randrange(1_000_000):06}@mailbox-{rng.randrange(40)}.example"]
    if rng.random() < 1 / 30:
        people.append(f"copy-{rng.randrange(1_000_000):06}@mailbox-{rng.randrange(40)}.example")
    mail = traffic.mail_of(
        rng,
        name=letter.name,
        domain=letter.domain,
        subject=letter.subject,
        tags=letter.tags,
        people=people,
        sent_ms=sent_ms,
    )
    if rng.random() < fate.unfit:
        return [(sent_ms, traffic.rendering_failure(mail, letter.template))]
    events = [(sent_ms, traffic.send(mail))]
    if rng.random() < fate.unfit:
        return [*events, (sent_ms, traffic.reject(mail))]
    arrived = []
    for person in people:
        at_ms = sent_ms + rng.randint(400, 9 * SECOND)
        if rng.random() < fate.delayed:
            events.append((at_ms, traffic.delay(mail, person, at_ms)))
            at_ms += rng.randint(2 * MINUTE, 3 * HOUR)
        sort = _sort_of_bounce(rng, fate)
        if sort is not None:
            events.append((at_ms, traffic.bounce(rng, mail, person, at_ms, sort)))
            continue
        events.append((at_ms, traffic.delivery(rng, mail, person, sent_ms, at_ms)))
        arrived.append(at_ms)
        if rng.random() < fate.complaints:
            later_ms = at_ms + rng.randint(MINUTE, DAY)
            events.append((later_ms, traffic.complaint(rng, mail, person, later_ms)))
    if arrived:
        read = {key: value for key, value in mail.items() if key != "sourceArn"}  # SES leaves it out here
        events += _scanning(rng, letter, read, min(arrived)) + _reading(rng, letter, read, min(arrived))
    return events


def _sort_of_bounce(rng: Random, fate: Fate) -> str | None:
    """Which of `traffic.BOUNCES`, mostly none."""
    drawn = rng.random()
    for sort in traffic.BOUNCES:
        drawn -= getattr(fate, sort)
        if drawn < 0:
            return sort
    return None


def _scanning(rng: Random, letter: Letter, mail: Event, delivered_ms: int) -> Reported:
    """A machine fetches the images within minutes; a scanner follows a link too."""
    if rng.random() >= letter.fate.scanned:
        return []
    relay, scanner = MACHINES
    agent = scanner if rng.random() < 0.08 else relay
    reader = _reader(rng, letter, agent)
    at_ms = delivered_ms + int(rng.expovariate(1) * 3 * MINUTE)
    events = [(at_ms, traffic.opened(mail, reader, at_ms))]
    if agent == scanner:
        at_ms += SECOND
        events.append((at_ms, traffic.clicked(mail, reader, at_ms, _link(rng, letter))))
    return events


def _reading(rng: Random, letter: Letter, mail: Event, delivered_ms: int) -> Reported:
    """A person opens it once or again, most within hours, some days later, and perhaps clicks and leaves."""
    fate = letter.fate
    if rng.random() >= fate.opens:
        return []
    reader = _reader(rng, letter, rng.choice(AGENTS[len(MACHINES) :]))
    at_ms = delivered_ms + min(int(rng.lognormvariate(log(MEDIAN_OPEN_MS), 1.6)), LATEST_OPEN_MS)
    events = []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        events.append((at_ms, traffic.opened(mail, reader, at_ms)))
        if rng.random() < fate.clicks:
            clicked_ms = at_ms + rng.randint(2 * SECOND, 2 * MINUTE)
            events.append((clicked_ms, traffic.clicked(mail, reader, clicked_ms, _link(rng, letter))))
        at_ms += 3 * MINUTE + int(rng.expovariate(1) * 9 * HOUR)
    if rng.random() < fate.leaves:
        events.append((at_ms, traffic.subscription(mail, at_ms)))
    return events


def _reader(rng: Random, letter: Letter, agent: str) -> dict[str, str]:
    reader = {"ipAddress": f"198.51.100.{rng.randrange(256)}", "userAgent": agent}
    if letter.says_machines:
        reader["isBotEvent"] = "Likely" if agent in MACHINES else "Unlikely"
    return reader


def _link(rng: Random, letter: Letter) -> str:
    return f"https://www.{letter.domain}/go/{rng.randrange(400)}?from=mail"
