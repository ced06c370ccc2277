"""Where the API learns of keys: a promise that `KeyFollower` keeps from Kafka, and a fixed table in tests."""

from typing import Protocol

from api.keys.table import KeyTable


class KeySource(Protocol):
    """A table of keys and how far it is filled. `start` and `stop` are called once each and may block.

    All else may be called from any thread and never blocks.
    """

    table: KeyTable
    trouble: str | None
    """Why keys cannot be read now, without addresses: revocations are not heard of. None where they are."""
    unreadable: int
    """How many records could not be read, and open nothing."""

    @property
    def loaded(self) -> bool:
        """Whether the table knows every key that there is."""

    @property
    def next_offset(self) -> int:
        """The offset of `api-keys` below which all records are in the table."""

    @property
    def unread(self) -> int:
        """How many records are not in the table, as far as Kafka has told; 0 before it has."""

    @property
    def heard_ms(self) -> int:
        """Up to when (ms since 1970) the table has every record; 0 before it was filled once."""

    def start(self) -> None:
        """Begin to fill the table."""

    def stop(self) -> None:
        """End."""

    def note_use(self, key_id: str, now_ms: int) -> None:
        """A key was used at `now_ms` (ms since 1970): have that written, now and then."""
