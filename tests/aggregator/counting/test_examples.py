"""The examples beside the contracts: each has its outcome, and none is left out."""

from importlib.resources import files
from typing import Final

import pytest

from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts, Refusal
from aggregator.counting.rules import Rules
from schemas.kinds import FIELDS
from tests.aggregator.law import instant, pseudonym, stated

EXAMPLES: Final = files("schemas") / "examples"
RECORD_MS: Final = instant("2026-03-04T12:00:00.000Z") or 0

ACME: Final = ("acme", "welcome", "welcome-1")
ADA: Final = ("ada@example.com",)
MESSAGE: Final = (None,)
MORNING: Final = "2026-03-02T09:15"
LATER: Final = "2026-03-02T10:15"
EVENING: Final = "2026-03-02T18:00"
NEXT_DAY: Final = "2026-03-03T07:30"

COUNTED: Final[
    dict[str, tuple[tuple[str, str | None, str | None], set[str], tuple[str | None, ...], str]]
] = {
    "send": (ACME, {"sent"}, ADA, MORNING),
    "send-to-three-one-twice": (ACME, {"sent"}, (*ADA, "Ada@example.com", "bob@example.org"), MORNING),
    "send-of-a-template-without-subject": (ACME, {"sent"}, ADA, MORNING),
    "delivery": (ACME, {"delivered"}, ADA, MORNING),
    "delivery-delay": (ACME, {"delayed"}, ADA, LATER),
    "reject": (ACME, {"rejected"}, ADA, MORNING),
    "rendering-failure": (ACME, {"rendering_failed"}, ADA, MORNING),
    "open": (ACME, {"opened", "opened_human"}, MESSAGE, EVENING),
    "open-by-a-machine": (ACME, {"opened"}, MESSAGE, MORNING),
    "open-by-a-prefetch": (ACME, {"opened"}, MESSAGE, MORNING),
    "click": (ACME, {"clicked", "clicked_human"}, MESSAGE, EVENING),
    "click-by-a-person-ses-says": (ACME, {"clicked", "clicked_human"}, MESSAGE, EVENING),
    "click-without-scopes": (("acme", None, None), {"clicked"}, MESSAGE, EVENING),
    "bounce": (ACME, {"bounced", "bounced_hard"}, ADA, MORNING),
    "bounce-before-the-send": (ACME, {"bounced", "bounced_hard"}, ADA, "2026-03-02T09:00"),
    "bounce-on-the-list-of-ses": (ACME, {"bounced", "bounced_hard"}, ADA, MORNING),
    "bounce-of-a-suppressed-address": (ACME, {"bounced", "suppressed"}, ADA, MORNING),
    "bounce-of-a-full-mailbox": (ACME, {"bounced", "bounced_soft"}, ADA, MORNING),
    "bounce-of-an-unknown-sort": (ACME, {"bounced", "bounced_undetermined"}, ADA, MORNING),
    "complaint": (ACME, {"complained"}, ADA, NEXT_DAY),
    "complaint-without-feedback-type": (ACME, {"complained"}, ADA, NEXT_DAY),
    "subscription": (ACME, {"unsubscribed"}, MESSAGE, LATER),
    "strange-ids": (
        ("a:{b}@c.d", "%7Bx%7D", "Größe \N{SLIGHTLY SMILING FACE}"),
        {"opened", "opened_human"},
        MESSAGE,
        EVENING,
    ),
    "time-with-offset": (ACME, {"delivered"}, ADA, MORNING),
    "eventbridge-click": (ACME, {"clicked", "clicked_human"}, MESSAGE, EVENING),
    "eventbridge-complaint": (ACME, {"complained"}, ADA, NEXT_DAY),
    "eventbridge-rejected": (ACME, {"rejected"}, ADA, MORNING),
    "notification-with-tags": (ACME, {"delivered"}, ADA, MORNING),
}
"""Scopes, fields, recipients, and the quarter of an hour that the facts count in."""

