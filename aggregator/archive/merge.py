"""Small files of an archive become larger ones, row for row.

Law: what is merged is put in place before what it is made of is removed, and says the same. Whoever is killed
in between leaves files that overlap and agree.
"""

from aggregator.archive.columns import SCHEMA
from aggregator.archive.coverage import File, to_merge
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.store import Store


def merged(store: Store, files: list[File], most_bytes: int) -> list[File]:
    """Merge files of one partition as far as that is worth it.

    most_bytes: what a file is about as large as.
    Returns: the files that are there afterwards.
    Raises: ArchiveUnavailableError, also where a file is no longer there: another archiver merged it.
    """
    while run := to_merge(files, most_bytes):
        made = _made_of(store, run)
        if made is None:
            return files
        files = [*(each for each in files if each not in run), made]
        for each in run:
            store.remove(each)
    return files


def _made_of(store: Store, run: list[File]) -> File | None:
    """One file of neighbours; none where they were not written alike."""
    said = store.metadata(run[0])
    if any(store.metadata(each) != said for each in run):
        return None
    writer = FileWriter(store.unfinished(), said)
    try:
        for each in run:
            with store.open(each) as opened:
                if not opened.schema_arrow.equals(SCHEMA):
                    return None
                for batch in opened.iter_batches():
                    writer.add_batch(batch)
        writer.close()
        return store.put(writer.path, run[0]._replace(next=run[-1].next))
    finally:
        writer.discard()
