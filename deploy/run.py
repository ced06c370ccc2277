"""`make run`: the stack of `deploy.stack` with demo traffic and live totals, until Ctrl-C.

A second run goes on from the same data with the same API keys. The demo's certificates and keys are under
`.local/demo`; topics that the environment lists in `SNS_TOPIC_ARNS` are kept beside the demo's.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.processes import say
from deploy.stack import LOCAL, Stack, supervise
from deploy.traffic import SENDERS
from schemas.kinds import CORE_FIELDS

TOPIC_ARN = "arn:aws:sns:eu-central-1:000000000000:ses-metrics-demo"
HISTORY_DAYS = 3
LINE_EVERY_S = 5.0

Totals = dict[str, int]


class NoTotals(Exception):  # noqa: N818  # shown in place of numbers, and asked again
    """The API gave no numbers this time."""


class Metrics:
    """The API as a tenant's program sees it."""

    def __init__(self, client: httpx.Client, local: Path) -> None:
        """Take down how to reach it and where the tenants' keys are kept."""
        self._client = client
        self._keys = local / "demo"

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
        """The last 30 days' totals, by field. Raises NoTotals where the API does not answer with numbers."""
        response = self._get(key)
        if response.status_code != 200:
            raise NoTotals(f"the API answers {response.status_code}")
        totals = response.json()["totals"]
        return {field: int(totals[field]) for field in CORE_FIELDS}

    def _is_refused(self, key: str) -> bool:
        try:
            return self._get(key).status_code == 401
        except NoTotals:
            return False

    def _get(self, key: str) -> httpx.Response:
        try:
            return self._client.get("/api/metrics", headers={"authorization": f"Bearer {key}"})
        except httpx.TransportError as error:
            raise NoTotals(f"the API does not answer: {error}") from error


def serve(stack: Stack) -> None:
    """Make keys, start the demo traffic, show the totals until a signal comes or a part ends."""
    with httpx.Client(base_url=stack.addresses.api, trust_env=False, timeout=10) as client:
        metrics = Metrics(client, stack.local)
        keys = {sender.tenant: metrics.key(stack, sender.tenant) for sender in SENDERS}
        _introduce(stack, keys)
        _start_demo(stack, first_time=all(_is_empty(metrics, key) for key in keys.values()))
        console = Console()
        if console.is_terminal:
            _show_table(console, stack, metrics, keys)
        else:
            _show_lines(stack, metrics, keys)


def _is_empty(metrics: Metrics, key: str) -> bool:
    try:
        return not any(metrics.totals(key).values())
    except NoTotals:
        return False


def _introduce(stack: Stack, keys: Mapping[str, str]) -> None:
    tenant, key = next(iter(keys.items()))
    addresses = stack.addresses
    say(f"""
  page     {addresses.api}/ (open it in a browser, with the API key below)
  webhook  {addresses.ingest}/webhooks/sns
  metrics  {addresses.api}/api/metrics
  kafka    {addresses.kafka}
  redis    {addresses.redis}
  logs     {stack.local / "logs"}

  API key of {tenant}: {key}
  curl -H 'Authorization: Bearer {key}' '{addresses.api}/api/metrics?period=hour'

Demo traffic runs now; Ctrl-C stops everything.
""")


def _start_demo(stack: Stack, *, first_time: bool) -> None:
    certificates = stack.environment["SNS_CERTIFICATE_DIR"]
    history = ["--history-days", str(HISTORY_DAYS)] if first_time else []
    where = ["--url", f"{stack.addresses.ingest}/webhooks/sns", "--topic-arn", TOPIC_ARN]
    stack.run("demo", "deploy.demo", *where, "--certificates", certificates, *history)


def _show_table(console: Console, stack: Stack, metrics: Metrics, keys: Mapping[str, str]) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            table = Table("tenant", title="the last 30 days, counted so far", title_justify="left")
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
    """The environment with the demo's topic and certificates; makes the folder of the latter."""
    folder = local / "demo"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # API keys lie there
    certificates = folder / "certificates"
    certificates.mkdir(exist_ok=True)
    listed = environment.get("SNS_TOPIC_ARNS")
    if environment.get("SNS_CERTIFICATE_DIR"):
        say("SNS_CERTIFICATE_DIR does not apply here: the demo has a folder of its own")
    return {
        **environment,
        "SNS_TOPIC_ARNS": f"{listed},{TOPIC_ARN}" if listed else TOPIC_ARN,
        "SNS_CERTIFICATE_DIR": str(certificates),
    }


if __name__ == "__main__":
    sys.exit(supervise(serve, demo_settings(os.environ, LOCAL)))
