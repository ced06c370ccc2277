"""Where the archive's files are: a directory, S3, or whatever else pyarrow has a file system for.

Law: a file gets its name whole or not at all. It is written to a local one first, then put in place by one
rename (a directory) or one upload (all else). pyarrow ends an upload in good order even where an exception
cut it short, so what is uploaded is compared in size, and one that differs is removed.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from aggregator.archive.coverage import File, file_of
from aggregator.errors import ArchiveUnavailableError

UNFINISHED: Final = "unfinished"
"""The directory of files that are being written, below the root where that is a local directory."""

_LEFT_S: Final = 2 * 24 * 3600
"""An unfinished file that was not touched for so long is of a process that died."""


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

    def files(self) -> list[File]:
        """All files of the archive."""
        with _translated():
            found = self._fs.get_file_info(fs.FileSelector(self._root, allow_not_found=True, recursive=True))
        named = [file_of(info.path[len(self._root) + 1 :], info.size or 0) for info in found if info.is_file]
        return [each for each in named if each is not None]

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
                self._upload(path, target, size)
                path.unlink()
        return file._replace(size=size)

    def _upload(self, path: Path, target: str, size: int) -> None:
        with pa.memory_map(str(path)) as local:
            whole = local.read_buffer()
            try:
                with self._fs.open_output_stream(target, compression=None) as stream:
                    stream.write(whole)
            finally:
                there = self._fs.get_file_info(target)
                if there.is_file and there.size != size:
                    self._fs.delete_file(target)
        if there.size != size:
            raise ArchiveUnavailableError(f"{target}: {there.size} bytes of {size} arrived")

    @contextmanager
    def open(self, file: File) -> Iterator[Any]:
        """Open a file to read: a `pyarrow.parquet.ParquetFile`. Errors of the block are translated too."""
        with (
            _translated(),
            self._fs.open_input_file(f"{self._root}/{file.name}") as stream,
            pq.ParquetFile(stream) as opened,
        ):
            yield opened

    def metadata(self, file: File) -> dict[str, str]:
        """What a file says of itself, by key (`schemas.archive`)."""
        with self.open(file) as opened:
            return said_by(opened)

    def remove(self, file: File) -> None:
        """Remove a file; one that is not there is removed already."""
        with _translated(), suppress(FileNotFoundError):
            self._fs.delete_file(f"{self._root}/{file.name}")


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
