"""Programs meet counters of another version: each says so, none counts or answers, and nothing is lost.

The record of the live generation is all by which versions know each other, so it is what is planted here: a
layout of tomorrow, and one of yesterday. What is below it stays as it is.
"""

import time

import msgspec

from schemas import counters, redis_keys
from schemas.counters import LAYOUT, Generation, Member, State
from tests.pipeline import events
from tests.pipeline.place import Place, naive_count

TENANTS = 2
RECORDS = 600


def send(place: Place, seed: int) -> None:
    place.send(events.records(seed, time.time_ns() // 1_000_000, RECORDS, TENANTS))


def go_live(place: Place, generation: Generation) -> None:
    """Write into the record that this generation is live, and the only one."""
    record = counters.Record((Member(generation=generation, state=State.LIVE),))
    place.redis.set(redis_keys.RECORD_KEY, msgspec.json.encode(record))


def test_counters_of_another_layout(place: Place) -> None:
    """A worker that counts, one that starts and the API: all alive, none ready; then all go on, exact."""
    tenant = events.TENANTS[0]
    worker, api = place.programs.worker(), place.programs.api()
    send(place, 61)
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    live = place.record().live
    assert live is not None
    for layout, age in ((LAYOUT + 1, "a newer"), (LAYOUT - 1, "an older")):
        go_live(place, msgspec.structs.replace(live, layout=layout))
        words = f"layout {layout}, of {age} version; this one has layout {LAYOUT}"
        late = place.programs.worker()
        for program in (worker, late, api):
            program.wait_until_unready_because(words)
            assert program.get("/livez").status_code == 200
            if program is not api:
                way = "start workers of that version" if layout > LAYOUT else "rebuild`, up to whose switch"
                program.wait_until_unready_because(way)
        before = place.checkpoints()
        send(place, layout)
        status, body = place.ask(api, (tenant, "tenant", ""), period="day")
        assert (status, body["code"]) == (503, "UNAVAILABLE")
        assert words in body["detail"]
        assert place.checkpoints() == before

        go_live(place, live)
        for program in (worker, late, api):
            program.wait_until_ready()
        place.wait_until_counted(worker)
        want = naive_count(place.events())
        place.check_cells(want)
        place.check(api, want, ("day",))
        assert late.stop() == 0
