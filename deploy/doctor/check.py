"""What a check is, and how checks are run one after the other.

Law: checks are independent. One that cannot run because another one failed is skipped, and says which; what
one cannot find out is a finding of its own and ends no other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    what: is so, in words for a person, without passwords. fix: what to do about a problem, or to have done
    what was skipped. blocks: whether checks that need this one cannot run.
    """

    state: State
    what: str
    fix: str = ""
    blocks: bool = False


def ok(what: str) -> Finding:
    """All is well."""
    return Finding(State.OK, what)


def problem(what: str, fix: str) -> Finding:
    """Something is wrong, and other checks can still run."""
    return Finding(State.PROBLEM, what, fix)


def stop(what: str, fix: str) -> Finding:
    """Something is wrong, and what needs this check cannot run."""
    return Finding(State.PROBLEM, what, fix, blocks=True)


def skipped(why: str, fix: str = "", *, blocks: bool = True) -> Finding:
    """It could not be looked at. blocks: so what needs it cannot be either."""
    return Finding(State.SKIPPED, why, fix, blocks)


class UnansweredError(Exception):
    """A server did not answer what a check asked. finding: says so."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    run: gives at least one finding, or raises UnansweredError. needs: names of checks before it.
    """

    name: str
    run: Callable[[], Iterable[Finding]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A finding and the check that it is of."""

    check: str
    finding: Finding


def examine(checks: Sequence[Check]) -> Iterator[Row]:
    """Run checks in their order. Yields: the findings of each as soon as it is done.

    Raises: ValueError for a check that needs one that is not before it.
    """
    blocked: dict[str, bool] = {}
    for check in checks:
        if unknown := [name for name in check.needs if name not in blocked]:
            raise ValueError(f"{check.name} needs {', '.join(unknown)}, not before it")
        missing = [name for name in check.needs if blocked[name]]
        findings = [skipped(f"it needs: {', '.join(missing)}")] if missing else _found(check)
        blocked[check.name] = any(each.blocks for each in findings)
        yield from (Row(check.name, each) for each in findings)


def _found(check: Check) -> list[Finding]:
    try:
        return list(check.run())
    except UnansweredError as error:
        return [error.finding]


def is_healthy(rows: Iterable[Row]) -> bool:
    """Whether no check found a problem; what was skipped is none."""
    return all(row.finding.state is not State.PROBLEM for row in rows)
