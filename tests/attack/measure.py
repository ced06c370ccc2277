"""What an attack is held against: what was measured, what may be, and the verdict. The verdict is pure."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tests.memory import peak_bytes, reset_peak

MIB: Final = 1 << 20
SLOWER_THAN_US: Final = 2_000
COMMAND_S: Final = 90.0


@dataclass(frozen=True)
class Limits:
    """What may be while an attack lasts; far above what is usual, as the machine has other work.

    valkey_ms: the worst call by Valkey's own log; a PING may wait for two. api_ms: the worst answer to an
    innocent tenant. webhook_ms: the longest until an honest post was taken, tried again as SNS does.
    grown_bytes: a program's resident memory at its highest, above what it was. api_refused: whether the API
    may say 503. settle_s: how long until all is counted.
    """

    valkey_ms: float = 250.0
    api_ms: float = 1_500.0
    webhook_ms: float = 1_500.0
    grown_bytes: int = 256 * MIB
    api_refused: bool = False
    settle_s: float = 60.0

    def patient(self, times: float) -> "Limits":
        """The same on a machine that is slower so many times."""
        return replace(
            self,
            valkey_ms=self.valkey_ms * times,
            api_ms=self.api_ms * times,
            webhook_ms=self.webhook_ms * times,
            settle_s=self.settle_s * times,
        )


@dataclass
class Measured:
    """What was seen while an attack lasted and after it.

    ping_ms: Valkey's worst answer; call_ms: its slowest call, which
    begins with `call`. grown: by program, in bytes. api_refused,
    webhook_lost: answers other than 200, posts that were never taken. wrong: in words, whatever must not be.
    """

    tries: int = 0
    ping_ms: float = 0.0
    call_ms: float = 0.0
    call: str = ""
    api_p99_ms: float = 0.0
    api_ms: float = 0.0
    api_refused: int = 0
    webhook_ms: float = 0.0
    webhook_refused: int = 0
    webhook_lost: int = 0
    grown: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def validate(seen: Measured, limits: Limits) -> list[str]:
    """What broke, in words; nothing where the attack was held."""
    broke = list(seen.wrong)
    if seen.tries < 1:
        broke.append("nothing was tried")
    for what, got, most in (
        (f"a call ({seen.call}) held Valkey up for", seen.call_ms, limits.valkey_ms),
        ("a PING of Valkey took", seen.ping_ms, 2 * limits.valkey_ms),
        ("an answer of the API took", seen.api_ms, limits.api_ms),
        ("a post to the webhook took", seen.webhook_ms, limits.webhook_ms),
    ):
        if got > most:
            broke.append(f"{what} {got:,.0f} ms, {most:,.0f} at most")
    for name, number in seen.grown.items():
        if number > limits.grown_bytes:
            broke.append(f"{name} grew by {number / MIB:,.0f} MiB, {limits.grown_bytes / MIB:,.0f} at most")
    if seen.api_refused and not limits.api_refused:
        broke.append(f"the API refused {seen.api_refused:,} innocent queries")
    if seen.webhook_lost:
        broke.append(f"the webhook never took {seen.webhook_lost:,} honest posts")
    return broke


class Memory:
    """The resident memory of processes, at its highest since the last `begin` (Linux's `/proc`)."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[int, int]] = {}

    def begin(self, programs: dict[str, int]) -> None:
        """Note what each of these processes holds now, and forget how much it was at its highest."""
        self._began.clear()
        for name, pid in programs.items():
            self._began[name] = (pid, reset_peak(pid))

    def grown(self) -> dict[str, int]:
        """By how many bytes each was higher since; 0 for one that has ended."""
        return {name: max(0, peak_bytes(pid) - before) for name, (pid, before) in self._began.items()}


def ended(started: "subprocess.Popen[str]", limit_s: float = COMMAND_S) -> tuple[int | None, int, str]:
    """Wait for a command, in a process group of its own.

    Returns: its status (none: it had to be killed), its memory, its last words. The memory is the resident
    one of the biggest of its processes, at its highest, in bytes.
    """
    most, until = 0, time.monotonic() + limit_s
    while started.poll() is None and time.monotonic() < until:
        most = max(most, *(peak_bytes(pid) for pid in (started.pid, *_children(started.pid))))
        time.sleep(0.05)
    status = started.poll()
    if status is None:
        os.killpg(started.pid, signal.SIGKILL)
    out, err = started.communicate()
    return status, most, f"{out}\n{err}".strip()


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def watch_calls(client: Any) -> None:
    """Let Valkey note its slow calls from now on, and forget those before."""
    client.config_set("slowlog-log-slower-than", SLOWER_THAN_US)
    client.config_set("slowlog-max-len", 10_000)
    client.slowlog_reset()


def slowest_call(client: Any) -> tuple[float, str]:
    """The slowest call since `watch_calls`, in ms, and how it begins; 0 where none was slow."""
    calls = client.slowlog_get(10_000)
    if not calls:
        return 0.0, ""
    slowest = max(calls, key=lambda entry: entry["duration"])
    return slowest["duration"] / 1000, slowest["command"][:60].decode(errors="replace")
