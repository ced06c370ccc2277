"""Where the version stands: `pyproject.toml` says it, all other places repeat it.

`python -m deploy.release.versions` (`make versions`) carries it to those.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple


class Place(NamedTuple):
    """A place in a file. around: what stands before and behind the version there, as regular expressions."""

    path: str
    around: tuple[str, str]

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds the version, and nothing else."""
        before, behind = self.around
        return re.compile(f'({before})([0-9][^\\s"]*)({behind})', re.MULTILINE)


SAID: Final = Place("pyproject.toml", ('^version = "', '"$'))
REPEATED: Final = (
    Place("schemas/shared/process_metrics.py", ('^VERSION: Final = "', '"$')),
    Place("api/clients/python/pyproject.toml", ('^version = "', '"$')),
    Place("api/clients/typescript/package.json", ('^  "version": "', '",$')),
    Place("deploy/helm/ses-metrics/Chart.yaml", ("^version: ", "$")),
    Place("deploy/helm/ses-metrics/Chart.yaml", ('^appVersion: "', '"$')),
    Place("deploy/compose.yaml", ("^  image: ses-metrics:", "$")),
    Place("deploy/runbook.md", ("registry.example.com/ses-metrics:", "")),
)
"""The OpenAPI description and the metrics take theirs from the first."""


def version(checkout: Path) -> str:
    """The version. Raises: ValueError where `pyproject.toml` does not say one."""
    [only] = found(checkout, SAID)
    return only


def found(checkout: Path, place: Place) -> set[str]:
    """What stands in a place: one version where all is well."""
    return {each[1] for each in place.pattern.findall((checkout / place.path).read_text("utf-8"))}


def differing(checkout: Path) -> list[str]:
    """The files that say another version than `pyproject.toml`, or none."""
    wanted = {version(checkout)}
    return sorted({place.path for place in REPEATED if found(checkout, place) != wanted})


def carry(checkout: Path) -> list[str]:
    """Write the version to every place. Returns: the files that had another one."""
    wanted, changed = version(checkout), differing(checkout)
    for place in REPEATED:
        path = checkout / place.path
        path.write_text(place.pattern.sub(rf"\g<1>{wanted}\g<3>", path.read_text("utf-8")), "utf-8")
    return changed


if __name__ == "__main__":
    here = Path.cwd()
    print(f"{version(here)}: {', '.join(carry(here)) or 'everywhere already'}")
