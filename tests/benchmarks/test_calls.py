"""What a call sends is seen, and each command of the script has its purpose."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import redis

from aggregator.counters.store import SCRIPT
from aggregator.counting.checkpoints import Move
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.pack import pack, pack_moves
from aggregator.counting.rules import Rules
from deploy.valkey import Valkey
from tests.aggregator.lanes import IDENTITIES, Lane
from tests.benchmarks.bursts import BURSTS, reported
from tests.benchmarks.calls import LAST, PURPOSES, SHA, Sent, add_lines, monitored
from tests.benchmarks.events import Record, records
from tests.benchmarks.workload import Shape, happenings

ONE = Shape("one-tenant", tenants=1, zipf=0.0, sequences=1, templates=1)
MANY_IDS = 1_000


def facts(made: Iterable[Record]) -> Iterator[Facts]:
    """What the events state, as a worker reads them."""
    reader = Decoder(Rules())
    for record in made:
        outcome = reader.read(record.value, record.timestamp_ms)
        if isinstance(outcome, Facts):
            yield outcome


def test_every_command_of_the_script_has_its_purpose(valkey_factory: Callable[[], Valkey]) -> None:
    """Of calls that find nothing, something and the same again, wide counters, and many ids."""
    valkey = valkey_factory()
    some = list(facts(records(happenings(ONE, 2_000))))
    (ids,) = (burst for burst in BURSTS if burst.key == "ids")
    many = list(facts(records(reported(ids, MANY_IDS, 1))))
    with redis.Redis.from_url(valkey.url) as client:
        lane = Lane(client, "g")
        client.script_load(SCRIPT)
        with monitored(valkey, client) as sent:
            for number, part in enumerate((some[:1_000], some[1_000:], some, many)):
                argument = pack([Move(0, number, number + 1, -1)], part, IDENTITIES)[0]
                client.hmget(lane.key, "not", "of", "the", "script")
                client.evalsha(SHA, 1, lane.key, "g", "rules", argument)
        assert sent.calls == 4
        assert sent.commands.keys() == PURPOSES.keys()
        assert sent.commands["HMGET lane"] == sent.commands["TIME"] == 4


def test_a_call_that_only_moves_sends_next_to_nothing(valkey_factory: Callable[[], Valkey]) -> None:
    """It looks at the lane, and writes it."""
    valkey = valkey_factory()
    with redis.Redis.from_url(valkey.url) as client:
        lane = Lane(client, "g")
        client.script_load(SCRIPT)
        with monitored(valkey, client) as sent:
            client.evalsha(SHA, 1, lane.key, "g", "rules", pack_moves([Move(0, 0, 1, -1)]))
        assert sent == Sent(1, Counter({"HMGET lane": 1, "TIME": 1, "EXISTS lane": 1, "HSET lane": 1}))


def test_what_others_send_is_not_counted() -> None:
    """Commands of clients, of other scripts, and texts with quotes and line ends in them."""
    lines = [
        b'+1.5 [0 127.0.0.1:5] "EVALSHA" "other" "1" "{g:1}"\r\n',
        b'+1.5 [0 lua] "hset" "{g:1}" "a" "b"\r\n',
        b'+1.6 [0 127.0.0.1:5] "EVALSHA" "' + SHA + b'" "1" "{g:1}"\r\n',
        b'+1.6 [0 lua] "hset" "{g:1}:c:a\\"b:7" "a" "b"\r\n',
        b'+1.6 [0 lua] "hget" "{g:1}:m:s:20000:1:3" "a"\r\n',
        b'+1.6 [0 lua] "get" "{g:1}:m:s:20000"\r\n',
        b'+1.7 [0 127.0.0.1:5] "HSET" "{g:1}" "a" "b"\r\n',
        b'+1.7 [0 lua] "hset" "{g:1}" "a" "b"\r\n',
        b'+1.8 [0 127.0.0.1:5] "ECHO" "' + LAST + b'"\r\n',
        b'+1.9 [0 127.0.0.1:5] "EVALSHA" "' + SHA + b'" "1" "{g:1}"\r\n',
    ]
    sent = Sent()
    add_lines(sent, iter(lines))
    assert sent == Sent(1, Counter({"HSET counters": 1, "HGET states": 1, "GET layers": 1}))
