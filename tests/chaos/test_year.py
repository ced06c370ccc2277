"""The year in small, in its least size: all happens in it that happens in the large one."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from deploy.traffic import DAY
from tests.chaos.year.asking import Answer, Asking
from tests.chaos.year.mail import counted, year
from tests.chaos.year.run import SETTINGS, Size, Year
from tests.chaos.year.tally import EPOCH, Scopes, Tally
from tests.pipeline import oracle
from tests.pipeline.place import open_place, time_of

END_MS = 20_000 * DAY


def test_a_year_passes_and_every_number_is_right(
    kafka_bootstrap: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    archive = (tmp_path / "archive").as_uri()
    with open_place(kafka_bootstrap, tmp_path, ARCHIVE_URL=archive, **SETTINGS) as place:
        assert Year(place, Size(20_000, steps=73, kills=4, cuts=2), seed=2_025).run() == []
        record_property("events", sum(place.ends()))


def test_what_is_counted_by_steps_adds_up_to_a_count_of_all() -> None:
    """And each record of a step's mails is sent, in this step or a later one, repeated ones too."""
    steps = list(year(7, END_MS, 4_000, 73))
    sent = Counter(each for step in steps for each in step.records)
    assert sent == Counter(each for step in steps for each in step.mails)
    assert sent.total() > 3_800
    tally, whole = Tally(Scopes()), oracle.count((each.value, time_of(each.time_ms)) for each in sent)
    for step in steps:
        tally.add(counted(step.mails, oracle.PAGE).items())
    assert dict(tally.cells()) == whole.cells()
    assert tally.scopes() == set(whole.quarters)
    assert (tally.span()[1] - tally.span()[0]).days > 364


def test_a_tally_says_where_two_counts_differ() -> None:
    """Equal ones cancel out; a number too many or too few is left, with its cell."""
    at = datetime.fromisoformat("2025-03-01T10:15:00Z")
    cells = {(("a", "tenant", ""), at, "sent"): 3, (("a", "template", "t"), at, "opened_human"): 2}
    tally = Tally(Scopes())
    tally.add(cells.items())
    assert dict(tally.cells()) == cells
    tally.add(cells.items(), -1)
    assert len(tally) == 0
    tally.add([((("b", "tenant", ""), EPOCH, "rejected"), 1)], -1)
    assert dict(tally.cells()) == {(("b", "tenant", ""), EPOCH, "rejected"): -1}


def test_the_api_may_be_away_while_redis_is_wiped_and_at_no_other_time() -> None:
    answers = [Answer(0, 1, 200), Answer(1, 2, 503), Answer(3, 4, 503), Answer(4, 5, 502)]
    assert Asking(answers, [(1.5, 3.5)]).wrong() == [Answer(4, 5, 502)]
