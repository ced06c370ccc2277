"""`python -m deploy.release` (`make release`): builds the release of the last commit into `dist/`."""

import shutil
import sys
import tempfile
from pathlib import Path

from deploy.release.artifacts import Builder, NoEngineError
from deploy.release.readiness import NoReleaseError, committed_at, export, refusals
from deploy.release.versions import version


def main(checkout: Path) -> int:
    """Build all of it and say what was built; returns the exit status.

    Without a container engine there is no image, which is said; whatever else lacks ends it with 1.
    """
    try:
        why_not = refusals(checkout)
        if why_not:
            print("no release:", *why_not, sep="\n- ", file=sys.stderr)
            return 1
        _build(checkout)
    except NoReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    return 0


def _build(checkout: Path) -> None:
    name = f"ses-metrics-{version(checkout)}"
    with tempfile.TemporaryDirectory(prefix="ses-metrics-release-") as scratch:
        sources, folder = Path(scratch) / name, checkout / "dist" / name
        export(checkout, sources)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        builder = Builder(sources, folder, committed_at(checkout))
        for what, build in builder.parts.items():
            print(f"{what} ...", flush=True)
            build()
        print("image ...", flush=True)
        try:
            builder.image()
        except NoEngineError as error:
            print(f"NO IMAGE: no container engine answers here ({error}).", file=sys.stderr)
            print("Build it where there is one: the same command, on the same commit.", file=sys.stderr)
        print(builder.sums().read_text("utf-8"), end="")
        print(f"in {folder.relative_to(checkout)}/, of the commit's time: {committed_at(checkout)}")


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
