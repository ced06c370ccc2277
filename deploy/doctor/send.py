"""`--send`: a test event, followed from SNS to the API, with the time that each step took.

It is the Send of one made-up mail of the tenant `ses-metrics-doctor`, so it stands in nobody else's numbers.
It is published to SNS; or, where a listed topic is of account 000000000000, which no one has, it is posted to
the webhook as the demo does: signed by a key made for this, whose certificate lies in SNS_CERTIFICATE_DIR
meanwhile.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from confluent_kafka import Consumer, TopicPartition

from api.clock import now_ms
from api.config import ApiSettings
from api.keys.commands import NotAppliedError, await_applied
from api.keys.form import ENTROPY_BYTES, new_key
from api.keys.topic import KeyTopicError, write_records
from deploy.doctor.check import Check, Finding, UnansweredError, ok, skipped, stop
from deploy.doctor.kafka_side import BROKERS, Kafka, header
from deploy.doctor.redis_side import Redis
from deploy.doctor.site import Site
from deploy.signing import Signer
from ingest.config import IngestSettings
from ingest.sns.messages import region_of
from schemas.redis_keys import lane_key, lane_of
from schemas.topics import SNS_MESSAGE_ID

TENANT: Final = "ses-metrics-doctor"
NOBODYS_ACCOUNT: Final = "000000000000"

LIMIT_S: Final = 30.0
"""For each step; all of them together take a tenth of a second where all is well."""

PAUSE_S: Final = 0.02
KEY_MS: Final = 3_600_000
"""How long the key works that is made for one look at the API."""

NO_BOTO3: Final = "pip install 'ses-metrics[aws]', with a login of AWS that may sns:Publish to the topic"


@dataclass
class _Trace:
    """What is known of the event so far."""

    began: float = 0.0
    message_id: str = ""
    partition: int = -1
    offset: int = -1
    key: str = ""
    sent_before: int = 0

    def since(self) -> str:
        return f"{(time.monotonic() - self.began) * 1000:,.0f} ms after it was published"


class Sending:
    """What is wanted of `--send`."""

    def __init__(self, key: str = "") -> None:
        """key: an API key of the tenant `ses-metrics-doctor`; none: one is made, which works for an hour."""
        self._key = key

    @contextmanager
    def checks(
        self, site: Site, kafka: Kafka, server: Redis | None, urls: Mapping[str, str]
    ) -> Iterator[list[Check]]:
        """The steps as checks. Arguments: as the examination has them."""
        with ExitStack() as stack:
            steps = _Steps(site, kafka, server, urls, stack)
            yield [
                Check("send: a key", lambda: [steps.take_key(self._key)]),
                Check("send: published", lambda: [steps.publish()], (BROKERS, *_topic_check(site))),
                Check("send: in the topic", lambda: [steps.find()], ("send: published",)),
                Check(
                    "send: counted",
                    lambda: [steps.see_counted()],
                    ("send: in the topic", *_generation(server)),
                ),
                Check(
                    "send: in the API", lambda: [steps.see_answer()], ("send: a key", "send: in the topic")
                ),
            ]


def _topic_check(site: Site) -> tuple[str, ...]:
    return () if site.events_topic is None else (f"topic {site.events_topic}",)


def _generation(server: Redis | None) -> tuple[str, ...]:
    return () if server is None else ("generation",)


class _Steps:
    """The steps of one event."""

    def __init__(
        self, site: Site, kafka: Kafka, server: Redis | None, urls: Mapping[str, str], stack: ExitStack
    ) -> None:
        self._site, self._kafka, self._server, self._urls, self._stack = site, kafka, server, urls, stack
        self._trace = _Trace()
        self._http = stack.enter_context(httpx.Client(trust_env=False, timeout=LIMIT_S))
        self._consumer: Consumer | None = None

    def take_key(self, given: str) -> Finding:
        """Have an API key of the tenant, and what the API says of it before."""
        settings, url = self._site.api, self._urls.get("api")
        if settings is None or url is None:
            return skipped("the API is not among the programs that are looked at", "name `api` too")
        self._trace.key = given or _made_key(settings)
        totals = self._wait(lambda: self._sent(url))
        if totals is None:
            return stop(
                f"{url} gives no numbers with that key",
                f"--key with one of `python -m api keys create {TENANT}`; else see `api answers`",
            )
        self._trace.sent_before = totals
        return ok("given" if given else f"made for {TENANT}, works for an hour")

    def publish(self) -> Finding:
        """Publish the event."""
        settings, topic = self._site.ingest, self._site.events_topic
        if settings is None or topic is None or not settings.sns_topic_arns:
            return skipped("no SNS topic is known", "name `ingest` too, and set SNS_TOPIC_ARNS")
        ends = {number: end for number, (_, end) in self._kafka.ranges(topic).items()}
        self._consumer = self._stack.enter_context(self._kafka.consumer())
        self._consumer.assign([TopicPartition(topic, number, end) for number, end in ends.items()])
        arns = sorted(settings.sns_topic_arns, key=lambda arn: (not _is_nobodys(arn), arn))
        event = made_up_event(self._tenant_tag)
        self._trace.began = time.monotonic()
        if _is_nobodys(arns[0]):
            return self._post(settings, arns[0], event)
        self._trace.message_id = publish_to_sns(arns[0], event)
        return ok(f"SNS took it as {self._trace.message_id} for {arns[0]}: {self._trace.since()}")

    def find(self) -> Finding:
        """Find its record."""
        found = self._wait(self._record)
        if found is None:
            return stop(
                f"no record came within {LIMIT_S:g} s",
                "is the webhook subscribed to that topic, confirmed, without raw delivery? What does ingest"
                " log?",
            )
        self._trace.partition, self._trace.offset = found
        return ok(f"at {found[0]}:{found[1]}: {self._trace.since()}")

    def see_counted(self) -> Finding:
        """Wait until the checkpoint of the tenant's lane has passed it."""
        server = self._server
        live = None if server is None else server.record.live
        if server is None or live is None:
            return skipped("no program that uses Redis is looked at", "name `aggregator` too")
        key, field = lane_key(live.name, lane_of(TENANT, live.lanes)), f"f{self._trace.partition}"

        def passed() -> bool | None:
            with server.asking():
                return int(server.client.hmget(key, field)[0] or 0) > self._trace.offset or None

        if self._wait(passed) is None:
            return stop(f"not within {LIMIT_S:g} s", "see `lag`, and /readyz of the workers")
        return ok(self._trace.since())

    def see_answer(self) -> Finding:
        """Wait until the API counts one mail more than before."""
        url = self._urls["api"]

        def more() -> bool | None:
            sent = self._sent(url)
            return True if sent is not None and sent > self._trace.sent_before else None

        if self._wait(more) is None:
            return stop(
                f"not within {LIMIT_S:g} s",
                "has the API the REDIS_URL of the workers, and TENANT_TAG here the workers' value?",
            )
        return ok(f"{TENANT} has one mail more: {self._trace.since()}")

    @property
    def _tenant_tag(self) -> str:
        settings = self._site.aggregator
        return "tenant" if settings is None else settings.tenant_tag

    def _post(self, settings: IngestSettings, arn: str, event: str) -> Finding:
        """Play SNS, as the demo does."""
        folder, url = settings.sns_certificate_dir, self._urls.get("ingest")
        if folder is None or url is None:
            return stop(
                f"{arn} is nobody's topic, and no key of ours is trusted", "SNS_CERTIFICATE_DIR of that stack"
            )
        signer = Signer.create(folder)
        self._stack.callback((folder / signer.certificate_name).unlink)
        envelope = signer.notification(arn, event)
        self._trace.message_id = envelope["MessageId"]
        self._trace.began = time.monotonic()
        try:
            answer = self._http.post(f"{url}/webhooks/sns", json=envelope)
        except httpx.HTTPError as error:
            return stop(f"the webhook at {url} does not answer: {error}", "see `ingest answers`")
        if answer.status_code != httpx.codes.OK:
            why = " ".join(answer.text.split())
            return stop(
                f"the webhook answers {answer.status_code}: {why}", "deploy/runbook.md, WebhookRefuses"
            )
        return ok(f"the webhook took it as {self._trace.message_id}: {self._trace.since()}")

    def _record(self) -> tuple[int, int] | None:
        assert self._consumer is not None, "find comes after publish"
        for message in self._consumer.consume(100, timeout=PAUSE_S):
            place = message.partition(), message.offset()
            if header(message, SNS_MESSAGE_ID) == self._trace.message_id and None not in place:
                return place  # type: ignore[return-value]  # neither is none
        return None

    def _sent(self, url: str) -> int | None:
        """How many mails the API counts for the tenant; none where it does not say."""
        try:
            answer = self._http.get(
                f"{url}/api/metrics",
                params={"period": "hour"},
                headers={"Authorization": f"Bearer {self._trace.key}"},
            )
        except httpx.HTTPError:
            return None
        return int(answer.json()["totals"]["sent"]) if answer.status_code == httpx.codes.OK else None

    def _wait(self, look: Callable[[], Any]) -> Any:
        """What `look` gives as soon as that is not none; none where it never is."""
        until = time.monotonic() + LIMIT_S
        while (found := look()) is None and time.monotonic() < until:
            time.sleep(PAUSE_S)
        return found


