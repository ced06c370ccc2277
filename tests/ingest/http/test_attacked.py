"""The true program under hostile HTTP: it stays small, and SNS is answered meanwhile."""

import json
import resource
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.processes import free_port
from deploy.signing import Signer
from ingest.http.bodies import BODY_MAX_BYTES, BODY_SECONDS
from tests.ingest.program import LIMIT_S, Program, program
from tests.ingest.support import TOPIC, event
from tests.memory import peak_bytes, resident_bytes

pytestmark = pytest.mark.programs

HEAD = b"POST /webhooks/sns HTTP/1.1\r\nHost: ingest.test\r\n"
GROWTH_MAX_BYTES = 256 * 1024 * 1024
SNS_WAITS_S = 15.0
HELD_UP_MAX_S = 5.0
"""A good message takes a tenth of it; whoever looks for the figure runs the attacks on an idle machine."""


@pytest.fixture(autouse=True)
def many_files() -> None:
    """This process holds as many connections as it attacks with."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


@pytest.fixture
def running(tmp_path: Path, certificates: Path) -> Iterator[Program]:
    with program(
        tmp_path,
        KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}",
        SNS_TOPIC_ARNS=TOPIC,
        SNS_CERTIFICATE_DIR=str(certificates),
    ) as it:
        yield it


@contextmanager
def connections(it: Program, number: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", it.port), timeout=LIMIT_S)))
            for _ in range(number)
        ]


def push(connection: socket.socket, data: bytes) -> None:
    """Send what the server takes of it."""
    try:
        connection.sendall(data)
    except OSError:
        connection.close()


def push_all(to: list[socket.socket], data: bytes, threads: int = 8) -> list[threading.Thread]:
    """Begin to send the data to each connection, on some threads."""

    def send(part: list[socket.socket]) -> None:
        for connection in part:
            push(connection, data)

    begun = [threading.Thread(target=send, args=(to[n::threads],), daemon=True) for n in range(threads)]
    for thread in begun:
        thread.start()
    return begun


class Honest:
    """Posts a good message of SNS, which is verified and ends at once, and notes how long each took."""

    def __init__(self, it: Program, signer: Signer, length: int = 3_000) -> None:
        envelope = signer.confirmation(TOPIC, "token", kind="UnsubscribeConfirmation")
        self._body = json.dumps(envelope).encode().ljust(length)
        self._url = f"{it.url}/webhooks/sns"
        self.took = list[float]()
        self.statuses = list[int]()

    def post(self) -> int:
        began = time.monotonic()
        response = httpx.post(self._url, content=self._body, trust_env=False, timeout=SNS_WAITS_S)
        self.took.append(time.monotonic() - began)
        self.statuses.append(response.status_code)
        return response.status_code

    def post_until(self, done: threading.Event) -> None:
        while not done.is_set():
            self.post()
            time.sleep(0.02)


@contextmanager
def posting(honest: Honest) -> Iterator[None]:
    done = threading.Event()
    thread = threading.Thread(target=honest.post_until, args=(done,))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


DECLARED = b"Content-Length: %d\r\n\r\n" % BODY_MAX_BYTES
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%X\r\n" % BODY_MAX_BYTES


@pytest.mark.parametrize("framing", [DECLARED, CHUNKED])
def test_bodies_that_lack_a_byte_take_little_and_give_it_back(
    running: Program, signer: Signer, framing: bytes
) -> None:
    """1,000 of them: small messages are taken all the while, large ones again when their time is over."""
    honest, large = Honest(running, signer), Honest(running, signer, 250_000)
    assert (honest.post(), large.post()) == (200, 200)
    before = resident_bytes(running.process.pid)
    with connections(running, 1_000) as held, posting(honest):
        data = HEAD + framing + b" " * (BODY_MAX_BYTES - 2)
        for thread in push_all(held, data):
            thread.join(LIMIT_S)
        pushed = time.monotonic()
        while large.post() != 200:
            assert time.monotonic() - pushed < BODY_SECONDS + LIMIT_S
    assert peak_bytes(running.process.pid) - before < GROWTH_MAX_BYTES
    assert set(honest.statuses) == {200}
    assert max(honest.took) < HELD_UP_MAX_S


@pytest.mark.parametrize("unit", [b" ", b"{},", b'{"":0},', b"[],", b'"\\ud83d\\ude80",'])
def test_bad_bodies_do_not_hold_up_a_good_one(running: Program, signer: Signer, unit: bytes) -> None:
    """200 envelopes of 1 MiB that are false or none, each as dear to read as JSON can be."""
    false = json.dumps(signer.notification(TOPIC, event()) | {"Message": "x"}).encode()[:-1]
    filler = unit * ((BODY_MAX_BYTES - len(false) - 20) // len(unit))
    body = (false + b', "X": [' + filler.removesuffix(b",") + b"]}").ljust(BODY_MAX_BYTES)
    honest = Honest(running, signer)
    assert honest.post() == 200
    with connections(running, 200) as bad, posting(honest):
        for thread in push_all(bad, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body, 16):
            thread.join(LIMIT_S)
        for connection in bad:
            if connection.fileno() >= 0:
                connection.settimeout(LIMIT_S)
                try:
                    connection.recv(100)
                except ConnectionError:
                    continue
    assert set(honest.statuses) == {200}
    assert max(honest.took) < HELD_UP_MAX_S


@pytest.mark.parametrize("said", [b"", HEAD])
def test_idle_connections_do_not_hold_up_a_good_one(running: Program, signer: Signer, said: bytes) -> None:
    """1,900 that say nothing, or stop within their headers: it is not their end that is waited for."""
    honest = Honest(running, signer)
    with connections(running, 1_900) as idle:
        for connection in idle:
            push(connection, said)
        assert honest.post() == 200
        ended = select.poll()
        for connection in idle:
            ended.register(connection, select.POLLIN)
        assert ended.poll(0) == []
