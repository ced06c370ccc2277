"""Where the archive's files are: a directory, S3, or whatever else pyarrow has a file system for.

Law: a file gets its name whole or not at all. It is written to a local one first. In a directory one rename
puts that in place. Elsewhere it is uploaded under a name that no reader looks at, as pyarrow ends an upload
in good order even where an exception cut it short; once its size is right, one copy within the store, which
S3 does whole or not at all, puts it in place. No file in place is removed but by `remove`: what stands there
under a name is whole, be it ours or that of another archiver.

What a store over a network asks for beside that is patience, and care of files that change while they are
read. Each query is tried a few times and each failure is logged; pyarrow tries again by itself for some six
seconds before it fails, silently. What fails to the end is named for what its caller does next:
`ArchiveUnavailableError`, wait and ask again. Nothing keeps a file for who has opened it, as a directory
does. So each part that is read is of the file that was opened, by what the store says of it afterwards (its
ETag), or it is `FileChangedError`.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from pyarrow import fs

from aggregator.archive.coverage import File, file_of
from aggregator.errors import ArchiveUnavailableError, BrokenFileError, FileChangedError

log = structlog.get_logger(__name__)

T = TypeVar("T")

UNFINISHED: Final = "unfinished"
"""The directory of files that are being written, below the root where that is a local directory."""

UPLOADED: Final = "_unfinished"
"""Where files are uploaded to, below the root elsewhere. Athena and Spark look at no name that begins so."""

_LEFT_S: Final = 2 * 24 * 3600
"""An unfinished file that was not touched for so long is of a process that died."""

PAUSES_S: Final = (1.0, 2.0, 4.0)
"""Before each further try."""


class Store:
    """The files of an archive. All of it raises ArchiveUnavailableError where the store does not answer."""

    def __init__(self, url: str) -> None:
        """Prepare.

        url: `file:///...`, `s3://...` or what else pyarrow knows.
        Raises: ValueError where it is no such URL.
        """
        try:
            self._fs, self._root = fs.FileSystem.from_uri(url)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"ARCHIVE_URL: {error}") from error
        self._root = self._root.rstrip("/")
        self._is_local = isinstance(self._fs, fs.LocalFileSystem)
        self._is_tidy = self._is_local

    def files(self) -> list[File]:
        """All files of the archive: none where there is no directory yet; a bucket there must be."""
        found = self._found(self._root, recursive=True)
        if not found and not self._is_local:
            self._asked("whether there is a bucket", self._validate_bucket)
        named = [file_of(info.path[len(self._root) + 1 :], info.size or 0) for info in found if info.is_file]
        return [each for each in named if each is not None]

    def _found(self, place: str, *, recursive: bool = False) -> list[Any]:
        selector = fs.FileSelector(place, allow_not_found=True, recursive=recursive)
        with _translated():
            found: list[Any] = self._asked("what files there are", lambda: self._fs.get_file_info(selector))
        return found

    def _validate_bucket(self) -> None:
        bucket = self._root.lstrip("/").partition("/")[0]
        if self._fs.get_file_info(bucket).type == fs.FileType.NotFound:
            raise ArchiveUnavailableError(f"the archive's store: there is no {bucket}")

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        return asked(what, ask, ()) if self._is_local else asked(what, ask)

    def unfinished(self) -> Path:
        """A new local path to write a file at, which `put` takes; what died processes left goes."""
        with _translated():
            place = self._unfinished()
            place.mkdir(parents=True, exist_ok=True)
            for path in place.glob("*.parquet"):
                with suppress(FileNotFoundError):  # another process was quicker
                    if time.time() - path.stat().st_mtime > _LEFT_S:
                        path.unlink()
        return place / f"{uuid4().hex}.parquet"

    def _unfinished(self) -> Path:
        if self._is_local:
            return Path(self._root) / UNFINISHED
        return Path(tempfile.gettempdir()) / f"ses-metrics-archive-{os.getuid()}"

    def put(self, path: Path, file: File) -> File:
        """Put a whole local file in place, over one of the same name; the local one is gone.

        Returns: the file, with its size.
        """
        target = f"{self._root}/{file.name}"
        with _translated():
            size = path.stat().st_size
            _sync(path)
            if self._is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
                _sync(Path(target).parent)
            else:
                self._asked(file.name, lambda: self._upload(path, target, size))
                path.unlink()
                self._tidy()
        return file._replace(size=size)

    def _upload(self, path: Path, target: str, size: int) -> None:
        uploaded = f"{self._root}/{UPLOADED}/{path.name}"
        with (
            pa.memory_map(str(path)) as local,
            self._fs.open_output_stream(uploaded, compression=None) as stream,
        ):
            stream.write(local.read_buffer())
        self._compare(uploaded, size)
        self._fs.copy_file(uploaded, target)
        self._compare(target, size)
        self._fs.delete_file(uploaded)

    def _compare(self, target: str, size: int) -> None:
        there = self._fs.get_file_info(target)
        if there.size != size:
            raise OSError(f"{target}: {there.size} bytes of {size} arrived")

    def _tidy(self) -> None:
        """Remove what processes that died have uploaded; once in the life of this one."""
        if not self._is_tidy:
            self._is_tidy = True
            for info in self._found(f"{self._root}/{UPLOADED}"):
                if info.is_file and time.time() - info.mtime.timestamp() > _LEFT_S:
                    self._remove(info.path)

    @contextmanager
    def open(self, file: File) -> Iterator[Any]:
        """Open a file to read: a `pyarrow.parquet.ParquetFile`. Errors of the block are translated too.

        Raises: BrokenFileError where it is no Parquet file; FileChangedError where another one took its place
        before all was read.
        """
        with _translated():
            path = f"{self._root}/{file.name}"
            with self._stream(path) as stream:
                try:
                    with pq.ParquetFile(stream) as opened:
                        yield opened
                except (OSError, pa.ArrowException) as error:
                    if getattr(error, "errno", None) is not None:  # of the machine, not of what is read
                        raise
                    raise BrokenFileError(f"{file.name}: {error}") from error

    def _stream(self, path: str) -> Any:
        return self._fs.open_input_file(path) if self._is_local else _ObjectReader(self._fs, path)

    def metadata(self, file: File) -> dict[str, str]:
        """What a file says of itself, by key (`schemas.archive`)."""
        with self.open(file) as opened:
            return said_by(opened)

    def last_of_topics(self) -> dict[File, dict[str, str]]:
        """The last file of each topic, and what it says of itself. An archiver may merge it meanwhile."""
        while True:
            files = self.files()
            last = {file.topic_id: file for file in sorted(files)}.values()
            try:
                return {file: self.metadata(file) for file in last}
            except ArchiveUnavailableError:
                if set(last) <= set(self.files()):
                    raise

    def remove(self, file: File) -> None:
        """Remove a file; one that is not there is removed already."""
        self._remove(f"{self._root}/{file.name}")

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._asked(path, lambda: self._fs.delete_file(path))


def said_by(opened: Any) -> dict[str, str]:
    """As `Store.metadata`, of a file that is open."""
    found: dict[bytes, bytes] = opened.metadata.metadata or {}
    return {key.decode(): value.decode() for key, value in found.items() if key != b"ARROW:schema"}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise ArchiveUnavailableError(f"the archive's store: {error}") from error


def _sync(path: Path) -> None:
    """Have the machine keep a file, or the names in a directory, whatever happens to its power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


class _ObjectReader:
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

    def __enter__(self) -> "_ObjectReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
