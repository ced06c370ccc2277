"""Run a command that dies with the process that started it.

A supervisor that is killed can't stop its children. Linux can: a process may ask for a signal at its
parent's death (prctl(2), PR_SET_PDEATHSIG), and the wish survives exec. So each child starts as this
file, makes the wish and becomes the command: nothing outlives a killed stack. Elsewhere it just runs.

Usage: `python -I -S tether.py PARENT_PID COMMAND [ARGUMENT ...]`
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become the command; it is killed when `parent` (the process that called) ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # it died before the wish was made
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  # no shell on purpose


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
