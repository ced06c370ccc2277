"""The README's guide to the API is true: its lines are pasted into a shell, and answer what it says."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.errors import ERRORS
from deploy.stack import CHECKOUT
from tests.debian import installed, skip_but_not_in_ci
from tests.deploy.guide import Example, examples, records
from tests.pipeline.place import open_place

README = (CHECKOUT / "README.md").read_text()
API = README.partition("\n## The API by task\n")[2].partition("\n## ")[0]
EXAMPLES = list(examples(API))
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SETTINGS = {"SCOPE_TAGS": "campaign=campaign"}


@pytest.fixture(scope="module")
def shell(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a shell in which `python` is ours, the API answers, and `KEY` is a key of acme."""
    if installed(("curl",), "curl") is None:
        skip_but_not_in_ci("the guide's lines want curl")
    with open_place(kafka_bootstrap, tmp_path_factory.mktemp("guide"), **SETTINGS) as place:
        place.send(records())
        worker, api = place.programs.worker(), place.programs.api()
        api.wait_until_ready()
        place.wait_until_counted(worker)
        (line,) = re.findall(r"^\$ KEY=\$\((python -m api keys create acme)\)$", API, re.MULTILINE)
        out, err = place.programs.api_command(*line.split()[3:]).communicate(timeout=60)
        assert out, err
        yield {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "KEY": out.strip(),
            "PORT": str(place.programs.api_port),
        }


def pasted(shell: dict[str, str], commands: str) -> str:
    """What the commands print; the guide's port is that of an API that nobody set another for."""
    text = "\n".join(line for line in commands.splitlines() if not line.startswith("KEY="))
    assert "http://localhost:8080/" in text
    text = text.replace("localhost:8080", f"127.0.0.1:{shell['PORT']}").replace("curl ", "curl -sS ")
    done = subprocess.run(["bash", "-c", text], env=shell, capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout


def without_instant(body: Any) -> Any:
    """The body, but for the one member that is never the same: how far the counting has come."""
    assert INSTANT.fullmatch(body["complete_through"])
    return {name: value for name, value in body.items() if name != "complete_through"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.commands.split("?")[-1][:40])
def test_what_is_pasted_answers_what_the_guide_says(shell: dict[str, str], example: Example) -> None:
    answer = pasted(shell, example.commands)
    if example.language == "json":
        assert without_instant(json.loads(answer)) == without_instant(json.loads(example.answer))
    else:
        assert answer.split() == example.answer.split()


def test_the_guide_has_an_example_for_each_task() -> None:
    tasks = re.findall(r"^### (.+)$", API, re.MULTILINE)
    assert tasks[:4] == ["A live dashboard", "A monthly report", "A deliverability alarm", "Per campaign"]
    assert all("\n```console\n" in text for text in re.split(r"^### .+$", API, flags=re.MULTILINE)[1:5])
    assert len(EXAMPLES) >= 5
    asked = " ".join(example.commands for example in EXAMPLES)
    for said in (
        "fields=",
        "include=health",
        "include=rates",
        "compare=previous_year",
        "group_by=",
        "/by/campaign/",
    ):
        assert said in asked, said


def test_the_table_of_errors_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([A-Z_]+)` \| (.+) \|$", API, re.MULTILINE)
    assert rows == [(str(error.status), error.code, error.meaning) for error in ERRORS]
