"""`make run`: the stack of `deploy.stack` with demo traffic and live totals, until Ctrl-C.

It begins with 90 days of made-up history. A second run goes on from the same data with the same API keys. All
of the demo's is under `.local/demo`, Kafka's and Valkey's data too: made-up numbers never stand among true
ones, and the demo may count for scopes that `make stack` does not. Settings of the environment go before the
demo's, and topics that it lists in `SNS_TOPIC_ARNS` are kept beside the demo's.
"""

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.demo.plan import PAST_DAYS, SCOPE_TAGS
from deploy.demo.senders import SENDERS
from deploy.processes import say
from deploy.stack import LOCAL, Stack, supervise
from schemas.kinds import CORE_FIELDS

TOPIC_ARN = "arn:aws:sns:eu-central-1:000000000000:ses-metrics-demo"
LINE_EVERY_S = 5.0

SETTINGS = {
    "SCOPE_TAGS": ",".join(f"{name}={tag}" for name, tag in SCOPE_TAGS.items()),
    "PAGE_NOTICE": "A demo: these numbers are made up.",
}
"""What the demo sets where the environment does not."""

Totals = dict[str, int]


class NoTotals(Exception):  # noqa: N818  # shown in place of numbers, and asked again
    """The API gave no numbers this time."""


class Metrics:
    """The API as a tenant's program sees it."""

    def __init__(self, client: httpx.Client, keys: Path) -> None:
        """Take down how to reach it and where the tenants' keys are kept."""
        self._client = client
        self._keys = keys

    def key(self, stack: Stack, tenant: str) -> str:
        """The tenant's API key: that of an earlier run if it still opens the door, else a new one.

        Raises: what `Stack.finish` does.
        """
        file = self._keys / f"{tenant}.key"
        if not file.exists() or self._is_refused(file.read_text().strip()):
            part = file.with_suffix(".part")
            stack.finish(stack.run("keys", "api", "keys", "create", tenant, output=part))
            part.replace(file)
        return file.read_text().strip()

    def totals(self, key: str) -> Totals:
        """The last 90 days' totals, by field. Raises NoTotals where the API does not answer with numbers."""
        since = datetime.now(UTC) - timedelta(days=PAST_DAYS)
        response = self._get(key, **{"from": f"{since:%Y-%m-%d}"})
        if response.status_code != 200:
            raise NoTotals(f"the API answers {response.status_code}")
        totals = response.json()["totals"]
        return {field: int(totals[field]) for field in CORE_FIELDS}

    def _is_refused(self, key: str) -> bool:
        try:
            return self._get(key).status_code == 401
        except NoTotals:
            return False

    def _get(self, key: str, **parameters: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"}
        try:
            return self._client.get("/api/metrics", params=parameters, headers=headers)
        except httpx.TransportError as error:
            raise NoTotals(f"the API does not answer: {error}") from error


def serve(stack: Stack) -> None:
    """Start the demo traffic, make keys, show the totals until a signal comes or a part ends."""
    _start_demo(stack)
    with httpx.Client(base_url=stack.addresses.api, trust_env=False, timeout=10) as client:
        metrics = Metrics(client, stack.local / "demo")
        keys = {sender.tenant: metrics.key(stack, sender.tenant) for sender in SENDERS}
        _introduce(stack, keys)
        console = Console()
        if console.is_terminal:
            _show_table(console, stack, metrics, keys)
        else:
            _show_lines(stack, metrics, keys)


def _start_demo(stack: Stack) -> None:
    certificates = stack.environment["SNS_CERTIFICATE_DIR"]
    where = ["--url", f"{stack.addresses.ingest}/webhooks/sns", "--topic-arn", TOPIC_ARN]
    progress = str(stack.local / "demo" / "progress.json")
    stack.run("demo", "deploy.demo", *where, "--certificates", certificates, "--progress", progress)


def _introduce(stack: Stack, keys: Mapping[str, str]) -> None:
    addresses = stack.addresses
    tenant, key = next(iter(keys.items()))
    others = "".join(f"\n  key of {name}: {other}" for name, other in keys.items() if name != tenant)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": addresses.kafka,
        "REDIS_URL": addresses.redis,
        "SCOPE_TAGS": stack.environment["SCOPE_TAGS"],
    }
    say(f"""
  page     {addresses.api}/ (open it in a browser, with the API key below)
  webhook  {addresses.ingest}/webhooks/sns
  metrics  {addresses.api}/api/metrics
  kafka    {addresses.kafka}
  redis    {addresses.redis}
  logs     {stack.local / "logs"}

  API key of {tenant}: {key}{others}
  curl -H 'Authorization: Bearer {key}' '{addresses.api}/api/metrics?period=hour'

  The operators' commands take the settings of this stack:
  {" ".join(f"{name}={value}" for name, value in settings.items())} .venv/bin/python -m aggregator verify

  When a number looks odd (with --send a test event is followed to the API):
  .venv/bin/python -m deploy.doctor --env-file {stack.local / "stack.env"}

The numbers are made up: three tenants, {PAST_DAYS} days of their past, and more from now on. Ctrl-C stops
everything.
""")


def _show_table(console: Console, stack: Stack, metrics: Metrics, keys: Mapping[str, str]) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            table = Table(
                "tenant", title=f"the last {PAST_DAYS} days, made up, counted so far", title_justify="left"
            )
            for field in CORE_FIELDS:
                table.add_column(field, justify="right")
            for tenant, key in keys.items():
                try:
                    table.add_row(tenant, *(f"{count:,}" for count in metrics.totals(key).values()))
                except NoTotals as why:
                    table.add_row(tenant, str(why))
            live.update(table, refresh=True)
            _watch(stack, 1.0)


def _show_lines(stack: Stack, metrics: Metrics, keys: Mapping[str, str]) -> None:
    while True:
        for tenant, key in keys.items():
            try:
                counts = " ".join(f"{field} {count}" for field, count in metrics.totals(key).items())
            except NoTotals as why:
                counts = str(why)
            say(f"{tenant}: {counts}")
        _watch(stack, LINE_EVERY_S)


def _watch(stack: Stack, seconds: float) -> None:
    """Wait; raises what `Stack.check` does as soon as it does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stack.check()
        time.sleep(0.2)


def demo_settings(environment: Mapping[str, str], local: Path) -> dict[str, str]:
    """The environment with the demo's topic, certificates and scopes; makes the certificates' folder."""
    folder = local / "demo"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # API keys lie there
    certificates = folder / "certificates"
    certificates.mkdir(exist_ok=True)
    listed = environment.get("SNS_TOPIC_ARNS")
    if environment.get("SNS_CERTIFICATE_DIR"):
        say("SNS_CERTIFICATE_DIR does not apply here: the demo has a folder of its own")
    return {
        **SETTINGS,
        **environment,
        "SNS_TOPIC_ARNS": f"{listed},{TOPIC_ARN}" if listed else TOPIC_ARN,
        "SNS_CERTIFICATE_DIR": str(certificates),
    }


def run(environment: Mapping[str, str], local: Path = LOCAL) -> int:
    """Run the demo until a signal comes. Returns: as `supervise`."""
    return supervise(serve, demo_settings(environment, local), local, data=local / "demo")


if __name__ == "__main__":
    sys.exit(run(os.environ))
