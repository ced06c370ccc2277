"""How checks are run: in order, each by itself, and what cannot run says why."""

import pytest

from deploy.doctor.check import (
    Check,
    Finding,
    Row,
    State,
    UnansweredError,
    examine,
    is_healthy,
    ok,
    problem,
    skipped,
    stop,
)


def unanswered(finding: Finding) -> list[Finding]:
    raise UnansweredError(finding)


def states(*checks: Check) -> dict[str, list[State]]:
    found: dict[str, list[State]] = {}
    for row in examine(checks):
        found.setdefault(row.check, []).append(row.finding.state)
    return found


def test_what_needs_a_check_that_stopped_is_skipped_and_so_is_what_needs_that() -> None:
    rows = list(
        examine(
            [
                Check("address", lambda: [stop("nothing listens", "start it")]),
                Check("login", lambda: [ok("never")], ("address",)),
                Check("topics", lambda: [ok("never")], ("address", "login")),
                Check("other", lambda: [ok("by itself")]),
            ]
        )
    )
    assert [row.finding.state for row in rows] == ["problem", "skipped", "skipped", "ok"]
    assert rows[1].finding.what == "it needs: address"
    assert rows[2].finding.what == "it needs: address, login"


def test_a_problem_that_does_not_stop_lets_others_run() -> None:
    assert states(
        Check("address", lambda: [problem("one of three is down", "start it")]),
        Check("login", lambda: [ok("in")], ("address",)),
    ) == {"address": [State.PROBLEM], "login": [State.OK]}


@pytest.mark.parametrize("finding", [skipped("no right"), stop("no answer", "look")])
def test_an_unanswered_question_is_a_finding_and_ends_no_other_check(finding: Finding) -> None:
    rows = list(
        examine(
            [
                Check("first", lambda: unanswered(finding)),
                Check("second", lambda: [ok("all the same")]),
                Check("third", lambda: [ok("never")], ("first",)),
            ]
        )
    )
    assert rows[0] == Row("first", finding)
    assert [row.finding.state for row in rows[1:]] == ["ok", "skipped"]


def test_a_check_that_needs_a_later_one_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="b needs a"):
        list(examine([Check("b", list, ("a",)), Check("a", list)]))


def test_what_is_skipped_is_no_problem() -> None:
    assert is_healthy([Row("a", ok("")), Row("b", skipped(""))])
    assert not is_healthy([Row("a", ok("")), Row("b", problem("", ""))])
