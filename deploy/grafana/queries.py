"""The few shapes that nearly all queries and panels of the boards have."""

from deploy.grafana.panels import Panel, Query


def rate(metric: str, *by: str, where: str = "") -> str:
    """The events of a counter in a second. by: labels that stay. where: of which series."""
    return f"sum by ({', '.join(by)}) (rate({metric}{where}[$__rate_interval]))"


def rises(metric: str, *by: str, span: str = "$__rate_interval", where: str = "") -> str:
    """The events of a counter in a span, for what happens seldom. by, where: as of `rate`."""
    return f"sum by ({', '.join(by)}) (increase({metric}{where}[{span}]))"


def times(histogram: str) -> tuple[Query, ...]:
    """The middle and the slowest hundredth of a histogram of seconds."""
    return tuple(
        Query(f"histogram_quantile({share}, {rate(f'{histogram}_bucket', 'le')})", name)
        for share, name in ((0.5, "half within"), (0.99, "99 % within"))
    )


def course(title: str, unit: str, *queries: Query, says: str = "") -> Panel:
    """A panel that is the course of time. Arguments: as of `Panel`."""
    return Panel(title, unit, queries, says)


def number(title: str, unit: str, expr: str, legend: str = "", says: str = "") -> Panel:
    """A panel that is one number now, or one for each series. Arguments: as of `Panel` and `Query`."""
    return Panel(title, unit, (Query(expr, legend),), says, "number")
