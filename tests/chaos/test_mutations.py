"""Each planted fault turns its targeted case red: the cases can fail, and the protocol needs each line."""

from pathlib import Path

import pytest

from tests.chaos.mutations import MUTATIONS, Mutation, plant, run
from tests.services import KAFKA_VARIABLE

TESTS_FAILED = 1
"""pytest's exit status where a test has failed, and nothing else went wrong."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_planted_fault_turns_its_case_red(mutation: Mutation, kafka_bootstrap: str, tmp_path: Path) -> None:
    tree = tmp_path / "broken"
    tree.mkdir()
    plant(mutation, tree)
    status, said = run(mutation.case, tree, {KAFKA_VARIABLE: kafka_bootstrap})
    assert status == TESTS_FAILED, said
    assert mutation.because in said, said


def test_a_copy_without_a_fault_is_green(kafka_bootstrap: str, tmp_path: Path) -> None:
    """What turns a case red is the fault, and not that it runs on a copy."""
    tree = tmp_path / "whole"
    tree.mkdir()
    plant(None, tree)
    status, said = run(MUTATIONS[0].case, tree, {KAFKA_VARIABLE: kafka_bootstrap})
    assert status == 0, said
