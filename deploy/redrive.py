"""`python -m deploy.redrive`: brings what lies in a subscription's dead-letter queue to the webhook again.

SNS puts an envelope there, as it signed it, when an HTTPS subscription has not taken it for as long as its
delivery policy says. SQS cannot send it to a webhook; this does. Law: a message is deleted only after the
webhook has answered 200 to it, so however this ends, a message is in the queue or in the log. It may be in
both, and then it comes to the webhook twice and counts once. What the webhook refuses stays in the queue. The
queue is all the state there is: run it again, and it goes on.

boto3 comes with the extra `aws` and finds credentials and region as it does everywhere; the rights that it
takes are in `deploy/aws/ses-metrics.yaml`.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import boto3
import httpx
from botocore.exceptions import BotoCoreError, ClientError

AT_ONCE: Final = 10
"""Messages that are received together, SQS's most, and posted at the same time."""

WAIT_S: Final = 1
"""A long poll asks all of SQS's servers: where it brings nothing, nothing is left to be received."""

HIDDEN_S: Final = 600
"""For so long nobody else receives what we have received: far longer than posting it may take."""

TRIES: Final = 4
PAUSE_S: Final = 5.0
"""Between two tries: what ingest asks for with a 503."""

POST_S: Final = 15.0
"""As long as SNS waits for an answer."""

NAMED: Final = 5
"""Refused messages that are named on each reason."""

HEADERS: Final = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}


class Message(NamedTuple):
    """A message of the queue. receipt: what SQS wants to hear to delete it; another with each receiving."""

    id: str
    receipt: str
    body: str


class Queue:
    """A queue of SQS. All of it raises BotoCoreError and ClientError."""

    def __init__(self, url: str) -> None:
        """url: as SQS gives it; where it names the region, that is the one."""
        host = (urlsplit(url).hostname or "").split(".")
        region = host[1] if host[0] == "sqs" and len(host) > 2 else None
        self._url = url
        self._sqs: Any = boto3.client("sqs", region_name=region)

    def size(self) -> int:
        """About how many messages are in it, received ones too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        said = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        return sum(int(said["Attributes"][name]) for name in names)

    def receive(self, most: int) -> list[Message]:
        """Some messages; none where none is left that nobody has received."""
        said = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=most, WaitTimeSeconds=WAIT_S, VisibilityTimeout=HIDDEN_S
        )
        return [
            Message(each["MessageId"], each["ReceiptHandle"], each["Body"])
            for each in said.get("Messages", [])
        ]

    def delete(self, messages: Sequence[Message]) -> int:
        """Delete messages. Returns: how many SQS did not delete; they come again."""
        if not messages:
            return 0
        entries = [{"Id": str(at), "ReceiptHandle": each.receipt} for at, each in enumerate(messages)]
        said = self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        return len(said.get("Failed", []))

    def release(self, messages: Sequence[Message]) -> None:
        """Let others receive messages at once, as far as that goes: they come again by themselves too."""
        for at in range(0, len(messages), AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": each.receipt, "VisibilityTimeout": 0}
                for number, each in enumerate(messages[at : at + AT_ONCE])
            ]
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


class Answer(NamedTuple):
    """What the webhook said.

    status: of HTTP, 0 where there was no answer. word: what became of the message, or why nothing did.
    """

    status: int
    word: str

    @property
    def taken(self) -> bool:
        """Whether the message needs nothing more."""
        return self.status == 200

    @property
    def refused(self) -> bool:
        """Whether trying again is of no use."""
        return 0 < self.status < 500 and not self.taken


class Webhook:
    """Where envelopes are posted. To be used in `with`."""

    def __init__(self, url: str, *, wait: Callable[[float], None] = time.sleep) -> None:
        """url: of the webhook. wait: what waits between two tries, in seconds."""
        self._url = url
        self._wait = wait
        self._client = httpx.Client(timeout=POST_S, follow_redirects=False, trust_env=False)

    def __enter__(self) -> "Webhook":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, body: str) -> Answer:
        """Post an envelope as it is, again after trouble of the webhook's. Returns: the last answer."""
        answer = self._try(body)
        for _ in range(TRIES - 1):
            if answer.taken or answer.refused:
                break
            self._wait(PAUSE_S)
            answer = self._try(body)
        return answer

    def _try(self, body: str) -> Answer:
        try:
            response = self._client.post(self._url, content=body.encode(), headers=HEADERS)
        except httpx.TransportError as error:
            return Answer(0, f"{type(error).__name__}: {error}")
        try:
            said = response.json()
            word = str(said.get("outcome") or said.get("code") or "")
        except (ValueError, AttributeError):
            word = ""
        return Answer(response.status_code, word)


