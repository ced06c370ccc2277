"""How much memory programs take, as the kernel counts it."""

import os
import time
from pathlib import Path
from subprocess import Popen

MIB = 1024 * 1024


def peak_bytes(pid: int) -> int:
    """The most that was ever resident of a process; 0 where it has ended."""
    return _status(pid).get("VmHWM", 0)


def resident_bytes(pid: int) -> int:
    """What is resident of a process now; 0 where it has ended."""
    return _status(pid).get("VmRSS", 0)


def reset_peak(pid: int) -> int:
    """Forget the peak of a process. Returns: what is resident of it now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid)["VmRSS"]


def _status(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.startswith("Vm"))
    return {name: int(size.split()[0]) * 1024 for name, size in pairs}


def peaks_until_ended(command: "Popen[str]", limit_s: float) -> dict[int, int]:
    """The peak of each process of a command's group, looked at until it ends.

    command: begun as a group of its own, with outputs that fit in a pipe.
    """
    peaks: dict[int, int] = {}
    until = time.monotonic() + limit_s
    while command.poll() is None:
        assert time.monotonic() < until, f"{command.args!r} did not end in {limit_s:.0f} s"
        for pid in _group(command.pid):
            peaks[pid] = max(peaks.get(pid, 0), peak_bytes(pid))
        time.sleep(0.05)
    return peaks


def _group(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == leader:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found