def made_up_event(tenant_tag: str) -> str:
    """SES's event of a mail that was sent just now; no two are of one mail."""
    sent = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mail = {
        "timestamp": sent,
        "messageId": f"doctor-{secrets.token_hex(12)}",
        "source": "doctor@ses-metrics.invalid",
        "destination": ["nobody@ses-metrics.invalid"],
        "tags": {tenant_tag: [TENANT]},
    }
    return json.dumps({"eventType": "Send", "mail": mail, "send": {}})


def publish_to_sns(arn: str, event: str) -> str:
    """Publish by boto3, with the login that it finds.

    Returns: SNS's id of the message. Raises: UnansweredError.
    """
    try:
        import boto3  # noqa: PLC0415  # an extra: only where somebody sends by SNS
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    except ImportError as error:
        raise UnansweredError(stop("boto3 is not installed", NO_BOTO3)) from error
    try:
        client = boto3.client("sns", region_name=region_of(arn))
        return str(client.publish(TopicArn=arn, Message=event)["MessageId"])
    except (BotoCoreError, ClientError) as error:
        raise UnansweredError(
            stop(f"SNS does not take it: {error}", "a login of AWS that may sns:Publish to that topic")
        ) from error


def _is_nobodys(arn: str) -> bool:
    return arn.split(":")[4] == NOBODYS_ACCOUNT


def _made_key(settings: ApiSettings) -> str:
    """A new key of the tenant. Raises: UnansweredError."""
    key, now = new_key(secrets.token_bytes(ENTROPY_BYTES)), now_ms()
    record = key.record(TENANT, now, name="doctor", expires_ms=now + KEY_MS)
    try:
        await_applied(settings.api_port, write_records(settings, {key.id: record}))
    except (KeyTopicError, NotAppliedError) as error:
        raise UnansweredError(
            stop(f"no key could be made: {error}", f"--key with one of `python -m api keys create {TENANT}`")
        ) from error
    return key.text
