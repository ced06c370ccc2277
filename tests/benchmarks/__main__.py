"""`make bench`: measure all and report it; `--only NAME` for parts, `--quick` for a tenth of the sizes.

Wired in one place: a part is a name and a function from `Bench` to figures. A part that cannot be run here
says why in the report; a part that finds a wrong number ends the bench, which then exits with 1.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from deploy.stack import LOCAL
from tests.benchmarks import counting
from tests.benchmarks.against_peers import against_peers
from tests.benchmarks.archiving import archiving, long_log
from tests.benchmarks.bursts import bursts
from tests.benchmarks.calls import calls
from tests.benchmarks.catching_up import catching_up
from tests.benchmarks.figures import Figure, Missing
from tests.benchmarks.growth import growth
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.memory import memory
from tests.benchmarks.one_tenant import one_tenant
from tests.benchmarks.reading import reading
from tests.benchmarks.report import Report, terminal, write
from tests.benchmarks.runs import Bench, TooShortError
from tests.benchmarks.scene import open_scene
from tests.benchmarks.visible import visible
from tests.benchmarks.webhook import webhook
from tests.golang import NoProgramError
from tests.pipeline.programs import CHECKOUT

DIRECTORY: Final = LOCAL / "bench"
EVENTS: Final = 1_000_000
QUICK_EVENTS: Final = 100_000
WIDTH: Final = 170
"""Columns where no terminal shows the table."""

PARTS: Final[dict[str, Callable[[Bench], Sequence[Figure | Missing]]]] = {
    "counting": counting.reference,
    "workloads": counting.other_workloads,
    "archiving": archiving,
    "long-log": long_log,
    "memory": memory,
    "calls": calls,
    "api": reading,
    "webhook": webhook,
    "visible": visible,
    "catching-up": catching_up,
    "bursts": bursts,
    "one-tenant": one_tenant,
    "growth": growth,
    "peers": against_peers,
}
"""In the order in which they run."""


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"A part: {', '.join(PARTS)}.")] = None,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the events, one round; judges no goal.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="How often each run is repeated.")] = 3,
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = DIRECTORY,
) -> None:
    """Measure the system on this machine."""
    if unknown := set(only or ()) - PARTS.keys():
        raise typer.BadParameter(f"no such part: {', '.join(sorted(unknown))}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.0f} s[/]  {text}")

    out.mkdir(parents=True, exist_ok=True)
    events, repeats = (QUICK_EVENTS, 1) if quick else (EVENTS, rounds)
    machine = describe_machine()
    figures: list[Figure] = []
    missing: list[Missing] = []
    with open_scene(out, say) as scene:
        bench = Bench(scene, events, repeats, say)
        for name, part in PARTS.items():
            if only and name not in only:
                continue
            try:
                found = part(bench)
            except (NoProgramError, TooShortError) as error:
                found = [Missing(name, str(error))]
            figures += [each for each in found if isinstance(each, Figure)]
            missing += [each for each in found if isinstance(each, Missing)]
            how = {
                "code": _commit(),
                "at": datetime.now(UTC).isoformat(timespec="minutes"),
                "sizes": f"{events:,} events in the reference workload, {repeats} rounds",
                "took": f"{(time.monotonic() - began) / 60:.0f} minutes",
            }
            report = Report(machine, how, figures, missing, judged=not quick)
            write(report, out)  # after each part: what was found is kept if a later one fails
    console.print(terminal(report))
    console.print(f"the report is in {out}")


def _commit() -> str:
    reported = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    return reported.stdout.strip() or "not a git checkout"


if __name__ == "__main__":
    typer.run(main)