@dataclass
class Report:
    """What became of the messages.

    taken: by what ingest calls it. left: those that stay in the queue, by status and code; named: SNS's ids
    of some of these. undeleted: those taken that SQS did not delete. trouble: why it ended before the queue
    was empty.
    """

    taken: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)
    undeleted: int = 0
    trouble: str | None = None

    @property
    def posted(self) -> int:
        """How many messages were posted, however often each."""
        return self.taken.total() + self.left.total()

    def add(self, message: Message, answer: Answer) -> None:
        """Take in the answer to a message."""
        if answer.taken:
            self.taken[answer.word] += 1
            return
        why = f"{answer.status or 'no answer:'} {answer.word}".strip()
        self.left[why] += 1
        self.named.setdefault(why, []).append(_sns_id(message))
        del self.named[why][NAMED:]


def redrive(queue: Queue, webhook: Webhook, most: int | None, report: Report) -> None:
    """Post what the queue holds, delete what was taken, until nothing is left or the webhook takes nothing.

    most: messages to post; none for all. report: is filled, also where this is cut short.
    Raises: BotoCoreError, ClientError.
    """
    held: dict[str, Message] = {}
    """Received and not deleted."""
    done: set[str] = set()
    """Posted, and to be left alone if it is received again."""
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while most is None or report.posted < most:
                batch = queue.receive(AT_ONCE if most is None else min(AT_ONCE, most - report.posted))
                if not batch:
                    return
                held.update((each.id, each) for each in batch)
                new = [each for each in batch if each.id not in done]
                answers = list(pool.map(webhook.post, [each.body for each in new]))
                for message, answer in zip(new, answers, strict=True):
                    report.add(message, answer)
                    done.add(message.id)
                taken = [message for message, answer in zip(new, answers, strict=True) if answer.taken]
                report.undeleted += queue.delete(taken)
                for message in taken:
                    del held[message.id]
                if new and not any(answer.taken or answer.refused for answer in answers):
                    report.trouble = f"the webhook takes nothing: {answers[-1].status} {answers[-1].word}"
                    return
    finally:
        queue.release(list(held.values()))


def _sns_id(message: Message) -> str:
    """SNS's id of a message; SQS's own where the body is no envelope."""
    try:
        found = json.loads(message.body)["MessageId"]
    except (ValueError, TypeError, KeyError):
        found = None
    return found if isinstance(found, str) else f"(SQS) {message.id}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Returns: the exit status: 1 where a message was left that was received, or trouble."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.redrive",
        description="Post what lies in a subscription's dead-letter queue to the webhook again. A message is"
        " deleted when the webhook has answered 200; all others stay. It may be stopped and run again.",
    )
    parser.add_argument("--queue", required=True, metavar="URL", help="of the queue, in SQS")
    parser.add_argument(
        "--webhook",
        default="http://localhost:8081/webhooks/sns",
        metavar="URL",
        help="of ingest [%(default)s]",
    )
    parser.add_argument("--max", type=int, metavar="N", help="post so many at most, as one for a try")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, for scripts")
    given = parser.parse_args(arguments)
    report, size = Report(), None
    try:
        queue = Queue(given.queue)
        with Webhook(given.webhook) as webhook:
            redrive(queue, webhook, given.max, report)
        size = queue.size()
    except (BotoCoreError, ClientError) as error:
        report.trouble = f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        report.trouble = "interrupted"
    _show(report, size, as_json=given.json)
    return 1 if report.trouble or report.left or report.undeleted else 0


def _show(report: Report, size: int | None, *, as_json: bool) -> None:
    if as_json:
        said = {
            "taken": report.taken,
            "left": report.left,
            "left_sns_ids": report.named,
            "undeleted": report.undeleted,
            "in_queue": size,
            "trouble": report.trouble,
        }
        print(json.dumps(said))
        return
    taken = ", ".join(f"{number:,} {word}" for word, number in sorted(report.taken.items()))
    print(f"taken and deleted: {report.taken.total():,}{f' ({taken})' if taken else ''}")
    for why, number in sorted(report.left.items()):
        print(f"not taken, still in the queue: {number:,} ({why}), as SNS's {', '.join(report.named[why])}")
    if report.undeleted:
        print(f"taken and not deleted: {report.undeleted:,}, which come again and count once")
    if size is not None:
        print(f"in the queue now: about {size:,}")
    if report.trouble:
        print(f"stopped: {report.trouble}. Nothing was lost: run it again", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
