"""The boards are what their tables say, ask for metrics that exist, and leave none of ours out in silence.

Whether each query has data is shown in `tests/pipeline/test_prometheus.py`.
"""

import json
import re
from typing import Any

import pytest

from deploy.grafana.files import FILES
from deploy.grafana.panels import written
from tests.deploy.test_alarms import METRICS, NAME, REGISTRIES, RULES, names

BOARDS = {board.name: board for board in FILES.values()}
ASKED = [query.expr for board in BOARDS.values() for panel in board.panels for query in panel.queries]
WORD = re.compile(r"[a-zA-Z_:]+")

UNSEEN = {
    "process_virtual_memory_bytes": "address space, not memory: the resident part is shown",
}
"""Metrics of ours that neither a panel shows nor an alarm watches, and why."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_a_file_is_what_its_table_says(path: Any) -> None:
    """Else `make boards` was not run, or somebody changed the file by hand."""
    assert path.read_text() == written(FILES[path])


def test_no_board_is_left_over() -> None:
    folder = next(iter(FILES)).parent
    assert set(folder.glob("*.json")) == set(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_grafana_can_take_it(path: Any) -> None:
    """What a provisioned board needs, and Grafana only says when it loads it."""
    board = json.loads(path.read_text())
    assert [each["name"] for each in board["templating"]["list"]] == ["datasource"]
    assert re.fullmatch(r"[a-z-]{1,40}", board["uid"])
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    for panel in shown:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        assert 0 < place["x"] + place["w"] <= 24
        refs = [target["refId"] for target in panel["targets"]]
        assert refs
        assert len(set(refs)) == len(refs)
    corners = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(corners)) == len(corners), "none lies on another"


def test_titles_tell_panels_apart() -> None:
    for board in BOARDS.values():
        for row in board.rows:
            titles = [panel.title for panel in row.panels]
            assert len(set(titles)) == len(titles)
    assert len({board.title for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_asks_for_metrics_that_exist(name: str) -> None:
    """A misspelt one would be an empty panel."""
    named = {
        word for panel in BOARDS[name].panels for each in panel.queries for word in NAME.findall(each.expr)
    }
    assert named
    assert named <= METRICS


def test_every_metric_is_seen_or_says_why_not() -> None:
    """On a board or by an alarm; what is listed as unseen is there, and is not seen."""
    watched = {word for text in (*ASKED, *(rule["expr"] for rule in RULES)) for word in WORD.findall(text)}
    metrics = [metric for registry in REGISTRIES for metric in registry.collect()]
    unseen = {metric.name for metric in metrics if not names(metric) & watched}
    assert sorted(unseen) == sorted(UNSEEN)
