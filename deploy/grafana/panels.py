"""From a board as a table to the JSON that Grafana reads: by Grafana's own SDK, which knows its schema.

A board asks one Prometheus, which whoever looks chooses at its top: the variable `datasource`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef

COLUMNS: Final = 24
"""Of Grafana's grid."""

HEIGHT: Final = 8
STAT_HEIGHT: Final = 4


@dataclass(frozen=True)
class Query:
    """What is asked of Prometheus, in PromQL, and what its series are called.

    expr: may say `$__rate_interval`, which Grafana sets by the span that is looked at. legend: with labels in
    double braces.
    """

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One picture.

    unit: as Grafana names it; `short` is a plain number. says: what is seen and when it is bad.
    shows: the course of time, or the last value alone, as a number.
    """

    title: str
    unit: str
    queries: tuple[Query, ...]
    says: str = ""
    shows: Literal["course", "number"] = "course"


@dataclass(frozen=True)
class Row:
    """Panels under a heading, side by side."""

    title: str
    panels: tuple[Panel, ...]
    columns: int = 2


@dataclass(frozen=True)
class Board:
    """A board. name: of its file, and in its address."""

    name: str
    title: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> Iterator[Panel]:
        """All of its panels."""
        for row in self.rows:
            yield from row.panels


def written(board: Board) -> str:
    """The JSON of a board, as it stands in its file."""
    made = (
        dashboard.Dashboard(f"ses-metrics: {board.title}")
        .uid(f"ses-metrics-{board.name}")
        .tags(["ses-metrics"])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    number = 0
    for row in board.rows:
        number += 1
        made.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made.with_panel(_made(panel, COLUMNS // row.columns).id(number))
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(made.build()) + "\n"


def _made(panel: Panel, width: int) -> timeseries.Panel | stat.Panel:
    made = _number() if panel.shows == "number" else _course()
    made.title(panel.title).description(panel.says).unit(panel.unit).span(width)
    made.datasource(DataSourceRef(type_val="prometheus", uid="${datasource}"))
    for ref, query in zip("ABCDEFGH", panel.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref)
        made.with_target(target.instant() if panel.shows == "number" else target.range())
    return made


def _course() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True)
    return (
        timeseries.Panel()
        .height(HEIGHT)
        .min(0)
        .fill_opacity(10)
        .legend(legend.placement(LegendPlacement.BOTTOM).calcs([]))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )


def _number() -> stat.Panel:
    return (
        stat.Panel()
        .height(STAT_HEIGHT)
        .no_value("none")
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
