"""Real records: every sample beside the checkout has one outcome, for a stated reason, and none crashes.

The samples are no part of the checkout. Each is read as a record of the topic with its mail's time for a
record time; the envelopes of SNS also for the message inside, which is what ingest would have written.
"""

import csv
import json
from pathlib import Path
from typing import Final

import pytest

from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Rules
from schemas.kinds import FIELDS
from tests.aggregator.law import instant, stated

SAMPLES: Final = Path(__file__).parents[4] / "shared" / "ses-samples"
SOME_TIME: Final = 1_772_539_200_000
"""A record time for what names no time of its mail."""

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no genuine samples beside the checkout")

# File, outcome, outcome where there is a default tenant. No sample has a tag named `tenant`. A counted one
# is told by its fields, and for how many recipients (or the message) each states a fact. Where one with a
# default tenant is no count:
# - ignored: an inbound mail's type or an unknown one, or an envelope (its message is in the next table)
# - bad_time: a fixture that was cut down and names no time of the event
# - future: the mail's time and the event's are years apart
# - unreadable: there is no mail
RECORDS: Final = """
[awsdocs-event-publishing]
bounce.json                                      no_tenant   bounced+bounced_hard 1
complaint.json                                   no_tenant   complained 1
delivery.json                                    no_tenant   delivered 1
send.json                                        no_tenant   sent 1
reject.json                                      no_tenant   rejected 1
open.json                                        no_tenant   opened+opened_human 1
click.json                                       no_tenant   clicked+clicked_human 1
rendering_failure.json                           no_tenant   rendering_failed 1
deliverydelay.json                               no_tenant   delayed 1
subscription.json                                no_tenant   unsubscribed 1
[awsdocs-notification]
bounce_with_dsn.json                             untagged    bounced+bounced_hard 1
bounce_without_dsn.json                          untagged    bounced+bounced_hard 2
complaint_with_feedback.json                     untagged    complained 1
complaint_without_feedback.json                  untagged    complained 1
delivery.json                                    untagged    delivered 1
[awsdocs-history]
event_1b656ce_5_open.json                        no_tenant   opened+opened_human 1
event_544c6a1_5_open.json                        no_tenant   opened+opened_human 1
event_544c6a1_6_click.json                       no_tenant   clicked+clicked_human 1
notification_1b656ce_0_bounce.json               untagged    bounced+bounced_hard 1
notification_1b656ce_1_bounce.json               untagged    bounced+bounced_hard 2
notification_1b656ce_2_complaint.json            untagged    complained 1
notification_1b656ce_3_complaint.json            untagged    complained 1
notification_1b656ce_4_delivery.json             untagged    delivered 1
notification_bd81d73_0_bounce.json               untagged    bounced+bounced_hard 1
notification_bd81d73_1_bounce.json               untagged    bounced+bounced_hard 2
notification_bd81d73_2_complaint.json            untagged    complained 1
notification_bd81d73_3_complaint.json            untagged    complained 1
notification_bd81d73_4_delivery.json             untagged    delivered 1
[awsdocs-inbound]
received_0.json                                  ignored     ignored
[awsdocs-sns]
sns-message-and-json-formats_0.json              ignored     ignored
sns-message-and-json-formats_1.json              ignored     ignored
sns-message-and-json-formats_2.json              ignored     ignored
sns-large-payload-raw-message-delivery_0.json    ignored     ignored
firehose-delivered-message-format-http_0.json    ignored     ignored
firehose-archived-message-format-S3_0.json       ignored     ignored
firehose-archived-message-format-S3_1.json       ignored     ignored
SendMessageToHttp_prepare_0.json                 ignored     ignored
[localstack-recorded]
send_email_0_validated_topic_sns.json            ignored     ignored
send_email_1_send_sns.json                       ignored     ignored
send_email_1_send.json                           no_tenant   sent 1
send_email_2_delivery_sns.json                   ignored     ignored
send_email_2_delivery.json                       no_tenant   delivered 1
send_templated_email_1_send_sns.json             ignored     ignored
send_templated_email_1_send.json                 no_tenant   sent 1
send_templated_email_2_delivery_sns.json         ignored     ignored
send_templated_email_2_delivery.json             no_tenant   delivered 1
send_raw_email_1_send_sns.json                   ignored     ignored
send_raw_email_1_send.json                       no_tenant   sent 1
send_raw_email_2_delivery_sns.json               ignored     ignored
send_raw_email_2_delivery.json                   no_tenant   delivered 1
test_sending_to_deleted_topic_0_validated_topic_sns.json ignored     ignored
[mailcoach-captured]
bounce.json                                      no_tenant   bounced+bounced_hard 1
bounce_sns.json                                  ignored     ignored
click.json                                       no_tenant   clicked+clicked_human 1
click_sns.json                                   ignored     ignored
complaint.json                                   no_tenant   complained 1
complaint_sns.json                               ignored     ignored
open.json                                        no_tenant   opened 1
open_sns.json                                    ignored     ignored
[signed]
mailcoach_subscription.json                      ignored     ignored
aws_sdk_ruby_v1_nosubject.json                   ignored     ignored
aws_sdk_ruby_v2_nosubject.json                   ignored     ignored
lambda_style_urls.json                           ignored     ignored
[django-anymail]
AmazonSESSubscriptionManagementTests_sub.json    ignored     ignored
bounce_event.json                                untagged    bounced+bounced_hard 1
bounce_event_sns.json                            ignored     ignored
multiple_bounce_event.json                       untagged    bad_time
complaint_event.json                             untagged    bad_time
delivery_event.json                              untagged    delivered 1
send_event.json                                  no_tenant   sent 1
reject_event.json                                no_tenant   rejected 1
open_event.json                                  no_tenant   bad_time
open_event_sns.json                              ignored     ignored
click_event.json                                 no_tenant   bad_time
rendering_failure_event.json                     no_tenant   bad_time
incorrect_received_event_sns.json                ignored     ignored
sns_confirmation_success_notification_sns.json   ignored     ignored
sns_unsubscribe_confirmation_sns.json            ignored     ignored
[django-ses]
bounce_notification.json                         untagged    bounced+bounced_hard 2
bounce.json                                      no_tenant   bounced+bounced_hard 2
bounce_no_status_notification.json               untagged    bounced+bounced_hard 2
bounce_no_status.json                            no_tenant   bounced+bounced_hard 2
bounce_no_status_transient_notification.json     untagged    bounced+bounced_soft 2
bounce_no_status_transient.json                  no_tenant   bounced+bounced_soft 2
complaint_notification.json                      untagged    complained 1
complaint.json                                   no_tenant   complained 1
send.json                                        no_tenant   sent 4
delivery.json                                    no_tenant   future
open.json                                        no_tenant   future
click.json                                       no_tenant   future
[aws-lambda-go]
ses-lambda-event.json                            ignored     ignored
ses-s3-event.json                                ignored     ignored
ses-sns-event.json                               ignored     ignored
sns-event.json                                   ignored     ignored
kinesis-firehose-event.json                      ignored     ignored
[wild]
eventbridge_email_opened_gmail_prefetch.json     no_tenant   opened 1
click_isbot_unlikely.json                        no_tenant   clicked+clicked_human 1
open_isbot_likely_minimal.json                   no_tenant   bad_time
bounce_undetermined_minimal.json                 unreadable  unreadable
unknown_event_type.json                          ignored     ignored
eventbridge_email_complaint_received.json        no_tenant   complained 1
eventbridge_email_rejected.json                  no_tenant   rejected 1
eventbridge_email_delivery_delayed.json          no_tenant   delayed 1
"""

