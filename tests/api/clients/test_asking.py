"""How the clients ask: retries, pauses, timeouts, held answers, and errors of all kinds."""

import asyncio
import json
import socket
from typing import Any

import httpx
import pytest

from api.errors import ERRORS
from kraiter import AsyncKraiter, Kraiter
from tests.api.clients.callers import Call, Caller, Limits, run_node, sync
from tests.api.clients.scripted import Reply, metrics, problem, scripted

pytestmark = pytest.mark.programs

GET: Call = ("get", ())
BUSY = Reply(429, problem("RATE_LIMITED", 429), {"Retry-After": "1"})
AWAY = Reply(503, problem("UNAVAILABLE", 503, request_id="r-1"))
FINE = Reply(200, metrics())
CLASSES = {401: "UnauthorizedError", 404: "NotFoundError", 400: "InvalidRequestError"}
WRONG_KEYS = ("", " ", "secret\n", " secret", "secret\nsecret", "secret\u00e9")
"""None can stand in a header, or is what was printed: read with its line end, or cut out with more."""

LATER = {429: "RateLimitedError", 503: "UnavailableError"}


def test_a_busy_or_absent_api_is_asked_again_when_it_said(ask: Caller) -> None:
    """429 and 503 are no end; a `Retry-After` is waited for."""
    with scripted(BUSY, AWAY, FINE) as server:
        assert ask(server.url, "k", [GET]) == [metrics()]
    assert len(server.asked) == 3
    assert server.times[1] - server.times[0] >= 1.0
    assert all(headers["Authorization"] == "Bearer k" for _, headers in server.asked)


def test_retries_have_a_bound(ask: Caller) -> None:
    with scripted(AWAY, AWAY, FINE) as server:
        (outcome,) = ask(server.url, "k", [GET], Limits(retries=1))
    assert outcome["error"] == {
        "name": "UnavailableError",
        "code": "UNAVAILABLE",
        "status": 503,
        "detail": "So.",
        "request_id": "r-1",
    }
    assert len(server.asked) == 2


def test_pauses_grow(ask: Caller) -> None:
    """Without a word on when, each pause is about twice the one before: the third is half a second."""
    with scripted(AWAY, AWAY, AWAY, FINE) as server:
        assert ask(server.url, "k", [GET]) == [metrics()]
    assert server.times[3] - server.times[2] >= 0.5


def test_a_wait_that_is_too_long_is_not_waited_for(ask: Caller) -> None:
    """The error comes at once, and says how long it would have been."""
    with scripted(Reply(503, problem("UNAVAILABLE", 503), {"Retry-After": "3600"}), FINE) as server:
        (outcome,) = ask(server.url, "k", [GET])
    assert (outcome["error"]["name"], outcome["error"]["retry_after_s"]) == ("UnavailableError", 3600)
    assert len(server.asked) == 1


