"""The webhook under load: what verifying a signature and Kafka's acknowledgement cost beside an empty route.

16 connections in a closed model post the same signed messages by turns to ingest, which verifies them and
answers when Kafka has them (acks=all), and to an empty POST route on the same server, which does not even
read them. The messages are different events, each signed once beforehand; that ingest gets some of them again
changes nothing of its work.
"""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from deploy.signing import Signer
from tests.benchmarks.counting import Table
from tests.benchmarks.events import Record, records
from tests.benchmarks.figures import Figure
from tests.benchmarks.runs import Bench
from tests.benchmarks.vegeta import Target, attack, find
from tests.benchmarks.workload import REFERENCE, happenings
from tests.pipeline.webhook import HEADERS, TOPIC_ARN

POSTED: Final = replace(REFERENCE, name="posted")
LOADED: Final = 1_000
"""Events that the topic has before; they are of no importance."""
MESSAGES: Final = 2_000
CONNECTIONS: Final = 16
WARMING_S: Final = 10
"""At full speed before anything is measured: a Kafka that has just started is busy compiling itself."""
SECONDS: Final = 5
RATE: Final = 500


def signed(url: str, signer: Signer, posted: Iterable[Record]) -> list[Target]:
    """Events as SNS would post them. url: of ingest."""
    return [
        Target(
            f"{url}/webhooks/sns",
            HEADERS,
            json.dumps(signer.notification(TOPIC_ARN, record.value.decode())).encode(),
        )
        for record in posted
    ]


def webhook(bench: Bench) -> list[Figure]:
    """Throughput by turns, and latency in an open model. Raises: NoProgramError."""
    find()
    table = Table()
    topic = bench.scene.topic(POSTED, LOADED)
    with bench.scene.stage(topic) as stage, tempfile.TemporaryDirectory() as folder:
        signer = Signer.create(Path(folder))
        ingest, empty = stage.ingest(TOPIC_ARN, Path(folder)), stage.empty()
        posts = signed(ingest.url, signer, records(happenings(POSTED, MESSAGES)))
        nothing = [replace(post, url=f"{empty.url}/empty") for post in posts]
        for warming in (posts, nothing):
            attack(warming, seconds=WARMING_S, connections=CONNECTIONS)
        for number in range(bench.rounds):
            bench.say(f"the webhook, round {number + 1} of {bench.rounds}")
            of_empty = attack(nothing, seconds=SECONDS, connections=CONNECTIONS)
            of_webhook = attack(posts, seconds=SECONDS, connections=CONNECTIONS)
            table.add("webhook.empty.rate", "an empty POST route", "requests/s", of_empty.rate)
            table.add("webhook.rate", "verified webhook, acks=all", "requests/s", of_webhook.rate)
            ratio = of_webhook.rate / of_empty.rate
            table.add("webhook.throughput", "verified webhook to an empty POST route", "ratio", ratio)
            table.add("webhook.refused", "webhook, not answered with 200", "share", of_webhook.refused)
            answers = attack(posts, rate=RATE, seconds=SECONDS)
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                what = f"verified webhook, {name} at {RATE}/s"
                table.add(f"webhook.{name}", what, "ms", answers.percentile(share))
    return table.figures()
