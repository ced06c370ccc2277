"""Children end when they should, and say why when they should not have."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.processes import Child, StackError, Waiting, free_port, port_is_free

pytestmark = pytest.mark.programs

LIMIT_S = 60.0
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(helper.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Callable[[str], Child]]:
    """Starts a child that runs a piece of Python."""
    children = []

    def start(code: str) -> Child:
        child = Child("the child", [sys.executable, "-c", code], tmp_path / "logs" / "child.log")
        children.append(child)
        child.start()
        return child

    yield start
    for child in children:
        child.kill()


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and only waits to be noticed does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_a_dead_child_is_reported_with_its_last_lines(python: Callable[[str], Child]) -> None:
    child = python("import sys; print('first words'); sys.exit('the reason')")
    with pytest.raises(StackError, match=r"the child ended with status 1; its log is .*child\.log") as error:
        Waiting(limit_s=LIMIT_S).until(lambda: False, child)
    assert "first words" in str(error.value)
    assert "the reason" in str(error.value)


def test_a_child_that_ends_by_itself_is_waited_for(python: Callable[[str], Child]) -> None:
    Waiting(limit_s=LIMIT_S).end(python("pass"))
    with pytest.raises(StackError, match="ended with status 3"):
        Waiting(limit_s=LIMIT_S).end(python("raise SystemExit(3)"))


def test_a_slow_child_is_an_error_only_where_a_limit_says_so(python: Callable[[str], Child]) -> None:
    child = python("import time; time.sleep(600)")
    with pytest.raises(StackError, match="the child is not ready after"):
        Waiting(limit_s=0.3).until(lambda: False, child)
    assert child.running


def test_an_interrupt_ends_the_waiting(python: Callable[[str], Child]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    child = python("import time; time.sleep(600)")
    with pytest.raises(KeyboardInterrupt):
        Waiting(interrupt=interrupt).until(lambda: False, child)


def test_a_child_that_ignores_sigterm_is_killed_with_its_helpers(python: Callable[[str], Child]) -> None:
    child = python(STUBBORN)
    wait_for(lambda: child.log.read_text().endswith("\n"))
    helper = int(child.log.read_text())
    assert alive(helper)
    child.stop(limit_s=0.3)
    assert child.status() == -9
    wait_for(lambda: not alive(helper))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    supervisor = f"""
import sys, time
from pathlib import Path
from deploy.processes import Child
command = [sys.executable, "-c", "import time; time.sleep(600)"]
child = Child("child", command, Path({str(tmp_path / "log")!r}))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", supervisor], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        wait_for(lambda: b"time.sleep(600)" in Path(f"/proc/{pid}/cmdline").read_bytes())
        assert alive(pid)
        process.kill()
    wait_for(lambda: not alive(pid))


def test_a_free_port_is_one_that_outgoing_connections_do_not_get() -> None:
    port = free_port()
    assert port_is_free(port)
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if outgoing.exists():
        first, last = map(int, outgoing.read_text().split())
        assert not first <= port <= last


def test_a_child_without_a_log_says_so(tmp_path: Path) -> None:
    child = Child("silent", [os.devnull], tmp_path / "none.log")
    assert child.last_words() == f"its log is {tmp_path / 'none.log'} and says nothing"
    with pytest.raises(StackError, match="silent was not started"):
        _ = child.pid
