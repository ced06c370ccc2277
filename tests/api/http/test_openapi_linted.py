"""The description by two linters that others use: Redocly's and Stoplight's Spectral, from npm.

They come into a folder of the test's own, with what they need, and nothing that they bring is run at install.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from api.app import create_app
from api.config import ApiSettings
from tests.api.conftest import FixedKeys
from tests.debian import installed, skip_but_not_in_ci
from tests.services import LIMIT_S

pytestmark = pytest.mark.programs

LINTERS: Final = ("@redocly/cli@1.34.5", "@stoplight/spectral-cli@6.16.3")
COMMANDS: Final = {
    "redocly": ("redocly", "lint", "--extends=recommended"),
    "spectral": ("spectral", "lint", "--ruleset=ruleset.yaml", "--fail-severity=error"),
}
QUIET: Final = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
RULES: Final = "extends: spectral:oas\n"


@pytest.fixture(scope="module")
def linters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both in it."""
    npm = installed(("npm",), "npm")
    if npm is None:
        skip_but_not_in_ci("no `npm` to lint the description with (Debian: apt-get install npm)")
    place = tmp_path_factory.mktemp("linters")
    (place / "ruleset.yaml").write_text(RULES)
    done = run(place, [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *LINTERS])
    if done.returncode:
        skip_but_not_in_ci(f"npm cannot install {' and '.join(LINTERS)}: {done.stderr[-1000:]}")
    return place


def run(place: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=place,
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def linted(place: Path, linter: str, document: Any) -> subprocess.CompletedProcess[str]:
    (place / "openapi.json").write_text(json.dumps(document))
    name, *arguments = COMMANDS[linter]
    return run(place, [str(place / "node_modules" / ".bin" / name), *arguments, "openapi.json"])


@pytest.mark.parametrize("linter", COMMANDS)
def test_they_find_no_error(linters: Path, linter: str) -> None:
    """And find one where there is one: a model that there is not."""
    document = create_app(ApiSettings(), keys=FixedKeys()).openapi()
    done = linted(linters, linter, document)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]

    broken = json.loads(json.dumps(document))
    answer = broken["paths"]["/api/metrics/by"]["get"]["responses"]["200"]["content"]["application/json"]
    answer["schema"]["$ref"] = "#/components/schemas/Nothing"
    assert linted(linters, linter, broken).returncode != 0
