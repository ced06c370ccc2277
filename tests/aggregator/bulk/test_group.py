"""A share is given away in good order, and one that nobody holds any more is taken over: on a real Kafka."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from aggregator.bulk.group import Membership
from schemas.shared.settings import EventsSettings
from schemas.topics import TopicConfig
from tests import services

LIMIT_S = 60.0
ALL = frozenset(range(4))


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str) -> EventsSettings:
    topic = f"{topic_prefix}events"
    services.create_topics(kafka_bootstrap, {topic: TopicConfig(len(ALL))})
    return EventsSettings(kafka_bootstrap_servers=kafka_bootstrap, events_topic=topic)


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def held(member: Membership) -> frozenset[int]:
    with member.held() as numbers:
        return numbers


def test_what_is_held_is_given_away_only_once_it_is_let_go(settings: EventsSettings) -> None:
    """The one who comes waits for it; the one who leaves is replaced at once; together they have all."""
    group = f"{settings.events_topic}-group"
    with Membership(settings, group) as first:
        wait_until(lambda: held(first) == ALL)
        with ExitStack() as later:
            with first.held() as numbers:
                assert numbers == ALL
                second = later.enter_context(Membership(settings, group))
                wait_until(lambda: first.has_changed)
                assert not second.wait(2.0), "what another one counts just now was given to it"
            wait_until(lambda: second.has_changed)
            assert (len(held(first)), len(held(second))) == (2, 2)
            assert held(first) | held(second) == ALL
        wait_until(lambda: held(first) == ALL)
