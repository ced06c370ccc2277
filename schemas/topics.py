"""The Kafka topics: what each holds, how it is keyed and configured, and the headers of its records.

Kafka holds what must survive; Redis can be rebuilt from `ses-events` and `ses-erasures` alone. Topics use
`CreateTime` (the rules of counting check a record against its own time), are never compacted but for
`api-keys` and `ses-erasures`, and are written without transactions, so their offsets are dense.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec

EVENT_MAX_BYTES: Final = 1_114_112
"""Largest record batch on the events topic: a 1 MiB webhook body, its key and its headers."""

DEAD_LETTER_MAX_BYTES: Final = EVENT_MAX_BYTES + 65_536
"""A dead letter is the original record and up to 64 KiB of headers that say where it came from."""

VALUE_MAX_BYTES: Final = 1024 * 1024
RECORD_MAX_BYTES: Final = VALUE_MAX_BYTES + 65_536
"""A record whose value, or whose key, value and headers together, unpack to more is `too_large`. The broker
limits only what a batch is packed to."""

CUT_VALUE_BYTES: Final = 65_536
CUT_KEY_BYTES: Final = 1024
"""So much of the value and of the key is kept in a dead letter `too_large`."""

API_KEYS_TOPIC: Final = "api-keys"

SNS_MESSAGE_ID: Final = "sns-message-id"
SNS_TOPIC_ARN: Final = "sns-topic-arn"

REASON: Final = "reason"
SOURCE_TOPIC: Final = "source-topic"
SOURCE_PARTITION: Final = "source-partition"
SOURCE_OFFSET: Final = "source-offset"
SOURCE_KEY: Final = "source-key"
SOURCE_TIMESTAMP: Final = "source-timestamp"
VALUE_BYTES: Final = "value-bytes"
"""Headers of a dead letter: UTF-8 text, numbers in decimal, time in milliseconds, `source-key` raw.
`value-bytes` is on those that are `too_large`: the true length of the value."""


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """How a topic is created: its partitions and its broker-side configuration."""

    partitions: int
    config: dict[str, str] = field(default_factory=dict)


_KEPT_FOR_EVER: Final = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "CreateTime",
}

EVENTS: Final = TopicConfig(4, {**_KEPT_FOR_EVER, "max.message.bytes": str(EVENT_MAX_BYTES)})
"""SES's own bytes, keyed by `mail.messageId` (else the SNS MessageId). The truth."""

DEAD_LETTERS: Final = TopicConfig(1, {**_KEPT_FOR_EVER, "max.message.bytes": str(DEAD_LETTER_MAX_BYTES)})
"""What could not be read, byte for byte (null stays null; `too_large` is cut), keyed by topic, partition and
offset."""

API_KEYS: Final = TopicConfig(1, {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"})
"""API key records (SHA-256 of the secret), keyed by the key's id. One partition, so their order is total."""

ERASURES: Final = TopicConfig(1, {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"})
"""Which tenants are erased, and up to when. One partition: the offset of a record there is the number of its
erasure."""

ERASURE_VERSION: Final = 1
"""Readers refuse a version that they do not know: what they did not read they would count."""


class ErasureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """That a tenant is erased: a record of the events topic that is its, and not later, states nothing.

    through_ms: the Kafka time, in ms since 1970, of the last record that states nothing any more.

    Operators alone write it, by `python -m aggregator erase`. The key is the time and the tenant, so
    compaction keeps every erasure, and of several of one tenant the latest time holds, in whatever order they
    were written. An erasure is never taken back: a record without a value changes nothing, and nobody may
    write one, as compaction would then take the erasure away. What the topic says must never be lost: a
    rebuild that did not know it would count the tenant's past again from records that Kafka still has.
    """

    version: Annotated[int, msgspec.Meta(ge=ERASURE_VERSION, le=ERASURE_VERSION)] = ERASURE_VERSION
    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    through_ms: Annotated[int, msgspec.Meta(ge=0)]

    @property
    def key(self) -> str:
        """The record's key."""
        return f"{self.through_ms}:{self.tenant}"
