"""`deploy/compose.yaml` as an operator runs it, under demo traffic, and every number of it compared."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote

import httpx

from deploy.demo.plan import SCOPE_TAGS, Plan
from deploy.disorder import Disorder, Message
from deploy.letters import life_of_a_mail
from deploy.processes import free_port
from deploy.signing import Signer
from deploy.traffic import DAY
from tests.deploy.containers.engine import Engine, FailedError
from tests.deploy.containers.stand_ins import COMPOSE
from tests.pipeline import oracle
from tests.pipeline.programs import wait_until
from tests.pipeline.webhook import HEADERS, TOPIC_ARN

TAGS: Final = {**oracle.PAGE, **SCOPE_TAGS}
SERVING: Final = ("kafka", "valkey", "ingest", "aggregator", "audit", "archive", "api", "prometheus")
"""The services that stay."""

BUILD: Final = "services: {topics: {build: {network: host}}}"
"""More for the build alone: this engine gives containers no way out, and pip needs one."""


class Stack:
    """The containers, what was sent to them, and the keys of their tenants."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        """Take down where they will run. directory: for certificates and settings."""
        self.engine = engine
        self._ingest, self._api, self._prometheus = free_port(), free_port(), free_port()
        certificates = directory / "certificates"
        certificates.mkdir()
        self._signer = Signer.create(certificates)
        certificates.chmod(0o777)  # user 10001 reads it, and as the doctor writes there
        self._build = directory / "build.yaml"
        self._build.write_text(BUILD)
        self._settings = {
            "INGEST_PORT": str(self._ingest),
            "API_PORT": str(self._api),
            "PROMETHEUS_PORT": str(self._prometheus),
            "SNS_TOPIC_ARNS": TOPIC_ARN,
            "SNS_CERTIFICATE_DIR": str(certificates),
            "SCOPE_TAGS": ",".join(f"{name}={tag}" for name, tag in SCOPE_TAGS.items()),
            "RECIPIENT_KEY": "5a" * 32,
            "ARCHIVE_URL": "file:///var/lib/ses-metrics/archive",
            "ARCHIVE_FILE_MINUTES": "0.1",
        }
        self._messages = messages(time.time_ns() // 1_000_000)
        self._sent: list[Message] = []
        self._keys: dict[str, str] = {}

    @property
    def building(self) -> dict[str, str]:
        """What another compose must have in its environment to build as this one does."""
        return {"COMPOSE_FILE": f"{COMPOSE}:{self._build}"}

    def compose(self, *arguments: str) -> str:
        """Run a command of compose. Returns: its stdout. Raises: FailedError with the containers' logs."""
        files = ("--file", COMPOSE, "--file", self._build, "--profile", "prometheus")
        try:
            return self.engine.docker("compose", *files, *arguments, settings=self._settings)
        except FailedError as error:
            raise FailedError(f"{error}\n{self.logs()}") from None

    def up(self) -> None:
        """Start all, and wait until each is healthy."""
        self.compose("up", "--detach", "--wait", "--quiet-pull")

    def name_no_archive(self) -> None:
        """From now on the settings are those of who has none."""
        self._settings["ARCHIVE_URL"] = ""

    def operator(self, *arguments: str) -> str:
        """Run one of the programs' commands as the runbook says it. Returns: its stdout."""
        return self.compose("run", "--rm", "--no-TTY", "operator", *arguments)

    def doctor(self, *arguments: str) -> Any:
        """What the doctor finds, as JSON. Raises: FailedError where that is a problem."""
        return json.loads(self.compose("run", "--rm", "--no-TTY", "doctor", "--json", *arguments))

    def logs(self) -> str:
        """What there is and what it last said, for whoever reads of a failure."""
        files = ("--file", COMPOSE, "--profile", "prometheus")
        said = []
        for command in (("ps", "--all"), ("logs", "--tail", "30", "--no-color")):
            try:
                said.append(self.engine.docker("compose", *files, *command, settings=self._settings))
            except FailedError as error:
                said.append(str(error))
        return "\n".join(said)

    def container(self, service: str) -> Any:
        """What the engine knows of a service's container."""
        return self.engine.inspect(f"ses-metrics-{service}-1")

    def crash(self, *services: str) -> None:
        """SIGKILL what runs in the containers, and wait until the engine has brought them back to health.

        Events are delivered meanwhile.
        """
        before = {service: self.container(service)["State"]["StartedAt"] for service in services}
        for service in services:
            self.engine.crash(f"ses-metrics-{service}-1")
        self.deliver(100)

        def back() -> bool:
            states = {service: self.container(service)["State"] for service in services}
            return all(
                state["StartedAt"] != before[service] and state["Health"]["Status"] == "healthy"
                for service, state in states.items()
            )

        wait_until(back, f"{' and '.join(services)} are back")

    def deliver(self, number: int) -> None:
        """Post the next messages to the webhook, each until it is taken, as SNS does."""
        batch = list(islice(self._messages, number))
        assert len(batch) == number, "there are no more messages"
        with httpx.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda message: self._post(client, message), batch))
        self._sent += batch

    def _post(self, client: httpx.Client, message: Message) -> None:
        envelope = self._signer.notification(TOPIC_ARN, message.body, message_id=message.sns_message_id)
        body = json.dumps(envelope)

        def taken() -> bool:
            with suppress(httpx.TransportError):
                response = client.post(self.ingest("/webhooks/sns"), content=body, headers=HEADERS)
                assert response.status_code in {200, 503}, response.text
                return response.status_code == 200
            return False

        wait_until(taken, "the webhook takes a message")

    def ingest(self, path: str) -> str:
        """A URL of ingest's, on this machine."""
        return f"http://127.0.0.1:{self._ingest}{path}"

    def prometheus(self, path: str) -> Any:
        """What Prometheus answers to a query."""
        response = httpx.get(f"http://127.0.0.1:{self._prometheus}/api/v1/{path}", trust_env=False)
        return response.raise_for_status().json()["data"]

    def get(self, tenant: str, path: str, **parameters: str) -> httpx.Response:
        """What the API answers to a tenant; 502 where it does not."""
        headers = {"Authorization": f"Bearer {self._keys[tenant]}"}
        try:
            return httpx.get(
                f"http://127.0.0.1:{self._api}{path}", params=parameters, headers=headers, trust_env=False
            )
        except httpx.TransportError:
            return httpx.Response(502)

    def make_keys(self, tenants: Iterable[str]) -> None:
        """A key for each."""
        for tenant in tenants:
            self._keys[tenant] = self.operator("api", "keys", "create", tenant).strip()

    def check(self) -> None:
        """Compare all that the API says by the hour with a naive count of what was sent; then `verify`."""
        now = datetime.now(UTC)
        want = oracle.count(((message.body.encode(), now) for message in self._sent), TAGS)
        assert {tenant for tenant, _, _ in want.hours} == set(self._keys)
        for tenant in self._keys:
            self._wait_until_complete(tenant, now)
            for scope in want.scopes(tenant):
                assert self._hours(scope, want.hours[scope]) == want.hours[scope], scope
        verified = json.loads(self.operator("aggregator", "verify", "--json"))
        assert verified["differences"] == [], verified
        assert verified["cells"] >= len(want.cells()), verified

    def _wait_until_complete(self, tenant: str, through: datetime) -> None:
        def complete() -> bool:
            response = self.get(tenant, "/api/metrics", period="hour")
            if response.status_code != 200:
                return False
            said = response.json()["complete_through"]
            return said is not None and datetime.fromisoformat(said) > through

        wait_until(complete, f"the numbers of {tenant} are complete")

    def _hours(self, scope: oracle.Scope, hours: Mapping[datetime, object]) -> dict[datetime, dict[str, int]]:
        """What the API says of a scope, from its first hour to its last; zeros are left out."""
        tenant, kind, name = scope
        path = "/api/metrics" if kind == "tenant" else f"/api/metrics/by/{kind}/{quote(name, safe='')}"
        span = {"from": oracle.iso(min(hours)), "to": oracle.iso(max(hours))}
        response = self.get(tenant, path, period="hour", fields="all", **span)
        assert response.status_code == 200, response.text
        points = {
            datetime.fromisoformat(point.pop("timestamp")): {name: n for name, n in point.items() if n}
            for point in response.json()["timeseries"]
        }
        return {at: counts for at, counts in points.items() if counts}

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """As `tests.pipeline.programs.wait_until`."""
        wait_until(holds, what)


def messages(now_ms: int) -> Iterator[Message]:
    """What the demo's tenants sent yesterday, and what came of it up to now, in any order."""
    day = now_ms // DAY - 1
    events = [
        event
        for seed in range(4)  # a Sunday's mails are few
        for rng, sent_ms, letter in Plan(f"containers {seed}", day + 1).of_day(day)
        for at_ms, event in life_of_a_mail(rng, letter, sent_ms)
        if at_ms <= now_ms
    ]
    chance = Random(20)
    chance.shuffle(events)
    disorder = Disorder(chance)
    for event in events:
        yield from disorder.push(event)
