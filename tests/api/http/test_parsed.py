"""What query strings ask is kept by their text, and is what it would be if it were understood anew."""

from typing import Final
from urllib.parse import parse_qsl, urlencode

from hypothesis import given
from hypothesis import strategies as st

from api.errors import ApiError
from api.http.parsed import CHEAP, KEPT, LONGEST, ParsedQueries
from api.query.parameters import SCOPE_PARAMETERS, TENANT_PARAMETERS
from api.query.query import Query, read_query
from tests.api.conftest import NOW_MS

DAY_MS: Final = 86_400_000

VALUES: Final = {
    "from": ["2025-09-01", "2025-09-01T07:30:00Z", "2025-09-01T07:30:00", "2024-02-29", "nonsense", ""],
    "to": ["2025-09-15", "2025-09-01T07:29:00+02:00", "2025-08-01", "9999-12-31", "nonsense", ""],
    "period": ["hour", "day", "week", "month", "year"],
    "timezone": ["UTC", "Europe/Berlin", "Asia/Kathmandu", "nowhere"],
    "fields": ["all", "sent", "sent,opened_human", "sent,sent"],
    "include": ["rates", "status,rates", "health", "all"],
    "compare": ["previous", "previous_year", "now"],
    "group_by": ["sequence", "to"],
    "limit": ["7", "0"],
    "photo": ["1"],
}
parameters = st.lists(
    st.sampled_from([(name, value) for name, values in VALUES.items() for value in values]), max_size=6
)


def understood(text: bytes, now_ms: int, *, of_tenant: bool = True) -> Query | str:
    items = parse_qsl(text.decode(), keep_blank_values=True)
    try:
        return read_query(items, TENANT_PARAMETERS if of_tenant else SCOPE_PARAMETERS, now_ms)
    except ApiError as error:
        return error.detail


@given(parameters, st.booleans(), st.integers(0, 1_000 * DAY_MS))
def test_what_is_kept_is_what_would_be_understood_later(
    asked: list[tuple[str, str]], of_tenant: bool, later_ms: int
) -> None:
    """Where `to` is given the time plays no part; and all that is kept has it."""
    text = urlencode(asked).encode()
    query = understood(text, NOW_MS, of_tenant=of_tenant)
    until_now = not any(name == "to" for name, _ in asked)
    if not until_now:
        assert understood(text, NOW_MS + later_ms, of_tenant=of_tenant) == query
    parsed = ParsedQueries()
    if isinstance(query, Query):
        added = parsed.add(text, query, of_tenant=of_tenant, until_now=until_now)
        assert (added.query, added.needs) == (query, query.needs)
        assert parsed.get(text, of_tenant=of_tenant) == (
            added if not until_now and added.cost <= CHEAP else None
        )
    assert parsed.get(text, of_tenant=not of_tenant) is None


def test_only_so_much_is_kept() -> None:
    """The oldest goes first; nothing is kept that is long to say, or dear."""
    parsed = ParsedQueries()
    texts = [f"to=2025-09-15&from=2025-09-{1 + at % 15:02}&x={at}".encode() for at in range(KEPT + 1)]
    query = understood(b"to=2025-09-15&from=2025-09-01", NOW_MS)
    assert isinstance(query, Query)
    for text in texts:
        parsed.add(text, query, of_tenant=True, until_now=False)
    assert parsed.get(texts[0], of_tenant=True) is None
    assert all(parsed.get(text, of_tenant=True) for text in texts[1:])
    long = b"to=2025-09-15&" + b"x" * LONGEST
    parsed.add(long, query, of_tenant=True, until_now=False)
    assert parsed.get(long, of_tenant=True) is None
    dear = understood(b"to=2025-09-15&from=2022-09-01", NOW_MS)
    assert isinstance(dear, Query)
    parsed.add(b"dear", dear, of_tenant=True, until_now=False)
    assert parsed.get(b"dear", of_tenant=True) is None
