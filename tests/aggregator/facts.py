"""Facts as the reader gives them, drawn by Hypothesis: few ids and times, so that they meet."""

from typing import Final

from hypothesis import strategies as st

from aggregator.counting.facts import Facts, Scopes
from schemas.kinds import KINDS

SCOPES: Final = 4
"""Beside the tenant: two of the page, two further ones."""

DAY: Final = 20_000

_ids: Final = st.sampled_from([None, "a", "b:{c}", "ü\x00%", "\N{GRINNING FACE}" * 63])
_tenants: Final = st.sampled_from(["one", "two:{x}", "drei ß\n"])


def _stated() -> list[tuple[int, ...]]:
    """Every set of kinds that one event states: a kind alone, or with what is part of it."""
    fields = [kind.field for kind in KINDS]
    alone = [(index,) for index, kind in enumerate(KINDS) if kind.part_of is None]
    parts = [
        tuple(sorted((fields.index(kind.part_of), index)))
        for index, kind in enumerate(KINDS)
        if kind.part_of is not None
    ]
    return alone + parts


STATED: Final = _stated()


def longest(kinds: tuple[int, ...]) -> int:
    """The last quarter of an hour, from the start of the send day, in which these can be counted."""
    quarters = [
        95 if KINDS[each].body is None else 95 + KINDS[each].horizon.late_ms // 900_000 for each in kinds
    ]
    return min(quarters)


@st.composite
def facts(draw: st.DrawFn, days: tuple[int, ...] = (DAY, DAY + 1, 0, -1, -719_163)) -> Facts:
    """The facts of one event. days: of the send, to choose from."""
    stated = draw(st.sampled_from(STATED))
    recipients: tuple[bytes | None, ...] = (None,)
    if not KINDS[stated[0]].per_message:
        addresses = st.lists(st.sampled_from([b"x", b"y", b"Y"]), min_size=1, max_size=3, unique=True)
        recipients = tuple(draw(addresses))
    last = longest(stated)
    return Facts(
        Scopes(draw(_tenants), tuple(draw(_ids) for _ in range(SCOPES))),
        draw(st.sampled_from(days)),
        draw(st.one_of(st.integers(0, 5), st.integers(0, last), st.just(last))),
        draw(st.sampled_from("mnop")),
        stated,
        recipients,
    )
