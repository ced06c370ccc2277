"""What `explain` says in words has words for all that there is."""

from aggregator.commands.explain import MEANS, WHY
from aggregator.counting.facts import Refusal, Skipped
from aggregator.tracing.standing import Word


def test_every_outcome_and_standing_has_its_words() -> None:
    assert set(WHY) == {*Skipped, *Refusal}
    assert set(MEANS) == set(Word)
