"""What Kafka is asked: nothing is written, no group is joined, no offset committed."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, NamedTuple
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource

from deploy.doctor import topics
from deploy.doctor.check import Check, Finding, UnansweredError, ok, problem, skipped, stop
from deploy.doctor.network import check_addresses, check_tls, speaks_tls, why_unreachable
from deploy.doctor.rights import KafkaRight, judge_kafka, kafka_rights
from deploy.doctor.site import Site, kafka_addresses
from schemas import topics as contract
from schemas.shared.kafka_causes import Causes
from schemas.shared.kafka_errors import describe, lacks_a_right
from schemas.shared.settings import KafkaSettings

TIMEOUT_S: Final = 5.0
TRY_S: Final = 1.0
SETTING: Final = "KAFKA_BOOTSTRAP_SERVERS"
LOGIN: Final = "kafka login"
BROKERS: Final = "kafka brokers"
"""What all else needs: that they can be talked to where they say that they are."""

_IN_VAIN: Final = {KafkaError._TIMED_OUT, KafkaError._TRANSPORT}
"""What a try says that had not time enough: the latter where no connection came about in it."""

_LOOK_AT: Final = "look at Kafka's log, and ask again"


class Kafka:
    """A Kafka, asked by one check after the other. Connects with the first query."""

    def __init__(self, settings: KafkaSettings) -> None:
        """settings: where it is. Raises: KafkaException where librdkafka can't make sense of them."""
        self.settings = settings
        self._causes = Causes()
        self._config: dict[str, Any] = {**settings.librdkafka(), "error_cb": self._causes.hear}
        self._admin = AdminClient(self._config)

    @cached_property
    def brokers(self) -> dict[int, tuple[str, int]]:
        """Where the brokers say that they are, by id, as seen first. Raises: KafkaException."""
        found = self._list_brokers()
        return {number: (str(broker.host), int(broker.port)) for number, broker in found.items()}

    def _list_brokers(self) -> Mapping[int, Any]:
        """Ask again in time: librdkafka may ask a broker that is nowhere, and lose the question.

        Nor is one try the time that a connection and a login may take.
        """
        until = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self._admin.list_topics(timeout=TRY_S).brokers
            except KafkaException as error:
                if error.args[0].code() not in _IN_VAIN or time.monotonic() > until:
                    raise

    def why(self, error: KafkaException) -> str:
        """Why a call has failed."""
        self._admin.poll(0)  # delivers what librdkafka has for `error_cb`
        return self._causes.why(error)

    @contextmanager
    def asking(self, wants: str) -> Iterator[None]:
        """Make an UnansweredError of what Kafka does not answer. wants: the right that it takes."""
        try:
            yield
        except KafkaException as error:
            if lacks_a_right(error):
                why, fix = describe(error, wants=wants), "run it once with the login of an administrator"
                raise UnansweredError(skipped(why, fix, blocks=False)) from error
            raise UnansweredError(stop(self.why(error), _LOOK_AT)) from error

    def topic(self, name: str) -> Any:
        """A topic with what our user may do with it (confluent-kafka's TopicDescription).

        Raises: KafkaException.
        """
        asked = self._admin.describe_topics(
            TopicCollection([name]), include_authorized_operations=True, request_timeout=TIMEOUT_S
        )
        return asked[name].result()

    def group_operations(self, name: str) -> set[str]:
        """What our user may do with a consumer group. Raises: KafkaException."""
        asked = self._admin.describe_consumer_groups(
            [name], include_authorized_operations=True, request_timeout=TIMEOUT_S
        )
        return {operation.name for operation in asked[name].result().authorized_operations}

    def config(self, name: str) -> dict[str, str]:
        """All settings of a topic. Raises: UnansweredError."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        with self.asking(f"DESCRIBE_CONFIGS on {name}"):
            entries = self._admin.describe_configs([resource], request_timeout=TIMEOUT_S)[resource].result()
        return {key: str(entry.value) for key, entry in entries.items()}

    @contextmanager
    def consumer(self) -> Iterator[Consumer]:
        """What reads records and joins no group."""
        consumer = Consumer(
            {
                **self._config,
                "group.id": f"doctor-{uuid4()}",  # librdkafka wants a name
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
            }
        )
        try:
            yield consumer
        finally:
            consumer.close()

    def ranges(self, topic: str) -> dict[int, tuple[int, int]]:
        """First offset and end of each partition. Raises: UnansweredError."""
        with self.asking(f"DESCRIBE on {topic}"), self.consumer() as consumer:
            found = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
            return {
                number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)
                for number in sorted(found.partitions)
            }

    def newest(self, topic: str) -> list[Message]:
        """The last record of each partition that has one. Raises: UnansweredError."""
        ends = {number: end for number, (start, end) in self.ranges(topic).items() if end > start}
        with self.asking(f"READ on {topic}"), self.consumer() as consumer:
            consumer.assign([TopicPartition(topic, number, end - 1) for number, end in ends.items()])
            found: dict[int | None, Message] = {}
            until = time.monotonic() + TIMEOUT_S
            while len(found) < len(ends) and time.monotonic() < until:
                for message in consumer.consume(len(ends), timeout=0.2):
                    if (error := message.error()) is not None:
                        raise KafkaException(error)
                    found.setdefault(message.partition(), message)
            return list(found.values())


class _Description(NamedTuple):
    """What describing a topic gave: its description, or why there is none."""

    topic: Any
    error: KafkaException | None


def checks(site: Site, kafka: Kafka) -> list[Check]:
    """The checks of Kafka, of its topics, and of what the programs may do there."""
    settings = kafka.settings
    addresses = kafka_addresses(settings)
    found = [Check("kafka address", lambda: check_addresses(addresses, SETTING))]
    before = ["kafka address"]
    if settings.kafka_security_protocol.endswith("SSL"):
        found.append(Check("kafka tls", lambda: [_check_tls(settings)], tuple(before)))
        before.append("kafka tls")
    found.append(Check(LOGIN, lambda: [_check_login(kafka)], tuple(before)))
    found.append(Check(BROKERS, lambda: _check_brokers(kafka), (LOGIN,)))
    for name, wanted in site.topics.items():
        found.append(Check(f"topic {name}", _topic_check(kafka, name, wanted), (BROKERS,)))
    found.append(Check("kafka rights", lambda: _check_rights(site, kafka), (BROKERS,)))
    return found


def _check_tls(settings: KafkaSettings) -> Finding:
    files = (
        settings.kafka_ssl_ca_location,
        settings.kafka_ssl_certificate_location,
        settings.kafka_ssl_key_location,
    )
    return check_tls(kafka_addresses(settings), files, "KAFKA", SETTING)


def _check_login(kafka: Kafka) -> Finding:
    settings = kafka.settings
    try:
        brokers = kafka.brokers
    except KafkaException as error:
        why = kafka.why(error)
        encrypted = settings.kafka_security_protocol.endswith("SSL")
        if not encrypted and any(map(speaks_tls, kafka_addresses(settings))):
            return stop(
                f"Kafka speaks TLS there, and KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}",
                "KAFKA_SECURITY_PROTOCOL=SASL_SSL, or SSL where it asks for no login",
            )
        if "login" in why:
            return stop(
                why,
                f"KAFKA_SASL_* of the user {settings.kafka_sasl_username}, as deploy/security/kafka.sh makes"
                " it",
            )
        return stop(
            f"Kafka answers no query: {why}",
            "KAFKA_SECURITY_PROTOCOL must be that of the listener whose port KAFKA_BOOTSTRAP_SERVERS names",
        )
    user = settings.kafka_sasl_username or "nobody"
    return ok(f"{user}, by {settings.kafka_security_protocol}; {len(brokers)} brokers")


def _check_brokers(kafka: Kafka) -> list[Finding]:
    """Programs talk to the brokers where these say that they are, not where the settings say."""
    why = {number: why_unreachable(address) for number, address in kafka.brokers.items()}
    report = stop if all(why.values()) else problem
    bad = [
        report(
            f"broker {number} says that it is elsewhere than where it can be reached from here: {text}",
            "advertised.listeners of that broker must hold a name and port that all programs can reach",
        )
        for number, text in why.items()
        if text is not None
    ]
    return bad or [ok("all can be reached where they say that they are")]


def _topic_check(kafka: Kafka, name: str, wanted: contract.TopicConfig) -> Callable[[], list[Finding]]:
    def check() -> list[Finding]:
        described = _describe(kafka, name)
        if described.error is not None:
            if lacks_a_right(described.error):
                return [skipped(f"this Kafka user may not look at {name}", "see kafka rights")]
            return [
                stop(
                    f"{name}: {kafka.why(described.error)}",
                    "`ses-metrics-topics` (python -m deploy.topics) creates it; a topic of another name is"
                    " set by EVENTS_TOPIC, DEAD_LETTER_TOPIC, ERASURES_TOPIC",
                )
            ]
        partitions = described.topic.partitions
        replicas = min(len(each.replicas) for each in partitions)
        config, brokers = kafka.config(name), len(kafka.brokers)
        return topics.judge(topics.Topic(name, len(partitions), replicas, config, brokers), wanted)

    return check


def _check_rights(site: Site, kafka: Kafka) -> list[Finding]:
    wanted = kafka_rights(site.names, site.names_in_kafka)
    granted: dict[tuple[str, str], set[str]] = {}
    missing: list[Finding] = []
    for kind, name in dict.fromkeys((each.kind, each.name) for each in wanted):
        operations = _operations(kafka, kind, name)
        if operations is None:
            missing.append(skipped(f"{name} is not there, so its rights cannot be seen"))
        else:
            granted[kind, name] = operations
    seen: list[KafkaRight] = [each for each in wanted if (each.kind, each.name) in granted]
    user = kafka.settings.kafka_sasl_username or "ANONYMOUS"
    return [*judge_kafka(seen, granted, user), *missing] if seen else missing


def _operations(kafka: Kafka, kind: str, name: str) -> set[str] | None:
    """What our user may do with a topic or a group; none where there is no such topic."""
    try:
        if kind == "group":
            return kafka.group_operations(name)
        return {operation.name for operation in kafka.topic(name).authorized_operations}
    except KafkaException as error:
        if lacks_a_right(error):
            return set()
        if kind == "topic":
            return None
        raise UnansweredError(stop(kafka.why(error), _LOOK_AT)) from error


def _describe(kafka: Kafka, name: str) -> _Description:
    try:
        return _Description(kafka.topic(name), None)
    except KafkaException as error:
        return _Description(None, error)


def header(message: Message, name: str) -> str:
    """A header of a record as text; empty where it has none of that name."""
    headers: Mapping[str, Any] = dict(message.headers() or [])
    raw = headers.get(name)
    return raw.decode(errors="replace") if isinstance(raw, bytes) else ""
