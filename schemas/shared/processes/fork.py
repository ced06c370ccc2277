"""A program that goes on in several processes, and the one that watches over them.

The program binds its ports and forks before it has started anything else: a thread, or a client of Kafka,
would not survive it. Every child then runs the program as if it were alone, and takes connections from the
same listening sockets: the kernel gives each connection to whoever asks for it first. So a connection that
waits is lost with none of them, nor held up by one that is stuck, as it would be if each had a socket of its
own (SO_REUSEPORT). The parent reads nothing and serves nothing: it waits.

Law: they live and end together. One SIGTERM or SIGINT to the parent is passed on to all. A child that ends by
itself, however, ends the program: the others leave in good order, and the exit status is 1. No child is
replaced: whoever watches over the program (Kubernetes, Docker, systemd) sees that something died, counts it,
and starts all of it anew; a counter that has lost a part would look as if everything had been counted twice.
A parent that is killed takes its children along at once (prctl(2), PR_SET_PDEATHSIG; on Linux).
"""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import structlog

from schemas.shared import logs
from schemas.shared.processes.links import Links, pairs
from schemas.shared.processes.together import Others, Rules
from schemas.shared.server import Ports

log = structlog.get_logger(__name__)

PR_SET_PDEATHSIG: Final = 1
_WATCHED: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


def in_processes(processes: int, ports: Ports, rules: Rules) -> Others | None:
    """Go on in so many processes: what follows this call runs in each of them.

    processes: 1 changes nothing. ports: of the program, listening; nothing else was started yet. rules: how
    their answers become one.
    Returns: the others; none where there are none.
    Raises: SystemExit in the parent, once all children have ended: with status 0 where that was asked for.
    """
    if processes == 1:
        return None
    parent = os.getpid()
    ends = pairs(processes)
    # A signal that comes now is heard once there is somebody to hear it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    children: dict[int, int] = {}
    for number, own in enumerate(ends, start=1):
        child = os.fork()
        if child == 0:
            _die_with(parent)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            logs.configure(process=number)
            for sockets in ends:
                if sockets is not own:
                    _close(sockets)
            return Others(Links(own), rules, first=number == 1)
        children[child] = number
    ports.close()
    for sockets in ends:
        _close(sockets)
    log.info("running in processes", pids=list(children))
    sys.exit(_watch(children))


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # it died before the wish was made
            os._exit(1)


def _watch(children: Mapping[int, int]) -> int:
    """Wait until all have ended, and see to it that they end together.

    children: their numbers by process id. Returns: the exit status of the program.
    """
    left = dict(children)
    ending = failed = False
    while left:
        if signal.sigwait(_WATCHED) != signal.SIGCHLD:
            ending = True
            _terminate(left)
            continue
        for pid, status in _ended():
            number = left.pop(pid, None)
            if number is None:
                continue  # a process that Linux gave to us, as the first of its container
            if ending and status in {0, -signal.SIGTERM}:  # the latter: it had not begun to listen to us yet
                continue
            failed = True
            log.error("a process has ended, so all end", process=number, pid=pid, status=status)
            if not ending:
                ending = True
                _terminate(left)
    return int(failed)


def _terminate(left: Iterable[int]) -> None:
    for pid in left:
        os.kill(pid, signal.SIGTERM)


def _ended() -> Iterator[tuple[int, int]]:
    """Process id and exit status of each child that has ended; a signal that did it is a negative status."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)
