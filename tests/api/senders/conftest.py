"""Tenants of whom it is known how they are."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from tests.api.conftest import NOW_MS
from tests.api.writer import Counted, Writer

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
FIRST = datetime(2025, 9, 11, tzinfo=UTC)
"""The first of the seven days of `NOW`."""

HEALTHY, BOUNCING, DISLIKED, SMALL = "{healthy}:1", "bounc/ing", "disliked\n", "small"


def mails(tenant: str, *, sent: int = 0, complained: int = 0, bounced_hard: int = 0) -> Iterable[Counted]:
    """Mails of some days; as many a day before the first count for nothing, and wide days among them."""
    day = timedelta(days=1)
    for field, count in (("sent", sent), ("complained", complained), ("bounced_hard", bounced_hard)):
        if count:
            yield Counted(FIRST, field, count // 2, tenant, sequence="s")
            yield Counted(NOW, field, count - count // 2, tenant)
            yield Counted(FIRST - day / 96, field, count, tenant)
            yield Counted(NOW + day, field, count, tenant)
    yield from (Counted(FIRST + hour * day / 24, "delivered", sent // 100, tenant) for hour in range(100))


def write(writer: Writer) -> None:
    """One of each kind; sent, delivered, bounced_hard and complained are those that the tests know."""
    writer.write(mails(HEALTHY, sent=5_000, bounced_hard=249, complained=4))
    writer.write(mails(BOUNCING, sent=2_000, bounced_hard=100))
    writer.write(mails(DISLIKED, sent=1_000, bounced_hard=49, complained=5))
    writer.write(mails(SMALL, sent=900, bounced_hard=900, complained=900))
