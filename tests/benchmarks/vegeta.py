"""HTTP load by vegeta, in an open model: a request leaves when it is due, answered or not the ones before.

Vegeta starts another connection where all are waiting, so a slow server meets as many requests as a fast
one, and its delays show (no coordinated omission). With no rate it is a closed model: so many connections,
each as fast as it is answered, which finds the greatest throughput.

It comes by `go install` when it is first needed (`tests.golang`); where there is no `go`, the parts of the
bench that need it say so.
"""

import base64
import csv
import json
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests import golang
from tests.benchmarks.figures import percentile

MODULE: Final = "github.com/tsenart/vegeta/v12@v12.12.0"
END_S: Final = 60.0


@dataclass(frozen=True)
class Target:
    """A request: an absolute URL, its headers, and its body where it is a POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def line(self) -> str:
        """As vegeta's JSON format wants it."""
        reported: dict[str, object] = {
            "method": "GET" if self.body is None else "POST",
            "url": self.url,
            "header": {name: [value] for name, value in self.headers.items()},
        }
        if self.body is not None:
            reported["body"] = base64.b64encode(self.body).decode()
        return json.dumps(reported)


class Hit(NamedTuple):
    """A request: when it left (seconds since 1970), how long its answer took, and its status (0 for none)."""

    at_s: float
    latency_ms: float
    status: int


@dataclass(frozen=True)
class Answers:
    """The hits of an attack, at least one; also those that were not answered with 200."""

    hits: list[Hit]

    @property
    def refused(self) -> float:
        """The share (0 to 1) that was not answered with 200."""
        return sum(hit.status != HTTPStatus.OK for hit in self.hits) / len(self.hits)

    def percentile(self, share: float) -> float:
        """A percentile of the latency, in ms. share: 0 to 1."""
        return percentile([hit.latency_ms for hit in self.hits], share)

    def between(self, first_s: float, last_s: float) -> "Answers":
        """Only the hits that left between two times."""
        return Answers([hit for hit in self.hits if first_s <= hit.at_s <= last_s])

    @property
    def rate(self) -> float:
        """Answers of 200 a second, from the first request to the last answer; a refusal is no throughput."""
        end_s = max(hit.at_s + hit.latency_ms / 1000 for hit in self.hits)
        good = len(self.hits) * (1 - self.refused)
        return good / (end_s - min(hit.at_s for hit in self.hits))


def find() -> Path:
    """The program, installed if need be. Raises: NoProgramError."""
    return golang.installed(MODULE)


class Attack:
    """A running attack, in `with`; `answers` waits for its end."""

    def __init__(
        self,
        targets: Iterable[Target],
        *,
        seconds: float,
        rate: int | None = None,
        connections: int = 0,
    ) -> None:
        """Start it.

        targets: taken in turns. rate: requests a second; none: as many as `connections` can.
        Raises: NoProgramError.
        """
        self._binary = find()
        self._directory = tempfile.TemporaryDirectory(prefix="ses-metrics-vegeta-")
        folder = Path(self._directory.name)
        (folder / "targets").write_text("".join(target.line() + "\n" for target in targets))
        self._results = folder / "results"
        pace = [f"-rate={rate}/1s"] if rate else ["-rate=0", f"-max-workers={connections}"]
        self._process = subprocess.Popen(
            [
                *(self._binary, "attack", "-format=json", f"-targets={folder / 'targets'}"),
                *(*pace, f"-duration={seconds}s", f"-output={self._results}"),
                *("-max-body=0", "-timeout=10s"),
            ]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()

    def stop(self) -> None:
        """Let no more requests leave."""
        self._process.send_signal(signal.SIGINT)

    def answers(self) -> Answers:
        """Wait for the end. Raises: RuntimeError where no request left."""
        self._process.wait()
        reported = subprocess.run(
            [self._binary, "encode", "-to=csv", self._results],
            capture_output=True,
            text=True,
            timeout=END_S,
            check=True,
        )
        rows = csv.reader(reported.stdout.splitlines())
        hits = [Hit(int(row[0]) / 1e9, int(row[2]) / 1e6, int(row[1])) for row in rows]
        if not hits:
            raise RuntimeError("vegeta sent nothing")
        return Answers(hits)


def attack(
    targets: Sequence[Target], *, seconds: float, rate: int | None = None, connections: int = 0
) -> Answers:
    """A whole attack; see `Attack`."""
    with Attack(targets, seconds=seconds, rate=rate, connections=connections) as running:
        return running.answers()
