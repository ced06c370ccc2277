"""Why counting cannot go on now. Each is named for what has to happen; the worker waits and resyncs."""


class RefusedError(Exception):
    """What was asked of the generations must not be done as they stand, and was not done."""


class PostponedError(Exception):
    """Nothing can be counted for now: wait, and resync: go on at the checkpoints."""


class StoreUnavailableError(PostponedError):
    """Redis did not do what was asked, and may or may not have done part of it."""


class KafkaUnavailableError(PostponedError):
    """Kafka did not answer, or does not have the topic (yet)."""


class ArchiveUnavailableError(PostponedError):
    """The store of the archive did not do what was asked, and may or may not have done it."""


class FileChangedError(ArchiveUnavailableError):
    """A file of the archive was replaced by another one that says the same: go on in that."""


class BrokenFileError(ArchiveUnavailableError):
    """A file of the archive is not what its name promises: `archive check` names all such files."""


class NoRoomError(PostponedError):
    """The memory or the disk that a recount may take does not suffice: give it more."""


class OtherArchiveError(PostponedError):
    """The archive was not written for these settings: another key or version, or without a tag they need."""


class TopicMissingError(KafkaUnavailableError):
    """Kafka answered that it does not have the topic (yet)."""


class NoVerdictError(PostponedError):
    """Whether counting is still right could not be found out: ask again; counting may go on meanwhile."""


class UndeliveredError(PostponedError):
    """Kafka did not acknowledge a dead letter: its record must not be passed."""


class StoreUnsupportedError(PostponedError):
    """This Redis could lose counts: it is too old, or it evicts keys."""


class OtherServerError(PostponedError):
    """Redis is not the server that is counted into: connect anew."""


class GoneError(PostponedError):
    """The generation is not there, in whole or in part: Redis was wiped. It takes `rebuild`."""

    def __init__(self, message: str, generation: str | None = None) -> None:
        """message: for a person. generation: the name of the one that is gone, where it is known."""
        super().__init__(message)
        self.generation = generation


class ErasedError(PostponedError):
    """A tenant was erased, and not everybody knows yet: read the erasures to their end, and go on by them."""


class ClosedError(PostponedError):
    """The generation's lanes are closed to counting: see whether a switch is under way, and wait for it."""


class SwitchLostError(PostponedError):
    """Redis lost the record of a switch that was done: it takes `generations restore`, or `rebuild`."""


class OtherRulesError(PostponedError):
    """The live generation was counted by other rules than this worker's: leave it to those that have them."""


class OtherLogError(PostponedError):
    """The topic is not the one that was counted, or no longer holds what is not counted yet."""


class RolledBackError(PostponedError):
    """A checkpoint is below what was counted: Redis went back in time. Read further back."""
