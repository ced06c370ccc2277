"""What a store over a network asks for that a directory does not: patience, and files that change while read.

Law: each query of the store is tried a few times and each failure is logged; pyarrow tries again by itself
for some six seconds before it fails, silently. What fails to the end is named for what its caller does
next: `ArchiveUnavailableError`, wait and ask again. Nothing keeps a file for who has opened it, as a
directory does. So each part that is read is of the file that was opened, by what the store says of it
afterwards (its ETag), or it is `FileChangedError`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import pyarrow as pa
import structlog

from aggregator.errors import ArchiveUnavailableError, FileChangedError

log = structlog.get_logger(__name__)

T = TypeVar("T")

PAUSES_S: Final = (1.0, 2.0, 4.0)
"""Before each further try."""


def asked(what: str, ask: Callable[[], T], pauses_s: Sequence[float] | None = None) -> T:
    """What the store answers.

    what: is asked, for the log. ask: may be called again, and changes nothing then. pauses_s: before each
    further try; none: those of `PAUSES_S`.
    Raises: FileNotFoundError at once; ArchiveUnavailableError where the last try failed too.
    """
    for pause_s in PAUSES_S if pauses_s is None else pauses_s:
        try:
            return ask()
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            log.warning("the archive's store failed, and is asked again", what=what, why=str(error))
            time.sleep(pause_s)
    try:
        return ask()
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise ArchiveUnavailableError(f"the archive's store: {what}: {error}") from error


class ObjectReader:
    """A file of the store, as pyarrow takes Python's own files: read part by part, by one reader."""

    mode: Final = "rb"

    def __init__(self, filesystem: Any, path: str) -> None:
        """Open.

        Raises: ArchiveUnavailableError, as all that reads does; that raises FileChangedError too.
        """
        self._fs = filesystem
        self._path = path
        self._stream = self._here(lambda: filesystem.open_input_file(path))
        self._said = self._stream.metadata()
        self._size: int = self._stream.size()
        self._at = 0
        self.closed = False

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of files. Returns: where it is now."""
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or as many as there are."""
        left = max(0, self._size - self._at)
        wanted = left if size < 0 else min(size, left)
        found = self._here(lambda: self._read(wanted)) if wanted else b""
        self._at += wanted
        return found

    def _read(self, wanted: int) -> bytes:
        found: bytes = self._stream.read_at(wanted, self._at)
        if self._fs.open_input_file(self._path).metadata() != self._said:
            raise FileChangedError(f"{self._path} was replaced while it was read")
        if len(found) != wanted:
            raise OSError(f"{len(found)} bytes of {wanted} arrived")
        return found

    def _here(self, ask: Callable[[], T]) -> T:
        try:
            return asked(self._path, ask)
        except FileNotFoundError as error:
            raise ArchiveUnavailableError(f"the archive's store: {error}") from error

    def close(self) -> None:
        """End."""
        self.closed = True
        self._stream.close()

    def __enter__(self) -> "ObjectReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
