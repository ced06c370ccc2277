"""The erasure of a tenant, as an operator asks for it: written down first, then taken in by what Redis has.

What is written is done, whoever dies then: workers and rebuilds take it in by themselves (`take_in`). What is
done here beside that is to do it now, also where no worker runs, and in generations in which nobody counts
any more.
"""

from contextlib import closing
from dataclasses import dataclass, field

from aggregator.config import AggregatorSettings
from aggregator.counters.generation import validate
from aggregator.counters.store import Store
from aggregator.counting.rules import Erasures
from aggregator.counting.timestamps import iso_ms
from aggregator.erasure.take_in import Eraser
from aggregator.errors import PostponedError, RefusedError
from aggregator.log.admin import Cluster, Log
from aggregator.log.erasures import ErasureTopic
from schemas.counters import LAYOUT, Generation, State
from schemas.instants import DAY_MS
from schemas.topics import ErasureRecord


class UnfinishedError(PostponedError):
    """The erasure is written down, and was not taken in everywhere."""


@dataclass(slots=True)
class Erased:
    """What became of it.

    through_ms: the Kafka time of the last record that is erased, in ms since 1970. generations: the names of
    those that count none of them any more. left: why others are left to those that make them, by name.
    """

    through_ms: int
    generations: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


class Erase:
    """Erases tenants."""

    def __init__(self, settings: AggregatorSettings) -> None:
        """Prepare.

        settings: with the rules that the live generation is counted by.
        """
        self._settings = settings

    def run(self, tenant: str, through_ms: int | None, now_ms: int) -> Erased:
        """Erase a tenant.

        through_ms: up to which Kafka time, none for now. now_ms: the time; all in ms since 1970.
        Raises: RefusedError where the time is too old, or to come: nothing was done. UnfinishedError where
        it is written down and something is left to do. PostponedError of any other kind: whether it is
        written down is not known.
        """
        log = Cluster(self._settings).log()
        with closing(ErasureTopic(self._settings)) as topic, closing(Store(self._settings)) as store:
            store.open()
            live = store.live()
            if live is not None:
                validate(live, self._settings.rules, log)
            erased = Erased(now_ms if through_ms is None else through_ms)
            written = ErasureRecord(tenant=tenant, through_ms=erased.through_ms)
            if (tenant, erased.through_ms) not in topic.read().said:
                if not now_ms - DAY_MS <= erased.through_ms <= now_ms:
                    raise RefusedError(
                        f"{iso_ms(erased.through_ms)} is not within the last 24 hours, and no erasure of this"
                        " tenant has that time: what came since would have to be counted again"
                    )
                topic.write(written)
            try:
                self._take_in(store, log, topic.read(), erased)
            except PostponedError as error:
                raise UnfinishedError(
                    f"the erasure is written down, and workers take it in: {error}. To do here what is left,"
                    f" run it again with --through {iso_ms(erased.through_ms)}"
                ) from error
        return erased

    def _take_in(self, store: Store, log: Log, erasures: Erasures, erased: Erased) -> None:
        with closing(Eraser(self._settings, store)) as eraser:
            for member in store.record().members:
                generation, is_counted = member.generation, member.state in _COUNTED
                why_not = self._why_not(generation, log, is_counted=is_counted)
                if why_not is not None:
                    erased.left[generation.name] = why_not
                    continue
                eraser.take_in(generation, erasures, recount=is_counted)
                erased.generations.append(generation.name)

    def _why_not(self, generation: Generation, log: Log, *, is_counted: bool) -> str | None:
        """Why a generation cannot take in an erasure here; none where it can."""
        if generation.layout != LAYOUT:
            return "it has another layout: `generations drop` removes it"
        if is_counted:
            mine = self._settings.rules.fingerprint, *log[:2]
            if (generation.rules, generation.cluster_id, generation.topic_id) != mine:
                return "it is counted by other rules or from another topic: its rebuild takes the erasure in"
        return None


_COUNTED = frozenset(State) - {State.RETIRED, State.DROPPING}
