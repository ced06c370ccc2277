"""Attacks by those who can reach the API: anybody, and tenants with a key of their own."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlencode

from api.keys.form import ENTROPY_BYTES, new_key
from tests.attack.attack import Attack, awaited
from tests.attack.batches import Rec
from tests.attack.measure import Limits
from tests.attack.records import TENANT, event, now_ms
from tests.attack.scene import Scene
from tests.attack.wire import each_of, last_one, request, tally

DAY_MS: Final = 86_400_000


async def _ask(scene: Scene, requests: Iterable[bytes], allowed: Iterable[int], at_once: int = 16) -> int:
    """Ask, and see that each answer has one of these statuses."""
    turns = list(requests)
    answers = await each_of(scene.api.url, turns, at_once)
    wrong = {status: number for status, number in tally(answers).items() if status not in {*allowed}}
    if wrong:
        first = next(
            data for data, answer in zip(turns, answers, strict=True) if tally([answer]).keys() & wrong
        )
        scene.wrong.append(f"answers that must not be: {wrong}, first to {first[:150]!r}")
    return len(turns)


def _get(scene: Scene, path: str, *headers: tuple[str, str], key: str | None = None) -> bytes:
    bearer = scene.place.keys[TENANT] if key is None else key
    return last_one(request(path, method="GET", headers=(("Authorization", f"Bearer {bearer}"), *headers)))


async def _no_key(scene: Scene, tries: int) -> int:
    """Keys that nobody has: cut, mistyped, well made, of a true id, long, in other words."""
    true = scene.place.keys[TENANT]
    keys = [
        "",
        "sesm_",
        true[:-1],
        true + "x",
        true.swapcase(),
        true[:20] + "A" * 39 + true[59:],
        "x" * 60_000,
        "\x7f\x80",
        *(new_key(number.to_bytes(ENTROPY_BYTES)).text for number in range(8)),
    ]
    requests = [_get(scene, "/api/metrics", key=keys[number % len(keys)]) for number in range(tries)]
    return await _ask(scene, requests, (400, 401, 431))


async def _long_ids(scene: Scene, tries: int) -> int:
    """Ids of a sequence that no mail can have, or that mean something to a router."""
    ids = [
        "x" * 255,
        quote("é" * 127),
        "x" * 8_000,
        "x" * 60_000,
        "%00",
        "%FF%FE",
        "%2F" * 300,
        "..%2F..%2Fkeys",
        "%2e%2e/%2e%2e/metrics",
        "a/b/c",
        quote("}{:*?[a]"),
        quote("s\r\nX-Injected: 1"),
        quote("\u202e\U0001f989") * 30,
        "%",
        "%zz",
        ";jsessionid=1",
    ]
    requests = [_get(scene, f"/api/metrics/sequences/{ids[n % len(ids)]}") for n in range(tries)]
    return await _ask(scene, requests, (200, 400, 404, 414, 431))


async def _costly(scene: Scene, tries: int) -> int:
    """The dearest queries that are allowed, of a tenant with thousands of ids on many days."""
    at = now_ms()
    scene.write(
        (
            Rec(
                event(
                    f"costly {number}",
                    sent_ms=at - number % 60 * DAY_MS - DAY_MS,
                    sequence=[f"costly {number % 5_000}"],
                    template=[f"{number % 5_000:0250}"],
                ),
                at,
            )
            for number in range(20_000)
        ),
        most=1_000,
        packed_by="lz4",
    )
    ranges = (
        {"period": "month", "from": "1970-01-01", "to": "2199-12-31"},
        {"period": "day", "from": "2020-01-01", "to": "2030-12-31"},
        {"period": "hour", "from": "2026-01-01", "to": "2026-12-31"},
        {"period": "day"},
    )
    more: tuple[dict[str, str], ...] = (
        {},
        {"include": "rates,status", "compare": "previous"},
        {"group_by": "template", "limit": "1000"},
        {"group_by": "sequence", "limit": "1000", "timezone": "Pacific/Auckland", "include": "rates"},
    )
    paths = [f"/api/metrics?{urlencode(a | b)}" for a in ranges for b in more]
    paths += ["/api/metrics/sequences?limit=1000", "/api/metrics/templates?limit=1000"]
    requests = [_get(scene, paths[number % len(paths)]) for number in range(tries)]
    return await _ask(scene, requests, (200, 400, 429), at_once=8)


async def _odd_parameters(scene: Scene, tries: int) -> int:
    queries = (
        "period=",
        "period=day&period=week",
        "period[]=day",
        "from=%00",
        "from=9999-12-31T23:59:59.999Z&to=0001-01-01",
        "from=2026-01-01T00:00:00%2B99:99",
        "from=" + "9" * 10_000,
        "to=NaN",
        "from=-1&to=1e309",
        "timezone=../../../../etc/passwd",
        "timezone=Europe/Berlin%00",
        "timezone=/etc/localtime",
        "timezone=" + "A/" * 4_000,
        "timezone=posixrules",
        "limit=%D9%A3&group_by=template",
        "limit=1e3&group_by=template",
        "limit=99999999999999999999&group_by=template",
        "group_by=tenant",
        "include=" + "rates," * 5_000,
        "tenant=innocent",
        "&" * 20_000,
        "=" * 5_000,
        "%",
        "cursor=AAAA",
        "x=1&" * 5_000,
        "a" * 60_000,
    )
    paths = [f"/api/metrics?{query}" for query in queries]
    paths += [f"/api/metrics/sequences?{query}" for query in queries]
    requests = [_get(scene, paths[number % len(paths)]) for number in range(tries)]
    return await _ask(scene, requests, (200, 400, 401, 414, 431), at_once=8)


async def _headers(scene: Scene, tries: int) -> int:
    shapes: tuple[tuple[tuple[str, str], ...], ...] = (
        tuple((f"X-{number}", "1") for number in range(20_000)),
        (("X", "h" * 1_000_000),),
        (("Accept", "text/csv," * 5_000),),
        (("Accept", "text/csv;q=0.5;q=" + "9" * 5_000),),
        (("If-None-Match", 'W/"x",' * 5_000),),
        (("If-None-Match", "*"),),
        (("X-Request-Id", "x" * 5_000),),
        (("X-Request-Id", "a\tb\x7f"),),
        (("Authorization", "Bearer x"),),
        (("Cookie", "a=b;" * 5_000),),
        (("Range", "bytes=0-,-1"),),
        (("Content-Type", "application/json"), ("Content-Encoding", "gzip")),
        (("Accept-Encoding", "gzip, br, " + "x," * 5_000),),
        (("Host", "evil.example"),),
        (("Transfer-Encoding", "chunked"),),
    )
    requests = [_get(scene, "/api/metrics", *shapes[number % len(shapes)]) for number in range(tries)]
    return await _ask(scene, requests, (200, 304, 400, 401, 406, 413, 429, 431, 0), at_once=8)


ATTACKS: Final = (
    Attack("keys that nobody has", "401; innocent tenants are answered", awaited(_no_key), 3_000, 200),
    Attack("ids that no mail can have", "answered or refused, never 5xx", awaited(_long_ids), 320, 32),
    Attack(
        "the dearest queries allowed",
        "innocent tenants are answered",
        awaited(_costly),
        tries=300,
        limits=Limits(valkey_ms=1_000, api_ms=4_000),
    ),
    Attack("odd parameters", "answered or refused, never 5xx", awaited(_odd_parameters), 520, 52),
    Attack("floods of headers", "answered or refused, never 5xx", awaited(_headers), 150, 15),
)
