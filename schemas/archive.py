"""The archive: Parquet files that hold of each record of the events topic what counting reads of it.

For those who query it. A file covers the offsets [first, next) of one partition and is called
`TOPIC-ID/PARTITION/FIRST-NEXT.parquet` below `ARCHIVE_URL`. A record is known by topic_id, partition and
offset; files may overlap while they are merged, or where two archivers ran, so count each of these once. Rows
of a file stand in the order of their offsets. Any reader of Parquet takes them as they are:

    SELECT type, count(DISTINCT (topic_id, partition, "offset"))
    FROM read_parquet('/archive/*/*/*.parquet', union_by_name = true) GROUP BY type

`deploy/examples` has queries that are right about copies, erased tenants and all rules, and how to begin.

What is not here: addresses, subjects, headers, IPs, links. What senders wrote into tags is. A recipient is
`blake2b(address, key = RECIPIENT_KEY, digest_size = 16)`.

Law: the schema evolves by adding. A column that a file lacks is null in all of its rows; a name never gets
another meaning, or `VERSION` moves. Readers refuse a version that they do not know.
"""

from typing import Final, NamedTuple

VERSION: Final = 1


class Column(NamedTuple):
    """A column. type: in words of Arrow, `ms` for an instant in milliseconds, UTC."""

    name: str
    type: str
    meaning: str


COLUMNS: Final = (
    Column("topic_id", "string", "Kafka's id of the topic: one made anew under the same name has another"),
    Column("partition", "int32", "the partition of the record"),
    Column("offset", "int64", "its offset there"),
    Column("record_time", "ms", "the record's own Kafka time"),
    Column(
        "reason",
        "string",
        "unreadable or too_large: without a type the whole record, with one its list of recipients; erased:"
        " of a tenant that was erased, nothing else is kept of it; null for nearly all",
    ),
    Column("type", "string", "SES's eventType (or notificationType), also one that is not counted"),
    Column("notification", "bool", "whether it is of the older kind, with notificationType"),
    Column("message_id", "string", "mail.messageId"),
    Column("sent_time", "ms", "mail.timestamp, cut to the millisecond; null where it is no time"),
    Column("event_time", "ms", "the event's own time; that of the mail where its type has none"),
    Column("tags", "map<string, list<string>>", "mail.tags, but for those with IPs and those dropped"),
    Column(
        "odd_tags",
        "string",
        "in place of tags where one is no list of texts: JSON, the record as it was without all else",
    ),
    Column("bounce_type", "string", "bounce.bounceType"),
    Column("bounce_sub_type", "string", "bounce.bounceSubType"),
    Column("complaint_feedback_type", "string", "complaint.complaintFeedbackType"),
    Column("unsubscribe_all", "bool", "subscription.newTopicPreferences.unsubscribeAll"),
    Column("is_bot_event", "string", "isBotEvent of an open or click; empty where it is no text"),
    Column("user_agent", "string", "userAgent of the event"),
    Column("recipients", "list<binary(16)>", "the pseudonyms of those that the event is about, each once"),
)

ERASED: Final = "erased"
"""The reason of a row of which place and record time alone are left (`schemas.topics`)."""

ALWAYS_DROPPED: Final = frozenset({"ses:source-ip", "ses:outgoing-ip"})
"""Tags of SES's own that hold IPs: no archive has them."""

METADATA: Final = "ses-metrics."
"""What the keys of our metadata in a file's footer begin with; their names follow."""

VERSION_KEY: Final = f"{METADATA}version"
CLUSTER_KEY: Final = f"{METADATA}cluster-id"
KEY_CHECK_KEY: Final = f"{METADATA}recipient-key-check"
"""A keyed hash of a constant: the same in all files whose pseudonyms were made with one key."""
DROPPED_KEY: Final = f"{METADATA}dropped-tags"
"""The names of tags that were not kept, separated by commas, in order."""