def test_a_wait_that_is_no_number_of_seconds_is_not_guessed(ask: Caller) -> None:
    """A proxy may name a date: the client's own pause is made, and the error names no wait."""
    dated = Reply(503, problem("UNAVAILABLE", 503), {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"})
    with scripted(dated, FINE, dated) as server:
        outcomes = ask(server.url, "k", [GET, GET], Limits(retries=1))
        assert len(server.asked) == 4
    assert outcomes[0] == metrics()
    assert outcomes[1]["error"] == {"name": "UnexpectedAnswerError", "status": 418}
    with scripted(dated) as server:
        (outcome,) = ask(server.url, "k", [GET], Limits(retries=0))
    assert "retry_after_s" not in outcome["error"]


def test_every_retry_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with scripted(AWAY, AWAY, FINE) as server:
        sync(server.url, "secret", [GET])
    lines = [record.getMessage() for record in caplog.records if record.name == "kraiter"]
    assert [line.partition(";")[0] for line in lines] == ["UNAVAILABLE: So."] * 2
    assert "secret" not in caplog.text
    with scripted(AWAY, FINE) as server:
        done = run_node(f"await new Kraiter({{ apiKey: 'secret', baseUrl: '{server.url}' }}).metrics.get();")
    assert done.stderr.startswith("kraiter: UNAVAILABLE: So.; asking again in ")
    assert "secret" not in done.stderr


def test_no_answer_in_time_is_asked_for_again(ask: Caller) -> None:
    with scripted(Reply(hangs=True), FINE) as server:
        assert ask(server.url, "k", [GET], Limits(timeout_s=2.0)) == [metrics()]
        assert len(server.asked) == 2
        assert server.times[1] - server.times[0] < 20  # the limit asked for, generously, and not another


def test_nobody_there(ask: Caller) -> None:
    """Who is not reached after all retries is told from one who refuses."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets the port
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        assert ask(url, "k", [GET], Limits(retries=1)) == [{"error": {"name": "NotReachedError"}}]


def test_an_unchanged_answer_is_not_sent_again(ask: Caller) -> None:
    """A held answer is asked for with its tag; a 304 gives its numbers with the freshness of now."""
    later = "2025-03-03T11:00:00.000Z"
    replies = (
        Reply(200, metrics(), {"ETag": 'W/"one"'}),
        Reply(304, headers={"ETag": 'W/"one"', "X-Complete-Through": later}),
        Reply(304, headers={"ETag": 'W/"one"'}),
        Reply(200, metrics(period="week"), {"ETag": 'W/"two"'}),
        Reply(200, metrics(period="month")),
        FINE,
    )
    with scripted(*replies) as server:
        outcomes = ask(server.url, "k", [GET] * 5 + [("sequence", ("a",))])
    assert outcomes == [
        metrics(),
        metrics(complete_through=later),
        metrics(complete_through=None),
        metrics(period="week"),
        metrics(period="month"),
        metrics(),
    ]
    tags = [headers["If-None-Match"] for _, headers in server.asked]
    assert tags == [None, 'W/"one"', 'W/"one"', 'W/"one"', 'W/"two"', None]
    assert [path for path, _ in server.asked[-2:]] == ["/api/metrics", "/api/metrics/sequences/a"]


@pytest.mark.parametrize(("size", "held"), [(0, []), (1, ["b"]), (2, ["a", "b"])])
def test_what_is_held_is_bounded(ask: Caller, size: int, held: list[str]) -> None:
    """The answer that was used longest ago goes first."""
    asked = ["a", "b", "b", "a"]
    replies = [Reply(200, metrics(), {"ETag": f'"{name}"'}) for name in asked]
    with scripted(*replies) as server:
        ask(server.url, "k", [("template", (name,)) for name in asked], Limits(cache_size=size))
    tags = [headers["If-None-Match"] for _, headers in server.asked]
    assert tags[:2] == [None, None]
    assert {tag.strip('"') for tag in tags[2:] if tag} == set(held)


def test_an_answer_that_is_used_again_is_held_longer(ask: Caller) -> None:
    """A 304 is a use too: of two held answers the other one goes for a third."""
    replies = [Reply(200, metrics(), {"ETag": f'"{name}"'}) for name in "ab"]
    replies += [Reply(304), Reply(200, metrics(), {"ETag": '"c"'}), Reply(304), FINE]
    with scripted(*replies) as server:
        ask(server.url, "k", [("template", (name,)) for name in "abacab"], Limits(cache_size=2))
    tags = [headers["If-None-Match"] for _, headers in server.asked]
    assert tags == [None, None, '"a"', None, '"a"', None]


def test_only_what_is_not_given_is_left_out(ask: Caller) -> None:
    """0 and an empty text are values, for the API to judge."""
    with scripted(FINE) as server:
        ask(server.url, "k", [("get", ({"limit": 0, "timezone": "", "group_by": None},))])
    assert server.asked[0][0] == "/api/metrics?limit=0&timezone="


def test_every_code_of_the_api_has_its_class(ask: Caller) -> None:
    """The client's table knows each code; one that it does not know is an ApiError all the same."""
    errors = [error for error in ERRORS if error.status not in LATER]
    replies = [Reply(error.status, problem(error.code, error.status)) for error in errors]
    with scripted(*replies) as server:
        outcomes = ask(server.url, "k", [GET] * len(errors))
    assert [(each["error"]["name"], each["error"]["code"]) for each in outcomes] == [
        (CLASSES.get(error.status, "ApiError"), error.code) for error in errors
    ]
    for status, name in LATER.items():
        with scripted(Reply(status, b"<html>a proxy's word</html>")) as server:
            (outcome,) = ask(server.url, "k", [GET], Limits(retries=0))
        assert (outcome["error"]["name"], outcome["error"]["status"]) == (name, status)


def test_what_is_not_the_api_is_not_taken_for_it(ask: Caller) -> None:
    """Neither numbers nor a refusal are made of somebody else's answer; the key follows no redirect."""
    elsewhere = Reply(302, b"", {"Location": "/elsewhere"})
    strange: list[Reply] = [
        Reply(200, b"<html></html>"),
        Reply(200, {"total": 1}),
        Reply(200, b"null"),
        Reply(404, b"not here"),
        Reply(502, []),
        Reply(304),
        elsewhere,
    ]
    with scripted(*strange) as server:
        outcomes = ask(server.url, "k", [GET] * len(strange))
    assert [outcome["error"] for outcome in outcomes] == [
        {"name": "UnexpectedAnswerError", "status": reply.status} for reply in strange
    ]
    assert "/elsewhere" not in [path for path, _ in server.asked]


def test_a_count_that_is_no_number_is_no_zero() -> None:
    broken: list[dict[str, Any]] = [
        metrics(totals={"sent": 1}),
        metrics(totals=dict.fromkeys(metrics()["totals"], "1")),
        metrics(timeseries=[{"timestamp": "yesterday", **metrics()["totals"]}]),
    ]
    with scripted(*(Reply(200, body) for body in broken)) as server:
        outcomes = sync(server.url, "k", [GET] * len(broken))
    assert [outcome["error"]["name"] for outcome in outcomes] == ["UnexpectedAnswerError"] * len(broken)


def test_a_base_url_may_end_with_a_slash(ask: Caller) -> None:
    with scripted(FINE) as server:
        assert ask(f"{server.url}/behind/", "k", [GET]) == [metrics()]
    assert server.asked[0][0] == "/behind/api/metrics"


def test_a_refusal_without_a_word_is_told_all_the_same(ask: Caller) -> None:
    """A code alone is enough for an error that a person can read."""
    with scripted(Reply(400, {"code": "INVALID_RANGE"})) as server:
        (outcome,) = ask(server.url, "k", [GET])
    assert outcome["error"]["code"] == "INVALID_RANGE"
    assert outcome["error"]["detail"]


def test_fields_of_a_later_api_do_no_harm(ask: Caller) -> None:
    with scripted(Reply(200, metrics(later={"more": 1}))) as server:
        (outcome,) = ask(server.url, "k", [GET])
    assert outcome["totals"] == metrics()["totals"]


def test_what_a_caller_alters_alters_no_other_answer() -> None:
    """JavaScript's results are plain objects, and each caller gets one of its own."""
    tagged = Reply(200, metrics(), {"ETag": '"one"'})
    with scripted(tagged, Reply(304), Reply(304)) as server:
        done = run_node(
            f"const {{ metrics }} = new Kraiter({{ apiKey: 'k', baseUrl: '{server.url}' }});\n"
            "for (let n = 0; n < 3; n += 1) {\n"
            "  const { totals } = await metrics.get();\n"
            "  console.log(totals.sent);\n"
            "  totals.sent = -1;\n"
            "}"
        )
    assert done.stdout.split() == ["10", "10", "10"]


def test_an_http_client_of_one_s_own_is_used_and_left_open() -> None:
    """Proxies, certificates and pools are its owner's, who closes it."""
    with scripted(FINE, FINE) as server:
        with httpx.Client(headers={"X-Own": "1"}) as http:
            with Kraiter("k", server.url, http=http) as kraiter:
                kraiter.metrics.get()
            assert not http.is_closed

        async def ask() -> None:
            async with httpx.AsyncClient(headers={"X-Own": "2"}) as http:
                async with AsyncKraiter("k", server.url, http=http) as kraiter:
                    await kraiter.metrics.get()
                assert not http.is_closed

        asyncio.run(ask())
        assert [headers["X-Own"] for _, headers in server.asked] == ["1", "2"]


@pytest.mark.parametrize("kind", [Kraiter, AsyncKraiter])
def test_options_that_cannot_work_are_refused(kind: type[Kraiter] | type[AsyncKraiter]) -> None:
    with pytest.raises(ValueError, match="http://"):
        kind("k", "localhost:8080")
    for wrong in ({"retries": -1}, {"cache_size": -1}, {"max_wait_s": -1.0}):
        with pytest.raises(ValueError, match="negative"):
            kind("k", "http://localhost", **wrong)
    for key in WRONG_KEYS:
        with pytest.raises(ValueError, match="api_key") as refused:
            kind(key, "http://localhost")
        assert "secret" not in str(refused.value)
    assert "secret" not in repr(kind("secret", "http://localhost"))


def test_javascript_refuses_options_that_cannot_work() -> None:
    tried = [
        {"baseUrl": "http://localhost"},
        *({"apiKey": key, "baseUrl": "http://localhost"} for key in WRONG_KEYS),
        {"apiKey": "k", "baseUrl": "localhost:8080"},
        {"apiKey": "k", "baseUrl": "http://localhost", "retries": -1},
        {"apiKey": "k", "baseUrl": "http://localhost", "retries": "many"},
    ]
    for options in tried:
        source = (
            f"try {{ new Kraiter({json.dumps(options)}); }} catch (error) {{ console.log(String(error)); }}"
        )
        said = run_node(source).stdout
        assert said.startswith("TypeError: ")
        assert "secret" not in said
