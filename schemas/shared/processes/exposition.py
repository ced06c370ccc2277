"""What several processes tell Prometheus, as if one had told it. Pure.

Law: counters and histograms are sums. A gauge is what its program says of it, in a table: the sum, the least
or the greatest. A gauge without a row is an error: nobody would know what its number means.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from prometheus_client.utils import floatToGoString

Rule: TypeAlias = Literal["sum", "min", "max"]
"""What the gauges of several processes are together."""

_RULES: Final[Mapping[Rule, Callable[[Iterable[float]], float]]] = {"sum": sum, "min": min, "max": max}

_CREATED: Final = "_created"
"""The end of the names of gauges that say when a counter was born, which prometheus-client adds."""


def merged(texts: Sequence[bytes], gauges: Mapping[str, Rule]) -> bytes:
    """One exposition (Prometheus's text format 0.0.4) of several, in the order of the first.

    texts: as prometheus-client writes them, without times and exemplars. gauges: the rule of each gauge.
    Raises: KeyError where a gauge has none.
    """
    families: dict[str, _Family] = {}
    for text in texts:
        head = ""
        for line in text.decode().splitlines():
            if line.startswith("# HELP "):
                head = line
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                family = families.setdefault(name, _Family(f"{head}\n{line}\n", _rule(name, kind, gauges)))
            else:
                series, _, value = line.rpartition(" ")
                family.series.setdefault(series, []).append(float(value))
    return "".join(map(_Family.written, families.values())).encode()


def _rule(name: str, kind: str, gauges: Mapping[str, Rule]) -> Rule:
    if kind != "gauge":
        return "sum"
    return "min" if name.endswith(_CREATED) else gauges[name]


class _Family:
    """The series of one metric, in all processes."""

    def __init__(self, head: str, rule: Rule) -> None:
        self._head = head
        self._rule = _RULES[rule]
        self.series: dict[str, list[float]] = {}

    def written(self) -> str:
        lines = (f"{name} {_number(self._rule(each))}\n" for name, each in self.series.items())
        return self._head + "".join(lines)


def _number(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text
