"""What SNS does to the made-up traffic loses nothing."""

import json
from collections import Counter
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from deploy.disorder import Disorder
from deploy.traffic import Event


@given(st.integers(), st.integers(0, 400), st.integers(1, 50))
def test_disorder_delivers_each_event_once_or_twice(seed: int, count: int, reach: int) -> None:
    """Nothing is lost; what comes a second time has its first SNS id, and only it has."""
    disorder = Disorder(Random(seed), reach)
    sent: list[Event] = [{"number": number} for number in range(count)]
    messages = [message for event in sent for message in disorder.push(event)] + disorder.flush()
    assert all(times in (1, 2) for times in Counter(message.sns_message_id for message in messages).values())
    assert sorted(json.loads(message.body)["number"] for message in set(messages)) == list(range(count))


def test_disorder_is_what_it_says() -> None:
    disorder = Disorder(Random(1))
    messages = [m for number in range(5_000) for m in disorder.push({"number": number})] + disorder.flush()
    numbers = [json.loads(message.body)["number"] for message in messages]
    assert 400 < len(messages) - 5_000 < 600
    assert sum(later < earlier for earlier, later in pairwise(numbers)) > 500
