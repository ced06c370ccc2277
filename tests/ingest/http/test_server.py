"""The true program and its server, without Kafka.

Long because all of it asks one program, started once.
"""

import json
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from deploy.processes import free_port
from deploy.signing import Signer
from tests.ingest.program import COMMAND, LIMIT_S, Program, environment, program
from tests.ingest.support import SNS_HOST, TOPIC, event

pytestmark = pytest.mark.programs

SNS_WAITS_S = 15.0
"""How long SNS waits for an answer."""


class Proxy(socketserver.ThreadingTCPServer):
    """The only way out that the program under test has. It notes who asks, and lets nobody through."""

    daemon_threads = True

    def __init__(self) -> None:
        asked = self.asked = list[str]()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                asked.append(self.rfile.readline().decode().strip())

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def running(certificates: Path, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    way_out = f"http://127.0.0.1:{proxy.server_address[1]}"
    with program(
        tmp_path_factory.mktemp("log"),
        KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}",
        SNS_TOPIC_ARNS=TOPIC,
        SNS_CERTIFICATE_DIR=str(certificates),
        HTTPS_PROXY=way_out,
        HTTP_PROXY=way_out,
    ) as it:
        yield it


def deliver(to: Program, envelope: dict[str, str]) -> httpx.Response:
    body = json.dumps(envelope)
    return httpx.post(f"{to.url}/webhooks/sns", content=body, trust_env=False, timeout=SNS_WAITS_S)


def test_without_kafka_sns_is_reported_to_try_again_and_nothing_goes_out(
    running: Program, signer: Signer, proxy: Proxy
) -> None:
    """With pinned certificates there is no call, whatever comes; the answer comes while SNS still waits."""
    before = len(proxy.asked)
    stored = deliver(running, signer.notification(TOPIC, event()))
    assert (stored.status_code, stored.json()["code"]) == (503, "UNAVAILABLE")
    genuine = signer.notification(TOPIC, event())
    refused = [
        {**genuine, "Message": event("other")},
        {**genuine, "TopicArn": f"{TOPIC}-2"},
        {**genuine, "SigningCertURL": f"https://{SNS_HOST}.example.org/{signer.certificate_name}"},
        {**signer.confirmation(TOPIC, "token"), "Token": "other"},
        signer.confirmation(f"{TOPIC}-2", "token"),
    ]
    assert [deliver(running, envelope).status_code for envelope in refused] == [403] * len(refused)
    assert (
        deliver(running, signer.confirmation(TOPIC, "t", kind="UnsubscribeConfirmation")).status_code == 200
    )
    assert len(proxy.asked) == before


def test_what_does_go_out_goes_to_sns_alone(
    running: Program, signer: Signer, stranger: Signer, proxy: Proxy
) -> None:
    """The check of the check: a certificate that is not pinned, and a confirmation, are asked for."""
    for envelope in (stranger.notification(TOPIC, event()), signer.confirmation(TOPIC, "token")):
        before = len(proxy.asked)
        assert deliver(running, envelope).status_code == 503
        assert proxy.asked[before:] == [f"CONNECT {SNS_HOST}:443 HTTP/1.1"]


def test_probes(running: Program) -> None:
    ready = httpx.get(f"{running.url}/readyz", trust_env=False, timeout=SNS_WAITS_S)
    assert (ready.status_code, ready.json()["code"]) == (503, "UNAVAILABLE")
    assert httpx.get(f"{running.url}/livez", trust_env=False).status_code == 200
    assert "ingest_deliveries_total" in httpx.get(f"{running.url}/metrics", trust_env=False).text


class NoTls(socketserver.BaseRequestHandler):
    """A server that knows no TLS."""

    def handle(self) -> None:
        self.request.sendall(b"what do you mean?\n")


@pytest.mark.parametrize(
    "wrong",
    [("localhost", "SSL", "KAFKA_SSL_CA_LOCATION"), ("kafka.invalid", "PLAINTEXT", "host name of a broker")],
)
def test_why_kafka_is_out_of_reach_is_reported(
    tmp_path: Path, signer: Signer, certificates: Path, wrong: tuple[str, str, str]
) -> None:
    """In the log once, with librdkafka's own words; by `/readyz` and to SNS without any address."""
    host, protocol, said = wrong
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), NoTls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        port = server.server_address[1]
        try:
            with program(
                tmp_path,
                KAFKA_BOOTSTRAP_SERVERS=f"{host}:{port}",
                KAFKA_SECURITY_PROTOCOL=protocol,
                SNS_TOPIC_ARNS=TOPIC,
                SNS_CERTIFICATE_DIR=str(certificates),
            ) as it:
                answers = [deliver(it, signer.notification(TOPIC, event())) for _ in range(2)]
                answers.append(httpx.get(f"{it.url}/readyz", trust_env=False, timeout=SNS_WAITS_S))
                assert it.stop(signal.SIGTERM) == 0
        finally:
            server.shutdown()
            thread.join()
    assert [answer.status_code for answer in answers] == [503] * 3
    assert said in answers[-1].json()["detail"]
    for answer in answers:
        assert host not in answer.text
        assert str(port) not in answer.text
    lines = [json.loads(line) for line in it.log.read_text().splitlines()]
    reported = [line for line in lines if line["event"] == "kafka can't be used"]
    assert len({line["why"] for line in reported}) == len(reported), "once for each cause"
    (cause,) = (line for line in reported if said in line["why"])
    assert f"{host}:{port}" in cause["error"]
    (refused,) = (line for line in lines if line["event"] == "kafka takes no records")
    assert said in refused["why"]


HEAD = b"POST /webhooks/sns HTTP/1.1\r\nHost: ingest.test\r\n"


