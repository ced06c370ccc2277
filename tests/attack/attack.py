"""What an attack is."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.attack.measure import Limits
from tests.attack.scene import Scene


@dataclass(frozen=True)
class Attack:
    """One thing that somebody might do on purpose.

    name: as the table shows it. held: what it must leave unharmed, in words of the table. run: does it so
    many times and returns how often; what must not be, it adds to `Scene.wrong`. tries: how many, and short:
    how many in the short form, 0 where it has no part in that. renew: whether the scene is of no use to the
    next attack, as too much lies in it.
    """

    name: str
    held: str
    run: Callable[[Scene, int], int]
    tries: int
    short: int = 0
    limits: Limits = field(default_factory=Limits)
    renew: bool = False


def awaited(attack: Callable[[Scene, int], Coroutine[Any, Any, int]]) -> Callable[[Scene, int], int]:
    """An attack that is written with asyncio, as `Attack.run`."""

    def run(scene: Scene, tries: int) -> int:
        return asyncio.run(attack(scene, tries))

    return run
