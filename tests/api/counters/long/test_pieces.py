"""A long read is of one moment, whatever is written between its calls; on a real Valkey.

The truth is what one call says that reads all at once. Before each call of a read in pieces, in turn,
something is changed; the answer must be what was true before that or after it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final, TypeAlias

import pytest

from api.config import ApiSettings
from api.counters.connection import connect
from api.counters.long import pieces
from api.counters.long.watched import Command, Watched
from api.counters.reader import WHOLE_TENANT, CounterReader, Scope
from api.counters.replies import Counters
from api.errors import RANGE_TOO_LARGE, ApiError, ErrorCode
from api.query.query import Groups, Needs
from schemas.kinds import FAMILIES
from tests.api.counters.long.changes import CHANGES, DAYS, FIRST, Change, count, filled, midnight
from tests.api.writer import Counted, Writer

AT_ONCE: Final = 16
"""Fields of one call: two blocks, or one with few ids."""

READS: Final[tuple[tuple[Scope, Needs], ...]] = (
    (WHOLE_TENANT, Needs(DAYS, tuple(FAMILIES))),
    (WHOLE_TENANT, Needs(DAYS, by_quarter=True)),
    (Scope("sequence", "b"), Needs(DAYS, tuple(FAMILIES))),
    (WHOLE_TENANT, Needs(DAYS, tuple(FAMILIES), groups=Groups("sequence", DAYS[1]))),
)

USER: Final = "pieces"

Outcome: TypeAlias = Counters | ErrorCode


class Field:
    """A filled Redis that is put back after each change, and how the reader's calls are waited for."""

    def __init__(self, writer: Writer, url: str) -> None:
        self.writer = writer
        filled(writer)
        client: Any = writer.client
        self._kept = {key: client.dump(key) for key in client.scan_iter()}
        self.url = url
        self.before_call: Callable[[], None] = lambda: None

    def put_back(self) -> None:
        pipeline = self.writer.client.pipeline()
        pipeline.flushdb()
        for key, value in self._kept.items():
            pipeline.restore(key, 0, value)
        pipeline.execute()

    def read(self, scope: Scope, needs: Needs, at_once: int = 1_000_000) -> Outcome:
        """What a reader says, or why it says nothing. at_once: fields of a call; by default any number."""

        async def once() -> Outcome:
            reader = CounterReader(connect(ApiSettings(redis_url=self.url)), at_once=at_once)
            try:
                return await reader.counters("acme", scope, needs)
            except ApiError as error:
                return error.code
            finally:
                await reader.close()

        return asyncio.run(once())


@pytest.fixture
def field(writer: Writer, redis_db: str, monkeypatch: pytest.MonkeyPatch) -> Field:
    field = Field(writer, redis_db)
    ask: Callable[..., Awaitable[list[Any]]] = Watched.ask

    async def after(self: Watched, *commands: Command) -> list[Any]:
        field.before_call()
        return await ask(self, *commands)

    monkeypatch.setattr(Watched, "ask", after)
    return field


class Calls:
    """Counts the calls of a read, and makes a change before one of them."""

    def __init__(self, change: Callable[[], None] | None = None, before: int = 0) -> None:
        self.number = 0
        self._change = change
        self._before = before

    def __call__(self) -> None:
        self.number += 1
        if self._change is not None and self.number == self._before:
            self._change()


def calls_of(field: Field, scope: Scope, needs: Needs) -> int:
    """How many calls a read takes while nothing changes; it must be right."""
    field.before_call = calls = Calls()
    assert field.read(scope, needs, AT_ONCE) == field.read(scope, needs)
    return calls.number


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_an_answer_is_what_was_true_before_a_change_or_after(field: Field, change: Change) -> None:
    """Wherever in the read the change falls."""
    for scope, needs in READS:
        calls = calls_of(field, scope, needs)
        assert calls >= 1 + len(DAYS) + 2 + 1, "it is read in pieces"
        before = field.read(scope, needs)
        change(field.writer)
        truths = before, field.read(scope, needs)
        for number in range(1, calls + 1):
            field.put_back()
            field.before_call = Calls(lambda: change(field.writer), number)
            answer = field.read(scope, needs, AT_ONCE)
            assert answer in truths, f"{change.__name__} before call {number} of {calls}: {needs}"
        field.put_back()


