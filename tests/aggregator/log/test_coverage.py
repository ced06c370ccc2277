"""What a log without its beginning can speak for: no cell that it could be wrong about, and no fewer."""

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import event as seen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregator.counting.cells import KNOWN, Cell
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Rules
from aggregator.log.coverage import CLOCKS_MS, Coverage, Cut
from schemas.kinds import FIELDS
from tests.aggregator.lanes import naive_cells
from tests.examples import examples
from tests.strategies import DAY, HOUR, SOME_DAY, TIMED, event

RULES: Final = Rules()
DECODER: Final = Decoder(RULES)
CUT: Final = SOME_DAY + 23 * HOUR + HOUR // 2
"""When the last record that is gone was written."""
SHORT, LONG = 3 * DAY, 62 * DAY
AHEAD: Final = SOME_DAY + 2 * DAY
"""The last send that a gone record may tell of: one clock was half an hour ahead, and another a day more."""


@dataclass(frozen=True)
class Written:
    """A record as it was written.

    after_ms: after how long since the one before. late_ms: by how much its own time is before that; a little
    less than 0 where clocks disagree. by_ingest: whether ingest wrote it; others may give it any old time.
    sent_ms, told_ms: of the mail, and from then to the event.
    """

    partition: int
    after_ms: int
    late_ms: int
    by_ingest: bool
    event_type: str
    message_id: str
    sent_ms: int
    told_ms: int

    def facts(self, record_ms: int) -> Facts | None:
        """What it states. record_ms: its own time."""
        told = event(
            self.event_type,
            sent_ms=self.sent_ms,
            reported_ms=self.sent_ms + self.told_ms,
            message_id=self.message_id,
            tags={"tenant": ["acme"], "sequence": [self.message_id]},
        )
        found = DECODER.read(json.dumps(told).encode(), record_ms)
        return found if isinstance(found, Facts) else None


spans: Final = st.one_of(
    st.sampled_from([0, 1, HOUR, DAY, DAY + HOUR, SHORT, LONG]),
    st.builds(lambda near, by: near + by, st.sampled_from([DAY, SHORT, LONG]), st.integers(-HOUR, HOUR)),
    st.integers(0, LONG + DAY),
)
clocks: Final = st.integers(-CLOCKS_MS // 2, CLOCKS_MS // 2)


@st.composite
def written(draw: st.DrawFn) -> Written:
    by_ingest = draw(st.booleans())
    sent_ms = CUT + draw(st.one_of(spans, spans.map(lambda span: -span)))
    late_ms = draw(clocks) if by_ingest else draw(st.one_of(clocks, spans))
    return Written(
        draw(st.integers(0, 1)),
        draw(st.one_of(st.just(0), st.integers(0, 3 * HOUR), st.integers(0, 40 * DAY))),
        late_ms,
        by_ingest,
        draw(st.sampled_from(sorted(TIMED | {"Send", "Reject"}))),
        draw(st.sampled_from("mn")),
        sent_ms,
        draw(spans),
    )


def opened(sent_ms: int, told_ms: int, **more: Any) -> Written:
    """An Open of a mail that ingest wrote when it was told, on partition 0 and at once unless said."""
    return replace(Written(0, 0, 0, True, "Open", "m", sent_ms, told_ms), **more)


FIRST_OPEN, LATER_OPEN = opened(CUT, 0), opened(CUT, LONG, after_ms=LONG)
AHEAD_OPEN = opened(AHEAD, 0, late_ms=-HOUR // 2)
LONG_AGO = opened(CUT - 40 * DAY, 0, partition=1)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(written(), max_size=10), st.integers(0, 6), st.integers(0, 6), st.booleans())
@example([FIRST_OPEN, LATER_OPEN], 1, 0, True)  # its first open is gone
@example([AHEAD_OPEN, opened(AHEAD, LONG, after_ms=LONG + 2 * DAY)], 1, 0, True)
@example([LONG_AGO, replace(FIRST_OPEN, after_ms=40 * DAY), LATER_OPEN], 2, 1, True)
def test_the_log_is_right_wherever_it_speaks(
    log: list[Written], gone: int, gone_1: int, at_once: bool
) -> None:
    """Whatever is gone, and in whatever partition: a cell that is spoken for is that of the whole log.

    gone, gone_1: before which of all records those of partitions 0 and 1 are gone. at_once: whether ingest
    writes to a partition just after its cut.
    """
    cuts = {0: gone, 1: gone_1}
    now = CUT - sum(each.after_ms for each in log[: max(cuts.values())])
    whole: list[Facts] = []
    part: list[Facts] = []
    written_ms: dict[int, int] = {}
    for at, each in enumerate(log):
        now += each.after_ms
        record_ms = now - each.late_ms
        left = at >= cuts[each.partition]
        facts = each.facts(record_ms)
        if facts is not None:
            whole.append(facts)
            if left:
                part.append(facts)
        if left and each.by_ingest:
            written_ms.setdefault(each.partition, record_ms)
        for partition, cut in cuts.items():
            if at_once and at + 1 == cut:
                written_ms.setdefault(partition, now)
    coverage = Coverage(
        Cut(partition, 0, cut, written_ms.get(partition, now)) for partition, cut in cuts.items() if cut
    )
    right, found = (naive_cells(RULES.scope_names, of) for of in (whole, part))
    cells = [cell for cell in right.keys() | found.keys() if coverage.speaks_for(cell, told=cell in found)]
    for cell in cells:
        assert found[cell] == right[cell], cell
    seen(f"cells with a time that are spoken for: {any(cell.at is not None for cell in cells)}")
    seen(f"the whole log has more: {found != right}")


def test_it_speaks_again_once_nothing_older_can_count() -> None:
    """Of sends from the third day on after that of the cut, of short kinds 3 days later, of long ones 62."""
    coverage = Coverage([Cut(0, 0, 10, CUT), Cut(1, 5, 7, CUT - 40 * DAY)])
    start = SOME_DAY + 3 * DAY
    for field in FIELDS:
        later = {
            "sent": 0,
            "rejected": 0,
            "rendering_failed": 0,
            "delivered": SHORT,
            "delayed": SHORT,
        }.get(field, LONG)
        cell = Cell("acme", "tenant", "", start + later, field)
        assert coverage.speaks_for(cell, told=False), field
        assert not coverage.speaks_for(cell._replace(at=start + later - 1), told=True), field
    assert coverage.first_ms == start
    assert coverage.spans()[0] == ("2026-03-06T00:00:00Z", ["sent", "rejected", "rendering_failed"])
    assert [len(fields) for _, fields in coverage.spans()] == [3, 2, len(FIELDS) - 5]


def test_of_known_ids_it_speaks_where_it_has_one() -> None:
    coverage = Coverage([Cut(0, 0, 10, CUT)])
    cell = Cell("acme", "sequence", "welcome", None, KNOWN)
    assert coverage.speaks_for(cell, told=True)
    assert not coverage.speaks_for(cell, told=False)


def test_a_whole_log_speaks_for_everything() -> None:
    coverage = Coverage()
    for at in (None, 0, -DAY, CUT):
        assert coverage.speaks_for(
            Cell("acme", "tenant", "", at, KNOWN if at is None else "opened"), told=False
        )
    assert (coverage.first_ms, coverage.spans()) == (None, [])
