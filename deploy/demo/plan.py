"""Which mails are sent on a day. Pure: a seed, the demo's first day and the day give the same ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final

from deploy.demo.senders import SATURDAY, SENDERS, Mailing, Sender
from deploy.letters import Letter
from deploy.traffic import DAY, HOUR

PAST_DAYS: Final = 90
WEEKEND: Final = 0.55
"""How much of the usual is sent on a Saturday or Sunday."""

GROWTH: Final = 0.3
"""How much less was sent at the beginning of the past than at its end."""


@dataclass(frozen=True)
class TagNames:
    """The names of the message tags that carry tenant, sequence and template."""

    tenant: str = "tenant"
    sequence: str = "sequence"
    template: str = "template"


SCOPE_TAGS: Final = {"campaign": "campaign", "step": "step"}
"""Further scopes that the demo's mail is tagged for, each with its tag."""


class Plan:
    """What each sender sends, day by day. Days are numbered from 1 January 1970 (UTC)."""

    def __init__(
        self, seed: str, first_day: int, tags: TagNames | None = None, senders: Sequence[Sender] = SENDERS
    ) -> None:
        """first_day: on which the demo was first started; its past lies before."""
        self._seed = seed
        self._first_day = first_day
        self._tags = tags or TagNames()
        self._senders = senders

    @property
    def oldest_day(self) -> int:
        """The day on which the past begins."""
        return self._first_day - PAST_DAYS

    def of_day(self, day: int) -> Iterator[tuple[Random, int, Letter]]:
        """Each mail of a day, in no order: the chance that decides what becomes of it, its time, its kind."""
        for sender in self._senders:
            for mailing in sender.mailings:
                rng = Random(f"{self._seed} {sender.tenant} {mailing.template} {day}")  # noqa: S311  # no secret
                letter = self.letter(sender, mailing, day)
                number = round(self._mails(mailing, day) * rng.uniform(0.85, 1.15))
                for hour in rng.choices(range(24), mailing.rhythm, k=number):
                    yield rng, day * DAY + hour * HOUR + rng.randrange(HOUR), letter

    def usual(self, day: int) -> list[tuple[float, Letter]]:
        """Each kind of mail that is sent again and again, with how many of it go out on an average day."""
        return [
            (mailing.mails / (1 if mailing.weekday is None else 7), self.letter(sender, mailing, day))
            for sender in self._senders
            for mailing in sender.mailings
            if mailing.days_ago is None
        ]

    def letter(self, sender: Sender, mailing: Mailing, day: int) -> Letter:
        """One kind of mail as it goes out on a day, with its tags."""
        date = f"{datetime.fromtimestamp(day * DAY / 1000, UTC):%Y-%m-%d}"
        tags = {
            self._tags.tenant: sender.tenant,
            self._tags.sequence: mailing.sequence,
            self._tags.template: mailing.template,
            SCOPE_TAGS["campaign"]: mailing.campaign and mailing.campaign.format(day=date),
            SCOPE_TAGS["step"]: mailing.step,
        }
        return Letter(
            name=sender.tenant,
            domain=sender.domain,
            subject=mailing.subject,
            tags={tag: value for tag, value in tags.items() if value},
            fate=mailing.fate,
            says_machines=sender.says_machines,
            template=mailing.template,
        )

    def _mails(self, mailing: Mailing, day: int) -> float:
        """How many of a mailing go out on a day, on average."""
        if mailing.days_ago is not None:
            return mailing.mails if day == self._first_day - mailing.days_ago else 0
        weekday = (day + 3) % 7  # 1 January 1970 was a Thursday
        if mailing.weekday not in {None, weekday}:
            return 0
        grown = min(1.0, 1 - GROWTH * (self._first_day - day) / PAST_DAYS)
        return mailing.mails * grown * (WEEKEND if weekday >= SATURDAY else 1)