PASSED: Final = {
    "subscription-to-other-topics": "ignored",
    "inbound-mail": "ignored",
    "type-of-tomorrow": "ignored",
    "no-type": "ignored",
    "retracted-complaint": "ignored",
    "envelope-in-an-envelope": "ignored",
    "notification-untagged": "untagged",
    "nobody": "empty",
    "open-after-the-horizon": "late",
    "delay-after-the-horizon": "late",
    "delivery-read-too-late": "stale",
    "mail-of-long-ago": "stale",
    "mail-of-1970": "stale",
}

DEAD_LETTERS: Final = {
    "unreadable-empty",
    "unreadable-words",
    "unreadable-cut-short",
    "unreadable-byte-order-mark",
    "unreadable-two-in-one",
    "unreadable-nan",
    "unreadable-lone-surrogate",
    "unreadable-latin-1",
    "unreadable-nested",
    "unreadable-list",
    "unreadable-type-is-no-text",
    "unreadable-no-mail",
    "unreadable-no-message-id",
    "unreadable-recipients-as-objects",
    "unreadable-recipients-as-text",
    "unreadable-no-recipients",
    "bad_tag-text",
    "bad_tag-null",
    "bad_tag-list-of-tags",
    "bad_tag-256-bytes",
    "bad_tag-without-tenant",
    "no_tenant",
    "no_tenant-no-tags",
    "bad_time-no-zone",
    "bad_time-number",
    "bad_time-leap-second",
    "bad_time-no-body",
    "future",
    "too_large-1001-recipients",
}
"""A name begins with its reason."""


def example(folder: str, name: str) -> bytes:
    return (EXAMPLES / folder / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", COUNTED)
def test_an_example_that_counts(name: str) -> None:
    """Its facts are those of the table, in the quarter of the table."""
    (tenant, *ids), fields, recipients, quarter = COUNTED[name]
    value = example("counted", name)
    outcome = Decoder(Rules()).read(value, RECORD_MS)
    assert isinstance(outcome, Facts)
    assert outcome.scopes == (tenant, tuple(ids))
    assert {FIELDS[kind] for kind in outcome.kinds} == fields
    assert outcome.recipients == tuple(each if each is None else pseudonym(each) for each in recipients)
    assert (outcome.day * 96 + outcome.quarter) * 900_000 == instant(f"{quarter}:00Z")
    assert len(stated(value, RECORD_MS)) == len(recipients) * len(fields)


@pytest.mark.parametrize("name", PASSED)
def test_an_example_that_is_passed_over(name: str) -> None:
    value = example("ignored", name)
    assert Decoder(Rules()).read(value, RECORD_MS) == stated(value, RECORD_MS) == PASSED[name]


@pytest.mark.parametrize("name", sorted(DEAD_LETTERS))
def test_an_example_that_is_a_dead_letter(name: str) -> None:
    value = example("dead-letter", name)
    outcome = Decoder(Rules()).read(value, RECORD_MS)
    assert outcome is Refusal(name.partition("-")[0])
    assert outcome == stated(value, RECORD_MS)


def test_a_default_tenant_counts_the_older_notification_for_it() -> None:
    outcome = Decoder(Rules(default_tenant="house")).read(
        example("ignored", "notification-untagged"), RECORD_MS
    )
    assert isinstance(outcome, Facts)
    assert (outcome.scopes.tenant, len(outcome.recipients)) == ("house", 2)
    assert [FIELDS[kind] for kind in outcome.kinds] == ["bounced", "bounced_hard"]


def test_there_is_an_example_of_every_kind_and_every_reason() -> None:
    assert set().union(*(fields for _, fields, _, _ in COUNTED.values())) == set(FIELDS)
    assert {name.partition("-")[0] for name in DEAD_LETTERS} == {str(reason) for reason in Refusal}


@pytest.mark.parametrize(
    ("folder", "names"), [("counted", set(COUNTED)), ("ignored", set(PASSED)), ("dead-letter", DEAD_LETTERS)]
)
def test_no_example_is_unused(folder: str, names: set[str]) -> None:
    """A file without a row in the tables above would prove nothing."""
    assert {each.name for each in (EXAMPLES / folder).iterdir()} == {f"{name}.json" for name in names}


def test_examples_are_in_their_three_folders() -> None:
    assert {each.name for each in EXAMPLES.iterdir()} == {"README.md", "counted", "ignored", "dead-letter"}
