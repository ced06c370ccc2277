"""What `keys create` and `keys revoke` believe of the API on this host."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from api.keys import commands
from api.keys.commands import NotAppliedError, await_applied
from deploy.processes import free_port

pytestmark = pytest.mark.programs


@contextmanager
def something_listens(body: Callable[[], bytes], status: int = 200) -> Iterator[int]:
    """A server that says that to every request; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_waits_until_the_record_is_applied_ready_or_not() -> None:
    """The offset decides, with 503 too: an API that has no counters knows keys all the same."""
    asked = iter(range(100))
    with something_listens(lambda: json.dumps({"api_keys_offset": next(asked)}).encode(), 503) as port:
        await_applied(port, 3)
    assert next(asked) == 5


@pytest.mark.parametrize("body", [b"", b"hello", b"{}", b"[]"])
def test_a_program_that_is_not_the_api_is_not_believed(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "API_TIMEOUT_S", 0.3)
    with something_listens(lambda: body) as port, pytest.raises(NotAppliedError, match=str(port)):
        await_applied(port, 3)


@pytest.mark.parametrize(("told", "words"), [(b"3", "up to offset 3"), (b"null", "not read api-keys yet")])
def test_an_api_that_does_not_get_there_is_told(
    told: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offset 3 as the next one means that the record at 3 is not applied."""
    monkeypatch.setattr(commands, "API_TIMEOUT_S", 0.3)
    with (
        something_listens(lambda: b'{"api_keys_offset": %b}' % told) as port,
        pytest.raises(NotAppliedError, match=words),
    ):
        await_applied(port, 3)


def test_nobody_there_is_nobody_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "API_TIMEOUT_S", 0.3)
    await_applied(free_port(), 3)