TRICKLES = [
    (b"", b""),
    (b"P", b""),
    (HEAD, b"X-A: b\r\n"),
    (HEAD + b"X-A: ", b"b"),
    (HEAD + b"Content-Length: 1000000\r\n\r\n", b"{"),
    (HEAD + b"Content-Length: 10\r\n\r\n", b""),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
    (b"GET /livez HTTP/1.1\r\nHost: ingest.test\r\n\r\n", b""),
]


def trickle(port: int, first: bytes, then: bytes) -> bytes:
    """Send the first bytes, then the others again and again, until the server closes the connection.

    Returns: the beginning of what it answered.
    """
    received = b""
    began = time.monotonic()
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.settimeout(0.2)
        try:
            connection.sendall(first)
            while time.monotonic() - began < LIMIT_S:
                try:
                    data = connection.recv(65_536)
                except TimeoutError:
                    connection.sendall(then)
                else:
                    received += data
                    if not data:
                        return received[:13]
        except ConnectionError:
            return received[:13]
    pytest.fail("the connection stays open")


def test_who_trickles_is_cut_off(running: Program) -> None:
    """Headers or a body that come byte by byte, or not at all, end with the connection closed.

    Never with a 4xx: a machine or a network that was slow for a moment must not lose an event.
    """
    with ThreadPoolExecutor(len(TRICKLES)) as pool:
        ends = list(pool.map(lambda trickled: trickle(running.port, *trickled), TRICKLES))
    assert ends == [b""] * 4 + [b"HTTP/1.1 503 "] * 3 + [b"HTTP/1.1 200 "]


def test_who_sends_too_much_is_cut_off(running: Program) -> None:
    """413 comes before the body has ended, and nothing more is read."""
    with closing(socket.create_connection(("127.0.0.1", running.port), timeout=LIMIT_S)) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        for _ in range(17):
            connection.sendall(piece)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
        with pytest.raises(ConnectionError):
            connection.sendall(piece * 1_000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, signer: Signer, certificates: Path, number: int) -> None:
    """It exits with 0 though a client trickles, Kafka is away and the signal comes twice.

    Each line of its log is JSON, and there are few.
    """
    with program(
        tmp_path,
        KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}",
        SNS_TOPIC_ARNS=TOPIC,
        SNS_CERTIFICATE_DIR=str(certificates),
    ) as it:
        deliver(it, signer.notification(TOPIC, event()))
        with closing(socket.create_connection(("127.0.0.1", it.port))) as connection:
            connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 100 "), "it waits for the body"
            it.process.send_signal(number)
            assert it.stop(number) == 0
        lines = [json.loads(line) for line in it.log.read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "serving http",
        "kafka takes no records",
        "delivery not taken",
        "stopping",
        "delivery not taken",
        "stopped serving http",
    ]


def test_it_leaves_in_good_order(tmp_path: Path) -> None:
    """Not ready first, listening for the time of its grace, whatever signals come; what is in flight ends."""
    grace_s = 3.0
    with (
        program(
            tmp_path, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}", SHUTDOWN_GRACE_S=str(grace_s)
        ) as it,
        httpx.Client(base_url=it.url, trust_env=False) as kept,
    ):
        assert "connection" not in kept.get("/livez").headers
        reported = time.monotonic()
        it.process.send_signal(signal.SIGTERM)
        while "about to stop" not in kept.get("/readyz").text:
            assert time.monotonic() - reported < LIMIT_S
        it.process.send_signal(signal.SIGTERM)
        it.process.send_signal(signal.SIGINT)
        assert kept.get("/readyz").status_code == 503
        alive = kept.get("/livez")
        assert (alive.status_code, alive.headers["connection"]) == (200, "close")
        with closing(socket.create_connection(("127.0.0.1", it.port), timeout=LIMIT_S)) as in_flight:
            in_flight.sendall(HEAD + b"Content-Length: 2\r\n\r\n{")
            while accepts(it.port):
                time.sleep(0.05)
            assert time.monotonic() - reported >= grace_s
            in_flight.sendall(b"}")
            assert in_flight.recv(100).startswith(b"HTTP/1.1 400 ")
        assert it.process.wait(LIMIT_S) == 0


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S).close()
    except ConnectionRefusedError:
        return False
    return True


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, env=environment(**settings), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def test_a_port_that_is_taken_is_said_in_one_line(running: Program) -> None:
    """By another ingest, or by anything else: the ports are never shared."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        for port in (running.port, other.getsockname()[1]):
            ended = run(INGEST_PORT=str(port))
            assert (ended.returncode, ended.stdout) == (1, "")
            (line,) = ended.stderr.splitlines()
            assert str(port) in line
            assert "INGEST_PORT" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INGEST_PORT", "0"),
        ("INGEST_PORT", "eighty"),
        ("SNS_TOPIC_ARNS", f"{TOPIC},events"),
        ("SNS_CERTIFICATE_DIR", "/nowhere/at/all"),
        ("KAFKA_SECURITY_PROTOCOL", "NONE"),
    ],
)
def test_a_wrong_setting_is_said_in_one_line(name: str, value: str) -> None:
    ended = run(**{name: value})
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert name in line


def test_kafka_settings_that_make_no_sense_are_said_in_one_line() -> None:
    ended = run(
        INGEST_PORT=str(free_port()), KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CA_LOCATION="/nowhere/at/all"
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr


def test_help_names_every_setting_of_its_own() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    for name in (
        "INGEST_PORT",
        "SNS_TOPIC_ARNS",
        "SNS_CERTIFICATE_DIR",
        "KAFKA_BOOTSTRAP_SERVERS",
        "EVENTS_TOPIC",
        "SHUTDOWN_GRACE_S [5.0]",
    ):
        assert name in ended.stdout