def test_what_is_new_may_be_written_all_the_time(field: Field) -> None:
    """The newest blocks are read at last: a write to them costs no second try."""
    scope, needs = READS[0]
    calls = calls_of(field, scope, needs)
    newest = midnight(DAYS[1][-1])
    numbers = iter(range(1_000))
    counted = Calls()

    def write() -> None:
        counted()
        field.writer.write([Counted(newest + timedelta(seconds=next(numbers)), "sent", sequence="a")])

    field.before_call = write
    answer = field.read(scope, needs, AT_ONCE)
    assert counted.number == calls
    assert answer == field.read(scope, needs)


def test_what_is_written_all_the_time_everywhere_is_read_in_one_call(field: Field) -> None:
    """After some tries, each with fewer calls; and it is right."""
    scope, needs = READS[3]
    numbers = iter(range(1_000))

    def write() -> None:
        at = timedelta(seconds=next(numbers))
        field.writer.write(Counted(midnight(day) + at, "sent", sequence="a") for day in (DAYS[0][0], FIRST))

    calls = calls_of(field, scope, needs)
    counted = Calls()

    def both() -> None:
        counted()
        write()

    field.before_call = both
    answer = field.read(scope, needs, AT_ONCE)
    assert calls < counted.number < len(pieces.LAST) * calls
    assert answer == field.read(scope, needs)


def test_a_connection_that_is_lost_is_not_replaced(field: Field) -> None:
    """What was watched is forgotten with it: what is read then is read anew."""
    scope, needs = READS[0]
    before = field.read(scope, needs)
    calls = calls_of(field, scope, needs)

    def change() -> None:
        count(field.writer)
        client: Any = field.writer.client
        mine = client.client_id()
        for each in client.client_list():
            if each["db"] == client.client_info()["db"] and int(each["id"]) != mine:
                client.client_kill_filter(_id=each["id"])

    for number in range(2, calls + 1):
        field.put_back()
        field.before_call = Calls(change, number)
        answer = field.read(scope, needs, AT_ONCE)
        assert answer != before
        assert answer == field.read(scope, needs)


def test_too_many_groups_are_too_many_in_pieces_too(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were found, and those that would have to be looked through."""
    scope, needs = READS[3]
    assert isinstance(field.read(scope, needs, AT_ONCE), Counters)
    with monkeypatch.context() as patched:
        patched.setattr(pieces, "MAX_GROUP_FIELDS", 60)
        assert field.read(scope, needs, AT_ONCE) is RANGE_TOO_LARGE
    with monkeypatch.context() as patched:
        patched.setattr(pieces, "LOOKED_THROUGH", 100)
        assert field.read(scope, needs, AT_ONCE) is RANGE_TOO_LARGE


def test_nobody_is_kept_from_watching_for_long(field: Field) -> None:
    """Any number of long reads at a time, of which some are under way; all are right."""
    scope, needs = READS[0]
    right = field.read(scope, needs)

    async def many() -> list[Counters]:
        reader = CounterReader(connect(ApiSettings(redis_url=field.url)), at_once=AT_ONCE)
        try:
            return await asyncio.gather(*(reader.counters("acme", scope, needs) for _ in range(20)))
        finally:
            await reader.close()

    assert asyncio.run(many()) == [right] * 20


@pytest.fixture
def as_user(field: Field) -> Iterator[Callable[..., str]]:
    """Makes a user with the rights that the API is given, less some; says its URL."""
    client: Any = field.writer.client
    url = field.url.replace("//", f"//{USER}:secret@", 1)
    lines = files("deploy").joinpath("security", "redis.acl").read_text().splitlines()
    [rights] = [line.split()[2:] for line in lines if line.startswith("user ses-api ")]

    def make(*taken: str) -> str:
        rules = ["reset", *(word for word in rights if word[0] != ">"), ">secret", "+select", *taken]
        client.execute_command("ACL", "SETUSER", USER, *rules)
        return url

    yield make
    client.acl_deluser(USER)


def test_a_user_with_the_rights_of_the_api_may_watch(
    field: Field, as_user: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that may not has its answers in one call each."""
    scope, needs = READS[3]
    right, calls = field.read(scope, needs), calls_of(field, scope, needs)
    monkeypatch.setattr(field, "url", as_user())
    assert calls_of(field, scope, needs) == calls
    monkeypatch.setattr(field, "url", as_user("-watch"))
    field.before_call = counted = Calls()
    assert field.read(scope, needs, AT_ONCE) == right
    assert counted.number == 1
