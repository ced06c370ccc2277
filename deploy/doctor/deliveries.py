"""SNS's part: the topics that are listed, the certificates that it signs with, and what came from it."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
from confluent_kafka import Message
from prometheus_client.parser import text_string_to_metric_families

from deploy.doctor.check import Check, Finding, ok, problem
from deploy.doctor.counting import instant
from deploy.doctor.kafka_side import BROKERS, Kafka, header
from deploy.doctor.site import Site
from ingest.config import IngestSettings
from ingest.sns import outbound
from ingest.sns.certificates import rsa_key
from ingest.sns.messages import endpoint, region_of
from schemas.topics import SNS_MESSAGE_ID, SNS_TOPIC_ARN

AHEAD_MS: Final = 60_000
"""A record that much ahead of our clock was stamped by an ingest whose clock is wrong, or ours is."""

_SUBSCRIBE: Final = (
    "README, Connecting SES: the configuration set publishes to the topic, the mails name the set, and the"
    " webhook is subscribed and confirmed; `--send` tries the way from the topic on"
)

_REFUSED: Final = {
    "unlisted_topic": "add that topic to SNS_TOPIC_ARNS if it is yours; the answers' `detail` names it",
    "raw_delivery": "switch raw message delivery off in the subscription: raw messages are not signed",
}
"""Outcomes of the webhook that are somebody's mistake, and what to do."""


def checks(site: Site, kafka: Kafka, clock_ms: Callable[[], int], metrics_url: str | None) -> list[Check]:
    """The checks of what SNS delivers. metrics_url: of ingest's metrics; none: on no fixed port."""
    found = []
    settings, topic = site.ingest, site.events_topic
    if settings is not None:
        found += [
            Check("sns topics", lambda: [_check_arns(settings)]),
            Check("signing certificates", lambda: _check_certificates(settings)),
        ]
    if topic is not None:
        listed = settings.sns_topic_arns or None if settings is not None else None
        found.append(
            Check(
                "last delivery",
                lambda: judge_last(kafka.newest(topic), listed, clock_ms()),
                (BROKERS, f"topic {topic}"),
            )
        )
    if settings is not None and metrics_url is not None:
        found.append(Check("refused deliveries", lambda: check_refused(metrics_url), ("ingest answers",)))
    return found


def _check_arns(settings: IngestSettings) -> Finding:
    if not settings.sns_topic_arns:
        return problem("SNS_TOPIC_ARNS is empty: every message is refused", "list the ARN of your SNS topic")
    return ok(", ".join(sorted(settings.sns_topic_arns)))


def _check_certificates(settings: IngestSettings) -> list[Finding]:
    """Pinned certificates where there are some; else whether SNS's can be fetched."""
    folder = settings.sns_certificate_dir
    pinned = sorted(folder.glob("*.pem")) if folder is not None else []
    if pinned:
        return judge_pinned(pinned)
    hosts = sorted({endpoint(region_of(arn)) for arn in settings.sns_topic_arns})
    return asyncio.run(_reach(hosts)) if hosts else [ok("none is needed: no topic is listed")]


def judge_pinned(files: Sequence[Path]) -> list[Finding]:
    """Whether pinned certificates can be used. files: at least one."""
    found = []
    for path in files:
        try:
            rsa_key(path.read_bytes())
        except (OSError, ValueError) as error:
            found.append(
                problem(
                    f"the pinned certificate {path.name} cannot be used: {error}",
                    "fetch it anew from SNS in your region, or remove it: what is not pinned is fetched",
                )
            )
    return found or [ok(f"{len(files)} pinned")]


async def _reach(hosts: Sequence[str]) -> list[Finding]:
    async with outbound.new_client() as client:
        return [await reach(client, host) for host in hosts]


async def reach(client: httpx.AsyncClient, base: str) -> Finding:
    """Whether SNS answers at a base URL, whatever it answers there: certificates lie beside it."""
    host = urlsplit(base).hostname
    try:
        async with asyncio.timeout(outbound.CALL_SECONDS):
            answer = await client.get(base)
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
        return problem(
            f"{host} cannot be reached ({str(error) or type(error).__name__}): no signature can be checked,"
            " no subscription confirmed",
            f"open the way to {host}:443 for ingest, or set HTTPS_PROXY; or pin certificates"
            " (SNS_CERTIFICATE_DIR)",
        )
    return ok(f"{host} answers ({answer.status_code})")


def judge_last(newest: Sequence[Message], listed: frozenset[str] | None, now_ms: int) -> list[Finding]:
    """What came last, and from where.

    newest: the last record of each partition. listed: the topics of SNS_TOPIC_ARNS; none: not known.
    """
    delivered = [each for each in newest if header(each, SNS_MESSAGE_ID)]
    if not delivered:
        what = "no delivery is in the topic" if not newest else "the last records were not delivered by SNS"
        return [problem(what, _SUBSCRIBE)]
    last = max(delivered, key=lambda each: each.timestamp()[1])
    at_ms, arn = last.timestamp()[1], header(last, SNS_TOPIC_ARN)
    said = (
        f"{instant(at_ms)} at {last.partition()}:{last.offset()}, SNS message {header(last, SNS_MESSAGE_ID)}"
    )
    found = []
    if at_ms - now_ms > AHEAD_MS:
        found.append(
            problem(
                f"{said}: that is {(at_ms - now_ms) / 1000:,.0f} s ahead of our clock",
                "let NTP set the clocks of all hosts, ingest's above all: it stamps records",
            )
        )
    if listed is not None and arn not in listed:
        found.append(
            problem(
                f"the last delivery came from {arn}, which SNS_TOPIC_ARNS does not list (any more)",
                "add it to SNS_TOPIC_ARNS, or end its subscription",
            )
        )
    return found or [ok(said)]


def check_refused(url: str) -> list[Finding]:
    """What the webhook refuses, by the metrics of ingest at a URL. They count each outcome from 0 on."""
    counts, said = {}, "no metrics of ingest there"
    try:
        answer = httpx.get(url, trust_env=False, timeout=outbound.CALL_SECONDS)
        if answer.status_code == httpx.codes.OK:
            counts = {
                sample.labels["outcome"]: int(sample.value)
                for family in text_string_to_metric_families(answer.text)
                for sample in family.samples
                if sample.name == "ingest_deliveries_total"
            }
        else:
            said = f"status {answer.status_code}"
    except (httpx.HTTPError, ValueError) as error:
        said = str(error)
    if not counts:
        what = f"the metrics of ingest cannot be read at {url}: {said}"
        return [problem(what, "METRICS_PORT, as ingest has it, says where they are")]
    return judge_refused(counts)


def judge_refused(counts: dict[str, int]) -> list[Finding]:
    """Whether the webhook refuses what it should take. counts: deliveries since its start, by outcome."""
    found = [
        problem(f"{counts[outcome]} deliveries were refused as {outcome} since ingest started", fix)
        for outcome, fix in _REFUSED.items()
        if counts.get(outcome)
    ]
    return found or [ok(f"{counts.get('stored', 0)} events taken since ingest started")]