# The messages in envelopes of SNS that are JSON; all others are plain words of SNS and SES, and unreadable.
MESSAGES: Final = {
    "localstack-recorded/send_email_1_send_sns.json": ("no_tenant", "sent 1"),
    "localstack-recorded/send_email_2_delivery_sns.json": ("no_tenant", "delivered 1"),
    "localstack-recorded/send_templated_email_1_send_sns.json": ("no_tenant", "sent 1"),
    "localstack-recorded/send_templated_email_2_delivery_sns.json": ("no_tenant", "delivered 1"),
    "localstack-recorded/send_raw_email_1_send_sns.json": ("no_tenant", "sent 1"),
    "localstack-recorded/send_raw_email_2_delivery_sns.json": ("no_tenant", "delivered 1"),
    "mailcoach-captured/bounce_sns.json": ("no_tenant", "bounced+bounced_hard 1"),
    "mailcoach-captured/click_sns.json": ("no_tenant", "clicked+clicked_human 1"),
    "mailcoach-captured/complaint_sns.json": ("no_tenant", "complained 1"),
    "mailcoach-captured/open_sns.json": ("no_tenant", "opened 1"),
    "django-anymail/bounce_event_sns.json": ("untagged", "bounced+bounced_hard 1"),
    "django-anymail/open_event_sns.json": ("no_tenant", "bad_time"),
    "django-anymail/incorrect_received_event_sns.json": ("ignored", "ignored"),
}


