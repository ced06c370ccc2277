import io

import pytest
import typer
from rich.console import Console

from aggregator.commands.output import errors_in_a_line, row, table
from aggregator.counting.cells import Cell, Difference
from aggregator.errors import GoneError, RefusedError


@pytest.mark.parametrize("error", [RefusedError("not so"), GoneError("not [/so]"), LookupError("not so")])
def test_an_expected_error_is_a_line_on_stderr_and_exit_code_1(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, errors_in_a_line(LookupError):
        raise error
    assert ended.value.exit_code == 1
    assert capsys.readouterr() == ("", f"{type(error).__name__}: {error}\n")


def test_a_defect_of_ours_is_not_hidden() -> None:
    with pytest.raises(KeyError), errors_in_a_line(ValueError):
        raise KeyError("ours")


def test_a_difference_is_a_row_with_its_time_in_iso_and_none_for_a_known_id() -> None:
    counted = Difference(Cell("one", "tenant", "", 3_600_000, "sent"), 2, 1)
    assert row(counted, "new", "old") == {
        "tenant": "one",
        "scope": "tenant",
        "id": "",
        "at": "1970-01-01T01:00:00Z",
        "field": "sent",
        "new": 2,
        "old": 1,
    }
    assert row(Difference(Cell("one", "sequence", "s", None, "known"), 1, 0))["at"] is None


@pytest.mark.parametrize("text", ["[/b]", "[red]x[/]", "*?[a-z]", "日本の店"])
def test_a_table_shows_what_a_tenant_wrote_as_it_stands(text: str) -> None:
    shown = io.StringIO()
    Console(file=shown, width=80).print(table("Rows", [{"tenant": text, "number": 1}]))
    assert text in shown.getvalue()


def test_a_table_shows_nothing_that_a_terminal_would_act_on() -> None:
    shown = io.StringIO()
    Console(file=shown, width=80).print(table("Rows", [{"tenant": "\x1b[2J\rx"}]))
    assert "\x1b" not in shown.getvalue()
    assert r"\x1b[2J\rx" in shown.getvalue()
