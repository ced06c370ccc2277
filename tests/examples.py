"""How many examples Hypothesis tries: all of them in `make test`, a part in `make unit`."""

from typing import Final

from hypothesis import settings

OF: Final = 100
"""The examples of a test that says nothing of its own, in `make test`."""


def examples(number: int) -> int:
    """The number for a test that wants so many of its own: as many, or the part that the profile takes."""
    return max(1, number * settings().max_examples // OF)
