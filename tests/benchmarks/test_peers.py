"""The peers do the same work as we do, and each is a program that is there."""

import json
from collections import Counter
from pathlib import Path

import pytest

from deploy.jars import Jars
from tests.benchmarks.events import records
from tests.benchmarks.expected import expected
from tests.benchmarks.peers import table, work
from tests.benchmarks.workload import SHAPES, Shape, happenings

EVENTS = 5_000


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_facts_of_the_peers_are_ours(shape: Shape) -> None:
    """Counted once each, they give the totals that we must give; so no peer is fast by doing less."""
    stated = [
        fact for record in records(happenings(shape, EVENTS)) for fact in work.facts(json.loads(record.value))
    ]
    once = {(fact.message, fact.what): fact for fact in reversed(stated)}
    totals: dict[str, Counter[str]] = {}
    for fact in once.values():
        totals.setdefault(fact.tenant, Counter())[fact.what.split()[0]] += 1
    reported = {tenant: [counts[field] for field in work.FIELDS] for tenant, counts in totals.items()}
    wanted = expected(shape, EVENTS).totals()
    assert reported == {
        tenant: core
        for tenant, counts in wanted.items()
        if any(core := counts[: len(work.FIELDS)])  # details are not the peers' work
    }


def test_each_peer_is_a_program_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of its own, a file that is there, pinned requirements, and a word on its guarantees."""
    environments = []

    def environment(name: str) -> Path:
        environments.append(name)
        return Path("python")

    monkeypatch.setattr(table, "environment", environment)
    monkeypatch.setattr(Jars, "fetch", lambda _: None)
    here = Path(table.__file__).parent
    for peer in table.PEERS:
        command = peer.command("h:1", "t", "redis://h")
        module = command[2].rpartition(".")[2]
        program = Path(command[3]) if command[0] == "java" else here / f"{module}.py"
        assert program.is_file()
        assert peer.guarantees
        assert peer.documentation
    assert len({peer.name for peer in table.PEERS}) == len(table.PEERS)
    for name in set(environments):
        assert "--hash=sha256:" in (here / "requirements" / f"{name}.txt").read_text()
