"""`python -m deploy.demo`, started by `make run`: first what happened so far, then what happens from now on.

It signs with a key that it throws away; the certificate lies in the folder that ingest knows as
`SNS_CERTIFICATE_DIR`. The tags are named as `TENANT_TAG`, `SEQUENCE_TAG` and `TEMPLATE_TAG` say, the topic
and its Kafka as the settings of the other programs.
"""

import argparse
import asyncio
import os
import sys
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random
from typing import Final

import httpx

from deploy.demo.past import PastError, Progress, Topic, records
from deploy.demo.plan import Plan, TagNames
from deploy.demo.sns import RefusedError, Sns
from deploy.demo.timeline import Planned, Steady
from deploy.disorder import Disorder
from deploy.processes import say
from deploy.signing import Signer
from deploy.traffic import DAY, MINUTE

SEED: Final = "ses-metrics"

MAILS_PER_S: Final = 0.5
"""Beside what the plan says, so that one sees it move: an hour of it is like a newsletter."""

SURELY_SENT_MS: Final = 10 * MINUTE
"""What is older has left SNS, disorder and all: the next run need not send it again."""


class Demo:
    """All that is sent. Used from one thread."""

    def __init__(self, progress_file: Path, tags: TagNames, now_ms: int) -> None:
        """Go on from where an earlier run noted that it was, in a file that need not exist."""
        self._file = progress_file
        self._progress = Progress.load(progress_file, now_ms // DAY)
        plan = Plan(SEED, self._progress.first_day, tags)
        self._planned = Planned(plan)
        self._steady = Steady(Random(), plan, now_ms, MAILS_PER_S)  # noqa: S311  # plausible mail, no secret

    def catch_up(self, topic: Topic, now_ms: int) -> int:
        """Write what happened up to now into the topic. Returns: how many events. Raises: PastError."""
        sent = 0
        for batch in topic.write(records(self._planned, self._progress.through_ms, now_ms)):
            sent += len(batch)
            self._note(batch[-1].time_ms - SURELY_SENT_MS)
        self._note(now_ms)
        return sent

    async def go_on(self, sns: Sns) -> None:
        """Deliver what happens from now on, for ever. Raises: RefusedError, in a group."""
        disorder = Disorder(Random())  # noqa: S311  # as above
        while True:
            now_ms = _now_ms()
            events = chain(self._planned.until(now_ms), self._steady.until(now_ms))
            await sns.deliver(message for _, event in events for message in disorder.push(event))
            if now_ms - self._progress.through_ms > 2 * SURELY_SENT_MS:
                self._note(now_ms - SURELY_SENT_MS)
            await asyncio.sleep(0.2)

    def _note(self, through_ms: int) -> None:
        self._progress = replace(self._progress, through_ms=max(self._progress.through_ms, through_ms))
        self._progress.save(self._file)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _run(arguments: argparse.Namespace) -> None:
    began = time.monotonic()
    names = (os.environ.get(f"{name.upper()}_TAG") or name for name in ("tenant", "sequence", "template"))
    demo = Demo(arguments.progress, TagNames(*names), _now_ms())
    sent = demo.catch_up(Topic(arguments.topic_arn), _now_ms())
    say(f"{sent:,} events of the past were sent within {time.monotonic() - began:.1f} s")
    for old in arguments.certificates.glob("*.pem"):  # of an earlier demo, whose key is gone
        old.unlink()
    signer = Signer.create(arguments.certificates)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        await demo.go_on(Sns(arguments.url, arguments.topic_arn, signer, client))


def main() -> int:
    """Send until a signal ends the process; returns the exit status where Kafka or the webhook refuses."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description="Send demo traffic.")
    parser.add_argument("--url", required=True, help="the webhook")
    parser.add_argument("--topic-arn", required=True, help="an SNS topic that ingest lists")
    parser.add_argument("--certificates", required=True, type=Path, help="ingest's SNS_CERTIFICATE_DIR")
    parser.add_argument("--progress", required=True, type=Path, help="a file for how far it has come")
    try:
        asyncio.run(_run(parser.parse_args()))
    except* (PastError, RefusedError) as refused:
        say(str(refused.exceptions[0]), error=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
