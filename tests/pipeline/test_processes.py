"""Several processes of ingest and of the API: to everybody outside, one program.

Which process takes a connection is the kernel's choice. A test that wants it to be a certain one lets the
other stand still meanwhile: what is shared is the listening socket, so no connection waits for that one.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.processes import free_port
from deploy.signing import Signer
from schemas.topics import API_KEYS_TOPIC
from tests.pipeline import log
from tests.pipeline.place import Place
from tests.pipeline.programs import Program
from tests.pipeline.webhook import TOPIC_ARN, post

ASKED = 6
"""How often a question is asked, each time on a connection of its own: of one process or the other."""


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def pids(program: Program) -> list[int]:
    """Its processes, once all of them serve, and so does what watches over them."""
    program.wait_until(lambda: len(program.said("serving http")) == 2, "both serve")
    found: list[int] = program.wait_until_said("running in processes")["pids"]
    assert len(found) == 2
    return found


def lives(pid: int) -> bool:
    """Whether there is such a process, which is not merely waiting to be forgotten."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def answers(program: Program, path: str) -> list[httpx.Response]:
    """What is said on several connections."""
    return [httpx.get(program.url + path, trust_env=False, timeout=60) for _ in range(ASKED)]


def totals(program: Program, series: str) -> set[float]:
    """The values of a series in `/metrics`, by all that are asked."""
    return {
        float(line.rpartition(" ")[2])
        for answer in answers(program, "/metrics")
        for line in answer.text.splitlines()
        if line.rpartition(" ")[0] == series
    }


def test_ingest_in_two_processes_counts_as_one_and_ends_as_one(place: Place, tmp_path: Path) -> None:
    """What either took is in `/metrics`, whoever is asked; after one SIGTERM each 200 is kept by Kafka."""
    signer = Signer.create(tmp_path)
    ingest = place.programs.ingest(TOPIC_ARN, tmp_path, INGEST_PROCESSES="2", SHUTDOWN_GRACE_S="5")
    one, other = pids(ingest)
    ingest.wait_until_ready()
    webhook = f"{ingest.url}/webhooks/sns"

    def send(prefix: str, number: int) -> None:
        asyncio.run(post(webhook, signer, [f'{{"{prefix}": {each}}}'.encode() for each in range(number)]))

    with standing_still(one):
        send("other", 20)
    with standing_still(other):
        send("one", 30)
    assert totals(ingest, 'ingest_deliveries_total{outcome="stored"}') == {50}
    assert totals(ingest, "ingest_publish_seconds_count") == {50}
    ingest.wait_until(lambda: totals(ingest, "ingest_ready") == {1}, "both are ready by their metric")
    ingest.wait_until(
        lambda: {each.status_code for each in answers(ingest, "/readyz")} == {200}, "both say so"
    )

    taken: list[int] = []

    def go_on_sending(thread: int) -> None:
        try:
            for number in range(thread * 10_000, (thread + 1) * 10_000):
                asyncio.run(post(webhook, signer, [f'{{"last": {number}}}'.encode()]))
                taken.append(number)
        except httpx.TransportError:
            return  # nobody listens any more

    with ThreadPoolExecutor(4) as threads:
        sending = [threads.submit(go_on_sending, thread) for thread in range(4)]
        ingest.wait_until(lambda: len(taken) >= 20, "some are taken before the signal")
        before = len(taken)
        assert ingest.stop() == 0
        for each in sending:
            each.result()
    assert len(taken) > before, "none was taken after the signal: the grace is not kept"
    kept = {record.value for record in log.read(place.bootstrap, place.programs.events_topic)}
    assert {f'{{"last": {number}}}'.encode() for number in taken} <= kept
    assert sorted(line["process"] for line in ingest.said("stopped serving http")) == [1, 2]
    assert not any(map(lives, (one, other)))


def test_a_process_that_dies_ends_the_program_and_none_outlives_it(place: Place, tmp_path: Path) -> None:
    """Killed: the rest leaves, with status 1 and a line that says which; and a killed program has no rest.

    What is for operators is on a port of its own here, which they share too.
    """
    port = free_port()
    ingest = place.programs.ingest(TOPIC_ARN, tmp_path, INGEST_PROCESSES="2", METRICS_PORT=str(port))
    one, other = pids(ingest)
    ingest.wait_until_ready()
    for path, status in (("/metrics", 200), ("/readyz", 200), ("/webhooks/sns", 404)):
        assert httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=60).status_code == status
    assert {each.status_code for each in answers(ingest, "/metrics")} == {404}
    os.kill(one, signal.SIGKILL)
    assert ingest.wait_until_ended() == 1
    [ended] = ingest.said("a process has ended, so all end")
    assert (ended["process"], ended["pid"], ended["status"], ended["level"]) == (1, one, -9, "error")
    assert [line["process"] for line in ingest.said("stopped serving http")] == [2]
    assert not lives(other)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{ingest.url}/livez", trust_env=False)

    again = place.programs.ingest(TOPIC_ARN, tmp_path, INGEST_PROCESSES="2")
    both = pids(again)
    again.wait_until_ready()
    os.kill(again.pid, signal.SIGKILL)
    again.wait_until_ended()
    place.programs.ingest(TOPIC_ARN, tmp_path).wait_until(
        lambda: not any(map(lives, both)), "the processes of the killed program are gone"
    )


def test_a_key_lives_and_ends_in_each_process(place: Place) -> None:
    """`keys create` and `keys revoke` wait for both, and so does readiness; requests of both are counted."""
    place.programs.worker().wait_until_ready()
    api = place.programs.api(API_PROCESSES="2")
    one, other = pids(api)
    api.wait_until_ready()

    def statuses(key: str) -> set[int]:
        """What both processes say to a key."""
        said = set()
        for still in (one, other):
            with standing_still(still):
                headers = {"Authorization": f"Bearer {key}"}
                answer = httpx.get(f"{api.url}/api/metrics", headers=headers, trust_env=False, timeout=60)
                said.add(answer.status_code)
        return said

    def ends_for_both(command: subprocess.Popen[str]) -> str:
        """The command, of whose end nothing is seen while one process stands still."""
        with standing_still(other):
            api.wait_until(lambda: end() > before, "Kafka has the change")
            with pytest.raises(subprocess.TimeoutExpired):
                command.communicate(timeout=3)
        out, err = command.communicate(timeout=60)
        assert command.returncode == 0, err
        return out.strip()

    def end() -> int:
        return log.ends(place.bootstrap, API_KEYS_TOPIC)[0]

    before = end()
    key = ends_for_both(place.programs.api_command("keys", "create", "acme"))
    assert statuses(key) == {200}
    assert totals(api, 'api_requests_total{route="/api/metrics",status="200"}') == {2}
    assert min(totals(api, "api_keys_next_offset")) > before
    api.wait_until_ready()  # the last use of the key is read by both
    before = end()
    ends_for_both(place.programs.api_command("keys", "revoke", key[5:16]))
    assert statuses(key) == {401}
    assert totals(api, 'api_requests_total{route="/api/metrics",status="401"}') == {2}
    assert api.stop() == 0
