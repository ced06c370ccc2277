"""The Faust app: one agent that takes batches of the events topic, and none of Faust's own state.

No tables, no changelogs, no commits of Faust's own: what is counted stands in Redis, with its position.
"""

from pathlib import Path
from typing import Any

import faust
from faust.auth import Credentials
from faust.tables.manager import TableManager
from yarl import URL

from aggregator.config import AggregatorSettings
from aggregator.log.faust_transport import Consumer, Transport
from aggregator.log.source import Source, Subscriber
from schemas.topics import EVENT_MAX_BYTES


class App(faust.App):
    """A Faust app that knows what it delivers, and to whom."""

    events_topic: str
    subscriber: Subscriber

    @property
    def source(self) -> Source:
        """What delivers. Made by Faust with the first question."""
        consumer = self.consumer
        if not isinstance(consumer, Consumer):
            raise TypeError("Faust made another consumer than our transport's")
        return consumer


class _Values(faust.Schema):  # type: ignore[type-arg]  # faust's generic takes no parameters at run time
    """The value of a message is a batch already; there is nothing to decode."""

    def loads_key(self, app: Any, message: Any, **_options: Any) -> Any:  # noqa: ARG002
        return message.key

    def loads_value(self, app: Any, message: Any, **_options: Any) -> Any:  # noqa: ARG002
        return message.value


class _NoTables(TableManager):
    """Starts without the second that Faust waits for tables."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


def make_app(settings: AggregatorSettings, subscriber: Subscriber, directory: Path) -> App:
    """A Faust app that delivers batches to a subscriber.

    settings: where Kafka is, the topic and the group. directory: where Faust may make its folders.
    """
    brokers = [URL(f"kafka://{each.strip()}") for each in settings.kafka_bootstrap_servers.split(",")]
    app = App(
        settings.consumer_group,
        broker=brokers,
        broker_credentials=_credentials(settings),
        autodiscover=False,
        datadir=str(directory),
        store="memory://",
        web_enabled=False,
        TableManager=_NoTables,
        table_standby_replicas=0,
        stream_recovery_delay=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=8 * EVENT_MAX_BYTES,
        consumer_metadata_max_age_ms=5_000,
        broker_max_poll_records=20_000,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=60.0,
    )
    app.events_topic = settings.events_topic
    app.subscriber = subscriber
    app.transport = Transport(brokers, app)
    events = app.topic(settings.events_topic, schema=_Values(), acks=False, internal=True)

    @app.agent(events)
    async def count(batches: Any) -> None:
        async for batch in batches:
            await subscriber.take(batch)

    return app


def _credentials(settings: AggregatorSettings) -> Credentials | None:
    """What `settings.aiokafka()` says, in Faust's words."""
    options = settings.aiokafka()
    context = options["ssl_context"]
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None