def expected() -> dict[str, tuple[str, str]]:
    """The first table, by the file's path."""
    found, folder = {}, ""
    for line in RECORDS.strip().splitlines():
        if line.startswith("["):
            folder = line.strip("[]")
        else:
            name, bare, with_default = line.split(maxsplit=2)
            found[f"{folder}/{name}"] = (bare, with_default)
    return found


EXPECTED: Final = expected()


def record_ms(value: bytes) -> int:
    """The mail's own time, wherever it stands."""
    try:
        reported = json.loads(value)
    except ValueError:
        return SOME_TIME
    reported = reported.get("detail", reported)
    return instant(reported.get("mail", {}).get("timestamp")) or SOME_TIME


def outcomes_of(value: bytes) -> tuple[str, str]:
    """What the reader says without and with a default tenant, in the words of the tables."""
    said = []
    for default in (None, "house"):
        at = record_ms(value)
        outcome = Decoder(Rules(default_tenant=default)).read(value, at)
        again = stated(value, at, default)
        if isinstance(outcome, Facts):
            assert outcome.scopes.tenant == "house"
            assert len(again) == len(outcome.recipients) * len(outcome.kinds)
            said.append(f"{'+'.join(FIELDS[kind] for kind in outcome.kinds)} {len(outcome.recipients)}")
        else:
            assert again == str(outcome)
            said.append(str(outcome))
    return said[0], said[1]


def test_every_sample_is_in_the_table() -> None:
    with (SAMPLES / "index.csv").open() as index:
        assert {row["file"] for row in csv.DictReader(index)} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_has_its_outcome(name: str) -> None:
    """As a record of the topic, byte for byte."""
    assert outcomes_of((SAMPLES / name).read_bytes()) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_message_in_an_envelope_has_its_outcome(name: str) -> None:
    """An envelope of SNS holds the record as a text; words that are no event are unreadable."""
    envelope = json.loads((SAMPLES / name).read_bytes())
    if not isinstance(envelope.get("Message"), str):
        assert name not in MESSAGES
        return
    assert outcomes_of(envelope["Message"].encode()) == MESSAGES.get(name, ("unreadable", "unreadable"))


def test_a_tag_of_ses_itself_may_name_the_tenant() -> None:
    """SES tags each mail with its configuration set; a genuine event counts for a tenant of that name."""
    value = (SAMPLES / "mailcoach-captured" / "bounce.json").read_bytes()
    (name,) = json.loads(value)["mail"]["tags"]["ses:configuration-set"]
    outcome = Decoder(Rules(tenant_tag="ses:configuration-set")).read(value, record_ms(value))
    assert isinstance(outcome, Facts)
    assert outcome.scopes.tenant == name
    assert [FIELDS[kind] for kind in outcome.kinds] == ["bounced", "bounced_hard"]
