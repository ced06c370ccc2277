"""Attack after attack on a scene; a scene that broke is not used again."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from deploy.processes import say
from tests.attack.attack import Attack
from tests.attack.measure import validate
from tests.attack.report import Row
from tests.attack.scene import Scene, open_scene


class Runner:
    """Runs attacks on scenes of one Kafka."""

    def __init__(self, bootstrap: str, directory: Path, *, short: bool, patience: float = 1.0) -> None:
        """Prepare. directory: for logs. short: few tries. patience: how many times slower the machine is."""
        self._bootstrap = bootstrap
        self._directory = directory
        self._short = short
        self._patience = patience
        self._scenes = 0
        self._scene: Scene | None = None
        self._open = ExitStack()

    def run(self, attacks: Sequence[Attack], seconds: float) -> Iterator[Row]:
        """Each attack's row as soon as it is there. seconds: after so many, none is begun."""
        until = time.monotonic() + seconds
        try:
            for attack in attacks:
                tries = attack.short if self._short else attack.tries
                if not tries:
                    continue
                if time.monotonic() > until:
                    say(f"the time is over: not tried: {attack.name}")
                    continue
                yield self._one(attack, tries)
        finally:
            self._close()

    def _one(self, attack: Attack, tries: int) -> Row:
        began = time.monotonic()
        limits = attack.limits.patient(self._patience)
        scene = self._opened()
        seen = scene.attacked(attack.run, tries, limits)
        row = Row(
            name=attack.name,
            tries=seen.tries,
            held=attack.held,
            valkey_ms=max(seen.ping_ms, seen.call_ms),
            api_p99_ms=seen.api_p99_ms,
            api_ms=seen.api_ms,
            webhook_ms=seen.webhook_ms,
            grown=max(seen.grown.values(), default=0),
            broke=validate(seen, limits),
        )
        if row.broke or attack.renew:
            self._close()
        row.seconds = time.monotonic() - began
        say(f"{'BROKE' if row.broke else 'held'}: {attack.name} ({row.seconds:.0f} s) {seen}")
        for what in row.broke:
            say(f"  {what}")
        return row

    def _opened(self) -> Scene:
        if self._scene is None:
            self._scenes += 1
            directory = self._directory / f"scene-{self._scenes}"
            self._scene = self._open.enter_context(open_scene(self._bootstrap, directory))
        return self._scene

    def _close(self) -> None:
        self._scene = None
        self._open.close()
