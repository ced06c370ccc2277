"""The marks in the programs' code: here a step begins and ends, and this is known of it.

Without traces they do nothing, and OpenTelemetry is not imported. What is noted is seen by whoever may read
the traces: never an address of a mail, a key, a tenant or a body.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol, TypeAlias

Value: TypeAlias = str | int


class Tracer(Protocol):
    """What keeps the traces of this process; called from any task, and it raises nothing of its own."""

    def step(self, name: str) -> AbstractContextManager[object]:
        """A step of what the current task is at, until its end; failed where it raises."""

    def request(self, method: str, parent: Mapping[str, str]) -> AbstractContextManager[object]:
        """A request, from its first byte to its answer. parent: the headers of W3C Trace Context, or none."""

    def rename(self, name: str) -> None:
        """Give the current step or request another name."""

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Keep what is known of the current step or request. A status of 500 or more has it failed."""

    def ids(self) -> Mapping[str, str]:
        """`trace_id` and `span_id` of the current step or request, in hexadecimal; neither outside of any."""


class _Kept:
    tracer: Tracer | None = None


_NOTHING: Final = nullcontext()
_NO_IDS: Final[Mapping[str, str]] = {}


def keep_with(tracer: Tracer | None) -> None:
    """From now on, keep traces with this tracer; none: keep none."""
    _Kept.tracer = tracer


def tracer() -> Tracer | None:
    """What keeps the traces of this process; none: nobody does."""
    return _Kept.tracer


def step(name: str) -> AbstractContextManager[object]:
    """See `Tracer.step`."""
    return _NOTHING if _Kept.tracer is None else _Kept.tracer.step(name)


def note(name: str, value: Value) -> None:
    """See `Tracer.note`."""
    if _Kept.tracer is not None:
        _Kept.tracer.note({name: value})


def ids() -> Mapping[str, str]:
    """See `Tracer.ids`."""
    return _NO_IDS if _Kept.tracer is None else _Kept.tracer.ids()
