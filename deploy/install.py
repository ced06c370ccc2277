"""Make `.venv`: exactly the packages of `deploy/requirements.txt`, each checked by its hash, and the project.

Called by `make setup` with the Python to build on, before anything is installed: standard library only,
and plain enough for an old Python to get as far as saying that it is too old.
"""

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path("deploy/requirements.txt")
LOG = Path(".venv/install.log")
PYTHON = Path(".venv/bin/python")
PIP = (str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install")


def main() -> int:
    """Install into `.venv` of the working directory; returns the exit status."""
    if sys.version_info < (3, 11):  # noqa: UP036  # this very check is for the older ones
        print(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]} ({sys.executable}):")
        print("try `make setup PYTHON=python3.12`")
        return 1
    if not Path(".venv/bin/pip").exists():  # venv makes it last: without it, an earlier try was cut short
        subprocess.run([sys.executable, "-m", "venv", "--clear", ".venv"], check=True)
    total = sum("==" in line for line in REQUIREMENTS.read_text().splitlines())
    print(f"installing {total} packages into .venv (once, a minute or so)", flush=True)
    requirements = ("--require-hashes", "--only-binary", ":all:", "-r", str(REQUIREMENTS))
    status = _install(requirements, total) or _install(("--no-deps", "--no-build-isolation", "-e", "."), 0)
    if status:
        lines = LOG.read_text(errors="replace").splitlines()
        print("\n".join([line for line in lines if line.startswith("ERROR")] or lines[-5:]))
        print(f"the installation failed; all of it is in {LOG}: run the command again when that is fixed")
    return status


def _install(arguments: tuple[str, ...], total: int) -> int:
    """Run pip with its words in the log; on a terminal, one line says which package it is at."""
    seen = 0
    with (
        LOG.open("a") as log,
        subprocess.Popen(
            [*PIP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip,
    ):
        for line in pip.stdout or ():
            log.write(line)
            if sys.stdout.isatty() and line.startswith("Collecting "):
                seen += 1
                print(f"\r\033[K  {seen} of {total}: {line.split()[1]}", end="", flush=True)
    if seen:
        print("\r\033[K", end="", flush=True)
    return pip.returncode


if __name__ == "__main__":
    sys.exit(main())
