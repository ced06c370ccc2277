import pytest
import typer

from aggregator.commands.arguments import instant, offsets


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        (None, None),
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01T01:00:01+01:00", 1_000),
    ],
)
def test_an_instant_is_of_utc_where_it_names_no_zone(text: str | None, ms: int | None) -> None:
    assert instant(text) == ms


@pytest.mark.parametrize("text", ["", "yesterday", "1970-13-01", "12:00"])
def test_what_is_no_instant_is_a_wrong_command_line(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="no ISO 8601"):
        instant(text)


def test_offsets_are_by_partition() -> None:
    assert offsets([]) == {}
    assert offsets(["3:17", "0:0"]) == {3: 17, 0: 0}


@pytest.mark.parametrize("texts", [["3"], ["3:"], ["-1:5"], ["3:1.5"], ["\u0663:1"], ["3:1", "03:2"]])
def test_offsets_of_another_form_or_given_twice_are_a_wrong_command_line(texts: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match="PARTITION:OFFSET"):
        offsets(texts)
