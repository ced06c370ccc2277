"""The corpus of odd inputs: what our decoder makes of each, and that any other decoder is told apart."""

import json
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from aggregator.counting.corpus import CORPUS, REFUSED, TAG_NAMES, Decode, decoder_digest, digest, outcomes
from aggregator.counting.events import EventDecoder
from schemas.ses import Event, Record, unwrapped
from tests.aggregator.law import _json_object, _Out

PINNED: Final = Path(__file__).parent / "corpus_outcomes.json"
OURS: Final = EventDecoder(TAG_NAMES)
TOO_GREAT: Final = ("5000 digits", "larger than any float", "a huge exponent")
"""Numbers that are JSON, and that our decoder refuses where it has to tell how great they are."""


def short(outcome: str) -> str:
    """An outcome that a file can hold."""
    if len(outcome) <= 120:
        return outcome
    return f"{outcome[:60]}... sha256 {sha256(outcome.encode()).hexdigest()}"


def test_every_outcome_is_the_one_that_is_written_down() -> None:
    """A decoder that takes a case otherwise counts otherwise: it may come, with a changed line in this file.

    (`python -m tests.aggregator.counting.test_corpus` writes the file anew.)
    """
    pinned = json.loads(PINNED.read_text())
    found = {name: short(outcome) for name, outcome in outcomes(OURS.decode).items()}
    assert found.keys() == pinned.keys()
    assert {name: (found[name], pinned[name]) for name in found if found[name] != pinned[name]} == {}


def test_refused_is_what_the_second_statement_of_the_law_refuses() -> None:
    """But for numbers that no float or machine can hold, which that one does not look at."""
    for name, outcome in outcomes(OURS.decode).items():
        try:
            _json_object(CORPUS[name])
        except _Out:
            assert outcome == REFUSED, name
        else:
            assert outcome != REFUSED or name.startswith(TOO_GREAT), name


def test_each_case_counts_and_none_stands_twice() -> None:
    """Taken otherwise in any single case, the corpus has another hash."""
    assert len(set(CORPUS.values())) == len(CORPUS)
    ours, hashes = {value: OURS.decode(value) for value in CORPUS.values()}, set()
    for value in CORPUS.values():
        other = None if ours[value] is not None else Event[Any]()
        hashes.add(digest((ours | {value: other}).__getitem__))
    assert len(hashes | {digest(ours.__getitem__)}) == len(CORPUS) + 1


def by_the_standard_library(load: Callable[[bytes], Any]) -> Decode:
    """A decoder of another make: the same types, from another parser."""
    record = Record[OURS.tags]  # type: ignore[name-defined]  # made at run time

    def decode(value: bytes) -> Event[Any] | None:
        try:
            return unwrapped(msgspec.convert(load(value), record))
        except (ValueError, RecursionError, msgspec.ValidationError):
            return None

    return decode


def first_of_equal_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (json.loads, "NaN, skipped"),
        (lambda value: json.loads(value, object_pairs_hook=first_of_equal_keys), "the type twice"),
        (lambda value: json.loads(value, parse_int=float), "the largest exact, as message id"),
        (lambda value: json.loads(value.decode(errors="replace")), "Latin-1, skipped"),
        (lambda value: json.loads(value.decode("utf-8-sig")), "a byte order mark"),
        (lambda value: json.loads(value, strict=False), "a tab within, as message id"),
        (lambda value: json.JSONDecoder().raw_decode(value.decode())[0], "a letter after"),
    ],
    ids=["Python's", "first key", "floats", "replaces", "skips the BOM", "control characters", "trailing"],
)
def test_a_decoder_of_another_make_is_reported_apart(load: Callable[[bytes], Any], name: str) -> None:
    other = by_the_standard_library(load)
    assert digest(other) != digest(OURS.decode)
    assert outcomes(other)[name] != outcomes(OURS.decode)[name]


def test_the_hash_does_not_depend_on_who_asks() -> None:
    """However deep the stack of the caller is, and however often it asks."""

    def deep(levels: int) -> str:
        return deep(levels - 1) if levels else decoder_digest()

    decoder_digest.cache_clear()
    left = sys.getrecursionlimit() - 250
    assert deep(left) == digest(OURS.decode) == decoder_digest()


def test_the_corpus_is_short() -> None:
    """Every process of the aggregator runs it at its start: well under 100 ms of processor time."""
    decoder_digest.cache_clear()
    began = time.process_time()
    decoder_digest()
    assert time.process_time() - began < 0.1


if __name__ == "__main__":
    reported = {name: short(outcome) for name, outcome in outcomes(OURS.decode).items()}
    PINNED.write_text(json.dumps(reported, indent=0) + "\n")
