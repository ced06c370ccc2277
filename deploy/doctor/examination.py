"""All checks of a site, in their order: the one place where they are put together."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Final

import httpx

from aggregator.errors import PostponedError
from aggregator.log.admin import Cluster
from deploy.doctor import counting, deliveries, kafka_side, redis_side, replica, site
from deploy.doctor.check import Check, Finding, Row, UnansweredError, examine, ok, problem, skipped, stop
from deploy.doctor.counting import Lane
from deploy.doctor.kafka_side import Kafka
from deploy.doctor.redis_side import Redis
from deploy.doctor.send import Sending
from deploy.doctor.site import Site

READY_TIMEOUT_S: Final = 10.0


def examination(
    found: Site, urls: Mapping[str, str], clock_ms: Callable[[], int], sending: Sending | None = None
) -> Iterator[Row]:
    """Examine a site.

    urls: where the chosen programs answer, by name. clock_ms: ours, in ms since 1970. sending: what is to be
    sent on the way of an event, if anything.
    Yields: each finding as soon as it is known.
    """
    checks = [Check("settings", lambda: site.check_settings(found, site.variables_set()))]
    with ExitStack() as stack:
        kafka = None if found.kafka is None else Kafka(found.kafka)
        server = None if found.redis is None else Redis(found.redis)
        if server is not None:
            stack.callback(server.close)
        checks += _without_settings("kafka") if kafka is None else kafka_side.checks(found, kafka)
        if server is not None:
            checks += redis_side.checks(found, server, clock_ms)
            if found.replica is not None:
                read = Redis(found.replica)
                stack.callback(read.close)
                checks += replica.checks(server, read)
        elif found.wrong.keys() - {"ingest"}:
            checks += _without_settings("redis")
        checks += [Check(f"{name} answers", partial(_check_ready, name, url)) for name, url in urls.items()]
        if kafka is not None:
            checks += deliveries.checks(found, kafka, clock_ms, _metrics_url(found, urls))
        if kafka is not None and server is not None:
            checks += _of_counting(found, kafka, server, clock_ms)
        if sending is not None and kafka is not None:
            checks += stack.enter_context(sending.checks(found, kafka, server, urls))
        yield from examine(checks)


def _without_settings(name: str) -> list[Check]:
    """What is skipped as a whole."""
    return [Check(name, list, ("settings",))]


def _metrics_url(found: Site, urls: Mapping[str, str]) -> str | None:
    """Where the metrics of ingest are; none where nobody can know."""
    if found.ingest is None or "ingest" not in urls:
        return None
    port = found.ingest.metrics_port
    if port is None:
        return f"{urls['ingest']}/metrics"
    return f"{urls['ingest'].rpartition(':')[0]}:{port}/metrics" if port else None


def _check_ready(name: str, url: str) -> list[Finding]:
    """What a program says of itself."""
    try:
        answer = httpx.get(f"{url}/readyz", trust_env=False, timeout=READY_TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL):
        return [
            stop(
                f"nothing answers at {url}",
                f"start `python -m {name}`, or say where it is: --{name}-url, {name.upper()}_PORT",
            )
        ]
    if answer.status_code != httpx.codes.OK:
        why = " ".join(answer.text.split())
        return [problem(f"{url} is not ready: {why}", "deploy/runbook.md says what each reason means")]
    return [ok(f"ready at {url}")]


def _of_counting(found: Site, kafka: Kafka, server: Redis, clock_ms: Callable[[], int]) -> list[Check]:
    """How far counting is. Without the settings of the aggregator its rules and its group are not known."""
    topic = found.events_topic
    checks = [Check("generation", partial(_check_generation, found, server), (redis_side.LOGIN,))]
    if found.aggregator is not None:
        needs = (kafka_side.BROKERS, "generation", f"topic {topic}")
        checks.append(Check("rules", partial(_check_rules, found, server), needs))
    if topic is not None:
        needs = (kafka_side.BROKERS, "generation", f"topic {topic}")
        checks.append(Check("lag", partial(_check_lag, found, kafka, server, topic, clock_ms), needs))
    return [*checks, Check("freshness", partial(_check_freshness, server, clock_ms), ("generation",))]


def _check_generation(found: Site, server: Redis) -> list[Finding]:
    live = server.record.live
    lanes = server.lanes if live is not None and live.is_readable else []
    committed = None if live is not None else _committed(found)
    return counting.judge_generation(server.record, lanes, committed=committed)


def _committed(found: Site) -> bool | None:
    """Whether the consumer group has ever counted; none where that cannot be asked."""
    if found.aggregator is None:
        return None
    cluster = Cluster(found.aggregator)
    try:
        return cluster.has_commits(found.aggregator.consumer_group, cluster.log().partitions)
    except PostponedError:
        return None


def _check_rules(found: Site, server: Redis) -> list[Finding]:
    live, settings = server.record.live, found.aggregator
    if live is None or settings is None:  # what this check needs has seen to both
        return []
    try:
        log = Cluster(settings).log()
    except PostponedError as error:
        raise UnansweredError(skipped(str(error))) from error
    return [counting.judge_rules(live, settings.rules, log)]


def _check_lag(
    found: Site, kafka: Kafka, server: Redis, topic: str, clock_ms: Callable[[], int]
) -> list[Finding]:
    lanes, ranges = _lanes(server), kafka.ranges(topic)
    through_ms, _ = counting.complete_through(lanes, list(ranges))
    has_archive = found.aggregator is not None and found.aggregator.archive_url != ""
    return counting.judge_lag(lanes, ranges, through_ms, clock_ms(), has_archive=has_archive)


def _check_freshness(server: Redis, clock_ms: Callable[[], int]) -> list[Finding]:
    lanes = _lanes(server)
    partitions = sorted({number for lane in lanes for number in (*lane.checkpoints, *lane.complete)})
    if not partitions:
        return [problem("nothing was ever counted", counting.LOOK_AT_WORKERS)]
    return [counting.judge_freshness(*counting.complete_through(lanes, partitions), clock_ms())]


def _lanes(server: Redis) -> list[Lane]:
    return [lane for lane in server.lanes if lane is not None]
