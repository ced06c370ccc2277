"""A container engine of the tests' own: Docker's, on a socket in a folder of its own.

Of the machine it takes root and what Debian's `docker.io` brings, and changes nothing of it but for bridges,
which are gone with the engine: no rule of iptables, no engine that may run already. It has namespaces of its
own for processes and mounts, so all that it started ends with its first process, whatever ends that.

It reaches no registry and needs none: images are built on stand-ins (`stand_ins`).
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from deploy.processes import Child, StackError, Waiting
from tests.debian import installed, skip_but_not_in_ci

LIMIT_S: Final = 300.0
"""A command that takes so long has failed."""


class FailedError(AssertionError):
    """A command of the engine's failed; the text is what it wrote."""


class Engine:
    """A running dockerd and its clients."""

    def __init__(self, dockerd: Child, directory: Path) -> None:
        """directory: of its socket and its clients' settings."""
        self._dockerd = dockerd
        self.host = f"unix://{directory / 'docker.sock'}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")},
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(directory / "config"),
        }

    def docker(
        self, *arguments: str | Path, settings: Mapping[str, str] | None = None, text: str | None = None
    ) -> str:
        """Run a command of `docker`. settings: more for its environment. text: for its stdin.

        Returns: what it wrote to stdout. Raises: FailedError with all that it wrote.
        """
        return run(["docker", *arguments], environment={**self.environment, **(settings or {})}, text=text)

    def add_plugin(self, program: Path) -> None:
        """Let `docker` have a further command: the program `docker-NAME`."""
        plugins = Path(self.environment["DOCKER_CONFIG"]) / "cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        (plugins / program.name).symlink_to(program)

    def inspect(self, name: str) -> Any:
        """What the engine knows of a container, an image, a volume."""
        return json.loads(self.docker("inspect", name))[0]

    def crash(self, container: str) -> None:
        """SIGKILL to its first process, past the engine: a `docker kill` would tell it that this is meant."""
        pid = self.inspect(container)["State"]["Pid"]
        kill = f"import os; os.kill({pid}, 9)"
        run(["nsenter", "--target", str(self._pid), "--pid", sys.executable, "-IS", "-c", kill])

    def answers(self) -> bool:
        """Whether it takes commands."""
        try:
            self.docker("version")
        except FailedError:
            return False
        return True

    def stop(self) -> None:
        """End it and all its containers."""
        if self._dockerd.running:
            os.kill(self._pid, signal.SIGTERM)
            Waiting(limit_s=30).end(self._dockerd)

    @property
    def _pid(self) -> int:
        """Of dockerd itself: the child is `unshare`, which waits for it."""
        waits = self._dockerd.pid
        return int(Path(f"/proc/{waits}/task/{waits}/children").read_text().split()[0])


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    text: str | None = None,
    directory: Path | None = None,
) -> str:
    """Run a command to its end. Returns: its stdout. Raises: FailedError with all that it wrote."""
    done = subprocess.run(
        command,
        env=environment,
        input=text,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        said = f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}".strip()
        raise FailedError(f"`{' '.join(map(str, command))}` ended with status {done.returncode}:\n{said}")
    return done.stdout


@contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine without images, ended with all its containers at the end.

    Where there can be none the test is skipped and says why; in CI it fails.
    """
    program = _dockerd()
    directory = Path(tempfile.mkdtemp(prefix="ses-metrics-engine-"))
    try:
        with _bridge() as bridge:
            dockerd = Child(
                "dockerd",
                [
                    *("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"),
                    *(program, "--host", f"unix://{directory / 'docker.sock'}"),
                    *("--data-root", directory / "data", "--exec-root", directory / "exec"),
                    *("--pidfile", directory / "dockerd.pid", "--storage-driver", "overlay2"),
                    *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge", bridge),
                    *("--ip", "127.0.0.1"),
                ],
                directory / "dockerd.log",
            )
            engine = Engine(dockerd, directory)
            try:
                dockerd.start()
                _wait_for(engine, dockerd)
                yield engine
                engine.stop()
            finally:
                dockerd.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for(engine: Engine, dockerd: Child) -> None:
    try:
        Waiting(limit_s=60).until(engine.answers, dockerd)
    except StackError as error:
        skip_but_not_in_ci(f"no container engine: {error}")


@contextmanager
def _bridge() -> Iterator[str]:
    """A bridge for containers without a network of their own; its name."""
    name = f"sesm{random.getrandbits(32):08x}"
    address = f"10.{random.randint(200, 250)}.{random.randint(0, 255)}.1/24"
    try:
        try:
            run(["ip", "link", "add", "name", name, "type", "bridge"])
            run(["ip", "address", "add", address, "dev", name])
            run(["ip", "link", "set", name, "up"])
        except FailedError as error:
            skip_but_not_in_ci(f"no container engine: {error}")
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


def _dockerd() -> str:
    """The path of dockerd, installed where we may."""
    if os.geteuid() != 0:
        skip_but_not_in_ci("no container engine: only root can start one of the tests' own")
    found = installed(("dockerd",), "--no-install-recommends", "docker.io", "iptables", "iproute2")
    if found is None:
        skip_but_not_in_ci("no container engine: install Docker (Debian: apt-get install docker.io)")
    if installed(("docker",), "docker-cli") is None:
        skip_but_not_in_ci("no `docker`: install Docker's client (Debian: apt-get install docker-cli)")
    return found
